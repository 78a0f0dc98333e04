"""Health of the runs: reward curves and the signs of a sick run, small multiples over models."""

from __future__ import annotations

from collections.abc import Sequence

from evenkeel.report import charts
from evenkeel.report.page_model import (
    Cell,
    Figure,
    Json,
    Panel,
    Section,
    Table,
    count,
    dicts,
    number,
    part,
    words,
)

HEALTH_CURVES = (  # metric as recorded by the run, title; the first of equal titles is drawn
    ("reward_mean", "mean reward"),
    ("reward", "mean reward"),
    ("dead_share", "share of groups without spread"),
    ("truncated_share", "share of truncated replies"),
    ("entropy", "entropy (nats a token)"),
    ("length", "reply length (tokens)"),
    ("distinct_replies", "share of distinct replies in a group"),
    ("kl", "divergence from the base (nats a token)"),
    ("probe_after", "sampler against trainer, mean log-probability"),
)
BY_SOURCE = ("reward_mean", "dead_share", "truncated_share", "unscorable_share", "distinct_replies", "length")


def health_section(results: Json) -> Section:
    """Reward curves and the signs of a sick run, small multiples over models."""
    runs = dicts(results.get("health"))
    known = {metric for run in runs for metric in part(run, "curves")}
    picked: dict[str, str] = {}
    for metric, title in HEALTH_CURVES:
        if metric in known and title not in picked.values():
            picked[metric] = title
    panels = [Panel(_health_chart(runs, metric), title) for metric, title in picked.items()]
    arms = list(dict.fromkeys(str(run.get("arm")) for run in runs))
    known_last = {m for run in runs for m, v in part(run, "last").items() if number(v) is not None}
    metrics = sorted(m for m in known_last if not m.startswith("sources."))
    table = Table(
        "Last recorded value of every metric",
        ["model", "steps", *map(words, metrics)],
        [
            [
                Cell(str(run.get("model"))),
                Cell(count(run.get("steps"))),
                *(Cell(count(part(run, "last").get(m))) for m in metrics),
            ]
            for run in runs
        ],
    )
    figure = Figure(
        "During training",
        "One line a model, over training steps. The table holds the last value of every metric.",
        panels,
        table,
        over="one model a line; no intervals",
        legend=[charts.series_of(arm) for arm in arms],
    )
    return Section(
        "health",
        "Health of the runs",
        lead=["Every line is one model; arms of the same colour are its seeds and bases."] if panels else [],
        figures=[figure] if panels else [],
        folded=[*([table] if runs and not panels else []), *source_tables(runs)],
        why="" if runs else "no training metrics were recorded",
    )


def source_tables(runs: Sequence[Json]) -> list[Table]:
    """The last step of every run, source by source."""
    rows = []
    for run in runs:
        last = part(run, "last")
        sources = dict.fromkeys(
            name.split(".")[1] for name in last if name.startswith("sources.") and name.count(".") > 1
        )
        for source in sources:
            values = [last.get(f"sources.{source}.{metric}") for metric in BY_SOURCE]
            if any(number(v) is not None for v in values):
                rows.append([Cell(f"{run.get('model')}: {source}"), *(Cell(count(v)) for v in values)])
    return (
        [Table("Last step, source by source", ["model and source", *map(words, BY_SOURCE)], rows)]
        if rows
        else []
    )


def _health_chart(runs: Sequence[Json], metric: str) -> charts.Chart:
    rows, series = [], []
    for run in runs:
        curve = part(run, "curves").get(metric)
        if not isinstance(curve, list):
            continue
        style = charts.series_of(str(run.get("arm")))
        series.append(charts.Series(str(run.get("model")), style.colour, style.shape, style.filled))
        rows += [
            {"x": x, "value": y, "series": str(run.get("model")), "low": None, "high": None}
            for x, y in (pair for pair in curve if isinstance(pair, list) and len(pair) == 2)
        ]
    return charts.curves(rows, series=series, x_title="step", domain=None, points=False, height=150)
