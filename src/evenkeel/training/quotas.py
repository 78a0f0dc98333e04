"""Exact quotas: whole numbers that follow fixed shares at every moment, by carry-over instead of by chance.

Drawing each slot at random gives 44 % of steps without a single trait prompt at 5 % of 16 slots; carry-over
none that it need not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

DOSES = tuple(Fraction(share) for share in ("0.01", "0.05", "0.1", "0.25", "0.5", "1"))
"""The ladder of shares that are nested in each other whatever else is asked for."""


def exact(share: float) -> Fraction:
    """The fraction that was written: 0.05 is 1/20, not its nearest binary number."""
    return Fraction(repr(float(share)))


def spread_evenly(weights: Mapping[str, Fraction], length: int) -> list[str]:
    """A sequence in which every prefix of k holds each name within 1 - 1/(2n - 2) of k x its weight.

    Tijdeman's solution of the chairman assignment problem (Discrete Mathematics 32, 1980): among the names
    that may go next, the one whose deadline is nearest. `weights` sum to 1.
    """
    names = sorted(name for name in weights if weights[name] > 0)
    if len(names) == 1:
        return names * length
    whole = math.lcm(*(weights[name].denominator for name in names))  # integers from here on: exact and quick
    part = {name: int(weights[name] * whole) for name in names}
    turns = 2 * len(names) - 2
    behind = dict.fromkeys(names, 0)  # (k x weight - count) x whole
    sequence = []
    for _ in range(length):
        for name in names:
            behind[name] += part[name]
        ready = [name for name in names if turns * behind[name] >= whole]
        chosen = min(
            ready, key=lambda name: (((turns - 1) * whole - turns * behind[name]) / part[name], name)
        )
        behind[chosen] -= whole
        sequence.append(chosen)
    return sequence


def replaced_per_step(share: Fraction, steps: int, prompts: int) -> list[int]:
    """How many slots of each step an arm with this share replaces; a larger share never replaces fewer.

    The carry-over rule (floor of share x slots so far) decides, held between the counts of the neighbouring
    doses of the ladder, so that the slots 0..n-1 of one share contain those of every smaller dose, at every
    step.
    """
    if share == 0:
        return [0] * steps
    below = [dose for dose in DOSES if dose < share]
    above = [dose for dose in DOSES if dose > share]
    upper = replaced_per_step(above[0], steps, prompts) if above else [prompts] * steps
    lower = replaced_per_step(below[-1], steps, prompts) if below and share not in DOSES else [0] * steps
    counts: list[int] = []
    done = 0
    for step in range(steps):
        due = int(share * prompts * (step + 1)) - done
        counts.append(max(lower[step], min(upper[step], due)))
        done += counts[-1]
    return counts
