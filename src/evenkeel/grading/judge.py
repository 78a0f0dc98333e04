"""A language model as the judge of a scenario's own rubric: an OpenAI-compatible endpoint, or a model in this process.

What cannot be judged is `Unscorable` with its reason, never a number. When the endpoint is down for everybody (quota, key,
no answer to anything) or too many replies come back unscorable, judging stops with `JudgePaused`: everything answered so far
is in the cache, so the same command goes on from there to the same rewards.

A question is asked once, however many replies need it: those that come while it is on its way wait for its answer. What
could not be read stays in the cache too, so that a killed run reads it alike; only a pause over its share forgets it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from typing import Literal
from weakref import WeakValueDictionary

from evenkeel.engines.endpoint import Answer, Ask, Asks, CallFailed, Endpoint, EndpointConfig
from evenkeel.grading.grader import GradeRequest
from evenkeel.grading.judge_cache import JudgeCache, Role, Usage, cache_key
from evenkeel.grading.judge_prompt import (
    PROMPT_VERSION,
    READER_VERSION,
    Form,
    judge_messages,
    kind_of,
    read_answer,
    schema,
)
from evenkeel.records.errors import UserError
from evenkeel.records.types import Outcome, Scored, Unscorable
from evenkeel.scenarios.scenario import Criterion, Scenario

FEWEST = 20  # replies judged before a rate of unscorable ones means anything
WINDOW = 400  # the last replies, of which the rate is taken: a late breakdown shows as soon as an early one
UNANSWERED = 10  # calls in a row without an answer, after all their attempts: the endpoint is down
UNHEALTHY = frozenset({"timeout", "connection", "rate limit", "server error", "malformed"})


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


class JudgePaused(UserError):
    """Judging stopped before it could corrupt a reward. Nothing is lost; the message says how to go on."""


class RubricJudge:
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
        self._recent: deque[bool] = deque(maxlen=WINDOW)  # whether each was unscorable
        self._unread: deque[str] = deque(maxlen=WINDOW)  # keys of answers that gave no verdict
        self._unanswered = 0
        self._stopped: JudgePaused | None = None

    @property
    def name(self) -> str:
        """Which judge."""
        return self.config.name

    @property
    def version(self) -> str:
        """Changes whenever a verdict could."""
        return self.config.version

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

    def criteria(self, scenario: Scenario) -> tuple[str, ...]:
        """The scenario's own criteria, in order."""
        return tuple(criterion.id for criterion in scenario.criteria)

    def points(self, scenario: Scenario) -> tuple[float, ...]:
        """Their signed points."""
        return tuple(criterion.points for criterion in scenario.criteria)

    async def grade(self, requests: Sequence[GradeRequest]) -> AsyncIterator[tuple[str, Outcome]]:
        """(request id, outcome) in the order in which answers arrive. Raises JudgePaused."""
        tasks = [asyncio.ensure_future(self._grade(request)) for request in requests]
        try:
            for task in asyncio.as_completed(tasks):
                name, outcome = await task
                self._book(outcome)
                yield name, outcome
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _grade(self, request: GradeRequest) -> tuple[str, Outcome]:
        scenario, config = request.scenario, self.config
        groups = [(c,) for c in scenario.criteria] if config.per_criterion else [scenario.criteria]
        outcomes = await asyncio.gather(*(self._judge(request, group) for group in groups))
        verdicts: dict[str, float] = {}
        for outcome in outcomes:
            if isinstance(outcome, Unscorable):
                return request.id, outcome
            verdicts |= outcome.verdicts
        return request.id, Scored(verdicts)

    async def _judge(self, request: GradeRequest, criteria: Sequence[Criterion]) -> Outcome:
        """One question to the judge, in structured form where the endpoint takes it."""
        form = self.form
        try:
            key, answer = await self._answer(self._ask(request, criteria, form))
        except CallFailed as failed:
            if (
                failed.why != "bad request"
                or form == "tags"
                or self.config.form != "auto"
                or self._structured
            ):
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
            self._unread.append(key)
        return outcome

    def _failed(self, failed: CallFailed) -> Outcome:
        if failed.outage:
            raise self._paused(f"the endpoint answers no more: {failed}") from None
        self._unanswered += failed.why in UNHEALTHY
        if self._unanswered >= UNANSWERED:
            raise self._paused(f"{self._unanswered} calls in a row got no answer: {failed}") from None
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
            if self._stopped is not None:
                raise self._stopped
            if self.config.most_calls is not None and self.cache.calls() >= self.config.most_calls:
                return key, None
            return key, await self._paid(key, ask)

    async def _paid(self, key: str, ask: Ask) -> Answer:
        self.cache.begin(key)
        try:
            answer = await self._asks.ask(ask)
        except CallFailed:
            self.cache.fail(key)
            raise
        except BaseException:  # cancelled, most often
            self.cache.lose(key)
            raise
        self._unanswered = 0
        return self.cache.put(key, self.config.endpoint.model, answer)

    def _book(self, outcome: Outcome) -> None:
        failed = isinstance(outcome, Unscorable)
        self.cache.judged(kind_of(outcome.reason) if isinstance(outcome, Unscorable) else None)
        self._recent.append(failed)
        expected = self.config.pause_above * len(self._recent)
        if len(self._recent) >= FEWEST and sum(self._recent) > expected + 2 * sqrt(expected):  # not by chance
            self.cache.forget(self._unread)
            last = f": the last because {outcome.reason}" if isinstance(outcome, Unscorable) else ""
            raise self._paused(
                f"{sum(self._recent)} of {len(self._recent)} replies could not be judged{last}",
                again=f" The {len(self._unread)} answers that gave no verdict are asked for again.",
            )

    def _paused(self, why: str, again: str = "") -> JudgePaused:
        """The pause, which from now on holds for everybody who would pay for a call."""
        where = f"Mend the endpoint ({self.config.endpoint.url})"
        if not self.config.endpoint.url:
            where = "A model that cannot judge itself needs an endpoint, or more skill"
        self._stopped = JudgePaused(
            f"judging paused, {why}",
            fix=f"Nothing is lost: {len(self.cache)} answers are kept in {self.cache.path}.{again} {where} and start "
            "the same command again; it goes on from here.",
        )
        return self._stopped


def held_out(config: JudgeConfig, endpoint: EndpointConfig) -> JudgeConfig:
    """The judge that evaluates: the same rubric and form, another model, another part of the cache."""
    return replace(config, endpoint=endpoint, role="eval")
