"""What one way of checking offers `Checked`: pure functions of a scenario's facts and the reply's answer.

A checker's verdict is a verdict even when it is 0: the reply was read and is wrong. What it cannot decide for a reason that is
not the reply's (a sandbox that does not start) is `Unscorable`; `Checked` makes the same of a checker that crashes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from evenkeel.records.errors import UserError
from evenkeel.records.types import Outcome, Scored
from evenkeel.scenarios.scenario import Criterion

Facts = Mapping[str, Any]

CORRECT = (Criterion("correct", "The final answer is right.", 1.0),)


def only_correct(facts: Facts) -> tuple[Criterion, ...]:
    """The one criterion of a task that is right or wrong."""
    return CORRECT


def verdict(correct: bool) -> Scored:
    """Right or wrong."""
    return Scored({"correct": float(correct)})


@dataclass(frozen=True, slots=True)
class Checker:
    """One way of checking. `check` may be a coroutine function where checking takes time (unit tests)."""

    version: str  # changes whenever a verdict could
    check: Callable[[Facts, str], Outcome | Awaitable[Outcome]]  # (facts, the reply's answer)
    require: Callable[[Facts], None]  # raises UserError at loading for facts that `check` could not work with
    criteria: Callable[[Facts], tuple[Criterion, ...]] = only_correct


def versioned(own: str, package: str) -> str:
    """A checker's own version with that of the package which takes part in its verdicts."""
    try:
        return f"{own}-{package}-{metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return own


def text_fact(facts: Facts, name: str = "answer") -> str:
    """A fact that must be a text with something in it. Raises UserError."""
    value = facts.get(name)
    if not isinstance(value, str) or not value.strip():
        raise UserError(
            f'facts["{name}"] of a checked task is {value!r}', fix="It must be a text that is not empty."
        )
    return value
