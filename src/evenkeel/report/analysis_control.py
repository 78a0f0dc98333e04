"""Transfer corrected by the shuffled control: (arm - baseline) in the world minus the same in its control.

On the share good / (good + harmful) and on the harmful rate, which surface habits move less than a score. Paired by
base: each control belongs to one world. Items and frames are the same in both, so one draw of frames serves both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evenkeel.report.analysis_compare import masked
from evenkeel.report.analysis_quantity import Resampler, interval_of, quantity
from evenkeel.report.analysis_read import Bench, Run
from evenkeel.report.statistics import Interval

ALL_FORMATS = "all formats"
METRICS = ("good_share", "harmful_rate")
NO_CONTROL = "no shuffled control of a world base was run"
Effect = tuple[float, np.ndarray, tuple[int, ...], int]  # value, resamples, frames, items


def control_corrected(run: Run, resampler: Resampler) -> dict[str, Any]:
    """`control` of results.json."""
    controls = {m.control_of: m.base for m in run.models if m.control and m.control_of}
    pairs = [(world, controls[world]) for world in run.bases("world") if world in controls]
    if not pairs:
        return {"pairs": [], "entries": [], "why": NO_CONTROL}
    formats = list(dict.fromkeys(bench.format for bench in run.alignment))
    sets = [
        (ALL_FORMATS, "all", list(run.alignment), None),
        (ALL_FORMATS, "held out", list(run.alignment), run.held_out_N),
    ]
    sets += [(f, "all", [b for b in run.alignment if b.format == f], None) for f in formats]
    entries = []
    for arm, kind, share in run.arms():
        if kind == "baseline":
            continue
        for name, frames, benchmarks, mask_N in sets:
            for metric in METRICS:
                about = {
                    "arm": arm,
                    "kind": kind,
                    "share": share,
                    "metric": metric,
                    "format": name,
                    "frames": frames,
                }
                found = _entry(run, resampler, pairs, arm, benchmarks, mask_N, metric)
                if found:
                    entries.append({**about, **found})
    listed = [{"world": world, "control": control} for world, control in pairs]
    return {
        "pairs": listed,
        "entries": entries,
        "why": None if entries else "no arm was run in both world and control",
    }


def _entry(
    run: Run,
    resampler: Resampler,
    pairs: Sequence[tuple[str, str]],
    arm: str,
    benchmarks: Sequence[Bench],
    mask_N: np.ndarray | None,
    metric: str,
) -> dict[str, Any] | None:
    """World, control and corrected effect of one arm; None when it was run in no pair."""
    world: dict[str, tuple[Interval, int]] = {}
    control: dict[str, tuple[Interval, int]] = {}
    corrected: dict[str, tuple[Interval, int]] = {}
    for world_base, control_base in pairs:
        both = [
            effect(run, resampler, base, arm, benchmarks, mask_N, metric)
            for base in (world_base, control_base)
        ]
        if both[0] is None or both[1] is None:
            continue
        (value, sample_R, clusters, items), (other, other_R, _, _) = both[0], both[1]
        world[world_base] = (interval_of(value, sample_R, clusters), items)
        control[control_base] = (interval_of(other, other_R, clusters), items)
        corrected[world_base] = (interval_of(value - other, sample_R - other_R, clusters), items)
    if not corrected:
        return None
    return {"world": quantity(world), "control": quantity(control), "corrected": quantity(corrected)}


def effect(
    run: Run,
    resampler: Resampler,
    base: str,
    arm: str,
    benchmarks: Sequence[Bench],
    mask_N: np.ndarray | None,
    metric: str,
) -> Effect | None:
    """Arm minus baseline of a base on one metric; shares are averaged over seeds, each with its own sums."""
    models = [(1.0, m) for m in run.of(base, arm)], [(-1.0, m) for m in run.of(base, run.baseline_arm())]
    columns, weights = [], []
    for side in models:
        measured = [(sign, m) for sign, m in side if (m.id, "bare") in run.cells]
        for sign, model in measured:
            for name in ("good", "harmful"):
                column_N = run.dense(model, "bare", name)
                columns.append(masked(column_N, mask_N))  # type: ignore[arg-type]
            weights.append(sign / len(measured))
        if not measured:
            return None
    sampled = resampler.totals(benchmarks, np.stack(columns, axis=1))
    if sampled is None:
        return None
    good_M, harmful_M = sampled.value_M[0::2], sampled.value_M[1::2]
    good_RM, harmful_RM = sampled.samples_RM[:, 0::2], sampled.samples_RM[:, 1::2]
    weight_M = np.array(weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        if metric == "good_share":
            value = float((good_M / (good_M + harmful_M)) @ weight_M)
            sample_R = (good_RM / (good_RM + harmful_RM)) @ weight_M
        else:  # frames may differ in size, so resampled sums are divided by resampled sizes
            value = float(harmful_M @ weight_M) / sampled.items
            sample_R = (harmful_RM @ weight_M) / _sizes(resampler, benchmarks, columns[0])
    return value, sample_R, sampled.clusters, sampled.items


def _sizes(resampler: Resampler, benchmarks: Sequence[Bench], column_N: np.ndarray) -> np.ndarray:
    """[R] items in each resample."""
    ones_N1 = np.where(np.isfinite(column_N), 1.0, np.nan)[:, None]
    sampled = resampler.totals(benchmarks, ones_N1)
    if sampled is None:
        raise ValueError("no item to count")
    return sampled.samples_RM[:, 0]
