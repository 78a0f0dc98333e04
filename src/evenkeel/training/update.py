"""One step's update: advantages, objective, gradient, optimizer; and the proof that sampler and trainer
agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evenkeel.engines.interface import Engine
from evenkeel.records.errors import RedLight
from evenkeel.records.types import SampleRequest, TrainSequence
from evenkeel.training.advantages import advantages
from evenkeel.training.algorithms import k3, objective
from evenkeel.training.config import RLConfig
from evenkeel.training.limits import LIMITS
from evenkeel.training.rollout import Group, Rollout, rewards_of

PROBE_REPLIES, PROBE_TOKENS = 4, 4  # a few per cent of a step; the next step checks every token it trains on

Row = tuple[Group, Rollout]


@dataclass(slots=True)
class Update:
    """What one step did to the policy. `probe` is None when nothing was trained."""

    loss: float | None = None
    kl_term: float | None = None
    clipped: float | None = None
    grad_norm: float | None = None
    update_norm: float | None = None
    probe: float | None = None  # sampler vs trainer log-probability, mean abs, on the trained tokens
    probe_after: float | None = None  # the same after the update, on a fixed prompt and stream
    updates: int = 0
    extra_forward_tokens: int = 0  # forward passes beyond sampling and training: minibatches, probe


def give_advantages(groups: Sequence[Group], config: RLConfig) -> None:
    """Set the advantage of every rollout that takes part; in dead groups nobody does."""
    advantage_PG, live_PG = advantages(*rewards_of(groups), config.advantage_scale)
    for group, advantage_G, live_G in zip(groups, advantage_PG.tolist(), live_PG.tolist(), strict=True):
        for rollout, advantage, live in zip(group.rollouts, advantage_G, live_G, strict=True):
            rollout.advantage = advantage if live else None


def reference_logprobs(groups: Sequence[Group], reference: Engine) -> list[np.ndarray]:
    """Log-probabilities of every reply's tokens under the reference policy, group by group: logp_GT."""
    rows = [(group, rollout) for group in groups for rollout in group.rollouts]
    logp_BT = reference.logprobs([group.sequence(rollout) for group, rollout in rows])
    size = len(groups[0].rollouts)
    return [logp_BT[i : i + size] for i in range(0, len(rows), size)]


def kl_of(rollout: Rollout, reference_T: np.ndarray) -> np.ndarray:
    """k3 estimate of KL(policy || reference) at each sampled token."""
    logp_T = np.array(rollout.completion.logprobs)
    return k3(logp_T, reference_T[: len(logp_T)], np.ones(len(logp_T), dtype=bool))[0]


def update(
    engine: Engine,
    groups: Sequence[Group],
    config: RLConfig,
    reference_PGT: Sequence[np.ndarray] | None = None,
) -> Update:
    """Train on the live rollouts of one step, in `config.minibatches` updates that keep groups whole.

    A step without any live group leaves the policy alone: no optimizer step, no momentum, no KL.
    Raises RedLight when the engine's sampler and trainer disagree.
    """
    give_advantages(groups, config)
    live = [(group, r) for group in groups for r in group.rollouts if r.advantage is not None]
    result = Update()
    losses = []
    for part in _parts(live, config.minibatches):
        losses.append(_one_update(engine, part, config, reference_PGT, result))
    if losses:
        result.loss, result.kl_term, result.clipped = (float(x) for x in np.mean(losses, axis=0))
    return result


def _parts(live: list[Row], minibatches: int) -> list[list[Row]]:
    """The rows of whole groups, in slot order, in at most `minibatches` parts of nearly equal group count."""
    slots = sorted({group.slot for group, _ in live})
    if not slots:
        return []
    shares = np.array_split(np.array(slots), min(minibatches, len(slots)))
    return [[row for row in live if row[0].slot in set(share.tolist())] for share in shares]


def _one_update(engine, rows: list[Row], config: RLConfig, reference_PGT, result: Update):
    batch = [group.sequence(rollout) for group, rollout in rows]
    old_BT, mask_BT = padded([rollout.completion.logprobs for _, rollout in rows])
    current_BT = old_BT  # on-policy: the sampler's weights are the trainer's, and the probe proves it
    if result.updates:
        current_BT = engine.logprobs(batch)
        result.extra_forward_tokens += sum(len(row.prompt) + len(row.completion) for row in batch)
    reference_BT = None
    if config.kl and reference_PGT is not None:
        reference_BT, _ = padded(
            [
                reference_PGT[group.slot][rollout.completion.sample][: len(rollout.completion.tokens)]
                for group, rollout in rows
            ]
        )
    goal = objective(
        config.row,
        current_BT,
        old_BT,
        np.array([rollout.advantage for _, rollout in rows]),
        mask_BT,
        length=config.max_tokens,
        kl=config.kl,
        reference_logp_BT=reference_BT,
    )
    logp_BT = engine.forward_backward(batch, goal.weights_BT)
    # rows without weight are not computed by the engine, so they prove nothing
    seen_BT = mask_BT & (goal.weights_BT != 0).any(axis=1, keepdims=True)
    result.probe = max(result.probe or 0.0, disagreement(logp_BT, current_BT, seen_BT))
    norms = engine.optim_step(config.learning_rate)
    result.grad_norm, result.update_norm = float(norms["grad_norm"]), float(norms["update_norm"])
    result.updates += 1
    return goal.loss, goal.kl, goal.clipped


def padded(rows: Sequence[Sequence[float] | np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(values_BT right-padded with 0, mask_BT)."""
    lengths_B = np.array([len(row) for row in rows])
    mask_BT = np.arange(lengths_B.max()) < lengths_B[:, None]
    values_BT = np.zeros(mask_BT.shape)
    values_BT[mask_BT] = np.concatenate([np.asarray(row, dtype=np.float64) for row in rows])
    return values_BT, mask_BT


def disagreement(a_BT: np.ndarray, b_BT: np.ndarray, mask_BT: np.ndarray) -> float:
    """Mean absolute difference of log-probabilities on chosen tokens. Raises RedLight when it is red or no
    number.
    """
    if not mask_BT.any():
        return 0.0
    value = float(np.abs(a_BT - b_BT)[mask_BT].mean())
    if not value <= LIMITS["sampler_vs_trainer"].red:  # NaN is red
        raise RedLight(
            f"sampler and trainer disagree by {value:.2g} per token in log-probability "
            f"(limit {LIMITS['sampler_vs_trainer'].red:g})",
            fix="They do not hold the same weights, or not in the same precision: check the engine, not the recipe.",
        )
    return value


async def probe_after(engine: Engine, prompt: tuple[int, ...], seed: int, result: Update) -> None:
    """Sample a few tokens of a fixed prompt with the new weights and have the trainer score them.

    Catches a sampler that still holds old weights at once, not a step later. Sets `result.probe_after`.
    """
    request = SampleRequest("probe", prompt, PROBE_TOKENS, ("probe", seed), group=PROBE_REPLIES)
    completions = [completion async for completion in engine.sample([request])]
    batch = [TrainSequence(prompt, completion.tokens) for completion in completions]
    sampled_BT, mask_BT = padded([completion.logprobs for completion in completions])
    result.probe_after = disagreement(engine.logprobs(batch), sampled_BT, mask_BT)
    result.extra_forward_tokens += 2 * (len(prompt) + int(mask_BT.sum()))
