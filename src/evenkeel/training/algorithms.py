"""Policy-gradient algorithms: six rows over one mask and one reduction. An algorithm is data, not a class
of code.

Shapes: _B sequences, _T tokens. `mask_BT` is True on tokens that the policy chose and that count: dead
groups, truncated and unscorable replies are out of it, and so out of every denominator. `logp_BT` is the
current policy, `old_logp_BT` the sampler's. An objective maps these and `advantage_B` to a loss per token
and its derivative by that token's log-probability (`slope_BT`); `reduction` turns both into the loss and
the weights that an engine's `forward_backward` takes. Derivations are in docs/algorithms.md.

Left out on purpose: dual clipping, DAPO's resampling and overlong penalty, entropy bonuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evenkeel.records.errors import UserError, did_you_mean
from evenkeel.training.advantages import Scale


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One row. `clip` = (low, high): the ratio stays within [1 - low, 1 + high]."""

    name: str
    objective: Literal["clipped", "clipped_weight", "plain"]
    ratio: Literal["token", "sequence"]
    clip: tuple[float, float]
    scale: Scale  # as published; a run's own setting decides
    reduce: Literal["tokens", "sequences", "constant"]


ALGORITHMS: Mapping[str, Algorithm] = {
    row.name: row
    for row in (
        # Shao et al. 2024 (2402.03300), eq. 3: PPO's clip, mean over each reply, then over replies
        Algorithm("grpo", "clipped", "token", (0.2, 0.2), "standardised", "sequences"),
        # Liu et al. 2025 (2503.20783): no division by the spread nor by the reply's own length
        Algorithm("dr_grpo", "clipped", "token", (0.2, 0.2), "centred", "constant"),
        # Yu et al. 2025 (2503.14476): clip-higher and token mean; no resampling (arms keep their plan)
        Algorithm("dapo", "clipped", "token", (0.2, 0.28), "standardised", "tokens"),
        # Zheng et al. 2025 (2507.18071), eq. 5-7: the length-normalised ratio of the whole reply
        Algorithm("gspo", "clipped", "sequence", (3e-4, 4e-4), "standardised", "sequences"),
        # MiniMax-M1 2025 (2506.13585), eq. 4-5: the ratio is a weight, cut above at 5, without a gradient
        Algorithm("cispo", "clipped_weight", "token", (1.0, 4.0), "standardised", "tokens"),
        # Williams 1992: no ratio at all; exact when samples are the policy's own
        Algorithm("reinforce", "plain", "token", (0.0, 0.0), "centred", "tokens"),
    )
}


@dataclass(frozen=True, slots=True)
class Objective:
    """The loss of one batch and what an engine needs: d loss / d log-probability for every token."""

    loss: float
    weights_BT: np.ndarray  # float64
    kl: float  # the reduced KL estimate (before its coefficient); 0 without a reference
    clipped: float  # share of chosen tokens whose ratio the clip binds


def algorithm_named(name: str) -> Algorithm:
    """The row with this name. Raises UserError naming the known ones."""
    if name not in ALGORITHMS:
        raise UserError(f'unknown algorithm "{name}".', fix=did_you_mean(name, ALGORITHMS))
    return ALGORITHMS[name]


def objective(
    algorithm: Algorithm,
    logp_BT: np.ndarray,
    old_logp_BT: np.ndarray,
    advantage_B: np.ndarray,
    mask_BT: np.ndarray,
    *,
    length: int,
    kl: float = 0.0,
    reference_logp_BT: np.ndarray | None = None,
) -> Objective:
    """Loss and its derivative by `logp_BT`, with `kl` times the KL to the reference policy added.

    `length` is the cap on reply tokens (the fixed denominator of the `constant` reduction).
    Raises ValueError when the mask is empty (skip the update instead) or the reference is missing.
    """
    share_BT = reduction(mask_BT, algorithm.reduce, length)
    ratio_BT = np.exp(log_ratio(logp_BT, old_logp_BT, mask_BT, algorithm.ratio))
    a_BT = np.broadcast_to(np.asarray(advantage_B, dtype=np.float64)[:, None], mask_BT.shape)
    loss_BT, slope_BT, cut_BT = _OBJECTIVES[algorithm.objective](ratio_BT, logp_BT, a_BT, algorithm.clip)
    penalty = 0.0
    if kl:
        if reference_logp_BT is None:
            raise ValueError("a KL term needs the reference policy's log-probabilities")
        penalty_BT, penalty_slope_BT = k3(logp_BT, reference_logp_BT, mask_BT)
        penalty = float((share_BT * penalty_BT).sum())
        slope_BT = slope_BT + kl * penalty_slope_BT
    return Objective(
        loss=float((share_BT * np.where(mask_BT, loss_BT, 0.0)).sum()) + kl * penalty,
        weights_BT=share_BT * np.where(mask_BT, slope_BT, 0.0),
        kl=penalty,
        clipped=float((cut_BT & mask_BT).sum() / mask_BT.sum()),
    )


def reduction(mask_BT: np.ndarray, over: str, length: int) -> np.ndarray:
    """How much each token's loss counts: share_BT, so that the loss is sum(share x loss).

    `tokens`: mean over all chosen tokens (DAPO); `sequences`: mean over each sequence, then over sequences
    (GRPO); `constant`: sum over tokens, over sequences x `length` (Dr.GRPO). Rows without a chosen token do
    not count. Raises ValueError when nothing is chosen: an empty batch is a bug upstream.
    """
    if not mask_BT.any():
        raise ValueError("no chosen token in the batch")
    tokens_B1 = mask_BT.sum(axis=1, keepdims=True)
    rows = int((tokens_B1 > 0).sum())
    if over == "tokens":
        return mask_BT / tokens_B1.sum()
    if over == "sequences":
        return mask_BT / np.maximum(tokens_B1, 1) / rows
    if over == "constant":
        return mask_BT / (rows * length)
    raise ValueError(f"reduce over tokens, sequences or constant, not {over!r}")


def log_ratio(logp_BT: np.ndarray, old_logp_BT: np.ndarray, mask_BT: np.ndarray, level: str) -> np.ndarray:
    """log(new / old) of each token, or the mean over the reply at every one of its tokens (`sequence`); 0
    outside.
    """
    difference_BT = np.where(mask_BT, np.asarray(logp_BT, np.float64) - old_logp_BT, 0.0)
    if level == "token":
        return difference_BT
    mean_B1 = difference_BT.sum(axis=1, keepdims=True) / np.maximum(mask_BT.sum(axis=1, keepdims=True), 1)
    return np.where(mask_BT, mean_B1, 0.0)


def k3(logp_BT: np.ndarray, reference_logp_BT: np.ndarray, mask_BT: np.ndarray):
    """Schulman's k3 estimate of KL(policy || reference) per token, r - log r - 1 with r = reference /
    policy, and its exact derivative by the policy's log-probability, 1 - r. (kl_BT, slope_BT), 0 outside
    the mask.
    """
    log_r_BT = np.where(mask_BT, np.asarray(reference_logp_BT, np.float64) - logp_BT, 0.0)
    return np.expm1(log_r_BT) - log_r_BT, -np.expm1(log_r_BT)


def _clipped(ratio_BT, logp_BT, a_BT, clip):
    """-min(r a, clip(r) a). No slope where the clip binds: r above 1 + high with a > 0, below 1 - low with
    a < 0.

    At the sequence level every token of a reply holds the same r = exp(mean log ratio). Each of its n
    tokens moves r by r / n, and all n losses with it: the same slope -r a as at the token level, for any
    reduction that weighs the tokens of a reply alike, as all of ours do.
    """
    low, high = clip
    cut_BT = np.where(a_BT > 0, ratio_BT > 1 + high, ratio_BT < 1 - low)
    loss_BT = -np.minimum(ratio_BT * a_BT, np.clip(ratio_BT, 1 - low, 1 + high) * a_BT)
    return loss_BT, np.where(cut_BT, 0.0, -ratio_BT * a_BT), cut_BT


def _clipped_weight(ratio_BT, logp_BT, a_BT, clip):
    """-stop_gradient(clip(r)) a logp: clipping bounds the weight and keeps every token's gradient."""
    low, high = clip
    weight_BT = np.clip(ratio_BT, 1 - low, 1 + high)
    return -weight_BT * a_BT * logp_BT, -weight_BT * a_BT, weight_BT != ratio_BT


def _plain(ratio_BT, logp_BT, a_BT, clip):
    """-a logp."""
    return -a_BT * logp_BT, -a_BT, np.zeros(a_BT.shape, dtype=bool)


_OBJECTIVES = {"clipped": _clipped, "clipped_weight": _clipped_weight, "plain": _plain}
