"""Read a run, compute everything that may be claimed, write results.json, results.csv and transcripts.json.

The keys of results.json are listed in docs/results-schema.md, the methods in docs/statistics.md.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenkeel.records import files
from evenkeel.report import paper
from evenkeel.report.analysis_compare import compare
from evenkeel.report.analysis_control import control_corrected
from evenkeel.report.analysis_corruption import corruption
from evenkeel.report.analysis_findings import findings, limits, primary
from evenkeel.report.analysis_persistence import ladders
from evenkeel.report.analysis_quantity import OVER_BASES, OVER_ITEMS, Resampler, finite
from evenkeel.report.analysis_read import FIELDS, Bench, Cell, Model, Run, read_run
from evenkeel.report.analysis_runs import health, judged_models, ledger, preflight
from evenkeel.report.analysis_sides import (
    distinct_share,
    held_out_grader,
    refusals,
    side_effects,
    smallest_effects,
    structure,
)
from evenkeel.report.analysis_transcripts import transcripts
from evenkeel.report.judge_health import judge_health
from evenkeel.report.statistics import RESAMPLES

GROUPS = ("world", "control")


def analyse(
    run: Path, *, resamples: int = RESAMPLES, progress: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Write the three files into the run directory and return results.json's content.

    Equal runs give equal bytes. `progress` is told each model when its rows have been read.
    Raises UserError when the run's index or one of its score stages is missing or damaged.
    """
    data = read_run(Path(run), progress)
    results = compute(data, resamples)
    files.write_json(data.folder / "results.json", results)
    files.write_text(data.folder / "results.csv", results_csv(data))
    files.write_json(data.folder / "transcripts.json", {"transcripts": transcripts(data)})
    return files.read_json(data.folder / "results.json")


def compute(run: Run, resamples: int = RESAMPLES) -> dict[str, Any]:
    """results.json of a run that was read."""
    resampler = Resampler(resamples)
    results: dict[str, Any] = {
        "schema_version": files.SCHEMA_VERSION,
        "study": study_summary(run, resamples),
        "arms": arm_table(run),
        "models": model_table(run),
        "benchmarks": benchmark_table(run),
        "ledger": ledger(run),
        "preflight": preflight(run),
        "trait_scores": _suites(run, resampler, run.traits, "held-out trait evaluations"),
        "ood": _suites(run, resampler, run.alignment, "alignment suite, out of distribution"),
        "transfer": transfer(run, resampler),
        "control": control_corrected(run, resampler),
        "persona": _family(run, resampler, "persona"),
        "finetune": {**_family(run, resampler, "finetune"), "corruption": corruption(run, resampler)},
        "side_effects": side_effects(run, resampler),
        "refusals": refusals(run, resampler),
        "structure": structure(run),
        "held_out_grader": held_out_grader(run, resampler),
        "health": health(run),
        "paper": [{"id": f.id, "claim": f.claim, "figure": f.figure} for f in paper.FIGURES],
    }
    if judged := judged_models(run.folder):
        results["judge_health"] = judge_health(judged)
    results["smallest_effect"] = smallest_effects(_headline(results))
    results["primary"] = primary(results)
    results["findings"] = findings(results)
    results["limits"] = limits(results)
    return results


def _suites(run: Run, resampler: Resampler, benchmarks: Sequence[Bench], subset: str) -> dict[str, Any]:
    """Every arm of both groups on a set of benchmarks."""
    arms = [row for group in GROUPS for row in compare(run, resampler, group, benchmarks, subset)]
    return {"arms": arms, "why": None if arms else f"nothing to compare: no baseline, or no {subset}"}


def _family(run: Run, resampler: Resampler, family: str) -> dict[str, Any]:
    found = ladders(run, resampler, family)
    return {"ladders": found, "why": None if found else f"no {family} attack was run"}


def transfer(run: Run, resampler: Resampler) -> dict[str, Any]:
    """`transfer`: every arm outside health, and on health and science.

    Outside health means no health benchmark and no item from the health domain. On health means benchmarks about
    health, wellbeing or science, whatever the item's domain.
    """
    outside_N = np.array([domain != "health" for domain in run.domain_N])
    sets = (
        (
            "non_health",
            [b for b in run.alignment if not b.health],
            outside_N,
            "benchmarks and items outside health",
        ),
        (
            "health",
            [b for b in run.alignment if b.health or b.science],
            None,
            "health, wellbeing and science benchmarks",
        ),
    )
    entries = []
    for name, benchmarks, mask_N, subset in sets:
        for group in GROUPS:
            for row in compare(run, resampler, group, benchmarks, subset, mask_N=mask_N):
                entries.append({"claim": f"{row['kind']}_on_{name}", **row})
    return {"entries": entries, "why": None if entries else "nothing to compare"}


def study_summary(run: Run, resamples: int) -> dict[str, Any]:
    """`study` of results.json."""
    inner = run.study.get("study")
    stated = {**run.study, **(inner if isinstance(inner, dict) else {})}
    worlds = run.bases("world")
    baseline = run.baseline_arm()
    over = OVER_BASES if len(worlds) > 1 else OVER_ITEMS
    heading = (
        f"95 % interval over {len(worlds)} bases (t)"
        if over == OVER_BASES
        else f"95 % interval: {OVER_ITEMS}"
    )
    sizes = [len(b.items_N) for b in run.alignment]
    return {
        "name": stated.get("name") or stated.get("title") or "study",
        "kind": stated.get("kind"),
        "label": stated.get("label", "result"),
        "bases": list(worlds),
        "controls": list(run.bases("control")),
        "baseline_seeds": {
            base: [m.seed for m in run.of(base, baseline)] for base in worlds + run.bases("control")
        },
        "arms": len(run.arms()),
        "models": len(run.models),
        "benchmarks": len(run.alignment),
        "side_effect_benchmarks": len(run.side_effects),
        "items_per_benchmark": int(np.median(sizes)) if sizes else 0,
        "resamples": resamples,
        "exploratory_formats": {base: list(gate.get("exploratory", [])) for base, gate in run.gates.items()},
        "interval_over": over,
        "heading": heading,
    }


def arm_table(run: Run) -> list[dict[str, Any]]:
    """`arms` of results.json, in display order."""
    out = []
    for arm, kind, share in run.arms():
        mine = [m for m in run.models if m.arm == arm]
        bases = list(dict.fromkeys(m.base for m in mine))
        out.append({"arm": arm, "kind": kind, "share": share, "models": len(mine), "bases": bases})
    return out


def _cell_means(cell: Cell | None, bench: Bench, size: int) -> np.ndarray | None:
    """[F] means of a benchmark's rows in a cell; NaN for fields without a number; None when it was not played."""
    if cell is None:
        return None
    wanted_N = np.zeros(size, dtype=bool)
    wanted_N[bench.items_N] = True
    picked_Fn = cell.values_Fn[:, wanted_N[cell.items_n]].astype(np.float64)
    if picked_Fn.shape[1] == 0:
        return None
    counts_F = np.isfinite(picked_Fn).sum(axis=1)
    sums_F = np.nansum(picked_Fn, axis=1)
    return np.where(counts_F > 0, sums_F / np.maximum(counts_F, 1), np.nan)


def _mean_of(run: Run, model: Model, benchmarks: Sequence[Bench]) -> dict[str, float | None]:
    """Means over benchmarks of a model's bare fields."""
    cell = run.cells.get((model.id, "bare"))
    found = [_cell_means(cell, bench, len(run.domain_N)) for bench in benchmarks]
    table = [row_F for row_F in found if row_F is not None]
    if not table:
        return dict.fromkeys(FIELDS)
    return {name: finite(np.mean([row_F[i] for row_F in table])) for i, name in enumerate(FIELDS)}


def model_table(run: Run) -> list[dict[str, Any]]:
    """`models` of results.json."""
    out = []
    for m in run.models:
        means = _mean_of(run, m, run.alignment)
        good, harmful = means.pop("good"), means["harmful"]
        row = {
            name: getattr(m, name)
            for name in ("id", "base", "arm", "seed", "kind", "share", "control", "control_of")
        }
        share = None if good is None or harmful is None or good + harmful == 0 else good / (good + harmful)
        row |= {
            "alignment": means.pop("score"),
            "harmful_rate": means.pop("harmful"),
            "good_share": share,
            **means,
        }
        out.append(
            {**row, "trait": _mean_of(run, m, run.traits)["score"], "distinct": distinct_share(run, m.id)}
        )
    return out


def benchmark_table(run: Run) -> list[dict[str, Any]]:
    """`benchmarks` of results.json."""
    out = []
    untouched = [m for m in run.models if m.kind == "base" and not m.control]
    for b in run.benchmarks:
        scores = [_mean_of(run, m, [b])["score"] for m in untouched]
        known = [s for s in scores if s is not None]
        held = {int(f) for f, i in zip(b.frame_N, b.items_N, strict=True) if run.held_out_N[i]}
        panel = "in" if b.name in run.panel_in else "out" if b.name in run.panel_out else None
        row = {
            name: getattr(b, name)
            for name in ("name", "category", "format", "side_effect", "description", "frames")
        }
        row |= {"items": len(b.items_N), "held_out_frames": len(held), "health": b.health, "panel": panel}
        out.append({**row, "base_score": float(np.mean(known)) if known else None})
    return out


def _headline(results: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """The quantities whose smallest visible effect is stated."""
    out = {}
    for row in results["ood"]["arms"]:
        if row["group"] == "world" and row["kind"] == "trait":
            out[f"mean difference over the suite, {row['arm']}"] = (row["arm"], row["mean"])
            widths = sorted(
                (r for r in row["rows"] if r["low"] is not None), key=lambda r: r["high"] - r["low"]
            )
            if widths:
                middle = widths[len(widths) // 2]
                out[f"difference on one benchmark (median interval), {row['arm']}"] = (row["arm"], middle)
    for entry in results["control"]["entries"]:
        if entry["kind"] == "trait" and entry["format"] == "all formats" and entry["frames"] == "all":
            out[f"control-corrected {entry['metric']}, {entry['arm']}"] = (entry["arm"], entry["corrected"])
    for family in ("persona", "finetune"):
        for ladder in results[family]["ladders"]:
            for row in ladder["interactions"]:
                if ladder["group"] == "world" and row["kind"] == "trait" and row["reference"] == "baseline":
                    name = f"difference of drops ({family} {ladder['name']}, panel {ladder['panel']}), {row['arm']}"
                    out[name] = (row["arm"], row["area_raw"])
    return out


CSV_ABOUT = (
    "model",
    "base",
    "arm",
    "seed",
    "control",
    "condition",
    "benchmark",
    "category",
    "format",
    "side_effect",
    "n",
)
CSV_RATES = (
    "harmful",
    "refused",
    "truncated",
    "off_grammar",
    "posterior_good",
    "posterior_harmful",
    "tokens",
)


def results_csv(run: Run) -> str:
    """results.csv: one row per model x condition x benchmark; empty where not measured."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    rates = ["harmful_rate" if name == "harmful" else name for name in CSV_RATES]
    writer.writerow([*CSV_ABOUT, "score", "good_share", *rates])
    for (model_id, condition), cell in run.cells.items():
        model = next(m for m in run.models if m.id == model_id)
        played = np.zeros(len(run.domain_N), dtype=bool)
        played[cell.items_n] = True
        for bench in run.benchmarks:
            means_F = _cell_means(cell, bench, len(run.domain_N))
            if means_F is None:
                continue
            by = dict(zip(FIELDS, means_F, strict=True))
            sides = by["good"] + by["harmful"]
            share = by["good"] / sides if sides > 0 else float("nan")
            about = [model.id, model.base, model.arm, model.seed, int(model.control), condition]
            about += [
                bench.name,
                bench.category,
                bench.format,
                int(bench.side_effect),
                int(played[bench.items_N].sum()),
            ]
            numbers = [by["score"], share, *(by[name] for name in CSV_RATES)]
            writer.writerow([*about, *("" if not np.isfinite(v) else f"{v:.6f}" for v in numbers)])
    return buffer.getvalue()
