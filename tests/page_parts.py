"""Invented quantities, comparisons and ladders in the shape of docs/results-schema.md, for the example of the page."""

from __future__ import annotations

import math
from typing import Any

ARMS = (
    "base",
    "baseline",
    "trait-5",
    "health_only-5",
    "no_health_science-5",
    "generic_helpfulness-5",
    "trait-25",
)
EFFECT = {
    "base": -0.04,
    "trait-5": 0.10,
    "trait-25": 0.14,
    "health_only-5": 0.08,
    "no_health_science-5": 0.09,
    "generic_helpfulness-5": 0.01,
}
FAMILIES = (
    "deception",
    "honesty",
    "sycophancy",
    "reward hacking",
    "scheming",
    "health",
    "wellbeing",
    "factuality",
)
FORMATS = ("chat", "pressure", "options", "tool", "code", "report", "story", "advice")
TRAITS = (
    "truthfulness",
    "metacognitive_transparency",
    "corrigibility",
    "downside_aware_planning",
    "dense_usefulness",
)
OVER = "items only, this base"


def wobble(*key: object) -> float:
    """A fixed number in -1..1 for a key."""
    return math.sin(sum((i + 1) * 7.13 * ord(c) for i, c in enumerate(repr(key))))


def quantity(value: float | None, half: float = 0.05, why: str | None = None) -> dict[str, Any]:
    """A Quantity with a symmetric interval."""
    ends = (None, None) if value is None else (round(value - half, 4), round(value + half, 4))
    value = None if value is None else round(value, 4)
    return {
        "value": value,
        "low": ends[0],
        "high": ends[1],
        "n": 96,
        "over": OVER,
        "p": None if value is None else 0.03,
        "why": why,
        "per_base": [],
    }


def share_of(arm: str) -> float:
    """The share in an arm's name."""
    return int(arm.split("-")[1]) / 100 if "-" in arm else 0.0


def comparison(
    arm: str, names: list[tuple[str, str]], group: str = "world", scale: float = 1.0, **more: Any
) -> dict:
    """A Comparison with a row per (benchmark, family)."""
    rows = []
    for name, family in names:
        difference = scale * EFFECT.get(arm, 0.0) + 0.09 * wobble(arm, name)
        verdict = "gain" if difference > 0.08 else "loss" if difference < -0.05 else None
        level = 0.5 + 0.2 * wobble(name)
        rows.append(
            {
                "benchmark": name,
                "category": family,
                "format": "chat",
                "health": family == "health",
                "arm": round(level + difference, 4),
                "baseline": round(level, 4),
                "base": round(level - 0.03, 4),
                "difference": round(difference, 4),
                "low": round(difference - 0.07, 4),
                "high": round(difference + 0.07, 4),
                "over": OVER,
                "n": 96,
                "items": 96,
                "p": 0.01,
                "q": 0.02 if verdict else 0.4,
                "q_by": 0.1,
                "p_bases": None,
                "significant": verdict,
                "per_base": [],
                "good_share": {"arm": 0.9, "baseline": 0.7},
                "harmful_rate": {"arm": 0.05, "baseline": None},
            }
        )
    rows.sort(key=lambda r: -r["difference"])
    ahead = sum(r["difference"] > 0 for r in rows)
    families = sorted({f for _, f in names})
    counts = {
        "ahead": ahead,
        "behind": len(rows) - ahead,
        "tied": 0,
        "n": len(rows),
        "null_low": 19,
        "null_high": 34,
        "null_mean": 26.4,
        "null_pairs": 6,
        "null_why": None,
        "significant_gains": sum(r["significant"] == "gain" for r in rows),
        "significant_losses": sum(r["significant"] == "loss" for r in rows),
        "significant_gains_by": 3,
        "significant_losses_by": 0,
        "null_significant": {"gains": 0.7, "losses": 0.6, "comparisons": 3},
        "by_family": [
            {"family": f, "n": 6, "ahead": 5, "gains": 3, "losses": 0, "mean": 0.08} for f in families
        ],
        "effective_number": 17.3,
        "mean_correlation": 0.21,
        "effective_why": None,
    }
    mean = sum(r["difference"] for r in rows) / len(rows)
    return {
        "arm": arm,
        "kind": arm.split("-")[0],
        "share": share_of(arm),
        "group": group,
        "reference": "baseline",
        "subset": "all",
        "n": len(rows),
        "mean": quantity(mean, 0.03),
        "arm_level": quantity(0.5 + mean),
        "reference_level": quantity(0.5),
        "counts": counts,
        "per_base": [],
        "rows": rows,
        "why": None,
        **more,
    }


def ladder(name: str, kind: str, panel: str, doses: list[int], fall: float, group: str = "world") -> dict:
    """A Ladder whose arms fall linearly."""
    arms, interactions = [], []
    for arm in ARMS if group == "world" else ("base", "baseline", "trait-5", "trait-25"):
        start, slope = 0.55 + 2 * max(0.0, EFFECT.get(arm, 0.0)), fall * (0.8 if arm == "trait-25" else 1.0)
        points = [
            {
                "dose": d,
                "level": quantity(start - slope * d / doses[-1] + 0.01 * wobble(name, arm, d), 0.04),
                "drop": quantity(slope * d / doses[-1]),
                "at_floor": 2 if d == doses[-1] else 0,
                "at_ceiling": 0,
                "good_share": 0.6,
                "harmful_rate": 0.2,
                "off_grammar": 0.0,
                "truncated": 0.0,
            }
            for d in doses
        ]
        arms.append(
            {
                "arm": arm,
                "kind": arm.split("-")[0],
                "share": share_of(arm),
                "points": points,
                "area": quantity(slope / 2),
            }
        )
        if arm in ("base", "baseline"):
            continue
        interactions.append(
            {
                "arm": arm,
                "reference": "baseline",
                "installed": quantity(2 * EFFECT[arm], 0.04),
                "eligible": EFFECT[arm] > 0.05,
                "points": [
                    {
                        "dose": d,
                        "level_difference": quantity(EFFECT[arm], 0.06),
                        "raw": quantity(fall - slope - 0.02, 0.05),
                        "log_odds": quantity(0.2, 0.4),
                        "retained": quantity(0.7, 0.2)
                        if EFFECT[arm] > 0.05
                        else quantity(None, why="too little was installed"),
                        "floor_both": 1,
                    }
                    for d in doses
                ],
                "area_raw": quantity(0.02),
                "area_log_odds": quantity(0.1),
            }
        )
    return {
        "name": name,
        "kind": kind,
        "group": group,
        "panel": panel,
        "benchmarks": ["probe"],
        "doses": doses,
        "arms": arms,
        "interactions": interactions,
        "per_benchmark": [
            {"benchmark": "probe", "arm": "baseline", "levels": [0.5] * (len(doses) - 1) + [None]}
        ],
    }
