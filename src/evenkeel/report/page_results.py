"""The middle of the story: trait scores and the benchmarks out of distribution."""

from __future__ import annotations

from collections.abc import Sequence

from evenkeel.report import charts
from evenkeel.report.page_bases import bases_figure
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
    over_note,
    p_value,
    part,
    pick,
    points,
    scaled,
    words,
)
from evenkeel.report.page_setting import world_entry

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
        if every := bases_figure(entries):
            figures.insert(1, every)
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
        {"label": str(e.get("arm")), "series": str(e.get("group", "world")), **scaled(part(e, "mean"))}
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
                    **scaled(row, "difference"),
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
            f"mean r {level(counts.get('mean_correlation'))}",
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
