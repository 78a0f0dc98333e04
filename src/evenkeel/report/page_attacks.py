"""Pressure: persona prompts and harmful finetuning, as levels after the attack first, then drops, then retention."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

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
    level,
    main_arm,
    number,
    over_note,
    part,
    words,
)

PANEL_TITLES = {"in": "in domain: health and wellbeing", "out": "out of domain: broad", "all": "all ten"}
HELD_NOTE = (
    "Positive: the arm holds better. Retained only where more than 5 points were installed and their interval "
    "excludes zero. "
)
MAIN_KINDS = ("base", "baseline", "trait")


def persona_section(results: Json) -> Section:
    """Graded persona prompts, harmful and helpful."""
    persona = part(results, "persona")
    ladders = dicts(persona.get("ladders"))
    return Section(
        "persona",
        "Persona prompts",
        lead=[
            "A system prompt asks the model to be someone else, a little more forcefully at every step. Read the level "
            "first: arms start from different heights, and a high arm has further to fall. The helpful persona is the "
            "steerability control: it should lift every arm alike."
        ],
        figures=ladder_figures(ladders, "strength of the persona prompt", _persona_title),
        tables=[held_table(shown(ladders, ("all",)), main_arm(results))] if ladders else [],
        folded=[interaction_table(world_first(ladders)), *benchmark_tables(ladders)] if ladders else [],
        why=str(persona.get("why") or "") if not ladders else "",
    )


def finetune_section(results: Json) -> Section:
    """Dose curves of bad and of good health replies, in and out of domain."""
    tuning = part(results, "finetune")
    ladders = dicts(tuning.get("ladders"))
    corruption = dicts(tuning.get("corruption"))
    return Section(
        "finetune",
        "Harmful finetuning",
        lead=[
            "Every arm, the compute-matched baseline included, is finetuned on bad health replies for more and more "
            "steps. Good health replies at the same doses are the control that separates corruption from forgetting."
        ],
        figures=ladder_figures(ladders, "finetuning steps", _finetune_title),
        tables=[held_table(shown(ladders, ("in", "out")), main_arm(results))] if ladders else [],
        folded=[
            *([corruption_table(corruption)] if corruption else []),
            *([interaction_table(world_first(ladders))] if ladders else []),
            *benchmark_tables(ladders),
        ],
        why=str(tuning.get("why") or "") if not ladders else "",
    )


def _persona_title(ladder: Json) -> str:
    return words(ladder.get("name"))


def _finetune_title(ladder: Json) -> str:
    name = {"bad": "bad replies", "good": "good replies"}.get(
        str(ladder.get("name")), words(ladder.get("name"))
    )
    panel = PANEL_TITLES.get(str(ladder.get("panel")), str(ladder.get("panel")))
    return f"{name}, {panel.split(':')[0]}"


def world_first(ladders: Sequence[Json]) -> list[Json]:
    """Ladders in the worlds before those in the shuffled controls; order kept otherwise."""
    return sorted(ladders, key=lambda ladder: ladder.get("group") != "world")


def shown(ladders: Sequence[Json], panels: tuple[str, ...]) -> list[Json]:
    """The ladders of these panels, or all where none has them."""
    return [ladder for ladder in ladders if ladder.get("panel") in panels] or list(ladders)


def ladder_figures(ladders: Sequence[Json], x_title: str, title_of: Callable[[Json], str]) -> list[Figure]:
    """Per group two figures: main arms, and the other arms beside the baseline. Panels are ladders."""
    figures = []
    for group, group_title in (("world", ""), ("control", " (shuffled control)")):
        members = [ladder for ladder in ladders if ladder.get("group") == group]
        members = shown(members, ("all",) if x_title.startswith("strength") else ("in", "out"))
        members.sort(key=lambda ladder: str(ladder.get("name")) == "good")
        for main in (True, False):
            figure = ladder_figure(members, x_title, title_of, main, group_title)
            if figure and not (group == "control" and not main):
                figures.append(figure)
    return figures


def ladder_figure(
    ladders: Sequence[Json], x_title: str, title_of: Callable[[Json], str], main: bool, suffix: str
) -> Figure | None:
    """Level against dose for the main arms, or for the other arms with the baseline for reference."""
    kinds = {str(a.get("arm")): str(a.get("kind")) for ladder in ladders for a in dicts(ladder.get("arms"))}
    names = [n for n, kind in kinds.items() if (kind in MAIN_KINDS) == main]
    if not names:
        return None
    names = names if main else [n for n, kind in kinds.items() if kind == "baseline"] + names
    series = [charts.series_of(name, kinds[name]) for name in names]
    panels = []
    for ladder in ladders:
        rows = [
            {
                "series": name,
                "x": number(spot.get("dose")),
                **{k: part(spot, "level").get(k) for k in ("value", "low", "high")},
            }
            for name in names
            for arm in dicts(ladder.get("arms"))
            if arm.get("arm") == name
            for spot in dicts(arm.get("points"))
        ]
        if any(number(row["value"]) is not None for row in rows):
            doses = [d for d in (number(d) for d in ladder.get("doses") or []) if d is not None]
            ticks = _sparse(doses)
            panels.append(
                Panel(charts.curves(rows, series=series, x_title=x_title, ticks=ticks), title_of(ladder))
            )
    if not panels:
        return None
    spots = [
        s.get("level")
        for ladder in ladders
        for a in dicts(ladder.get("arms"))
        for s in dicts(a.get("points"))
    ]
    return Figure(
        ("Level under pressure" if main else "The other arms") + suffix,
        f"Score by {x_title}, one line an arm, one panel a ladder.",
        panels,
        ladder_table(ladders, names, title_of),
        over=over_note(*spots),
        legend=series,
        note="Dashed lines with hollow symbols are the larger share."
        if any(not s.filled for s in series)
        else "",
    )


def _sparse(doses: Sequence[float]) -> list[float]:
    """Ticks that do not collide: doses at least a tenth of the range apart, the last one always."""
    if not doses:
        return []
    gap = (max(doses) - min(doses)) / 10
    kept: list[float] = []
    for dose in sorted(doses):
        if not kept or dose - kept[-1] >= gap or dose == max(doses):
            kept.append(dose)
    return kept


def ladder_table(ladders: Sequence[Json], names: Sequence[str], title_of: Callable[[Json], str]) -> Table:
    """Level and drop at every dose."""
    doses = sorted(
        {d for ladder in ladders for d in (number(x) for x in ladder.get("doses") or []) if d is not None}
    )
    rows = []
    for ladder in ladders:
        for arm in dicts(ladder.get("arms")):
            if str(arm.get("arm")) not in names:
                continue
            spots = {number(spot.get("dose")): spot for spot in dicts(arm.get("points"))}
            rows.append(
                [
                    Cell(f"{title_of(ladder)}: {arm.get('arm')}"),
                    *(_level_cell(spots.get(dose)) for dose in doses),
                    cell(arm.get("area")),
                ]
            )
    heads = [f"at {dose:g}" for dose in doses]
    return Table(
        "Level (0 to 1) by dose", ["ladder and arm", *heads, "mean drop over the ladder, points"], rows,
        note="† so many benchmarks of the panel are at the floor.",
    )  # fmt: skip


def _level_cell(spot: Json | None) -> Cell:
    if spot is None:
        return Cell("–", "", "not measured at this dose")
    shown = cell(spot.get("level"), level)
    floor = number(spot.get("at_floor"))
    return Cell(shown.text + (f" †{floor:.0f}" if floor else ""), shown.mark, shown.note)


def held_table(ladders: Sequence[Json], arm: str) -> Table:
    """The short table: trait arms against the baseline at the largest harmful dose, in the worlds."""
    rows = []
    harmful = [
        ladder for ladder in ladders if ladder.get("group") == "world" and ladder.get("kind") == "harmful"
    ]
    for name, row, last in _interactions(harmful):
        if (
            row.get("kind", "trait") == "trait"
            and str(row.get("arm")).startswith("trait")
            and row.get("reference") == "baseline"
        ):
            rows.append(
                [
                    Cell(name),
                    Cell(count(last.get("dose"))),
                    cell(row.get("installed")),
                    cell(last.get("level_difference")),
                    cell(last.get("raw")),
                    cell(last.get("retained"), level),
                ]
            )
    return Table(
        f"Does {arm.rpartition('-')[0] or arm} hold better than the baseline? At the largest dose",
        [
            "ladder and arm",
            "dose",
            "installed, points",
            "ahead after, points",
            "drop smaller by, points",
            "retained share",
        ],
        rows,
        note=HELD_NOTE + (over_note(*_overs(ladders)) or "No intervals."),
    )


def interaction_table(ladders: Sequence[Json]) -> Table:
    """Every arm against every reference at the largest dose: raw, log-odds, retained, area."""
    rows = [
        [
            Cell(name),
            Cell(str(row.get("reference"))),
            Cell(count(last.get("dose"))),
            cell(row.get("installed")),
            cell(last.get("level_difference")),
            cell(last.get("raw")),
            cell(last.get("log_odds"), _plain),
            cell(last.get("retained"), level),
            cell(row.get("area_raw")),
            cell(row.get("area_log_odds"), _plain),
            Cell(count(last.get("floor_both"))),
        ]
        for name, row, last in _interactions(ladders)
    ]
    return Table(
        "Every arm against every reference, at the largest dose and over the ladder",
        [
            "ladder and arm",
            "against",
            "dose",
            "installed, points",
            "ahead after, points",
            "drop smaller by, points",
            "the same in log-odds",
            "retained share",
            "smaller by, mean over the ladder",
            "the same in log-odds",
            "at the floor in both",
        ],
        rows,
        note=HELD_NOTE + (over_note(*_overs(ladders)) or "No intervals."),
    )


def _interactions(ladders: Sequence[Json]) -> Iterator[tuple[str, Json, Json]]:
    """Name, interaction and its point at the largest dose."""
    for ladder in ladders:
        panel = {"in": ", in domain", "out": ", out of domain"}.get(str(ladder.get("panel")), "")
        suffix = "" if ladder.get("group") == "world" else " (control)"
        for row in dicts(ladder.get("interactions")):
            spots = [s for s in dicts(row.get("points")) if number(s.get("dose"))]
            if spots:
                last = max(spots, key=lambda s: number(s.get("dose")) or 0.0)
                yield f"{words(ladder.get('name'))}{panel}{suffix}: {row.get('arm')}", row, last


def _overs(ladders: Sequence[Json]) -> list[object]:
    return [
        s.get("raw")
        for ladder in ladders
        for i in dicts(ladder.get("interactions"))
        for s in dicts(i.get("points"))
    ]


def _plain(value: object) -> str:
    found = number(value)
    return "null" if found is None else f"{found:+.2f}".replace("-", "−")


def corruption_table(rows: Sequence[Json]) -> Table:
    """Drop after bad replies minus drop after good replies at the same dose."""
    return Table(
        "Corruption or forgetting? Drop after bad replies minus drop after good replies, points",
        ["arm", "group", "panel", "dose", "after bad", "after good", "difference"],
        [
            [
                *(Cell(str(r.get(key))) for key in ("arm", "group", "panel")),
                Cell(count(r.get("dose"))),
                *(cell(r.get(key)) for key in ("bad", "good", "difference")),
            ]
            for r in rows
        ],
    )


def benchmark_tables(ladders: Sequence[Json]) -> list[Table]:
    """Level of every benchmark of the panel at every dose."""
    tables = []
    for ladder in world_first(ladders):
        rows = dicts(ladder.get("per_benchmark"))
        doses = ladder.get("doses") if isinstance(ladder.get("doses"), list) else []
        if rows and ladder.get("panel") == "all":
            tables.append(
                Table(
                    f"{words(ladder.get('name'))}, {ladder.get('group')}: every benchmark",
                    ["benchmark and arm", *(f"at {count(d)}" for d in doses or [])],
                    [
                        [
                            Cell(f"{words(r.get('benchmark'))}: {r.get('arm')}"),
                            *(Cell(level(v)) for v in r.get("levels") or []),
                        ]
                        for r in rows
                    ],
                )
            )
    return tables
