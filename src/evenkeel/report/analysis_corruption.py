"""Corruption apart from forgetting: the drop after finetuning on bad replies minus the drop after good ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evenkeel.report.analysis_persistence import arm_columns, ladder_names
from evenkeel.report.analysis_quantity import Resampler, quantity
from evenkeel.report.analysis_read import Bench, Run


def corruption(run: Run, resampler: Resampler) -> list[dict[str, Any]]:
    """Drop after bad finetuning minus drop after good finetuning at the same dose: corruption, not forgetting."""
    doses = ladder_names(run, "finetune")
    common = sorted((set(doses.get("bad", ())) & set(doses.get("good", ()))) - {0})
    out = []
    sides: Mapping[str, tuple[str, ...]] = {"in": run.panel_in, "out": run.panel_out}
    for group in ("world", "control"):
        for panel, names in sides.items():
            benches = [b for b in run.benchmarks if b.name in names]
            for arm, kind, share in run.arms():
                for dose in common:
                    found = _corruption(run, resampler, run.bases(group), arm, dose, benches)
                    if found:
                        about = {
                            "arm": arm,
                            "kind": kind,
                            "share": share,
                            "group": group,
                            "panel": panel,
                            "dose": dose,
                        }
                        out.append({**about, **found})
    return out


def _corruption(
    run: Run, resampler: Resampler, bases: Sequence[str], arm: str, dose: int, panel: Sequence[Bench]
) -> dict[str, Any] | None:
    bad, good, difference = {}, {}, {}
    for base in bases:
        tables = [
            arm_columns(run, base, arm, "finetune", name, (0, dose), "score") for name in ("bad", "good")
        ]
        if tables[0] is None or tables[1] is None:
            continue
        sampled = resampler.suite(panel, np.concatenate(tables, axis=1))
        if sampled is None:
            continue
        value, sample = sampled.value_M, sampled.samples_RM
        parts = [(value[i] - value[i + 1], sample[:, i] - sample[:, i + 1]) for i in (0, 2)]
        bad[base] = (sampled.column(float(parts[0][0]), parts[0][1]), sampled.items)
        good[base] = (sampled.column(float(parts[1][0]), parts[1][1]), sampled.items)
        gap = float(parts[0][0] - parts[1][0])
        difference[base] = (sampled.column(gap, parts[0][1] - parts[1][1]), sampled.items)
    if not difference:
        return None
    return {"bad": quantity(bad), "good": quantity(good), "difference": quantity(difference)}
