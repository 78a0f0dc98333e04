"""Two runs side by side: the same model and benchmark under the same protocol, item by item."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from evenkeel.benchmarks.protocol import require_same_protocol
from evenkeel.benchmarks.scores import Scores, read_scores
from evenkeel.records.errors import UserError
from evenkeel.records.files import read_json
from evenkeel.report.statistics import bootstrap_means


def compare(one: Path, two: Path, *, resamples: int = 2000) -> list[dict[str, Any]]:
    """Rows {model, benchmark, one, two, difference, low, high, n} of bare scores, `two` minus `one`.

    The interval is over the items (clustered by frame) of these two models only. Raises UserError when the
    runs share no model, or when a benchmark was scored under different protocols.
    """
    first, second = _models(one), _models(two)
    shared = [model for model in first if model in second]
    if not shared:
        raise UserError(
            f"the runs share no model: {', '.join(first)} against {', '.join(second)}",
            fix="Compare runs of the same study.",
        )
    rows = []
    for model in shared:
        rows += _model_rows(model, read_scores(first[model]), read_scores(second[model]), resamples)
    return rows


def _models(run: Path) -> dict[str, Path]:
    """Model id -> folder of its bare scores."""
    index = read_json(run / "index.json")
    return {model["id"]: run / model["scores"]["bare"] for model in index["models"]}


def _model_rows(model: str, one: Scores, two: Scores, resamples: int) -> list[dict[str, Any]]:
    rows = []
    for name, protocol in one.protocols.items():
        if name not in two.protocols:
            continue
        require_same_protocol(protocol, two.protocols[name])
        before, after = one.of(name), two.of(name)
        difference_N = np.array([b.score - a.score for a, b in zip(before, after, strict=True)])
        frames = {frame: number for number, frame in enumerate(sorted({row.frame for row in before}))}
        cluster_N = np.array([frames[row.frame] for row in before])
        (interval,) = bootstrap_means(
            difference_N[:, None], cluster_N, "compare", model, name, resamples=resamples
        )
        rows.append(
            {
                "model": model,
                "benchmark": name,
                "one": float(np.mean([row.score for row in before])),
                "two": float(np.mean([row.score for row in after])),
                "difference": interval.value,
                "low": interval.low,
                "high": interval.high,
                "n": len(before),
            }
        )
    return rows


def compare_text(rows: list[dict[str, Any]]) -> str:
    """One line a benchmark; stars where the interval excludes 0."""
    lines = []
    model = None
    for row in rows:
        if row["model"] != model:
            model = row["model"]
            lines.append(f"\n{model}")
        bounds = "no interval" if row["low"] is None else f"[{row['low']:+.3f}, {row['high']:+.3f}]"
        star = "" if row["low"] is None or row["low"] <= 0 <= row["high"] else " *"
        lines.append(
            f"  {row['benchmark']:40} {row['one']:.3f} -> {row['two']:.3f}  "
            f"{row['difference']:+.3f} {bounds}{star}"
        )
    lines.append("\nIntervals are over items of these two models only; * excludes 0 (not adjusted for many).")
    return "\n".join(lines).strip()
