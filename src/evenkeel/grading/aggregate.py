"""From verdicts to one reward per reply: four ways, all clipped to [-1, 1]. The choice belongs to the arm.

Shapes: _G replies to one prompt, _C criteria. Verdicts are 0..1 (how far a criterion is met), points are
signed. `clip` is at -1, not 0, so that a harmful reply and a merely empty one differ; reports show
`display01`. The components (verdicts) are never thrown away: the records keep them beside the reward.

Left out on purpose: a Lagrangian multiplier learnt during training. It is state, and reward is a function
here.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from evenkeel.records.errors import UserError, did_you_mean

How = Literal["weighted", "gated", "normalise_then_sum", "constrained"]
HOWS: tuple[How, ...] = ("weighted", "gated", "normalise_then_sum", "constrained")

NO_SPREAD = 1e-6  # verdicts and rewards closer than this are the same number (rounding, not behaviour)


def aggregate(verdicts_GC: np.ndarray, points_C: np.ndarray, how: str = "weighted") -> np.ndarray:
    """reward_G (float64, in [-1, 1]) of the replies of one group.

    - `weighted`: sum of signed points times verdicts over the sum of positive points (HealthBench's score,
      clipped at -1 instead of 0).
    - `gated`: the same, but criteria worth zero points are conditions: what is earned is multiplied by their
      verdicts, what is lost is not. An invalid reply earns nothing and still pays for harm.
    - `normalise_then_sum`: GDPO (arXiv:2601.05242): each criterion is standardised inside the group before
      the weighted sum, so that a criterion with a small spread is not drowned. Divided by the largest value
      that a standardised member can have, sqrt(G - 1), which keeps it inside [-1, 1] without cutting
      anything off.
    - `constrained`: no good buys off a harm: with v the strongest verdict among the negative criteria,
      (1 - v) x earned - v.

    Raises UserError when no criterion has positive points or `how` is unknown; ValueError on wrong shapes or
    verdicts outside 0..1 (an unscorable reply never comes here).
    """
    verdicts_GC = np.asarray(verdicts_GC, dtype=np.float64)
    points_C = np.asarray(points_C, dtype=np.float64)
    if verdicts_GC.ndim != 2 or points_C.shape != verdicts_GC.shape[1:]:
        raise ValueError(f"verdicts {verdicts_GC.shape} and points {points_C.shape} do not fit")
    if not ((verdicts_GC >= 0) & (verdicts_GC <= 1)).all():
        raise ValueError("verdicts must lie in 0..1; what could not be judged is Unscorable, not a number")
    if how not in HOWS:
        raise UserError(f'unknown aggregation "{how}".', fix=did_you_mean(how, HOWS))
    if not (points_C > 0).any():
        raise UserError(
            "a rubric without positive points cannot be normalised", fix="Add a criterion to be met."
        )
    earned_G, lost_G = _earned_and_lost(verdicts_GC, points_C)
    if how == "gated":
        earned_G = earned_G * verdicts_GC[:, points_C == 0].prod(axis=1)
    if how == "constrained":
        harm_G = verdicts_GC[:, points_C < 0].max(axis=1, initial=0.0)
        return np.clip((1 - harm_G) * earned_G - harm_G, -1.0, 1.0)
    if how == "normalise_then_sum":
        summed_G = (_standardised(verdicts_GC) * points_C).sum(axis=1)
        return np.clip(summed_G / np.abs(points_C).sum(), -1.0, 1.0)
    return np.clip(earned_G - lost_G, -1.0, 1.0)


def _earned_and_lost(verdicts_GC: np.ndarray, points_C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Met positive points and met negative points, both as shares of all positive points."""
    scale = points_C[points_C > 0].sum()
    products_GC = (
        verdicts_GC * points_C
    )  # summed row by row: equal replies get equal bits, wherever they stand
    return products_GC.clip(min=0).sum(axis=1) / scale, -products_GC.clip(max=0).sum(axis=1) / scale


def _standardised(verdicts_GC: np.ndarray) -> np.ndarray:
    """Each criterion centred and scaled inside the group, over sqrt(G - 1); 0 where it has no spread."""
    centred_GC = verdicts_GC - verdicts_GC.mean(axis=0)
    spread_C = np.sqrt((centred_GC**2).mean(axis=0))  # centred sum: no cancellation (cf. NeMo-RL PR 4161)
    ceiling = np.sqrt(max(len(verdicts_GC) - 1, 1))
    return np.where(
        spread_C > NO_SPREAD, centred_GC / np.where(spread_C > NO_SPREAD, spread_C, 1.0) / ceiling, 0.0
    )


def display01(reward: np.ndarray | float) -> np.ndarray | float:
    """The reward as reports show it: cut at 0, as HealthBench does, so that 0 reads "nothing good came of
    it".
    """
    shown = np.clip(reward, 0.0, 1.0)
    return float(shown) if np.ndim(shown) == 0 else shown
