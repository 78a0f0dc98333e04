"""One effect per base, all of them shown: the base is the unit of replication, and a mean hides what bases do."""

from __future__ import annotations

from collections.abc import Sequence

from evenkeel.report import charts
from evenkeel.report.page_model import (
    Cell,
    Figure,
    Json,
    Panel,
    Table,
    cell,
    dicts,
    over_note,
    part,
    points,
    scaled,
)

GROUPS = {"world": "a world base", "control": "its shuffled control"}
MEAN = "mean over bases"


def bases_figure(entries: Sequence[Json]) -> Figure | None:
    """The suite's mean difference in every base, arm by arm; None where each arm has one base only."""
    arms = list(dict.fromkeys(str(entry.get("arm")) for entry in entries))
    rows: list[dict[str, object]] = []
    lines: list[list[Cell]] = []
    for arm in arms:
        members = [entry for entry in entries if str(entry.get("arm")) == arm]
        if not any(len(_per_base(entry)) > 1 for entry in members):
            continue
        rows.append({"label": arm, "heading": True, "series": None})
        for entry in members:
            group = str(entry.get("group", "world"))
            for base in _per_base(entry):
                rows.append(_row(arm, str(base.get("base")), GROUPS[group], base))
                lines.append(_line(arm, str(base.get("base")), base, "items of this base"))
            mean = part(entry, "mean")
            name = f"mean, {group}"
            rows.append(_row(arm, name, MEAN, mean))
            lines.append(_line(arm, name, mean, str(mean.get("over") or "")))
    if not rows:
        return None
    series = [charts.series_of(GROUPS["world"], "world"), charts.series_of(GROUPS["control"], "control"),
              charts.series_of(MEAN, "baseline")]  # fmt: skip
    title = "difference from the baseline, points of 100"
    return Figure(
        "The effect in every base",
        "Mean difference from the baseline over the suite in each base, and the mean over bases, arm by arm.",
        [Panel(charts.intervals(rows, series=series, title=title, zero=True))],
        Table(
            "Mean difference from the baseline by base, points of 100",
            ["arm", "base", "difference and 95 % interval", "interval over"],
            lines,
        ),
        over=over_note(*(entry.get("mean") for entry in entries)),
        legend=series,
        note="Intervals of single bases are over their items; those of means are Student's t over bases.",
        wide=True,
    )


def _per_base(entry: Json) -> list[Json]:
    return dicts(part(entry, "mean").get("per_base"))


def _row(arm: str, label: str, series: str, quantity: Json) -> dict[str, object]:
    # a label is one row of the chart, so it names the arm too
    return {"label": f"{label} · {arm}", "series": series, **scaled(quantity)}


def _line(arm: str, label: str, quantity: Json, over: str) -> list[Cell]:
    shown = cell(quantity) if "low" in quantity else Cell(points(quantity.get("value")))
    return [Cell(arm), Cell(label), shown, Cell(over)]
