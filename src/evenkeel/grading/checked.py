"""Replies to tasks with a right answer, checked by code: one grader for all of them.

A scenario says by facts["check"] how it is checked; `CHECKS` names the file of this folder that does it. Each of those ends with
a `Checker`: small pure functions. A checker that crashes makes the reply `Unscorable` with the reason; only facts that cannot be
worked with, or a package that is not installed, stop the grading (`UserError`).
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from importlib import import_module

from evenkeel.grading.checker import Checker, Facts
from evenkeel.grading.grader import GradeRequest
from evenkeel.records.errors import UserError, did_you_mean
from evenkeel.records.types import Outcome, Unscorable
from evenkeel.scenarios.scenario import Criterion, Scenario

CHECKS: Mapping[str, str] = {
    "number": "final_number",
    "choice": "choice",
    "exact": "exact",
    "constraints": "constraints",
    "reasoning_gym": "reasoning_tasks",
    "unit_tests": "unit_tests",
}
"""facts["check"] -> the file whose CHECKER does it, imported when it is first needed."""


@functools.cache
def checker(name: str) -> Checker:
    """The checker of a name. Raises UserError for an unknown one and for one that this installation lacks."""
    if name not in CHECKS:
        raise UserError(f'unknown check "{name}"', fix=did_you_mean(name, CHECKS))
    try:
        found: Checker = import_module(f"evenkeel.grading.{CHECKS[name]}").CHECKER
    except ModuleNotFoundError as missing:
        raise UserError(f'the check "{name}" cannot be done here: no module {missing.name}',
                        fix='pip install "evenkeel[text]"') from None  # fmt: skip
    return found


def require_checkable(facts: Facts) -> None:
    """For loaders: raises UserError unless the facts name a check that can be done and hold what it needs."""
    checker(str(facts.get("check"))).require(facts)


def criteria_of(facts: Facts) -> tuple[Criterion, ...]:
    """The criteria of a checked task: "correct", or one a constraint."""
    return checker(str(facts.get("check"))).criteria(facts)


class Checked:
    """Grades replies to checked tasks. `checkers` replaces or adds to those of `CHECKS`."""

    name = "checked"

    def __init__(self, checkers: Mapping[str, Checker] | None = None) -> None:
        self._checkers = dict(checkers or {})

    @property
    def version(self) -> str:
        """The versions of all checks."""
        return " ".join(f"{name}:{self._version(name)}" for name in sorted({*CHECKS, *self._checkers}))

    def criteria(self, scenario: Scenario) -> tuple[str, ...]:
        """ "correct", or one criterion a constraint."""
        return tuple(criterion.id for criterion in self._of(scenario).criteria(scenario.facts))

    def points(self, scenario: Scenario) -> tuple[float, ...]:
        """One each."""
        return tuple(criterion.points for criterion in self._of(scenario).criteria(scenario.facts))

    async def grade(self, requests: Sequence[GradeRequest]) -> AsyncIterator[tuple[str, Outcome]]:
        """Outcomes in the order of the requests; those of checks that take time follow as they are ready."""
        waiting: list[asyncio.Task[tuple[str, Outcome]]] = []
        try:
            for request in requests:
                outcome = self._check(request)
                if isinstance(outcome, Awaitable):
                    waiting.append(asyncio.ensure_future(_awaited(request.id, outcome)))
                else:
                    yield request.id, outcome
                await asyncio.sleep(0)  # others on this loop wait for one check at most
            for task in asyncio.as_completed(waiting):
                yield await task
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    def _check(self, request: GradeRequest) -> Outcome | Awaitable[Outcome]:
        found = self._of(request.scenario)
        try:
            return found.check(request.scenario.facts, request.reply.answer)
        except UserError:
            raise
        except Exception as crash:
            return _crashed(crash)

    def _of(self, scenario: Scenario) -> Checker:
        name = str(scenario.facts.get("check"))
        return self._checkers[name] if name in self._checkers else checker(name)

    def _version(self, name: str) -> str:
        try:
            return (self._checkers.get(name) or checker(name)).version
        except UserError:
            return "none"  # not in this installation, so it gives no verdicts


async def _awaited(request: str, outcome: Awaitable[Outcome]) -> tuple[str, Outcome]:
    try:
        return request, await outcome
    except UserError:
        raise
    except Exception as crash:
        return request, _crashed(crash)


def _crashed(crash: Exception) -> Unscorable:
    """No verdict: a reply that some check chokes on must neither end the run nor earn or cost anything."""
    return Unscorable(f"the check crashed: {type(crash).__name__}: {str(crash)[:200]}")
