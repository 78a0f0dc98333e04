"""The end of the story: side effects, refusals, structure of the suite, what this shows and what it does not."""

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
    count,
    dicts,
    interval_heading,
    level,
    number,
    over_note,
    p_value,
    part,
    points,
    share,
    words,
)
from evenkeel.report.page_quotes import pretty
from evenkeel.report.page_results import comparison_table, rows_table

RULES = (
    "Rules. Positive: appears when the interval lies above zero; does not appear when all of it is below 5 points. Suite: "
    "also more significant gains than losses, and k above its null. Null: appears when the interval lies within 5 points "
    "of zero. Kept: appears when the interval lies above a loss of 5 points. Otherwise it cannot be told."
)
VERDICT_MARKS = {"appears": "gain", "opposite": "loss", "does not appear": "", "cannot be told": "null"}


def side_effects_section(results: Json) -> Section:
    """Over-refusal, capability, monitorability, diversity."""
    effects = part(results, "side_effects")
    figures = []
    folded: list[Table] = []
    for category in dicts(effects.get("categories")):
        entries = [e for e in dicts(category.get("arms")) if e.get("group", "world") == "world"]
        usable = [e for e in entries if number(part(e, "mean").get("value")) is not None]
        if usable:
            figures.append(_category_figure(words(category.get("category")), usable, results))
            folded += [rows_table(e, results) for e in usable if e.get("rows")]
    diversity = dicts(effects.get("diversity"))
    return Section(
        "side-effects",
        "Side effects",
        lead=[
            "What it cost: help withheld from benign requests (over-refusal), tasks with a right answer (capability), "
            "visible reasoning that tells what is done (monitorability), and the variety of replies. Higher is better."
        ],
        figures=figures,
        tables=[_diversity(diversity)] if diversity else [],
        folded=folded,
        why=str(effects.get("why") or "") if not figures and not diversity else "",
    )


def _category_figure(category: str, entries: Sequence[Json], results: Json) -> Figure:
    series = [charts.series_of(str(e.get("arm")), str(e.get("kind"))) for e in entries]
    rows = [
        {
            "label": str(e.get("arm")),
            "series": str(e.get("arm")),
            **{
                k: None if (v := number(part(e, "mean").get(k))) is None else 100 * v
                for k in ("value", "low", "high")
            },
        }
        for e in entries
    ]
    return Figure(
        category.capitalize(),
        f"Mean difference from the baseline on {category}, by arm.",
        [
            Panel(
                charts.intervals(
                    rows,
                    series=series,
                    title="difference from the baseline, points of 100",
                    zero=True,
                    label_width=150,
                )
            )
        ],
        comparison_table(f"{category.capitalize()}: every arm", entries, results),
        over=over_note(*(e.get("mean") for e in entries)),
        wide=True,
    )


def _diversity(rows: Sequence[Json]) -> Table:
    return Table(
        "Diversity: share of distinct replies",
        ["arm", "group", "level", "difference from the baseline, points", "interval over"],
        [
            [
                Cell(str(r.get("arm"))),
                Cell(str(r.get("group"))),
                cell(r.get("level"), level),
                cell(r.get("difference")) if r.get("difference") else Cell("–", "", "reference"),
                Cell(str(part(r, "level").get("over") or "")),
            ]
            for r in rows
        ],
    )


def refusals_section(results: Json) -> Section:
    """Refusal rates, and the comparison on pairs where neither model refuses."""
    refusals = part(results, "refusals")
    rows = dicts(refusals.get("arms"))
    table = Table(
        "Refusals",
        [
            "arm",
            "group",
            "on the suite",
            "difference, points",
            "on benign requests",
            "difference, points",
            "neither refuses: difference, points",
            "ahead",
            "pairs kept",
        ],
        [
            [
                Cell(str(r.get("arm"))),
                Cell(str(r.get("group"))),
                cell(r.get("suite"), _percent),
                _difference(r.get("suite_difference")),
                cell(r.get("benign"), _percent),
                _difference(r.get("benign_difference")),
                _difference(part(r, "neither_refuses").get("mean")),
                Cell(
                    f"{count(part(r, 'neither_refuses').get('ahead'))} of {count(part(r, 'neither_refuses').get('n'))}"
                )
                if r.get("neither_refuses")
                else Cell("–"),
                Cell(share(part(r, "neither_refuses").get("kept_share")))
                if r.get("neither_refuses")
                else Cell("–"),
            ]
            for r in rows
        ],
        note=over_note(*(r.get("suite") for r in rows)),
    )
    return Section(
        "refusals",
        "Refusals",
        lead=[
            "A model that refuses everything scores well on some benchmarks. So the comparison is made again on pairs "
            "of replies where neither model refuses."
        ],
        tables=[table] if rows else [],
        why=str(refusals.get("why") or "") if not rows else "",
    )


def _percent(value: object) -> str:
    return share(value, 1)


def _difference(quantity: object) -> Cell:
    return cell(quantity) if quantity else Cell("–", "", "reference")


def judges_section(results: Json) -> Section:
    """The held-out grader beside the rubric, and the structure of the suite over models."""
    grader, structure = part(results, "held_out_grader"), part(results, "structure")
    rows = dicts(grader.get("arms"))
    agreement = part(grader, "agreement")
    tables = []
    if rows:
        keys = ("posterior_good", "posterior_harmful", "off_grammar")
        tables.append(
            Table(
                "The held-out grader: who wrote this reply, by the world's own generator",
                ["arm", "group", *(h for k in keys for h in (words(k), f"{words(k)}: difference, points"))],
                [
                    [
                        Cell(str(r.get("arm"))),
                        Cell(str(r.get("group"))),
                        *(
                            c
                            for k in keys
                            for c in (cell(r.get(k), level), _difference(r.get(f"{k}_difference")))
                        ),
                    ]
                    for r in rows
                ],
                note=over_note(*(r.get("posterior_good") for r in rows)),
            )
        )
    if structure.get("mean_spearman") or structure.get("first_component"):
        tables.append(_structure(structure))
    lead = ["The rubric that trained the model does not get to say alone whether it worked."]
    if number(agreement.get("correlation")) is not None:
        lead.append(
            f"Over {count(agreement.get('n'))} pairs, the rubric score and the held-out grader correlate at "
            f"{level(agreement.get('correlation'))}."
        )
    whys = [
        str(p.get("why"))
        for p, has in ((grader, rows), (structure, len(tables) > bool(rows)))
        if p.get("why") and not has
    ]
    return Section(
        "judges",
        "A second judge",
        lead=lead,
        tables=tables,
        notes=[f"null: {why}" for why in whys] if tables else [],
        why="" if tables else "; ".join(whys) or "neither was measured",
    )


def _structure(structure: Json) -> Table:
    rows = []
    for key, name in (
        ("mean_spearman", "mean pairwise Spearman"),
        ("first_component", "variance on the first component"),
    ):
        found = part(structure, key)
        rows.append(
            [
                Cell(name),
                Cell(level(found.get("value"), 3)),
                Cell(f"{level(found.get('null_low'), 3)} to {level(found.get('null_high'), 3)}"),
                Cell(p_value(found.get("p"))),
            ]
        )
    rows.append(
        [
            Cell("effective number of benchmarks"),
            Cell(count(structure.get("effective_number"))),
            Cell("–"),
            Cell("–"),
        ]
    )
    return Table(
        f"Structure over {count(structure.get('models'))} models and {count(structure.get('benchmarks'))} benchmarks",
        ["statistic", "value", "null, 95 %", "p"],
        rows,
    )


def closing_section(results: Json) -> Section:
    """Primary claims, findings beside the paper, smallest visible effect, limits."""
    primary, findings, smallest = (
        dicts(results.get(key)) for key in ("primary", "findings", "smallest_effect")
    )
    tables = []
    if findings:
        tables.append(findings_table(findings, results))
    if primary:
        tables.append(primary_table(primary, results))
    limits = results.get("limits")
    return Section(
        "shows",
        "What this shows, and what it does not",
        lead=[
            "The paper's figures are quoted from the paper. They come from large models and other data, and are "
            "never ours."
        ],
        tables=tables,
        folded=[smallest_table(smallest)] if smallest else [],
        notes=[str(text) for text in limits] if isinstance(limits, list) else [],
        why="" if tables or limits else "no findings were written",
    )


def findings_table(findings: Sequence[Json], results: Json) -> Table:
    """Finding by finding: the paper's claim, what was measured here, the verdict and its rule."""
    return Table(
        "Finding by finding",
        ["claim", "paper", f"here ({interval_heading(results)})", "verdict", "rule"],
        [
            [
                Cell(str(f.get("claim")), "", str(f.get("arm") or "")),
                Cell(pretty(str(f.get("paper") or "–"))),
                Cell(
                    pretty(str(f.get("measured") or "null")),
                    "" if f.get("measured") else "null",
                    str(f.get("note") or ""),
                ),
                Cell(str(f.get("verdict")), VERDICT_MARKS.get(str(f.get("verdict")), "")),
                Cell(str(f.get("rule") or "")),
            ]
            for f in findings
        ],
        note=RULES,
    )


def primary_table(primary: Sequence[Json], results: Json) -> Table:
    """The preregistered claims with Holm-adjusted p."""
    return Table(
        "Primary claims, written down before the run",
        ["claim", "arm", f"difference, points ({interval_heading(results)})", "p", "p (Holm)", "passes"],
        [
            [
                Cell(str(p.get("claim")), "", words(p.get("quantity") or "")),
                Cell(str(p.get("arm") or "")),
                cell(p),
                Cell(p_value(p.get("p"))),
                Cell(p_value(p.get("p_holm"))),
                _passes(p.get("passes")),
            ]
            for p in primary
        ],
    )


def _passes(value: object) -> Cell:
    if value is None:
        return Cell("null", "null")
    return Cell("yes", "gain") if value is True else Cell("no")


def smallest_table(rows: Sequence[Json]) -> Table:
    """What the study could have seen."""
    return Table(
        "The smallest effect this study could have seen (80 % power, two-sided 5 %)",
        ["quantity", "arm", "points", "standard error", "over", "n", "meaning"],
        [
            [
                Cell(words(r.get("quantity"))),
                Cell(str(r.get("arm") or "")),
                Cell(
                    points(r.get("value")),
                    "null" if number(r.get("value")) is None else "",
                    str(r.get("why") or ""),
                ),
                Cell(points(r.get("standard_error"))),
                Cell(str(r.get("over") or "")),
                Cell(count(r.get("n"))),
                Cell(str(r.get("meaning") or "")),
            ]
            for r in rows
        ],
    )
