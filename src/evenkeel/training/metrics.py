"""A step in numbers: per source and per criterion first, over all sources second; and a row for every
completion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evenkeel.training.advantages import group_spread
from evenkeel.training.limits import LIMITS
from evenkeel.training.rollout import Group, rewards_of
from evenkeel.training.update import Update, kl_of

Row = dict[str, Any]


def step_row(
    step: int, groups: Sequence[Group], result: Update, reference_PGT: Sequence[np.ndarray] | None = None
) -> Row:
    """The row of `steps.jsonl`: the metrics of each source in `sources`, the same over all sources and the
    update's own numbers beside it. A number that does not exist is null.
    """
    sources: dict[str, list[Group]] = {}
    for group in groups:
        sources.setdefault(group.scenario.source, []).append(group)
    return {
        "step": step,
        "sources": {name: source_metrics(part, reference_PGT) for name, part in sorted(sources.items())},
        **source_metrics(groups, reference_PGT, criteria=False),
        **{name: getattr(result, name) for name in Update.__slots__},
        "probe_light": LIMITS["sampler_vs_trainer"].light(
            max(result.probe or 0.0, result.probe_after or 0.0)
        ),
    }


def source_metrics(
    groups: Sequence[Group], reference_PGT: Sequence[np.ndarray] | None = None, *, criteria: bool = True
) -> Row:
    """Counts (summed by the ledger), then means over scored replies, groups, or tokens as their names say."""
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    live = [[r for r in group.rollouts if r.advantage is not None] for group in groups]
    logprobs = np.concatenate([np.asarray(r.completion.logprobs) for r in rollouts])
    reward_PG, included_PG = rewards_of(groups)
    spread_P = group_spread(reward_PG, included_PG)
    row: Row = {
        "groups": len(groups),
        "completions": len(rollouts),
        "prompt_tokens": sum(len(group.prompt) for group in groups),
        "sampled_tokens": len(logprobs),
        "trained_prompt_tokens": sum(len(g.prompt) for g, part in zip(groups, live, strict=True) if part),
        "trained_tokens": sum(len(r.completion.tokens) for part in live for r in part),
        "judge_calls": sum(r.status != "truncated" for r in rollouts),
        "truncated": sum(r.status == "truncated" for r in rollouts),
        "unscorable": sum(r.status == "unscorable" for r in rollouts),
        "dead_groups": sum(not part for part in live),
        "truncated_share": sum(r.status == "truncated" for r in rollouts) / len(rollouts),
        "unscorable_share": sum(r.status == "unscorable" for r in rollouts) / len(rollouts),
        "dead_share": sum(not part for part in live) / len(groups),
        "reward_mean": _mean(reward_PG[included_PG]),
        "reward_spread": _mean(spread_P[~np.isnan(spread_P)]),
        "length": _mean([len(r.completion.tokens) for r in rollouts]),
        "distinct_replies": _mean(
            [len({r.reply.text for r in g.rollouts}) / len(g.rollouts) for g in groups]
        ),
        "entropy": _mean(-logprobs),
        "kl": None,
    }
    if reference_PGT is not None:
        parts = [kl_of(r, reference_PGT[g.slot][i]) for g in groups for i, r in enumerate(g.rollouts)]
        row["kl"] = _mean(np.concatenate(parts))
    if criteria:
        verdicts: dict[str, list[float]] = {}
        for rollout in rollouts:
            for name, verdict in rollout.verdicts.items():
                verdicts.setdefault(name, []).append(verdict)
        row["criteria"] = {name: _mean(values) for name, values in sorted(verdicts.items())}
    return row


def completion_rows(step: int, groups: Sequence[Group]) -> list[Row]:
    """One row per completion, everything a person needs to see why it got its reward."""
    return [
        {
            "step": step,
            "slot": group.slot,
            "sample": rollout.completion.sample,
            "source": group.scenario.source,
            "scenario": group.scenario.id,
            "trait": group.scenario.trait,
            "domain": group.scenario.domain,
            "text": rollout.reply.text,
            "tokens": len(rollout.completion.tokens),
            "finish": rollout.completion.finish,
            "status": rollout.status,
            "reason": rollout.reason or None,
            "verdicts": dict(rollout.verdicts),
            "reward": rollout.reward,
            "advantage": rollout.advantage,
        }
        for group in groups
        for rollout in group.rollouts
    ]


def _mean(values: Sequence[float] | np.ndarray) -> float | None:
    """Mean, or None of nothing."""
    return float(np.mean(values)) if len(values) else None
