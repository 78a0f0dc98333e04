"""A language model as the judge of a scenario's own rubric, through any OpenAI-compatible endpoint.

What cannot be judged is `Unscorable` with its reason, never a number. When the endpoint is down for everybody (quota, key) or
too many replies come back unscorable, judging stops with `JudgePaused`: everything answered so far is in the cache, so the
same command goes on from there to the same rewards.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from evenkeel.engines.endpoint import Answer, Ask, CallFailed, Endpoint, EndpointConfig
from evenkeel.grading.grader import GradeRequest
from evenkeel.grading.judge_cache import JudgeCache, Role, cache_key
from evenkeel.grading.judge_prompt import PROMPT_VERSION, Form, judge_messages, read_answer, schema
from evenkeel.records.errors import UserError
from evenkeel.records.types import Outcome, Scored, Unscorable
from evenkeel.scenarios.scenario import Criterion, Scenario

FEWEST = 20  # replies judged before a rate of unscorable ones means anything


@dataclass(frozen=True, slots=True)
class JudgeConfig:
    """A judge as it stands in a study file."""

    endpoint: EndpointConfig
    role: Role = "train"
    form: Form | Literal["auto"] = "auto"  # auto: structured output, and tags where the endpoint refuses it
    per_criterion: bool = False  # one call a criterion instead of one a reply
    continuous: bool = False  # the probability of "met" instead of 0 or 1 (needs log-probabilities)
    max_tokens: int = 1200
    seed: int | None = 0
    most_calls: int | None = None  # a budget; replies beyond it are unscorable
    pause_above: float = 0.05  # share of unscorable replies at which judging stops (design.md: red at 5 %)


class JudgePaused(UserError):
    """Judging stopped before it could corrupt a reward. Nothing is lost; the message says how to go on."""


@dataclass(slots=True)
class Usage:
    """What judging cost; `hits` were answered from the cache and cost nothing, `lost` were begun before a kill."""

    calls: int = 0
    hits: int = 0
    lost: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    judged: int = 0
    unscorable: int = 0


class RubricJudge:
    """Grades replies by the criteria of their scenarios. Use it in one event loop, inside `async with`."""

    def __init__(self, config: JudgeConfig, cache: Path, *, sample: int = 0) -> None:
        """`sample` numbers a repeated judgement of the same replies (test-retest noise)."""
        self.config, self.sample = config, sample
        self.endpoint, self.cache = Endpoint(config.endpoint), JudgeCache(cache)
        self.form: Form = "json" if config.form == "auto" else config.form
        self.usage = Usage(lost=self.cache.lost())

    @property
    def name(self) -> str:
        """Which judge."""
        return f"judge:{self.config.endpoint.model}"

    @property
    def version(self) -> str:
        """Changes whenever a verdict could."""
        parts = (PROMPT_VERSION, self.config.form, *(["each"] if self.config.per_criterion else []),
                 *(["continuous"] if self.config.continuous else []), str(self.config.max_tokens))  # fmt: skip
        return "-".join(parts)

    async def __aenter__(self) -> RubricJudge:
        await self.endpoint.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.endpoint.__aexit__(*error)
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
        while True:
            form = self.form
            try:
                answer = await self._answer(self._ask(request, criteria, form))
            except CallFailed as failed:
                if failed.outage:
                    raise self._paused(f"the endpoint answers no more: {failed}") from None
                if failed.why == "bad request" and form == "json" and self.config.form == "auto":
                    self.form = "tags"  # no structured output here: ask again, and everybody else too
                    continue
                return Unscorable(f"the judge's call failed: {failed.why}")
            if answer is None:
                return Unscorable("over the budget of judge calls")
            return read_answer(answer, criteria, form, continuous=self.config.continuous)

    def _ask(self, request: GradeRequest, criteria: Sequence[Criterion], form: Form) -> Ask:
        messages = judge_messages(request.scenario.messages, request.reply.answer, criteria, form)
        return Ask(
            messages, self.config.max_tokens,
            temperature=0.0 if self.sample == 0 else 1.0, seed=self.config.seed,
            schema=schema(criteria) if form == "json" else None,
            top_logprobs=5 if self.config.continuous else 0,
        )  # fmt: skip

    async def _answer(self, ask: Ask) -> Answer | None:
        """From the cache, or from the endpoint and then into the cache; None beyond the budget."""
        model, role = self.config.endpoint.model, self.config.role
        key = cache_key(role, model, PROMPT_VERSION, ask, self.sample)
        if (kept := self.cache.get(key)) is not None:
            self.usage.hits += 1
            return kept
        if self.config.most_calls is not None and self.usage.calls >= self.config.most_calls:
            return None
        self.usage.calls += 1
        self.cache.start(key)
        answer = await self.endpoint.ask(ask)
        self.usage.prompt_tokens += answer.prompt_tokens
        self.usage.completion_tokens += answer.completion_tokens
        self.cache.put(key, role, model, answer)
        return answer

    def _book(self, outcome: Outcome) -> None:
        usage = self.usage
        usage.judged += 1
        usage.unscorable += isinstance(outcome, Unscorable)
        if usage.judged >= FEWEST and usage.unscorable > self.config.pause_above * usage.judged:
            reason = f": the last because {outcome.reason}" if isinstance(outcome, Unscorable) else ""
            raise self._paused(f"{usage.unscorable} of {usage.judged} replies could not be judged{reason}")

    def _paused(self, why: str) -> JudgePaused:
        return JudgePaused(
            f"judging paused, {why}",
            fix=f"Nothing is lost: {len(self.cache)} answers are kept in {self.cache.path}. Mend the endpoint "
            f"({self.config.endpoint.url}) and start the same command again; it goes on from here.",
        )


def held_out(config: JudgeConfig, endpoint: EndpointConfig) -> JudgeConfig:
    """The judge that evaluates: the same rubric and form, another model, another part of the cache."""
    return replace(config, endpoint=endpoint, role="eval")
