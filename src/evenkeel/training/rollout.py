"""One step's replies: sampled, graded as each ends, rewarded. Nothing here changes the policy."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from evenkeel.engines.interface import Engine, Renderer
from evenkeel.grading.aggregate import aggregate
from evenkeel.grading.collect import collect
from evenkeel.grading.grader import Grader, GradeRequest
from evenkeel.records.errors import UserError, did_you_mean
from evenkeel.records.types import Completion, Outcome, Reply, SampleRequest, Scored, TrainSequence
from evenkeel.scenarios.scenario import Scenario

Status = Literal["scored", "truncated", "unscorable"]


@dataclass(slots=True)
class Rollout:
    """One reply. `reward` is None unless it is scored; `advantage` is None unless it takes part in the
    update.
    """

    completion: Completion
    reply: Reply
    status: Status
    verdicts: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    reward: float | None = None
    advantage: float | None = None


@dataclass(slots=True)
class Group:
    """All replies to one prompt, in the order of their sample number."""

    slot: int
    scenario: Scenario
    prompt: tuple[int, ...]
    rollouts: list[Rollout]

    def sequence(self, rollout: Rollout) -> TrainSequence:
        """The reply as a training row."""
        return TrainSequence(self.prompt, rollout.completion.tokens)


@dataclass(frozen=True)
class Bench:
    """What judges a run: the renderer, and by source the grader and the way verdicts become a reward."""

    renderer: Renderer
    graders: Mapping[str, Grader]
    aggregate_how: Mapping[str, str]

    def grader(self, source: str) -> Grader:
        """The source's grader. Raises UserError when there is none."""
        if source not in self.graders:
            raise UserError(f'source "{source}" has no grader.', fix=did_you_mean(source, self.graders))
        return self.graders[source]


async def roll_out(
    engine: Engine,
    bench: Bench,
    scenarios: Sequence[Scenario],
    *,
    stream: tuple[str | int, ...],
    group: int,
    max_tokens: int,
    temperature: float = 1.0,
) -> list[Group]:
    """The groups of `scenarios`, in order. Slot s samples from stream `(*stream, s)`.

    A reply goes to its grader as soon as it is there, so judging overlaps with sampling.
    """
    prompts = [bench.renderer.prompt(scenario.messages) for scenario in scenarios]
    requests = [
        SampleRequest(
            id=str(slot),
            prompt=prompt,
            max_tokens=min(scenario.max_tokens, max_tokens),
            stream=(*stream, slot),
            group=group,
            temperature=temperature,
        )
        for slot, (scenario, prompt) in enumerate(zip(scenarios, prompts, strict=True))
    ]
    judging = Judging(bench, scenarios)
    try:
        async for completion in engine.sample(requests):
            judging.add(completion)
        full = sum(len(replies) == group for replies in judging.replies)
        if full < len(scenarios):
            raise ValueError(f"the engine returned {full} full groups of {len(scenarios)}")
        judged = await judging.rollouts()
    finally:  # one reply's judging failed or sampling did: the others' has no use any more
        judging.cancel()
    return [Group(slot, scenario, prompts[slot], judged[slot]) for slot, scenario in enumerate(scenarios)]


class Judging:
    """A step's replies on their way through the graders, each from the moment it is there.

    What arrives together goes to a source's grader together, whichever group it belongs to.
    """

    def __init__(self, bench: Bench, scenarios: Sequence[Scenario]) -> None:
        self.bench, self.scenarios = bench, scenarios
        self.replies: list[dict[int, tuple[Completion, Reply]]] = [{} for _ in scenarios]  # by sample number
        self._outcomes: dict[str, Outcome] = {}
        self._waiting: dict[str, list[GradeRequest]] = {scenario.source: [] for scenario in scenarios}
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, completion: Completion) -> None:
        """Take a reply. Truncated ones are not sent to the grader: they have no reward."""
        slot, reply = int(completion.request), self.bench.renderer.reply(completion)
        self.replies[slot][completion.sample] = completion, reply
        if reply.finish != "stop":
            return
        scenario = self.scenarios[slot]
        waiting = self._waiting[scenario.source]
        waiting.append(GradeRequest(_name(slot, completion), scenario, reply))
        if len(waiting) == 1:
            self._tasks.append(asyncio.create_task(self._grade(scenario.source)))

    async def _grade(self, source: str) -> None:
        requests, self._waiting[source] = self._waiting[source], []
        self._outcomes |= await collect(self.bench.grader(source), requests)

    async def rollouts(self) -> list[list[Rollout]]:
        """Each group's replies in the order of their sample numbers with verdicts and rewards, once all are judged."""
        await asyncio.gather(*self._tasks)
        return [self._group(slot, scenario) for slot, scenario in enumerate(self.scenarios)]

    def _group(self, slot: int, scenario: Scenario) -> list[Rollout]:
        rollouts = [
            _rollout(completion, reply, self._outcomes.get(_name(slot, completion)))
            for _, (completion, reply) in sorted(self.replies[slot].items())
        ]
        how = self.bench.aggregate_how.get(scenario.source, "weighted")
        give_rewards(rollouts, self.bench.grader(scenario.source), scenario, how)
        return rollouts

    def cancel(self) -> None:
        """Whoever is still waited for is not needed any more."""
        for task in self._tasks:
            task.cancel()


def _name(slot: int, completion: Completion) -> str:
    return f"{slot}/{completion.sample}"


def _rollout(completion: Completion, reply: Reply, outcome: Outcome | None) -> Rollout:
    if outcome is None:
        return Rollout(completion, reply, "truncated")
    if isinstance(outcome, Scored):
        return Rollout(completion, reply, "scored", verdicts=outcome.verdicts)
    return Rollout(completion, reply, "unscorable", reason=outcome.reason)


def give_rewards(rollouts: Sequence[Rollout], grader: Grader, scenario: Scenario, how: str) -> None:
    """Set the reward of the scored rollouts of one group; the others do not enter, not even through a mean."""
    scored = [rollout for rollout in rollouts if rollout.status == "scored"]
    if not scored:
        return
    criteria = grader.criteria(scenario)
    verdicts_GC = np.array([[rollout.verdicts[name] for name in criteria] for rollout in scored])
    for rollout, reward in zip(
        scored, aggregate(verdicts_GC, np.array(grader.points(scenario)), how), strict=True
    ):
        rollout.reward = float(reward)


def rewards_of(groups: Sequence[Group]) -> tuple[np.ndarray, np.ndarray]:
    """(reward_PG with NaN where there is none, included_PG)."""
    reward_PG = np.array(
        [[np.nan if r.reward is None else r.reward for r in group.rollouts] for group in groups],
        dtype=np.float64,
    )
    return reward_PG, ~np.isnan(reward_PG)
