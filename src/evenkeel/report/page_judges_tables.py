"""Tables of the judges' section: every check with its light, every number, every criterion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from evenkeel.report.judge_health_lights import AMBER, GREEN, RED, UNKNOWN
from evenkeel.report.page_model import (
    Cell,
    Json,
    Table,
    bounds,
    cell,
    count,
    dicts,
    level,
    number,
    over_note,
    part,
    points,
    share,
    words,
)

Form = Callable[[object], str]

ROLES = {"train": "training judge", "held_out": "held-out judge", "pair": "the two together"}
CRITERIA = 30  # rows of the table of criteria


def signed(value: object) -> str:
    """A difference: `+0.31`."""
    found = number(value)
    return ("+" if found is not None and found > 0 else "") + level(value)


def _rate(value: object) -> str:
    return share(value, 1)


def _ratio(value: object) -> str:
    return level(value, 1)


FORMS: Mapping[str, Form] = {
    "unscorable": _rate, "spread_over_noise": _ratio, "dead_groups": share, "order_flips": points,
    "first_place": points, "kappa": level, "length": signed, "gap": signed,
}  # fmt: skip
NUMBERS: tuple[tuple[str, str, str, Form], ...] = (  # where in a judge's entry, what it is, how it is written
    ("", "unscorable", "judgements that came to nothing", _rate),
    ("retest", "flips", "verdicts that flip when asked again", _rate),
    ("retest", "kappa", "agreement with itself (kappa)", level),
    ("retest", "noise", "noise of one reward (standard deviation)", level),
    ("retest", "spread", "spread of rewards inside a group (standard deviation)", level),
    ("retest", "spread_over_noise", "spread over noise", _ratio),
    ("ceiling", "ceiling", "criteria that every reply of a group meets", share),
    ("ceiling", "floor", "criteria that no reply of a group meets", share),
    ("ceiling", "no_spread", "criteria without any difference in a group", share),
    ("ceiling", "ties", "pairs of replies that earn the same", share),
    ("ceiling", "dead_groups", "groups in which all replies earn the same", share),
    ("order", "flips", "verdicts that flip with the criteria in reverse", _rate),
    ("order", "beyond_retest", "of these, beyond test-retest, points", points),
    ("order", "first_place", "met more often when first than when last, points", points),
    ("order", "shift", "reward with the criteria in reverse, minus as they were", signed),
    ("", "length", "rank correlation of length and reward in a group", signed),
)
TOGETHER: tuple[tuple[str, str, Form], ...] = (
    ("same", "verdicts that are the same", share),
    ("kappa", "agreement of verdicts (kappa)", level),
    ("correlation", "correlation of rewards inside a group", level),
    ("shift", "training reward minus held-out reward", signed),
    ("length", "liking for length: training minus held-out", signed),
)


def lights_table(source: Json) -> Table:
    """Every check with its number and light; the gap of all models in one row."""
    checks = dicts(source.get("checks"))
    by_name: dict[str, list[Json]] = {}
    for check in checks:
        by_name.setdefault(str(check.get("check")), []).append(check)
    rows = []
    for name, members in by_name.items():
        cells = {str(c.get("judge")): _light_cell(c, FORMS.get(name, level)) for c in members}
        if name == "gap":
            cells = {"pair": _gap_cell(members)}
        first = members[0]
        act = str(first.get("act")) if any(c.get("light") in (AMBER, RED) for c in members) else "–"
        rows.append([
            Cell(str(first.get("text")), "", str(first.get("limit"))),
            *(cells.get(role, Cell("–")) for role in ROLES), Cell(act),
        ])  # fmt: skip
    return Table(
        f"Could the judges be trusted? {source.get('source')}",
        ["check", *ROLES.values(), "what to do"],
        rows,
        note=f"{_asked(source)} {over_note(*(c.get('quantity') for c in checks))}",
    )


def _asked(source: Json) -> str:
    judges = [
        f"{ROLES.get(str(j.get('judge')), '')} {j.get('name')} ({count(j.get('judgements'))} judgements)"
        for j in dicts(source.get("judges"))
    ]
    replies = (count(source.get(key)) for key in ("replies", "groups", "scenarios"))
    return "{} replies in {} groups to {} scenarios; {}.".format(*replies, ", ".join(judges))


def _light_cell(check: Json, form: Form) -> Cell:
    quantity, light = part(check, "quantity"), str(check.get("light"))
    if number(quantity.get("value")) is None:
        return Cell(
            "none" if light == GREEN else "null",
            "green" if light == GREEN else "null",
            str(quantity.get("why") or ""),
        )
    return Cell(f"{form(quantity['value'])} · {light}", light, bounds(quantity, form) or "no interval")


def _gap_cell(checks: Sequence[Json]) -> Cell:
    """In how many models it rises."""
    known = [c for c in checks if c.get("light") != UNKNOWN]
    if not known:
        why = str(part(checks[0], "quantity").get("why") or "not measured")
        return Cell("null", "null", why)
    wrong = [c for c in known if c.get("light") in (AMBER, RED)]
    light = RED if any(c.get("light") == RED for c in wrong) else AMBER if wrong else GREEN
    names = ", ".join(str(c.get("model")) for c in wrong[:3]) + (", ..." if len(wrong) > 3 else "")
    return Cell(f"in {len(wrong)} of {len(known)} models · {light}", light, names)


def numbers_table(source: Json, judges: Mapping[str, Json]) -> Table:
    """Every number of both judges, and of the two together."""
    agreement, dash = part(source, "agreement"), Cell("–")
    rows = [
        [
            Cell(text),
            *(cell(entry(judges[role], group, key), form) if role in judges else dash for role in ROLES),
        ]
        for group, key, text, form in NUMBERS
    ]
    rows += [[Cell(text), dash, dash, cell(agreement.get(key), form)] for key, text, form in TOGETHER]
    return Table(f"Every number of the judges: {source.get('source')}", ["", *ROLES.values()], rows)


def entry(judge: Json, group: str, key: str) -> Json:
    """A Quantity of one judge's entry, inside a group of them or not."""
    return part(judge, group, key) if group else part(judge, key)


def criteria_table(source: Json) -> Table:
    """Criterion by criterion, those on which the judges differ most first."""
    criteria = dicts(source.get("criteria"))

    def doubt(row: Json) -> tuple[float, ...]:
        return tuple(-(number(part(row, key).get("value")) or 0.0) for key in ("disagree", "flips"))

    shown = sorted(criteria, key=doubt)[:CRITERIA]
    return Table(
        f"Criterion by criterion, {source.get('source')}: {len(shown)} of {len(criteria)}, where the judges differ most",
        ["criterion", "points", "met", "flips when asked again", "the two judges differ"],
        [
            [
                Cell(words(row.get("criterion")), "", _where(row)),
                Cell(count(row.get("points"))),
                *(_of_replies(part(row, key)) for key in ("met", "flips", "disagree")),
            ]
            for row in shown
        ],
        note="A criterion of one scenario has few replies and no interval. Met in 100 % or 0 %: it teaches nothing here.",
    )


def _where(row: Json) -> str:
    scenarios = number(row.get("scenarios")) or 0
    return str(row.get("scenario")) if scenarios < 2 else f"{count(scenarios)} scenarios"


def _of_replies(quantity: Json) -> Cell:
    shown = cell(quantity, share)
    few = shown.mark != "null" and not bounds(quantity, share)
    return Cell(shown.text, shown.mark, f"of {count(quantity.get('n'))} replies") if few else shown
