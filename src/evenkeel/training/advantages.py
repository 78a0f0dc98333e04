"""Group-relative advantages: how much better a reply is than the other replies to the same prompt.

Shapes: _P prompts (groups), _G replies of a group. `included_PG` is False for replies that carry no reward
(unscorable or truncated): they leave the group, its mean and spread included.

Centred is the default. Dividing by the spread (the original GRPO) blows up groups that are tied but for noise
(Liu et al. 2025, arXiv:2503.20783, section 3.1); it is there as an option.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from evenkeel.grading.aggregate import NO_SPREAD

Scale = Literal["centred", "standardised"]


def advantages(
    reward_PG: np.ndarray, included_PG: np.ndarray, scale: Scale = "centred"
) -> tuple[np.ndarray, np.ndarray]:
    """(advantage_PG float64, live_PG bool). `live` is False outside `included` and in dead groups: groups
    with fewer than two included replies, or without spread among them. Advantages are 0 where not live.

    Rewards outside `included` may be anything, NaN too. Raises ValueError on an unknown scale or a
    reward that is not finite.
    """
    if scale not in ("centred", "standardised"):
        raise ValueError(f"scale is centred or standardised, not {scale!r}")
    reward_PG = np.where(included_PG, np.asarray(reward_PG, dtype=np.float64), 0.0)
    if not np.isfinite(reward_PG).all():
        raise ValueError("a reward is not finite: what has no reward must not be included")
    n_P1 = included_PG.sum(axis=1, keepdims=True)
    mean_P1 = reward_PG.sum(axis=1, keepdims=True) / np.maximum(n_P1, 1)
    centred_PG = np.where(included_PG, reward_PG - mean_P1, 0.0)
    live_PG = included_PG & (n_P1 >= 2) & (np.abs(centred_PG).max(axis=1, keepdims=True) > NO_SPREAD)
    if scale == "standardised":
        # sample spread from the centred sum in float64: sqrt(E[x^2] - E[x]^2) once gave an advantage of 7,428
        spread_P1 = np.sqrt((centred_PG**2).sum(axis=1, keepdims=True) / np.maximum(n_P1 - 1, 1))
        centred_PG = centred_PG / np.where(spread_P1 > 0, spread_P1, 1.0)
    return np.where(live_PG, centred_PG, 0.0), live_PG


def group_spread(reward_PG: np.ndarray, included_PG: np.ndarray) -> np.ndarray:
    """Sample standard deviation of the included rewards of each group; NaN with fewer than two."""
    reward_PG = np.where(included_PG, np.asarray(reward_PG, dtype=np.float64), 0.0)
    n_P = included_PG.sum(axis=1)
    mean_P = reward_PG.sum(axis=1) / np.maximum(n_P, 1)
    squares_P = (np.where(included_PG, reward_PG - mean_P[:, None], 0.0) ** 2).sum(axis=1)
    return np.where(n_P >= 2, np.sqrt(squares_P / np.maximum(n_P - 1, 1)), np.nan)
