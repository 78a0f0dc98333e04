"""Where the effect goes and what it is: one domain to the others, generic helpfulness, the shuffled control."""

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
    cell,
    dicts,
    number,
    over_note,
    part,
    scaled,
    words,
)
from evenkeel.report.page_results import comparison_table, forest


def transfer_section(results: Json) -> Section:
    """Training in one domain, measured in the others."""
    transfer = part(results, "transfer")
    entries = [e for e in dicts(transfer.get("entries")) if e.get("group", "world") == "world"]
    figures = [
        figure
        for claim, arm_kind, title in (
            ("non_health", "health_only", "Health only, measured outside health"),
            ("health", "no_health_science", "Everything but health and science, measured on health"),
        )
        if (figure := transfer_figure(entries, claim, arm_kind, title, results))
    ]
    return Section(
        "transfer",
        "One domain to the others",
        lead=[
            "If the reward teaches topic phrases, it stays in its topic. If it teaches who is speaking, training on "
            "health alone moves everything else, and training without health moves health."
        ],
        figures=figures,
        why=str(transfer.get("why") or "") if not figures else "",
    )


def transfer_figure(
    entries: Sequence[Json], subset: str, kind: str, title: str, results: Json
) -> Figure | None:
    """Mean difference of every arm on one subset, the named kind first."""
    chosen = [e for e in entries if str(e.get("claim") or "").endswith(f"_on_{subset}")]
    chosen.sort(key=lambda e: (e.get("kind") != kind, e.get("kind") != "trait"))
    if not any(number(part(e, "mean").get("value")) is not None for e in chosen):
        return None
    series = [charts.series_of(str(e.get("arm")), str(e.get("kind"))) for e in chosen]
    rows = [
        {"label": str(e.get("arm")), "series": str(e.get("arm")), **scaled(part(e, "mean"))} for e in chosen
    ]
    return Figure(
        title,
        f"Mean difference from the baseline by arm on {words(subset)} benchmarks.",
        [
            Panel(
                charts.intervals(
                    rows, series=series, title="difference from the baseline, points of 100", zero=True
                )
            )
        ],
        comparison_table(f"Arms on {words(subset)} benchmarks", chosen, results),
        over=over_note(*(e.get("mean") for e in chosen)),
        legend=series,
        wide=True,
    )


def generic_section(results: Json) -> Section:
    """The same conversations, rewarded for helpfulness in general."""
    ood = part(results, "ood")
    entries = [
        e
        for e in dicts(ood.get("arms"))
        if e.get("kind") == "generic_helpfulness" and e.get("group", "world") == "world"
    ]
    figures = [
        forest(results, e, f"{e.get('arm')} against the mean baseline, benchmark by benchmark")
        for e in entries
        if e.get("rows")
    ]
    beside = [
        e
        for e in dicts(ood.get("arms"))
        if e.get("kind") in ("trait", "generic_helpfulness") and e.get("group", "world") == "world"
    ]
    return Section(
        "generic",
        "Is it just helpfulness?",
        lead=[
            "The same conversations in the same slots, rewarded for generic helpfulness. If this arm gained as much, "
            "the traits' own rubrics would not be what matters."
        ],
        tables=[comparison_table("Trait reward beside generic helpfulness", beside, results)]
        if entries
        else [],
        figures=figures,
        why="" if entries else "no generic-helpfulness arm was measured in this study",
    )


def control_section(results: Json) -> Section:
    """The same text without a persona to find: what remains after its gain is subtracted."""
    control = part(results, "control")
    entries = dicts(control.get("entries"))
    arms = [a for a in dict.fromkeys(str(e.get("arm")) for e in entries) if a not in ("base", "baseline")]
    metrics = (
        ("good_share", "Share good / (good + harmful)"),
        ("harmful_rate", "Harmful rate (lower is better)"),
    )
    figures = [f for metric, title in metrics if (f := control_figure(entries, arms, metric, title))]
    pairs = "; ".join(f"{p.get('world')} with {p.get('control')}" for p in dicts(control.get("pairs")))
    return Section(
        "control",
        "The shuffled control",
        lead=[
            "The control base saw text with the same statistics, but its authors change persona at every segment: "
            "there is nobody to become. Whatever rises there is surface text. Control-corrected transfer is the "
            "world's difference minus the control's.",
            *([f"Pairs: {pairs}."] if pairs else []),
        ],
        figures=figures,
        folded=[control_table(entries)] if entries else [],
        why=str(control.get("why") or "") if not figures else "",
    )


def control_figure(entries: Sequence[Json], arms: Sequence[str], metric: str, title: str) -> Figure | None:
    """One panel an arm, a row per format; world, control and what is left."""
    series = [
        charts.series_of("world"),
        charts.series_of("control"),
        charts.Series("world − control", "var(--arm-baseline)", "square"),
    ]
    keys = {"world": "world", "control": "control", "world − control": "corrected"}
    used = [e for e in entries if e.get("arm") in arms and e.get("metric") == metric]
    used = [e for e in used if e.get("frames") == "all"] or used
    used.sort(
        key=lambda e: (arms.index(str(e.get("arm"))), e.get("format") != "all formats", str(e.get("format")))
    )
    rows = {
        arm: [
            {"label": words(e.get("format")), "series": name, **scaled(part(e, key))}
            for e in used
            if e.get("arm") == arm
            for name, key in keys.items()
        ]
        for arm in arms
    }
    span = charts.span(
        [row for members in rows.values() for row in members], zero=True
    )  # one scale for all panels
    panels = [
        Panel(
            charts.intervals(
                members,
                series=series,
                title="points of 100",
                domain=span,
                zero=True,
                label_width=96,
                width=charts.PANEL_WIDTH,
            ),
            arm,
        )
        for arm, members in rows.items()
        if any(row["value"] is not None for row in members)
    ]
    if not panels:
        return None
    return Figure(
        title,
        "Difference from the baseline by format: in the world, in the control, and world minus control.",
        panels,
        control_table(used),
        over=over_note(*(e.get("corrected") for e in used)),
        legend=series,
    )


def control_table(entries: Sequence[Json]) -> Table:
    """World, control and their difference, for every arm, metric and format."""
    return Table(
        "Difference from the baseline, points of 100",
        ["arm", "metric", "format", "frames", "world", "control", "world − control", "interval over"],
        [
            [
                *(Cell(words(e.get(key))) for key in ("arm", "metric", "format", "frames")),
                *(cell(e.get(key)) for key in ("world", "control", "corrected")),
                Cell(str(part(e, "corrected").get("over") or "")),
            ]
            for e in entries
        ],
    )
