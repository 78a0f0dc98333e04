"""The middle of the story: trait scores, the benchmarks out of distribution, transfer, the shuffled control."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evenkeel.report import charts
from evenkeel.report.page_model import (
    Cell,
    Figure,
    Json,
    Panel,
    Section,
    Table,
    cell,
    count,
    dicts,
    interval_heading,
    level,
    main_arm,
    number,
    p_value,
    part,
    pick,
    points,
    words,
)
from evenkeel.report.page_setting import over_note, world_entry

VERDICT_SERIES = {"gain": "q < .05, up", "loss": "q < .05, down", "neither": "not significant"}


def trait_section(results: Json) -> Section:
    """Held-out scenarios of the trained traits: level of every arm."""
    scores = part(results, "trait_scores")
    entries = [e for e in dicts(scores.get("arms")) if e.get("group", "world") == "world"]
    usable = [e for e in entries if e.get("rows")]
    figures = [trait_figure(results, usable)] if usable else []
    return Section(
        "traits",
        "Trait scores",
        lead=[
            "Did training install what it rewarded? Scores on held-out scenarios of the trained traits: the "
            "same traits, on items and sentence frames that no arm was trained on."
        ],
        figures=figures,
        tables=[comparison_table("Mean over the held-out trait evaluations", entries, results)]
        if entries
        else [],
        why=str(scores.get("why") or "") if not usable else "",
    )


def trait_figure(results: Json, entries: Sequence[Json]) -> Figure:
    """A row per trait, a symbol per arm; levels without intervals (the differences carry those)."""
    first = main_arm(results)
    lead = pick(entries, arm=first) or entries[0]
    order = [str(row.get("benchmark")) for row in dicts(lead.get("rows"))]
    arms = [str(e.get("arm")) for e in entries if e.get("kind") != "base"]
    levels: dict[str, dict[str, float | None]] = {slug: {} for slug in order}
    for entry in entries:
        for row in dicts(entry.get("rows")):
            spot = levels.setdefault(str(row.get("benchmark")), {})
            spot[str(entry.get("arm"))] = number(row.get("arm"))
            spot["baseline"] = number(row.get("baseline"))
            spot["base"] = number(row.get("base"))
    names = [
        a for a in ("base", "baseline", *arms) if any(spot.get(a) is not None for spot in levels.values())
    ]
    shown = [a for a in names if a in ("base", "baseline") or a == first or _is_trait(entries, a)]
    series = [charts.series_of(a) for a in shown]
    rows = [
        {"label": words(slug), "series": a, "value": spot.get(a), "low": None, "high": None}
        for slug, spot in levels.items()
        for a in shown
    ]
    table = Table(
        "Score on held-out scenarios, by trait and arm",
        ["trait", *names],
        [[Cell(words(slug)), *(Cell(level(spot.get(a))) for a in names)] for slug, spot in levels.items()],
    )
    return Figure(
        "Held-out scenarios of each trait",
        "Score from 0 to 1 by trait; one symbol an arm. The table has every arm.",
        [Panel(charts.dots(rows, series=series, title="score, 0 to 1"))],
        table,
        over="levels; intervals of the differences are in the table below",
        legend=series,
        wide=True,
    )


def _is_trait(entries: Sequence[Json], arm: str) -> bool:
    return pick(entries, arm=arm).get("kind") == "trait"


def ood_section(results: Json) -> Section:
    """The forest plot of the main arm, the mean of every arm, and every row of every arm."""
    ood = part(results, "ood")
    entries = dicts(ood.get("arms"))
    arm = main_arm(results)
    lead = world_entry(entries, arm)
    figures = (
        [forest(results, lead, f"{arm} against the mean baseline, benchmark by benchmark")]
        if lead.get("rows")
        else []
    )
    world = [e for e in entries if e.get("group", "world") == "world"]
    if any(number(part(e, "mean").get("value")) is not None for e in entries):
        figures.insert(0, means_figure(entries))
    return Section(
        "ood",
        "Out of distribution",
        lead=[
            "No prompt of any trait shares a behaviour phrase with these benchmarks. Higher is better throughout. "
            "The count “k of N ahead” means little without its null: what a baseline seed reaches against another.",
        ],
        figures=figures,
        tables=[comparison_table("Every arm against the mean baseline of its base", world, results)]
        if world
        else [],
        folded=[
            *(t for e in world if (t := family_table(e))),
            *(rows_table(e, results) for e in world if e.get("rows")),
        ],
        why=str(ood.get("why") or "") if not figures else "",
    )


def means_figure(entries: Sequence[Json]) -> Figure:
    """Mean difference of every arm, in the world and in its shuffled control."""
    groups = [g for g in ("world", "control") if any(e.get("group", "world") == g for e in entries)]
    series = [charts.series_of(g, g) for g in groups]
    rows = [
        {"label": str(e.get("arm")), "series": str(e.get("group", "world")), **_scaled(part(e, "mean"))}
        for e in entries
    ]
    table = Table(
        "Mean difference from the baseline, points of 100",
        ["arm", "bases", "difference and 95 % interval", "over"],
        [
            [
                Cell(str(e.get("arm"))),
                Cell(str(e.get("group", "world"))),
                cell(e.get("mean")),
                Cell(str(part(e, "mean").get("over") or "")),
            ]
            for e in entries
        ],
    )
    return Figure(
        "Mean effect of every arm",
        "Mean difference from the baseline over the suite, by arm, in the world and in its shuffled control.",
        [
            Panel(
                charts.intervals(
                    rows, series=series, title="difference from the baseline, points of 100", zero=True
                )
            )
        ],
        table,
        over=over_note(*(e.get("mean") for e in entries)),
        legend=series,
        wide=True,
    )


def forest(results: Json, entry: Json, title: str) -> Figure:
    """One comparison as a forest plot: families as headings, rows by effect, symbols by significance."""
    rows: list[dict[str, object]] = []
    for family, members in by_family(dicts(entry.get("rows"))).items():
        rows.append({"label": words(family), "heading": True, "series": None})
        for row in members:
            verdict = str(row.get("significant") or "neither")
            rows.append(
                {
                    "label": words(row.get("benchmark")),
                    "series": VERDICT_SERIES.get(verdict, VERDICT_SERIES["neither"]),
                    **_scaled(row, "difference"),
                }
            )
    series = [charts.series_of(text, kind) for kind, text in VERDICT_SERIES.items()]
    return Figure(
        title,
        "Difference from the baseline by benchmark with its interval, grouped by family. The table has every number.",
        [
            Panel(
                charts.intervals(
                    rows, series=series, title="difference from the baseline, points of 100", zero=True
                )
            )
        ],
        rows_table(entry, results),
        over=over_note(*dicts(entry.get("rows"))),
        legend=series,
        note="Significance: two-sided paired sign-flip, Benjamini-Hochberg over the benchmarks of this comparison.",
        wide=True,
    )


def by_family(rows: Sequence[Json]) -> dict[str, list[Json]]:
    """Rows grouped by category: families by their mean difference, rows by theirs, largest first."""
    groups: dict[str, list[Json]] = {}
    for row in rows:
        groups.setdefault(str(row.get("category")), []).append(row)

    def mean(members: Sequence[Json]) -> float:
        values = [v for v in (number(m.get("difference")) for m in members) if v is not None]
        return sum(values) / len(values) if values else 0.0

    ordered = sorted(groups, key=lambda name: (-mean(groups[name]), name))
    return {
        name: sorted(
            groups[name], key=lambda r: (-(number(r.get("difference")) or 0.0), str(r.get("benchmark")))
        )
        for name in ordered
    }


def comparison_table(caption: str, entries: Sequence[Json], results: Json) -> Table:
    """One line per arm: level, mean difference, k of N with its null, significant gains and losses."""
    return Table(
        caption,
        [
            "arm",
            "level",
            f"difference, points ({interval_heading(results)})",
            "ahead, k of N",
            "null of k",
            "significant up / down",
            "by chance up / down",
            "effective N",
        ],
        [_comparison_row(entry) for entry in entries],
    )


def _comparison_row(entry: Json) -> list[Cell]:
    counts = part(entry, "counts")
    name = str(entry.get("arm")) + (" (control)" if entry.get("group") == "control" else "")
    if not counts:
        why = str(entry.get("why") or part(entry, "mean").get("why") or "not measured")
        return [
            Cell(name),
            cell(entry.get("arm_level"), level),
            Cell("null", "null", why),
            *[Cell("null", "null")] * 5,
        ]
    low, high = number(counts.get("null_low")), number(counts.get("null_high"))
    null = (
        Cell("null", "null", str(counts.get("null_why") or "not measured"))
        if low is None or high is None
        else Cell(f"{low:.0f} to {high:.0f}", "", f"{count(counts.get('null_pairs'))} pairs")
    )
    chance = part(counts, "null_significant")
    return [
        Cell(name),
        Cell(
            level(part(entry, "arm_level").get("value")),
            "",
            f"baseline {level(part(entry, 'reference_level').get('value'))}",
        ),
        cell(entry.get("mean")),
        Cell(f"{count(counts.get('ahead'))} of {count(counts.get('n'))}"),
        null,
        Cell(f"{count(counts.get('significant_gains'))} / {count(counts.get('significant_losses'))}"),
        Cell(f"{_one(chance.get('gains'))} / {_one(chance.get('losses'))}")
        if chance
        else Cell("null", "null"),
        Cell(
            _one(counts.get("effective_number")),
            "",
            f"mean correlation {level(counts.get('mean_correlation'))}",
        ),
    ]


def _one(value: object) -> str:
    found = number(value)
    return "null" if found is None else f"{found:.1f}"


def family_table(entry: Json) -> Table | None:
    """Counts by family of one comparison."""
    families = dicts(part(entry, "counts").get("by_family"))
    if not families:
        return None
    return Table(
        f"{entry.get('arm')}: by family",
        ["family", "N", "ahead", "significant up", "significant down", "mean difference, points"],
        [
            [
                Cell(words(f.get("family"))),
                *(Cell(count(f.get(key))) for key in ("n", "ahead", "gains", "losses")),
                Cell(points(f.get("mean"))),
            ]
            for f in families
        ],
    )


def rows_table(entry: Json, results: Json) -> Table:
    """Every benchmark of one comparison, nothing left out."""
    name = str(entry.get("arm")) + (", shuffled control" if entry.get("group") == "control" else "")
    return Table(
        f"{name}: every benchmark",
        [
            "benchmark",
            "family",
            "format",
            "base",
            "baseline",
            "arm",
            f"difference, points ({interval_heading(results)})",
            "q",
            "q, any dependence",
            "good share, baseline → arm",
            "harmful rate, baseline → arm",
        ],
        [_benchmark_row(row) for row in dicts(entry.get("rows"))],
        note="q: Benjamini-Hochberg; “any dependence”: Benjamini-Yekutieli.",
    )


def _benchmark_row(row: Json) -> list[Cell]:
    shares = [part(row, key) for key in ("good_share", "harmful_rate")]
    verdict = row.get("significant")
    return [
        Cell(words(row.get("benchmark"))),
        Cell(words(row.get("category"))),
        Cell(words(row.get("format"))),
        *(Cell(level(row.get(key))) for key in ("base", "baseline", "arm")),
        cell({**row, "value": row.get("difference")}),
        Cell(p_value(row.get("q")), str(verdict) if verdict in ("gain", "loss") else ""),
        Cell(p_value(row.get("q_by"))),
        *(Cell(f"{level(s.get('baseline'))} → {level(s.get('arm'))}") for s in shares),
    ]


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
        {"label": str(e.get("arm")), "series": str(e.get("arm")), **_scaled(part(e, "mean"))} for e in chosen
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
    arms = list(dict.fromkeys(str(e.get("arm")) for e in entries))
    metrics: list[tuple[str, str, Callable[[str], str]]] = [
        ("good_share", "Share good / (good + harmful)", str),
        ("harmful_rate", "Harmful rate (lower is better)", str),
    ]
    figures = [f for metric, title, _ in metrics if (f := control_figure(entries, arms, metric, title))]
    pairs = "; ".join(f"{p.get('world')} with {p.get('control')}" for p in dicts(control.get("pairs")))
    return Section(
        "control",
        "The shuffled control",
        lead=[
            "The control base saw text with the same statistics, but its authors change persona at every segment: "
            "there is nobody to become. Whatever rises there is surface text. Control-corrected transfer is the world's "
            "difference minus the control's.",
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
    panels, used = [], []
    for arm in arms:
        chosen = [e for e in entries if e.get("arm") == arm and e.get("metric") == metric]
        chosen = [e for e in chosen if e.get("frames") == "all"] or chosen
        chosen.sort(key=lambda e: (e.get("format") != "all formats", str(e.get("format"))))
        rows = [
            {"label": words(e.get("format")), "series": name, **_scaled(part(e, key))}
            for e in chosen
            for name, key in keys.items()
        ]
        if any(row["value"] is not None for row in rows):
            used += chosen
            chart = charts.intervals(
                rows,
                series=series,
                title="points of 100",
                zero=True,
                label_width=96,
                width=charts.PANEL_WIDTH,
            )
            panels.append(Panel(chart, arm))
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


def _scaled(quantity: Json, key: str = "value") -> dict[str, float | None]:
    """Value and bounds in points of 100."""
    numbers = {
        "value": number(quantity.get(key)),
        "low": number(quantity.get("low")),
        "high": number(quantity.get("high")),
    }
    return {name: None if v is None else 100 * v for name, v in numbers.items()}
