"""What the training stages recorded: ledgers with the matched verdict, preflight lights, curves of run health."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenkeel.records import files
from evenkeel.report.analysis_read import Model, Run, optional_rows, read_optional

SAME = ("steps", "prompts", "completions", "groups", "cap")  # must be equal for "matched"
FLOPS = ("flops", "forward_tokens")  # the second stands in where a run recorded no FLOPs
FLOPS_WITHIN = 0.10
CURVE_POINTS = 60
CRITERIA = ".criteria."  # too many for curves; the run's steps.jsonl has them
JUDGEMENTS = "judge_health.jsonl"
LIGHTS = {"red": 0, "amber": 1, "green": 2}


def judged_models(folder: Path) -> list[tuple[Mapping[str, Any], list[Any]]]:
    """Every model whose judge was held to account: its row of the index, and its judgements."""
    models = files.read_json(folder / "index.json")["models"]
    return [
        (row, list(files.read_rows(folder / row["judges"] / JUDGEMENTS)))
        for row in models
        if row.get("judges")
    ]


def totals_of(record: Mapping[str, Any]) -> dict[str, float]:
    """The run's totals: the numbers under `totals` (or `total`), else the numbers at the top level."""
    inner = record.get("totals", record.get("total", record))
    return {name: value for name, value in inner.items() if _number(value) and name != "schema_version"}


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def ledger(run: Run) -> dict[str, Any]:
    """`ledger` of results.json."""
    found: dict[str, dict[str, float]] = {}
    for model in run.models:
        record = read_optional(run.folder / model.train / "ledger.json") if model.train else None
        if record is not None:
            found[model.id] = totals_of(record)
    models = [{"model": name, "totals": totals} for name, totals in found.items()]
    arms = [row for base in dict.fromkeys(m.base for m in run.models) for row in _verdicts(run, base, found)]
    return {"models": models, "arms": arms, "why": None if models else "no training stage has a ledger"}


def _verdicts(run: Run, base: str, found: Mapping[str, Mapping[str, float]]) -> list[dict[str, Any]]:
    reference = [found[m.id] for m in run.of(base, run.baseline_arm()) if m.id in found]
    out = []
    for arm, kind, _ in run.arms():
        own = [found[m.id] for m in run.of(base, arm) if m.id in found]
        if kind != "baseline" and own and reference:
            out.append({"arm": arm, "base": base, **matched(own, reference)})
    return out


def matched(own: Sequence[Mapping[str, float]], reference: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """`matched`: the same counts and FLOPs within 10 %; `step-matched`: the same counts; else `not matched`."""
    ratio = None
    for name in FLOPS:
        if all(name in row for row in [*own, *reference]):
            below = float(np.mean([row[name] for row in reference]))
            ratio = float(np.mean([row[name] for row in own])) / below if below else None
            break
    reasons = []
    for name in SAME:
        values = {row[name] for row in [*own, *reference] if name in row}
        if len(values) > 1:
            reasons.append(f"{name} differ: {', '.join(f'{v:g}' for v in sorted(values))}")
    counts_equal = not reasons
    if ratio is None:
        reasons.append("FLOPs were not recorded")
    elif abs(ratio - 1) > FLOPS_WITHIN:
        reasons.append(f"FLOPs are {ratio:.2f} times the baseline's")
    near = ratio is not None and abs(ratio - 1) <= FLOPS_WITHIN
    verdict = ("matched" if near else "step-matched") if counts_equal else "not matched"
    return {"verdict": verdict, "flops_ratio": ratio, "reasons": reasons}


def preflight(run: Run) -> list[dict[str, Any]]:
    """`preflight` of results.json: every check once a base, with the arms that it stood for, worst light first.

    Checks of a base's gate (persona gap by format) stand for no arm.
    """
    seen: dict[tuple[Any, ...], dict[str, Any]] = {}
    fields = ("check", "source", "value", "amber", "red", "light", "setting")
    for base, gate in run.gates.items():
        for row in gate.get("checks", []):
            kept = {name: row.get(name) for name in fields}
            seen[(base, *map(str, kept.values()))] = {"base": base, "arms": [], **kept}
    for model in run.models:
        record: Any = read_optional(run.folder / model.train / "preflight.json") if model.train else None
        rows = record.get("checks", record.get("rows", [])) if isinstance(record, dict) else (record or [])
        for row in rows or []:
            kept = {name: row.get(name) for name in fields}
            entry = seen.setdefault(
                (model.base, *map(str, kept.values())), {"base": model.base, "arms": [], **kept}
            )
            if model.arm not in entry["arms"]:
                entry["arms"].append(model.arm)
    return sorted(seen.values(), key=lambda row: LIGHTS.get(str(row["light"]), 3))


def health(run: Run) -> list[dict[str, Any]]:
    """`health` of results.json: the recorded step metrics as curves of at most 60 points."""
    out = []
    for model in run.models:
        rows = optional_rows(run.folder / model.train / "steps.jsonl") if model.train else []
        if rows:
            out.append(_curves(model, rows))
    return out


def _curves(model: Model, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    flat = [flatten(row) for row in rows]
    names = sorted(
        {name for row in flat for name in row if CRITERIA not in name} - {"step", "schema_version"}
    )
    stride = max(1, math.ceil(len(flat) / CURVE_POINTS))
    picked = sorted({*range(0, len(flat), stride), len(flat) - 1})
    curves: dict[str, list[list[float]]] = {}
    for name in names:
        curves[name] = [[flat[i].get("step", i), flat[i][name]] for i in picked if name in flat[i]]
    last = {name: flat[-1][name] for name in names if name in flat[-1]}
    return {
        "model": model.id,
        "base": model.base,
        "arm": model.arm,
        "steps": len(rows),
        "curves": curves,
        "last": last,
    }


def flatten(row: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Finite numbers of a nested record, keys joined by dots: {"chat": {"reward": 1}} -> {"chat.reward": 1}."""
    out: dict[str, float] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            out |= flatten(value, f"{prefix}{name}.")
        elif _number(value):
            out[prefix + name] = value
    return out
