"""Does the reply's program pass these tests? facts = {"check": "unit_tests", "tests": ["assert f(1) == 2"], "setup": ""}

A program that fails, crashes or takes too long is a verdict of 0, and so is a reply without one. A sandbox that breaks, or a
test that cannot run in it, is no verdict.
"""

from __future__ import annotations

import asyncio
import re
import sys
import textwrap
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict

from evenkeel.grading.checker import CORRECT, Checker, Facts
from evenkeel.grading.grader import GradeRequest
from evenkeel.grading.sandbox import Limits, SandboxFailed, require_sandbox, run_tests
from evenkeel.records.errors import UserError
from evenkeel.records.types import Outcome, Scored, Unscorable
from evenkeel.scenarios.scenario import Scenario

PYTHON = frozenset({"python", "python3", "py"})
_BLOCK = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+-]*)[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.M | re.S)


def code_of(answer: str) -> str:
    """The program of a reply: its last fenced block marked as Python, else its last unmarked one, else all of it.

    All of it need not be a program; running it tells. It is not parsed here: that can be made to crash the interpreter.
    """
    blocks = [(mark.lower(), text) for _, mark, text in _BLOCK.findall(answer.replace("\r\n", "\n"))]
    marked = [text for mark, text in blocks if mark in PYTHON] or [text for mark, text in blocks if not mark]
    return textwrap.dedent(marked[-1]) if marked else answer


async def check_unit_tests(
    answer: str, facts: Facts, *, share: bool = False, limits: Limits | None = None
) -> float:
    """1 when the reply's program passes all of `facts["tests"]`, else 0; with `share`, the share that it passes.

    `facts["setup"]` runs before the program. Raises SandboxFailed where there is no verdict.
    """
    code, tests = code_of(answer), list(facts["tests"])
    if not tests:
        raise SandboxFailed("the task has no tests")
    if not code.strip():
        return 0.0
    results = await run_tests(code, tests, facts.get("setup", ""), limits, stop_early=not share)
    for result in results:
        if result.status == "refused":
            raise SandboxFailed(result.detail)
    passed = sum(result.status == "passed" for result in results)
    return passed / len(tests) if share else float(passed == len(tests))


def version_of(share: bool, limits: Limits) -> str:
    """Changes whenever a verdict could."""
    given = [value for name, value in asdict(limits).items() if name != "output"]
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return f"1-{python}-{'share' if share else 'all'}-{'-'.join(f'{each:g}' for each in given)}"


async def _outcome(answer: str, facts: Facts, share: bool = False, limits: Limits | None = None) -> Outcome:
    try:
        return Scored({"correct": await check_unit_tests(answer, facts, share=share, limits=limits)})
    except SandboxFailed as failed:
        return Unscorable(f"the tests could not be run: {failed}")


class UnitTests:
    """Grades the replies to programming tasks. Raises UserError at once where there is no sandbox."""

    name = "unit_tests"

    def __init__(self, *, share: bool = False, limits: Limits | None = None) -> None:
        """`share`: the share of the tests that are passed, instead of all or nothing."""
        require_sandbox()
        self.share, self.limits = share, limits or Limits()

    @property
    def version(self) -> str:
        """Changes whenever a verdict could."""
        return version_of(self.share, self.limits)

    def criteria(self, scenario: Scenario) -> tuple[str, ...]:
        """One, for every scenario."""
        return tuple(criterion.id for criterion in CORRECT)

    def points(self, scenario: Scenario) -> tuple[float, ...]:
        """One."""
        return tuple(criterion.points for criterion in CORRECT)

    async def grade(self, requests: Sequence[GradeRequest]) -> AsyncIterator[tuple[str, Outcome]]:
        """(request id, outcome) as each is ready; several replies run at once."""
        tasks = [asyncio.ensure_future(self._grade(request)) for request in requests]
        try:
            for task in asyncio.as_completed(tasks):
                yield await task
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _grade(self, request: GradeRequest) -> tuple[str, Outcome]:
        facts, answer = request.scenario.facts, request.reply.answer
        return request.id, await _outcome(answer, facts, self.share, self.limits)


def _require(facts: Facts) -> None:
    tests, setup = facts.get("tests"), facts.get("setup", "")
    if not isinstance(tests, Sequence) or not tests or isinstance(tests, str):
        raise UserError(
            f'facts["tests"] of a unit-test task is {tests!r:.80}', fix="Give a list of Python tests."
        )
    for text in (*tests, setup):
        try:
            compile(text, "<test>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, TypeError) as error:
            fix = "Tests and setup must be Python."
            raise UserError(f"{text!r:.200} is no test ({error})", fix=fix) from None
    require_sandbox()


CHECKER = Checker(
    version=version_of(False, Limits()), check=lambda facts, answer: _outcome(answer, facts), require=_require
)
