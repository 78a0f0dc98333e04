"""Judges: could they be trusted? Lights first, then the reward by both judges over training, then every number."""

from __future__ import annotations

from collections.abc import Sequence

from evenkeel.report import charts
from evenkeel.report.judge_health_lights import AMBER, GAP_RULE, GREEN, RED, UNKNOWN
from evenkeel.report.page_judges_tables import (
    FORMS,
    ROLES,
    criteria_table,
    entry,
    lights_table,
    numbers_table,
    signed,
)
from evenkeel.report.page_model import (
    Callout,
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
    number,
    over_note,
    part,
    say,
)

SERIES = (
    charts.Series(ROLES["train"], "var(--arm-trait)", "circle"),
    charts.Series(ROLES["held_out"], "var(--arm-baseline)", "square", filled=False),
)
PANELS = 12  # models drawn, those with a widening gap first
TITLES = {
    RED: "do not trust these rewards as they are",
    AMBER: "trust these rewards with care",
    UNKNOWN: "not all of it was measured",
    GREEN: "no fault was found in the judging",
}
DRAWN = (  # the shares of the second figure; short labels, their first words telling them apart on a phone
    ("retest", "flips", "flip when asked again"),
    ("order", "flips", "flip in reverse order"),
    ("ceiling", "ceiling", "criteria that every reply meets"),
    ("ceiling", "floor", "criteria that no reply meets"),
    ("ceiling", "ties", "pairs of replies that tie"),
    ("ceiling", "dead_groups", "groups in which all tie"),
    ("", "unscorable", "unscorable"),
)


def judge_health_section(results: Json) -> Section:
    """The section of all judged sources."""
    health = part(results, "judge_health")
    sources = dicts(health.get("sources"))
    figures = [figure for source in sources for figure in (drift_figure(source), shares_figure(source))]
    return Section(
        "judge-health",
        "Judges",
        lead=[
            "A reward is worth what its judge is worth. Replies of this run, from early to late, were judged again: "
            "independently, with the criteria in reverse order, and by a held-out judge that no reward came from."
        ]
        if sources
        else [],
        callouts=[verdict(source) for source in sources],
        figures=[figure for figure in figures if figure is not None],
        tables=[lights_table(source) for source in sources],
        folded=[criteria_table(source) for source in sources if dicts(source.get("criteria"))],
        notes=[GAP_RULE] if sources else [],
        why="" if sources else str(health.get("why") or "no judge was measured"),
    )


def verdict(source: Json) -> Callout:
    """What a reader must know of one source's judging, in words: the gap first, then the other lights that are not green."""
    light, checks = str(source.get("light")), dicts(source.get("checks"))
    drift = {str(each.get("id")): each for each in dicts(source.get("drift"))}
    wrong = [check for check in checks if check.get("light") in (AMBER, RED)]
    wrong.sort(key=lambda check: (check.get("check") != "gap", check.get("light") != RED))
    lines = [
        _gap_line(drift.get(str(check.get("model")), {}), str(check.get("light")))
        if check.get("check") == "gap"
        else _line(check)
        for check in wrong
    ]
    unmeasured = [f"{c.get('text')} ({_who(c)})" for c in checks if c.get("light") == UNKNOWN]
    if unmeasured:
        lines.append(f"Not measured: {'; '.join(dict.fromkeys(unmeasured))}.")
    if not lines:
        on = f"{count(source.get('replies'))} replies to {count(source.get('scenarios'))} scenarios"
        lines.append(
            f"Noise, ceilings, order, length, agreement and the gap are within their limits, on {on}."
        )
    mark = light if light in (GREEN, AMBER, RED) else ""
    return Callout(f"{source.get('source')}: {TITLES.get(light, TITLES[UNKNOWN])}", lines, mark)


def _line(check: Json) -> str:
    shown = say(check.get("quantity"), FORMS.get(str(check.get("check")), level))
    return f"{_who(check).capitalize()}, {check.get('light')}: {check.get('text')}: {shown}."


def _who(check: Json) -> str:
    return ROLES.get(str(check.get("judge")), str(check.get("judge")))


def _gap_line(model: Json, colour: str) -> str:
    rises = part(model, "rises")
    train, other, gap = (say(rises.get(key), signed) for key in ("train", "held_out", "gap"))
    head = "Possible rubric hacking" if model.get("hacking") else "The two judges drift apart"
    return (
        f"{head} in {model.get('id')}, {colour}: over steps {_steps(model)} the training judge's reward changed by {train}, the "
        f"held-out judge's by {other}; the gap by {gap}."
    )


def _steps(model: Json) -> str:
    ends = model.get("steps")
    return " to ".join(map(count, ends)) if isinstance(ends, list) else "null"


def drift_figure(source: Json) -> Figure | None:
    """Reward over training by both judges, a panel a model; None without any."""
    models = [model for model in dicts(source.get("drift")) if dicts(model.get("points"))]
    if not models:
        return None
    order = {RED: 0, AMBER: 1}
    drawn = sorted(models, key=lambda model: order.get(str(model.get("light")), 2))[:PANELS]
    rows = [
        [
            Cell(str(model.get("id")), "", f"steps {_steps(model)}"),
            *(cell(part(model, "rises").get(key), signed) for key in ("train", "held_out", "gap")),
            Cell(str(model.get("light")), str(model.get("light"))),
        ]
        for model in models
    ]
    title = f"Reward by both judges during training: {source.get('source')}"
    return Figure(
        title,
        "Mean reward of the same replies by the training judge and by the held-out judge, from early to late steps.",
        [Panel(_drift_chart(model), _panel_title(model)) for model in drawn],
        Table(
            f"Rise of the reward from the first measured step to the last: {source.get('source')}",
            ["model", "training judge", "held-out judge", "gap", "light"],
            rows,
        ),
        over=over_note(*(part(model, "rises").get("train") for model in models)),
        legend=[each for each in SERIES if each.name == ROLES["train"] or _two(models)],
        note="Reward from −1 to 1. Lines that part show a policy that pleases its own judge more than another one."
        + (f" {len(drawn)} of {len(models)} models are drawn." if len(drawn) < len(models) else ""),
    )


def _two(models: Sequence[Json]) -> bool:
    """Whether any model has rewards by the held-out judge."""
    return any(
        number(part(point, "held_out").get("value")) is not None
        for m in models
        for point in dicts(m.get("points"))
    )


def _panel_title(model: Json) -> str:
    said = ": possible rubric hacking" if model.get("hacking") else ""
    return f"{model.get('id')}{said}"


def _drift_chart(model: Json) -> charts.Chart:
    rows = [
        {"x": point.get("step"), "series": ROLES[key],
         **{name: number(part(point, key).get(name)) for name in ("value", "low", "high")}}
        for point in dicts(model.get("points"))
        for key in ("train", "held_out")
        if number(point.get("step")) is not None
    ]  # fmt: skip
    return charts.curves(rows, series=SERIES, x_title="step", y_title="mean reward", domain=None, height=170)


def shares_figure(source: Json) -> Figure | None:
    """What each judge does that a good one does not, as shares; None when nothing was measured."""
    judges = {str(judge.get("judge")): judge for judge in dicts(source.get("judges"))}
    rows = [
        {"label": label, "series": ROLES[role],
         **{name: number(entry(judge, group, key).get(name)) for name in ("value", "low", "high")}}
        for group, key, label in DRAWN
        for role, judge in judges.items()
        if role in ROLES
    ]  # fmt: skip
    if not any(row["value"] is not None for row in rows):
        return None
    series = [each for each, role in zip(SERIES, ("train", "held_out"), strict=True) if role in judges]
    chart = charts.intervals(rows, series=series, title="share", domain=(0.0, 1.0), label_width=200)
    return Figure(
        f"Noise, order and ceilings: {source.get('source')}",
        "Shares of verdicts, criteria, replies and judgements with a fault, by judge. Lower is better.",
        [Panel(chart)],
        numbers_table(source, judges),
        over=over_note(*(entry(judge, "retest", "flips") for judge in judges.values())),
        legend=series,
        note="Lower is better. What every reply of a group meets, or none, gives that group nothing to learn.",
        wide=True,
    )
