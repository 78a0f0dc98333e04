"""Arms: what fills the replaced slots, and by which reward. Everything else is the same in all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from evenkeel.records.errors import UserError, did_you_mean


@dataclass(frozen=True, slots=True)
class Arm:
    """One row of the experiment. `domains` keeps only these trait domains, `without` leaves these out."""

    name: str  # "trait-25"
    kind: str  # "trait"
    share: float  # 0.25: share of all slots that is replaced; 0 in the baseline
    domains: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    reward: Literal["rubric", "helpfulness"] = "rubric"

    def takes(self, domain: str | None) -> bool:
        """Whether a trait scenario of this domain belongs to the arm."""
        return (self.domains is None or domain in self.domains) and domain not in self.without


KINDS: Mapping[str, Mapping[str, Any]] = {
    "baseline": {},
    "trait": {},
    "health_only": {"domains": ("health",)},
    "no_health_science": {"without": ("health", "science")},
    "generic_helpfulness": {"reward": "helpfulness"},
}
"""The arms of arXiv:2606.24014, section 3: kind -> how it differs from `trait`."""


def arm_named(name: str) -> Arm:
    """The arm "KIND-PERCENT" ("health_only-5") or "baseline". Raises UserError for any other name."""
    kind, dash, percent = name.partition("-")
    if kind not in KINDS:
        raise UserError(f'unknown arm "{name}".', fix=did_you_mean(kind, KINDS))
    if kind == "baseline":
        if dash:
            raise UserError(f'arm "{name}": a baseline replaces nothing.', fix='Write "baseline".')
        return Arm("baseline", "baseline", 0.0)
    try:
        share = float(percent) / 100
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise UserError(f'arm "{name}" has no share.', fix=f'Write its percentage: "{kind}-5".')
    return Arm(name, kind, round(share, 10), **KINDS[kind])
