"""What the page is made of: sections, figures, tables and cells, plus how numbers are put into words.

Everything here is plain text; the template escapes it. A missing number is written as `null` with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evenkeel.report.charts import Chart, Series

Json = Mapping[str, Any]
MARKS = ("green", "amber", "red", "gain", "loss", "null", "strong")  # classes the style sheet knows


@dataclass(frozen=True, slots=True)
class Cell:
    """Text of a table cell; `mark` is one of MARKS, `note` is smaller text after it."""

    text: str
    mark: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column heads its rows."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture of a figure; `title` is empty where the figure has one panel."""

    chart: Chart
    title: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """Panels under one title and legend, with the same numbers as a table. `over` says what intervals are over."""

    title: str
    label: str  # what a reader who cannot see it should know first
    panels: Sequence[Panel]
    table: Table
    over: str = ""
    legend: Sequence[Series] = ()
    note: str = ""
    wide: bool = False  # one panel over the whole column


@dataclass(frozen=True, slots=True)
class Measured:
    """What this study found for one claim with one arm."""

    arm: str
    text: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Quote:
    """A figure of the paper, beside what this study measured."""

    claim: str
    here: Sequence[Measured]
    paper: str


@dataclass(frozen=True, slots=True)
class Callout:
    """What a reader must not overlook; `mark` is green, amber, red or empty."""

    title: str
    lines: Sequence[str]
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One step of the story. `why` is set when the section has nothing to show."""

    id: str
    title: str
    lead: Sequence[str] = ()
    quotes: Sequence[Quote] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    folded: Sequence[Table] = ()  # behind <details>
    notes: Sequence[str] = field(default=())
    why: str = ""
    callouts: Sequence[Callout] = ()


def dicts(value: Any) -> list[Json]:
    """The mappings of a list; an absent or foreign value is an empty list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def part(value: Any, *keys: str) -> Json:
    """A nested mapping, empty where any step is missing or null."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def number(value: Any) -> float | None:
    """A finite number or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value)


def level(value: Any, digits: int = 2) -> str:
    """A score in 0..1: `0.61`."""
    found = number(value)
    return "null" if found is None else _minus(f"{found:.{digits}f}")


def points(value: Any, digits: int = 1) -> str:
    """A difference in points of 100: `+9.1`."""
    found = number(value)
    return "null" if found is None else _minus(f"{100 * found:+.{digits}f}")


def share(value: Any, digits: int = 0) -> str:
    """A rate as percent: `13 %`."""
    found = number(value)
    return "null" if found is None else _minus(f"{100 * found:.{digits}f} %")


def count(value: Any) -> str:
    """A whole number with thin spaces, or as it is."""
    found = number(value)
    if found is None:
        return "null" if value is None else str(value)
    text = f"{found:,.0f}" if found == int(found) else f"{found:,.3g}"
    return _minus(text.replace(",", "\u202f"))


def p_value(value: Any) -> str:
    """`0.003`, `< 0.001`."""
    found = number(value)
    return "null" if found is None else "< 0.001" if found < 0.001 else f"{found:.3f}"


def bounds(quantity: Json, form: Any = points) -> str:
    """`[+5.2, +13.0]`, or nothing where there is no interval."""
    low, high = quantity.get("low"), quantity.get("high")
    if number(low) is None or number(high) is None:
        return ""
    return f"[{form(low)}, {form(high)}]"


def cell(quantity: Any, form: Any = points) -> Cell:
    """A Quantity in a table: value and interval, or `null` and why."""
    found = part({"q": quantity}, "q")
    if number(found.get("value")) is None:
        return Cell("null", "null", str(found.get("why") or "not measured"))
    interval = bounds(found, form)
    return Cell(form(found["value"]), "", interval or "no interval")


def say(quantity: Any, form: Any = points, unit: str = "") -> str:
    """A Quantity in a sentence: `+9.1 points [+5.2, +13.0]`."""
    shown = cell(quantity, form)
    if shown.mark == "null":
        return f"null ({shown.note})"
    return f"{shown.text}{unit}" + (f" {shown.note}" if shown.note else "")


def differs(quantity: Any) -> int | None:
    """+1 or -1 when the interval excludes zero on that side, 0 when it does not, None without an interval."""
    found = part({"q": quantity}, "q")
    low, high = number(found.get("low")), number(found.get("high"))
    if low is None or high is None:
        return None
    return 1 if low > 0 else -1 if high < 0 else 0


def over_of(*quantities: Any) -> str:
    """Heading of an interval column: what the intervals are over."""
    seen = [str(q["over"]) for q in quantities if isinstance(q, Mapping) and q.get("over")]
    return "; ".join(dict.fromkeys(seen))


def over_note(*quantities: object) -> str:
    """Heading of a figure's intervals."""
    found = over_of(*quantities)
    return f"Intervals: 95 %, over {found}." if found else ""


def interval_heading(results: Json) -> str:
    """The study's own words over every interval column."""
    study = part(results, "study")
    return str(study.get("heading") or study.get("interval_over") or "95 % interval")


def words(slug: Any) -> str:
    """`impossible_coding` as a label: `impossible coding`."""
    return str(slug).replace("_", " ")


def pick(items: Iterable[Json], **where: Any) -> Json:
    """The first mapping with these values, else an empty one."""
    for item in items:
        if all(item.get(key) == value for key, value in where.items()):
            return item
    return {}


def main_arm(results: Json) -> str:
    """The paper's arm: the trait arm with the smallest share."""
    arms = [a for a in dicts(results.get("arms")) if a.get("kind") == "trait"]
    arms.sort(key=lambda a: (number(a.get("share")) or 0.0, str(a.get("arm"))))
    return str(arms[0].get("arm")) if arms else "trait-5"


def _minus(text: str) -> str:
    return text.replace("-", "\u2212")


def scaled(quantity: Json, key: str = "value") -> dict[str, float | None]:
    """Value and bounds in points of 100."""
    numbers = {
        "value": number(quantity.get(key)),
        "low": number(quantity.get("low")),
        "high": number(quantity.get("high")),
    }
    return {name: None if v is None else 100 * v for name, v in numbers.items()}
