"""The grader protocol: requests in, outcomes out as they are ready.

A grader never returns a number for what it could not judge; the reward belongs to the arm (see `aggregate`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from evenkeel.records.types import Outcome, Reply
from evenkeel.scenarios.scenario import Scenario


@dataclass(frozen=True, slots=True)
class GradeRequest:
    """One reply to judge by its scenario's criteria."""

    id: str
    scenario: Scenario
    reply: Reply


class Grader(Protocol):
    """Judges replies. `name` and `version` enter every protocol hash."""

    @property
    def name(self) -> str:
        """Which grader."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever a verdict could."""
        ...

    def criteria(self, scenario: Scenario) -> tuple[str, ...]:
        """Ids of the criteria this grader reports for a scenario."""
        ...

    def points(self, scenario: Scenario) -> tuple[float, ...]:
        """Signed points of those criteria, in the same order."""
        ...

    def grade(self, requests: Sequence[GradeRequest]) -> AsyncIterator[tuple[str, Outcome]]:
        """(request id, outcome) as each is ready."""
        ...


def again(grader: Grader, number: int = 1) -> Grader:
    """Who judges the same replies once more, independently of the first time: judges with noise in them have a method
    `again(number)`; any other grader would say the same and is its own second opinion.
    """
    repeat = getattr(grader, "again", None)
    return repeat(number) if repeat else grader
