"""What can be known before step 0, measured on the base model: lights, and a refusal that names the setting.

A cap that truncates 71 % of the replies, a rubric that every reply meets, a grader noisier than the spread it
must resolve: each has been published as a null result of the method. Here each is a red light.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from evenkeel.engines.interface import Engine, Renderer
from evenkeel.grading.collect import collect
from evenkeel.grading.grader import Grader, GradeRequest, again
from evenkeel.records.errors import RedLight, UserError
from evenkeel.records.streams import generator
from evenkeel.records.types import Scored
from evenkeel.scenarios.scenario import Scenario
from evenkeel.training.advantages import group_spread
from evenkeel.training.config import RLConfig
from evenkeel.training.limits import LIMITS, Light
from evenkeel.training.plan import Plan
from evenkeel.training.rollout import Bench, Group, Rollout, give_rewards, rewards_of, roll_out
from evenkeel.training.update import give_advantages, padded

ALL = "all"


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the preflight. `info` rows say what to expect and have no limits."""

    check: str
    source: str
    value: float | None  # None: could not be measured, `setting` says why
    amber: float | None
    red: float | None
    light: Light | Literal["info"]
    setting: str  # what to change when the light is not green


def limit_check(name: str, source: str, value: float | None, *, why: str = "") -> Check:
    """The row of a number that `LIMITS` knows under `name`; `why` when there is no number."""
    limit = LIMITS[name]
    return Check(
        limit.text,
        source,
        value,
        limit.amber,
        limit.red,
        limit.light(value),
        why if value is None else limit.setting,
    )


def preflight(*arguments, **options) -> list[Check]:
    """`preflight_async`, run to its end."""
    return asyncio.run(preflight_async(*arguments, **options))


async def preflight_async(
    engine: Engine,
    renderer: Renderer,
    plan: Plan,
    sources: Mapping[str, Sequence[Scenario]],
    graders: Mapping[str, Grader],
    config: RLConfig,
    *,
    seed: int,
    prompts_per_source: int = 16,
    aggregate_how: Mapping[str, str] | None = None,
) -> list[Check]:
    """Sample and grade `prompts_per_source` of the plan's prompts of each source, with the run's own group
    size, cap, temperature and rewards. Changes nothing; samples from streams that no run uses.

    Returns checks source by source, then those of the whole, then what to expect (draws, tokens, judge
    calls).
    """
    bench = Bench(renderer, graders, aggregate_how or {})
    draws = plan.draws()
    known = {(name, s.id): s for name, scenarios in sources.items() for s in scenarios}
    checks: list[Check] = []
    everything: list[Group] = []
    for source in draws["source"]:
        names = [name for owner, name, *_ in plan.scenarios if owner == source]
        chosen = generator("preflight", seed, source).permutation(len(names))[:prompts_per_source]
        groups = await roll_out(
            engine,
            bench,
            [known[source, names[i]] for i in sorted(chosen.tolist())],
            stream=("preflight", seed, source),
            group=config.group,
            max_tokens=config.max_tokens,
            temperature=config.temperature,
        )
        give_advantages(groups, config)
        regraded = await _graded_again(groups, bench, source)
        checks += _source_checks(source, groups, regraded)
        times = [n for name, n in draws["scenario"].items() if name.startswith(f"{source}/")]
        checks.append(limit_check("draws_per_scenario", source, max(times)))
        checks += _expected(source, groups, draws["source"][source], config)
        everything += groups
    checks.append(limit_check("sampler_vs_trainer", ALL, _disagreement(engine, everything)))
    return checks + [_info(f"draws of trait {trait}", "trait", n) for trait, n in draws["trait"].items()]


def require_green(checks: Sequence[Check], allow_red: bool = False) -> list[Check]:
    """The checks, if none is red; with `allow_red` (plumbing studies, quick looks) reds become ambers.

    Raises RedLight that names every red number and the setting to change.
    """
    reds = [check for check in checks if check.light == "red"]
    if reds and not allow_red:
        lines = [
            f"  {check.source}: {check.check} = {check.value:.3g}, limit {check.red:g}. Change {check.setting}."
            for check in reds
        ]
        raise RedLight(
            "the preflight on the base model is red:\n" + "\n".join(lines),
            fix="A plumbing study may go on in spite of it (allow_red); its report says so.",
        )
    return [replace(check, light="amber") if check.light == "red" else check for check in checks]


def _source_checks(source: str, groups: Sequence[Group], regraded: Sequence[Group]) -> list[Check]:
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    graded = [rollout for rollout in rollouts if rollout.status != "truncated"]
    dead = [all(rollout.advantage is None for rollout in group.rollouts) for group in groups]
    unscorable = sum(rollout.status == "unscorable" for rollout in graded) / len(graded) if graded else None
    ratio, why = _spread_over_noise(groups, regraded)
    return [
        limit_check("truncated", source, sum(r.status == "truncated" for r in rollouts) / len(rollouts)),
        limit_check("dead_groups", source, sum(dead) / len(dead)),
        limit_check("unscorable", source, unscorable, why="no reply was graded: all were truncated"),
        limit_check("spread_over_noise", source, ratio, why=why),
    ]


async def _graded_again(groups: Sequence[Group], bench: Bench, source: str) -> list[Group]:
    """The same replies under a second, independent grading."""
    requests: list[GradeRequest] = []
    owners: list[tuple[int, int]] = []
    for group in groups:
        for rollout in group.rollouts:
            if rollout.status == "scored":
                requests.append(GradeRequest(f"again/{len(owners)}", group.scenario, rollout.reply))
                owners.append((group.slot, rollout.completion.sample))
    outcomes = await collect(again(bench.grader(source)), requests) if requests else {}
    second = dict(zip(owners, outcomes.values(), strict=True))
    result = []
    for group in groups:
        copies = []
        for rollout in group.rollouts:
            outcome = second.get((group.slot, rollout.completion.sample))
            scored = isinstance(outcome, Scored)
            copies.append(
                Rollout(
                    rollout.completion,
                    rollout.reply,
                    "scored" if scored else "unscorable",
                    outcome.verdicts if isinstance(outcome, Scored) else {},
                )
            )
        how = bench.aggregate_how.get(source, "weighted")
        give_rewards(copies, bench.grader(source), group.scenario, how)
        result.append(Group(group.slot, group.scenario, group.prompt, copies))
    return result


def _spread_over_noise(groups: Sequence[Group], regraded: Sequence[Group]) -> tuple[float | None, str]:
    """Mean spread inside groups over the standard deviation of one grading; None without noise or replies."""
    first_PG, included_PG = rewards_of(groups)
    second_PG, also_PG = rewards_of(regraded)
    both_PG = included_PG & also_PG
    if not both_PG.any():
        return None, "no reply was graded twice"
    noise = float(np.sqrt(((first_PG - second_PG)[both_PG] ** 2).mean() / 2))  # sd of one of two gradings
    if noise == 0:
        return None, "no noise: the same reply gets the same reward"
    spread_P = group_spread(first_PG, included_PG)
    spread_P = spread_P[~np.isnan(spread_P)]
    return float(spread_P.mean() / noise) if len(spread_P) else 0.0, ""


def _disagreement(engine: Engine, groups: Sequence[Group]) -> float:
    """Sampler vs trainer log-probability on everything that was sampled, mean abs."""
    rows = [(group, rollout) for group in groups for rollout in group.rollouts]
    sampled_BT, mask_BT = padded([rollout.completion.logprobs for _, rollout in rows])
    scored_BT = engine.logprobs([group.sequence(rollout) for group, rollout in rows])
    return float(np.abs(scored_BT - sampled_BT)[mask_BT].mean())


def _expected(source: str, groups: Sequence[Group], draws: int, config: RLConfig) -> list[Check]:
    lengths = [len(rollout.completion.tokens) for group in groups for rollout in group.rollouts]
    calls = np.mean([rollout.status != "truncated" for group in groups for rollout in group.rollouts])
    prompt = np.mean([len(group.prompt) for group in groups])
    completions = draws * config.group
    return [
        _info("draws over the run", source, draws),
        _info("prompt tokens over the run", source, round(draws * float(prompt))),
        _info("sampled tokens over the run", source, round(completions * float(np.mean(lengths)))),
        _info("judge calls over the run", source, round(completions * float(calls))),
    ]


def _info(check: str, source: str, value: float) -> Check:
    return Check(check, source, value, None, None, "info", "")


def gap_checks(gaps: Mapping[str, float], *, control: bool) -> list[Check]:
    """The persona gap of a base: its median over formats against the limits of a main base or a control.

    `gaps` is by format. Raises UserError when there is none.
    """
    if not gaps:
        raise UserError("no persona gap was measured")
    median = float(np.median(list(gaps.values())))
    return [limit_check("persona_gap_control" if control else "persona_gap_main", ALL, median)]
