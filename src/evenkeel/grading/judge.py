"""A language model as the judge of a scenario's own rubric: an OpenAI-compatible endpoint, or a model in this process.

What cannot be judged is `Unscorable` with its reason, never a number. When the endpoint is down for everybody (quota, key,
no answer to anything) or too many replies come back unscorable, judging stops with `JudgePaused`: everything answered so far
is in the cache, so the same command goes on from there to the same rewards.

A question is asked once, however many replies need it: those that come while it is on its way wait for its answer. What
could not be read stays in the cache too, so that a killed run reads it alike; only a pause over its share forgets it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from weakref import WeakValueDictionary

from evenkeel.engines.endpoint import Answer, Ask, Asks, CallFailed, Endpoint, EndpointConfig
from evenkeel.grading.grader import GradeRequest
from evenkeel.grading.judge_cache import JudgeCache, Role, Usage, cache_key
from evenkeel.grading.judge_pause import JudgePaused, Watch
from evenkeel.grading.judge_prompt import (
    PROMPT_VERSION,
    READER_VERSION,
    Form,
    judge_messages,
    kind_of,
    read_answer,
    schema,
)
from evenkeel.records.types import Outcome, Scored, Unscorable
from evenkeel.scenarios.scenario import Criterion, Scenario

__all__ = ["JudgeConfig", "JudgePaused", "RubricJudge", "Usage", "held_out"]

PREPARED = 2  # replies worked at for each call in flight: the next question is ready when a place gets free


@dataclass(frozen=True, slots=True)
class JudgeConfig:
    """A judge as a run uses it."""

    endpoint: EndpointConfig
    role: Role = "train"
    form: Form | Literal["auto"] = "auto"  # auto: structured output, and tags where the endpoint refuses it
    per_criterion: bool = False  # one call a criterion instead of one a reply
    continuous: bool = False  # the probability of "met" instead of 0 or 1 (needs log-probabilities)
    max_tokens: int = 1200
    seed: int | None = 0
    most_calls: int | None = (
        None  # a budget of all runs that share the cache; replies beyond it are unscorable
    )
    pause_above: float = 0.05  # share of unscorable replies above which judging stops (design.md: red at 5 %)

    @property
    def name(self) -> str:
        """Which judge."""
        return f"judge:{self.endpoint.model}"

    @property
    def version(self) -> str:
        """Changes whenever a verdict could."""
        parts = (PROMPT_VERSION, READER_VERSION, self.form, *(["each"] if self.per_criterion else []),
                 *(["continuous"] if self.continuous else []), str(self.max_tokens))  # fmt: skip
        return "-".join(parts)


class ByCriteria:
    """What every judge by rubric says of itself: who it is, and the scenario's own criteria."""

    config: JudgeConfig

    @property
    def name(self) -> str:
        """Which judge."""
        return self.config.name

    @property
    def version(self) -> str:
        """Changes whenever a verdict could."""
        return self.config.version

    def criteria(self, scenario: Scenario) -> tuple[str, ...]:
        """The scenario's own criteria, in order."""
        return tuple(criterion.id for criterion in scenario.criteria)

    def points(self, scenario: Scenario) -> tuple[float, ...]:
        """Their signed points."""
        return tuple(criterion.points for criterion in scenario.criteria)


class RubricJudge(ByCriteria):
    """Grades replies by the criteria of their scenarios. Use it in one event loop, inside `async with`.

    For several event loops one after the other, as a run has them, see `judge_session.JudgeSession`.
    """

    def __init__(
        self, config: JudgeConfig, cache: Path | JudgeCache, *, sample: int = 0, asks: Asks | None = None
    ) -> None:
        """`sample` numbers a repeated judgement of the same replies (test-retest noise). `asks` answers the questions,
        the configured endpoint if nobody is named. What is handed over open (a cache, `asks`) stays open.
        """
        self.config, self.sample = config, sample
        self._own = None if asks is not None else Endpoint(config.endpoint)
        self._asks: Asks = asks if asks is not None else self._own  # type: ignore[assignment]
        self._own_cache = not isinstance(cache, JudgeCache)
        self.cache = cache if isinstance(cache, JudgeCache) else JudgeCache(cache, role=config.role)
        self._plain = f"no structured output: {config.endpoint.url} {config.endpoint.model}"
        tags = config.form == "tags" or (config.form == "auto" and self.cache.knows(self._plain))
        self.form: Form = "tags" if tags else "json"
        self._structured = False  # whether the endpoint has answered in structured form
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # one question, one call
        self._queued: set[str] = set()  # keys of calls that wait for a place and are not begun
        self._abreast = asyncio.Semaphore(PREPARED * config.endpoint.in_flight)
        self._watch = Watch(self.cache, config.endpoint.url, config.pause_above)

    @property
    def usage(self) -> Usage:
        """What was spent since the cache was opened."""
        return self.cache.used

    async def __aenter__(self) -> RubricJudge:
        if self._own is not None:
            await self._own.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._own is not None:
            await self._own.__aexit__(*error)
        if self._own_cache:
            self.cache.close()

    async def grade(self, requests: Sequence[GradeRequest]) -> AsyncIterator[tuple[str, Outcome]]:
        """(request id, outcome) in the order in which answers arrive. Raises JudgePaused."""
        tasks = [asyncio.ensure_future(self._grade(request)) for request in requests]
        try:
            for task in asyncio.as_completed(tasks):
                name, outcome = await task
                why = outcome.reason if isinstance(outcome, Unscorable) else None
                self.cache.judged(why and kind_of(why))
                self._watch.judged(why)
                yield name, outcome
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _grade(self, request: GradeRequest) -> tuple[str, Outcome]:
        async with self._abreast:
            return request.id, await self._outcome(request)

    async def _outcome(self, request: GradeRequest) -> Outcome:
        scenario, config = request.scenario, self.config
        groups = [(c,) for c in scenario.criteria] if config.per_criterion else [scenario.criteria]
        outcomes = await asyncio.gather(*(self._judge(request, group) for group in groups))
        verdicts: dict[str, float] = {}
        for outcome in outcomes:
            if isinstance(outcome, Unscorable):
                return outcome
            verdicts |= outcome.verdicts
        return Scored(verdicts)

    async def _judge(self, request: GradeRequest, criteria: Sequence[Criterion]) -> Outcome:
        """One question to the judge, in structured form where the endpoint takes it."""
        form = self.form
        try:
            key, answer = await self._answer(self._ask(request, criteria, form))
        except CallFailed as failed:
            untried = self.config.form == "auto" and form == "json" and not self._structured
            if failed.why != "bad request" or not untried:
                return self._failed(failed)
            form = "tags"  # perhaps no structured output here: the same question without
            try:
                key, answer = await self._answer(self._ask(request, criteria, form))
            except CallFailed as again:
                return self._failed(again)
            if answer is not None and not self._structured:
                self.form = form
                self.cache.note(self._plain)
        if answer is None:
            return Unscorable("over the budget of judge calls")
        self._structured |= form == "json"
        outcome = read_answer(answer, criteria, form, continuous=self.config.continuous)
        if isinstance(outcome, Unscorable):
            self._watch.unread(key)
        return outcome

    def _failed(self, failed: CallFailed) -> Unscorable:
        self._watch.failed(failed)
        return Unscorable(f"the judge's call failed ({failed.why})")

    def _ask(self, request: GradeRequest, criteria: Sequence[Criterion], form: Form) -> Ask:
        messages = judge_messages(request.scenario.messages, request.reply.answer, criteria, form)
        seed = self.config.seed
        return Ask(
            messages, self.config.max_tokens,
            temperature=0.0 if self.sample == 0 else 1.0, seed=None if seed is None else seed + self.sample,
            schema=schema(criteria) if form == "json" else None,
            top_logprobs=5 if self.config.continuous else 0,
        )  # fmt: skip

    async def _answer(self, ask: Ask) -> tuple[str, Answer | None]:
        """(key, answer): from the cache, or paid for and then put into the cache; None beyond the budget."""
        key = cache_key(self.config.role, self.config.endpoint.model, PROMPT_VERSION, ask, self.sample)
        turn = self._turns.setdefault(key, asyncio.Lock())
        async with turn:
            if (kept := self.cache.get(key)) is not None:
                return key, kept
            if self._watch.paused is not None:
                raise self._watch.paused
            most = self.config.most_calls
            if most is not None and self.cache.calls() + len(self._queued) >= most:
                return key, None
            return key, await self._paid(key, ask)

    async def _paid(self, key: str, ask: Ask) -> Answer:
        def begin() -> None:
            self._queued.discard(key)
            self.cache.begin(key)

        self._queued.add(key)
        try:
            answer = await self._asks.ask(ask, begin)
        except BaseException as error:  # cancelled, if it is not CallFailed
            if key not in self._queued:
                (self.cache.fail if isinstance(error, CallFailed) else self.cache.lose)(key)
            raise
        finally:
            self._queued.discard(key)
        self._watch.answered()
        return self.cache.put(key, self.config.endpoint.model, answer)


def held_out(config: JudgeConfig, endpoint: EndpointConfig) -> JudgeConfig:
    """The judge that evaluates: the same rubric and form, another model, another part of the cache."""
    return replace(config, endpoint=endpoint, role="eval")
