"""What else changed: refusals, diversity, the held-out grader, structure across models, the smallest visible effect.

Shapes: _N the run's item table, _R resamples, _M columns, _D models, _Q benchmarks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evenkeel.report import statistics, statistics_suite
from evenkeel.report.analysis_compare import FEW_MODELS, compare, score_table
from evenkeel.report.analysis_quantity import (
    OVER_BASES,
    Resampler,
    finite,
    interval_of,
    missing,
    quantity,
    standard_error,
)
from evenkeel.report.analysis_read import Bench, Run
from evenkeel.report.statistics import Interval

NO_BASELINE = "the baseline itself"
GROUPS = ("world", "control")
GRADER_FIELDS = ("posterior_good", "posterior_harmful", "off_grammar")


def field_levels(
    run: Run, resampler: Resampler, group: str, benchmarks: Sequence[Bench], name: str
) -> dict[str, Any]:
    """arm -> (level Quantity, difference-from-baseline Quantity) of a field's suite mean in the bare condition."""
    level: dict[str, dict[str, tuple[Interval, int]]] = {}
    gap: dict[str, dict[str, tuple[Interval, int]]] = {}
    baseline = run.baseline_arm()
    for base in run.bases(group):
        found = {arm: run.bare_mean(base, arm, name) for arm, _, _ in run.arms()}
        arms = [arm for arm, column in found.items() if column is not None and np.isfinite(column).any()]
        if not arms:
            continue
        sampled = resampler.suite(benchmarks, np.stack([found[arm] for arm in arms], axis=1))  # type: ignore[misc]
        if sampled is None:
            continue
        at = {arm: i for i, arm in enumerate(arms)}
        for arm, interval in zip(arms, sampled.intervals(), strict=True):
            level.setdefault(arm, {})[base] = (interval, sampled.items)
            if baseline in at and arm != baseline:
                value = float(sampled.value_M[at[arm]] - sampled.value_M[at[baseline]])
                sample_R = sampled.samples_RM[:, at[arm]] - sampled.samples_RM[:, at[baseline]]
                gap.setdefault(arm, {})[base] = (sampled.column(value, sample_R), sampled.items)
    why = "the field was not measured"
    return {
        arm: (quantity(level[arm], why), quantity(gap[arm], why) if arm in gap else missing(NO_BASELINE))
        for arm, _, _ in run.arms()
        if arm in level
    }


def refusals(run: Run, resampler: Resampler) -> dict[str, Any]:
    """`refusals` of results.json."""
    rows = []
    for group in GROUPS:
        suite = field_levels(run, resampler, group, run.alignment, "refused")
        benign = field_levels(run, resampler, group, run.side_effects, "refused")
        absent = missing("no side-effect benchmark was measured")
        for arm, kind, share in run.arms():
            if arm not in suite:
                continue
            rows.append(
                {
                    "arm": arm,
                    "kind": kind,
                    "share": share,
                    "group": group,
                    "suite": suite[arm][0],
                    "suite_difference": suite[arm][1],
                    "benign": benign.get(arm, (absent, absent))[0],
                    "benign_difference": benign.get(arm, (absent, absent))[1],
                    "neither_refuses": _neither(run, resampler, group, arm) if kind != "baseline" else None,
                }
            )
    return {"arms": rows, "why": None if rows else "no alignment benchmark was measured"}


def _neither(run: Run, resampler: Resampler, group: str, arm: str) -> dict[str, Any] | None:
    """Arm minus baseline on pairs of replies to the same item where neither refuses, over all pairs of seeds."""
    means: dict[str, tuple[Interval, int]] = {}
    by_bench: dict[str, list[float]] = {}
    kept = asked = 0.0
    for base in run.bases(group):
        columns = _pair_columns(run, base, arm)
        if columns is None:
            continue
        values, samples, clusters = [], [], []
        base_kept = 0.0
        for bench in run.alignment:
            sums_K3, sizes_K = resampler.sums(bench, columns)  # differences, kept pairs, all pairs
            total = sums_K3.sum(axis=0)
            asked += total[2]
            if total[1] == 0:
                continue
            base_kept += total[1]
            values.append(total[0] / total[1])
            weights_RK = resampler.weights(bench.name, len(sizes_K))
            samples.append(statistics.ratio_bootstrap(sums_K3[:, :1], sums_K3[:, 1:2], weights_RK)[:, 0])
            clusters.append(len(sizes_K))
            by_bench.setdefault(bench.name, []).append(values[-1])
        if values:
            means[base] = (
                interval_of(float(np.mean(values)), np.mean(samples, axis=0), clusters),
                int(base_kept),
            )
            kept += base_kept
    if not means:
        return None
    gaps = [float(np.mean(each)) for each in by_bench.values()]
    share = float(kept / asked) if asked else None
    return {"mean": quantity(means), "ahead": sum(g > 0 for g in gaps), "n": len(gaps), "pairs": int(kept),
            "kept_share": share}  # fmt: skip


def _pair_columns(run: Run, base: str, arm: str) -> np.ndarray | None:
    """[N, 3]: summed difference over pairs of seeds where neither refuses, number of such pairs, all pairs."""
    sides = []
    for name in (arm, run.baseline_arm()):
        pairs = [(run.dense(m, "bare", "score"), run.dense(m, "bare", "refused")) for m in run.of(base, name)]
        sides.append([(s, r) for s, r in pairs if s is not None and r is not None])
    if not sides[0] or not sides[1]:
        return None
    difference_N, count_N, total = np.zeros(1), np.zeros(1), 0
    for score_a, refused_a in sides[0]:
        for score_b, refused_b in sides[1]:
            answered_N = (refused_a == 0) & (refused_b == 0)
            played_N = np.isfinite(score_a) & np.isfinite(score_b)
            difference_N = difference_N + np.where(
                played_N, np.where(answered_N, score_a - score_b, 0.0), np.nan
            )
            count_N = count_N + np.where(played_N, answered_N.astype(float), np.nan)
            total += 1
    all_N = np.where(np.isfinite(count_N), float(total), np.nan)
    return np.stack([np.asarray(difference_N), np.asarray(count_N), all_N], axis=1)


def side_effects(run: Run, resampler: Resampler) -> dict[str, Any]:
    """`side_effects` of results.json: each category as a comparison, and the diversity of replies."""
    categories = list(dict.fromkeys(bench.category for bench in run.side_effects))
    out = []
    for category in categories:
        benches = [bench for bench in run.side_effects if bench.category == category]
        rows = [row for group in GROUPS for row in compare(run, resampler, group, benches, category)]
        out.append({"category": category, "arms": rows})
    why = None if categories else "no side-effect benchmark was measured"
    return {"categories": out, "diversity": diversity(run), "why": why}


def distinct_share(run: Run, model_id: str) -> float | None:
    """Distinct last replies / replies, mean over alignment benchmarks; None when not measured."""
    cell = run.cells.get((model_id, "bare"))
    if cell is None:
        return None
    played = set(cell.items_n.tolist())
    shares = []
    for bench in run.alignment:
        count = sum(int(i) in played for i in bench.items_N)
        if count:
            shares.append(cell.distinct.get(bench.name, 0) / count)
    return float(np.mean(shares)) if shares else None


def diversity(run: Run) -> list[dict[str, Any]]:
    """Share of distinct replies by arm. A property of a set of replies: no items-only interval exists for it."""
    out = []
    for group in GROUPS:
        for arm, kind, share in run.arms():
            level, gap = {}, {}
            for base in run.bases(group):
                own = [v for m in run.of(base, arm) if (v := distinct_share(run, m.id)) is not None]
                reference = [
                    v
                    for m in run.of(base, run.baseline_arm())
                    if (v := distinct_share(run, m.id)) is not None
                ]
                if own:
                    level[base] = (Interval(float(np.mean(own)), None, None, len(own)), len(own))
                if own and reference:
                    value = float(np.mean(own) - np.mean(reference))
                    gap[base] = (Interval(value, None, None, len(own)), len(own))
            if level:
                row: dict[str, Any] = {
                    "arm": arm,
                    "kind": kind,
                    "share": share,
                    "group": group,
                    "level": quantity(level),
                }
                difference = quantity(gap) if gap and kind != "baseline" else None
                out.append({**row, "difference": difference})
    for row in out:
        for each in (row["level"], row["difference"]):
            if each and each["low"] is None:
                each["why"] = "a property of all replies together: no interval inside one base"
    return out


def held_out_grader(run: Run, resampler: Resampler) -> dict[str, Any]:
    """`held_out_grader` of results.json: the exact posterior over personas, beside the rubric score."""
    rows = []
    for group in GROUPS:
        fields = {name: field_levels(run, resampler, group, run.alignment, name) for name in GRADER_FIELDS}
        absent = missing("the held-out grader did not judge these rows")
        for arm, kind, share in run.arms():
            if not any(arm in fields[name] for name in GRADER_FIELDS):
                continue
            row = {"arm": arm, "kind": kind, "share": share, "group": group}
            for name in GRADER_FIELDS:
                pair = fields[name].get(arm, (absent, absent))
                row[name], row[f"{name}_difference"] = pair
            rows.append(row)
    why = None if rows else "the held-out grader did not judge these rows"
    return {"arms": rows, "agreement": _agreement(run), "why": why}


def _agreement(run: Run) -> dict[str, Any]:
    """Correlation, over all bare alignment rows, of the benchmark's score with the posterior of a good author."""
    numbers = np.concatenate([b.items_N for b in run.alignment]) if run.alignment else np.zeros(0, dtype=int)
    scores, posteriors = [], []
    for model in run.models:
        score_N, posterior_N = run.dense(model, "bare", "score"), run.dense(model, "bare", "posterior_good")
        if score_N is not None and posterior_N is not None:
            scores.append(score_N[numbers])
            posteriors.append(posterior_N[numbers])
    if not scores:
        return {"correlation": None, "n": 0}
    x, y = np.concatenate(scores), np.concatenate(posteriors)
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < 3 or np.std(x[both]) == 0 or np.std(y[both]) == 0:
        return {"correlation": None, "n": int(both.sum())}
    return {"correlation": float(np.corrcoef(x[both], y[both])[0, 1]), "n": int(both.sum())}


def structure(run: Run) -> dict[str, Any]:
    """`structure` of results.json: do the benchmarks move together over the models of the world bases?"""
    scores_DQ, base_D = score_table(run, "world", run.alignment)
    found = statistics_suite.structure(scores_DQ, base_D, "alignment") if scores_DQ.size else None
    counts = {"models": len(scores_DQ), "benchmarks": scores_DQ.shape[1] if scores_DQ.size else 0}
    if found is None:
        empty = {"value": None, "null_low": None, "null_high": None, "p": None}
        return {"mean_spearman": empty, "first_component": empty, "effective_number": None,
                "mean_correlation": None, **counts, "why": FEW_MODELS}  # fmt: skip
    centred_DQ = scores_DQ.copy()
    for each in np.unique(base_D):
        centred_DQ[base_D == each] -= scores_DQ[base_D == each].mean(axis=0)
    effective = statistics_suite.effective_number(centred_DQ)
    named = {
        name: dict(zip(("value", "null_low", "null_high", "p"), row, strict=True))
        for name, row in found.items()
    }
    numbers = {"effective_number": effective[0], "mean_correlation": effective[1]} if effective else {}
    return {"effective_number": None, "mean_correlation": None, **named, **numbers, **counts, "why": None}


def smallest_effects(named: Mapping[str, tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """`smallest_effect`: for each (quantity text -> (arm, Quantity)), what 80 % power could have seen."""
    out = []
    for text, (arm, found) in named.items():
        error = standard_error(found)
        if error is None:
            continue
        degrees = found["n"] - 1 if found["over"] == OVER_BASES else None
        value = statistics.smallest_effect(error, degrees)
        meaning = (
            f"a true effect of {value:.3f} is found in 80 % of such studies; smaller ones are mostly missed"
        )
        row = {"quantity": text, "arm": arm, "value": finite(value), "standard_error": finite(error)}
        out.append({**row, "over": found["over"], "n": found["n"], "meaning": meaning})
    return out
