"""One step's replies: sampled, graded as each group is complete, rewarded. Nothing here changes the policy."""

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

    A group goes to its grader as soon as its last reply is there, so judging overlaps with sampling.
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
    arrived: list[list[Completion]] = [[] for _ in scenarios]
    judged: dict[int, asyncio.Task[list[Rollout]]] = {}
    try:
        async for completion in engine.sample(requests):
            slot = int(completion.request)
            arrived[slot].append(completion)
            if len(arrived[slot]) == group:
                judged[slot] = asyncio.create_task(_judge(bench, scenarios[slot], arrived[slot]))
        await asyncio.gather(*judged.values())
    finally:  # one group failed or sampling did: the others' judging has no use any more
        for task in judged.values():
            task.cancel()
    if len(judged) < len(scenarios):
        raise ValueError(f"the engine returned {len(judged)} full groups of {len(scenarios)}")
    return [
        Group(slot, scenario, prompts[slot], judged[slot].result()) for slot, scenario in enumerate(scenarios)
    ]


async def _judge(bench: Bench, scenario: Scenario, completions: list[Completion]) -> list[Rollout]:
    """Replies with their verdicts and rewards. Truncated ones are not sent to the grader: they have no
    reward.
    """
    completions.sort(key=lambda completion: completion.sample)
    replies = [bench.renderer.reply(completion) for completion in completions]
    grader = bench.grader(scenario.source)
    requests = [
        GradeRequest(str(i), scenario, reply) for i, reply in enumerate(replies) if reply.finish == "stop"
    ]
    outcomes = await collect(grader, requests) if requests else {}
    rollouts = [
        _rollout(completion, reply, outcomes.get(str(i)))
        for i, (completion, reply) in enumerate(zip(completions, replies, strict=True))
    ]
    give_rewards(rollouts, grader, scenario, bench.aggregate_how.get(scenario.source, "weighted"))
    return rollouts


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
