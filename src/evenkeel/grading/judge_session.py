"""A rubric judge for a whole run: one cache and one account over any number of event loops, one after the other.

A run judges in several: the preflight's, then the training loop's, an evaluation's. What is bound to an event loop (the
client, its limiter, whoever waits for whom) is made in it and closed with it; the rest stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol
from weakref import WeakKeyDictionary

from evenkeel.engines.endpoint import Asks, Endpoint
from evenkeel.grading.grader import Grader, GradeRequest
from evenkeel.grading.judge import ByCriteria, JudgeConfig, RubricJudge
from evenkeel.grading.judge_cache import JudgeCache, Usage
from evenkeel.records.errors import UserError
from evenkeel.records.files import read_json, write_json
from evenkeel.records.types import Outcome
from evenkeel.scenarios.scenario import Scenario


class JudgeSession(ByCriteria):
    """A `Grader`. Several runs may have one each on the same cache, in any number of processes."""

    def __init__(
        self, config: JudgeConfig, cache: Path, *, asks: Callable[[], Asks] | None = None, run: str = ""
    ) -> None:
        """`asks` makes what answers the questions, once an event loop; the configured endpoint if it is not given.

        Raises UserError when the endpoint's key is not there or the file is no cache.
        """
        self.config = config
        self._make = asks or (lambda: Endpoint(config.endpoint))
        self._make()  # says now what is missing
        self.cache = JudgeCache(cache, role=config.role, run=run)
        self._here: WeakKeyDictionary[asyncio.AbstractEventLoop, _Here] = WeakKeyDictionary()

    @property
    def usage(self) -> Usage:
        """What was spent since the session began."""
        return self.cache.used

    def again(self, number: int = 1) -> Again:
        """The same judge asked once more, independently of the first time: answers of its own, kept as well."""
        return Again(self, number)

    def grade(self, requests: Sequence[GradeRequest]) -> AsyncIterator[tuple[str, Outcome]]:
        """(request id, outcome) in the order in which answers arrive. Raises JudgePaused."""
        return self.grade_sample(requests, 0)

    async def grade_sample(
        self, requests: Sequence[GradeRequest], sample: int
    ) -> AsyncGenerator[tuple[str, Outcome], None]:
        """`grade`, for the judgement of this number."""
        judge = await self._judge(sample)
        async for graded in judge.grade(requests):
            yield graded

    @contextmanager
    def booked(self, run: str, file: Path | None = None) -> Iterator[None]:
        """Book what is judged meanwhile under this label; at the end, whatever ends it, write `file`."""
        before, self.cache.run = self.cache.run, run
        try:
            yield
        finally:
            if file is not None:
                self.write(file)
            self.cache.run = before

    def write(self, file: Path) -> None:
        """By role, which judge it was and what it has cost this run so far, killed attempts included."""
        write_account(file, self.config, self.cache.totals())

    def afresh(self) -> None:
        """Forget, in this event loop, that judging was paused and how many replies were unscorable."""
        if here := self._here.get(asyncio.get_running_loop()):
            here.judges.clear()

    def close(self) -> None:
        """Give the cache's file back. Event loops close what was theirs."""
        self.cache.close()

    async def _judge(self, sample: int) -> RubricJudge:
        loop = asyncio.get_running_loop()
        here = self._here.get(loop)
        if here is None:
            asks = self._make()
            keeper = self._closes_with_the_loop(asks, loop)
            here = self._here[loop] = _Here(asks, keeper, {})
            await anext(keeper)
        if sample not in here.judges:
            here.judges[sample] = RubricJudge(self.config, self.cache, sample=sample, asks=here.asks)
        return here.judges[sample]

    async def _closes_with_the_loop(
        self, asks: Asks, loop: asyncio.AbstractEventLoop
    ) -> AsyncGenerator[None, None]:
        """An async generator that is left waiting: `asyncio.run` closes those at its end, and this closes the client."""
        async with asks:
            try:
                yield
            finally:
                self._here.pop(loop, None)


class Session(Grader, Protocol):
    """A grader that can be asked for a second judgement."""

    def grade_sample(
        self, requests: Sequence[GradeRequest], sample: int
    ) -> AsyncIterator[tuple[str, Outcome]]:
        """`grade`, for the judgement of this number."""
        ...


@dataclass(frozen=True)
class Again:
    """The judge of a session, asked independently for the `number`-th time more."""

    session: Session
    number: int

    @property
    def name(self) -> str:
        """Which judge."""
        return self.session.name

    @property
    def version(self) -> str:
        """Changes whenever a verdict could."""
        return self.session.version

    def criteria(self, scenario: Scenario) -> tuple[str, ...]:
        """The session's."""
        return self.session.criteria(scenario)

    def points(self, scenario: Scenario) -> tuple[float, ...]:
        """The session's."""
        return self.session.points(scenario)

    def grade(self, requests: Sequence[GradeRequest]) -> AsyncIterator[tuple[str, Outcome]]:
        """See `JudgeSession.grade`."""
        return self.session.grade_sample(requests, self.number)


@dataclass
class _Here:
    """What belongs to one event loop."""

    asks: Asks
    keeper: AsyncGenerator[None, None]
    judges: dict[int, RubricJudge]  # by sample


def write_account(file: Path, config: JudgeConfig, totals: Mapping[str, Usage]) -> None:
    """What judging has cost by role, into `file`; what another role's judge wrote there about itself stays."""
    found = read_json(file) if file.exists() else {}
    if not isinstance(found, dict):
        raise UserError("is no account of a judge", file=file, fix="Delete it and run again.")
    for role, usage in totals.items():
        found[role] = {**found.get(role, {}), **asdict(usage)}
    if config.role in found:
        found[config.role] |= {"judge": config.name, "version": config.version}
    write_json(file, found)
