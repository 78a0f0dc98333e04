"""Charts of the report: Vega-Lite specifications made with Altair, and the same picture as a static SVG.

Two kinds carry the whole page: `intervals` (a dot and its interval per row) and `curves` (a line per arm over a
dose). Every colour is a CSS variable, so one picture serves light, dark and print. Colours are those of Okabe and
Ito (2008); shape says the same as colour, so that nothing depends on colour alone.

Text in a chart comes from records and may hold anything: it enters as data values, never as expressions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import altair as alt
import vl_convert

from evenkeel.records.canonical import content_hash

STATIC_WIDTH = 700  # pixels of a full-width static picture
PANEL_WIDTH = 320  # of one small multiple
ROW = 18  # pixels a row of `intervals`
HEADING = " "  # a space first: the row is a heading, not a value
LONGEST = 40  # characters of a row label; the table has the whole name

# kind of arm -> (CSS variable of its colour, Vega symbol)
KINDS = {
    "base": ("var(--arm-base)", "cross"),
    "baseline": ("var(--arm-baseline)", "square"),
    "trait": ("var(--arm-trait)", "circle"),
    "health_only": ("var(--arm-health)", "triangle-up"),
    "no_health_science": ("var(--arm-nohealth)", "triangle-down"),
    "generic_helpfulness": ("var(--arm-generic)", "diamond"),
    "gain": ("var(--gain)", "triangle-right"),
    "loss": ("var(--loss)", "triangle-left"),
    "neither": ("var(--neither)", "circle"),
    "control": ("var(--control)", "diamond"),
    "world": ("var(--arm-trait)", "circle"),
}
OTHER = ("var(--arm-other)", "wedge")
ROWS = alt.NamedData(name="rows")  # the rows themselves join the specification at the very end
CONFIG = {
    "font": "system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', sans-serif",
    "aria": False,  # the page labels the picture and gives its numbers as a table
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--soft)",
        "titleColor": "var(--soft)",
        "gridColor": "var(--grid)",
        "domainColor": "var(--grid)",
        "tickColor": "var(--grid)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": 400,
        "titlePadding": 8,
        "labelOverlap": False,
    },
    "axisX": {"labelOverlap": True},
}


@dataclass(frozen=True, slots=True)
class Series:
    """One arm or verdict in a legend. `filled` is False for the larger dose: hollow symbol, dashed line."""

    name: str
    colour: str
    shape: str
    filled: bool = True


@dataclass(frozen=True, slots=True)
class Chart:
    """`spec` is Vega-Lite JSON with `width: container`; `svg` the same picture at a fixed width."""

    spec: Mapping[str, Any]
    svg: str


def series_of(name: str, kind: str | None = None, *, filled: bool | None = None) -> Series:
    """How an arm is drawn: colour and shape by kind, hollow for a share above 5 %."""
    stem, _, share = name.rpartition("-")
    kind = kind or (stem if stem and share.isdigit() else name)
    colour, shape = KINDS.get(kind, OTHER)
    if filled is None:
        filled = not (share.isdigit() and int(share) > 5)
    return Series(name, colour, shape, filled)


def intervals(
    rows: Sequence[Mapping[str, Any]],
    *,
    series: Sequence[Series],
    title: str,
    domain: tuple[float, float] | None = None,
    zero: bool = False,
    label_width: int = 190,
    width: int = STATIC_WIDTH,
) -> Chart:
    """A dot and its interval per row and series.

    rows: {label, series, value, low, high}; `low`/`high` may be None; a row with `heading` true draws its label only.
    Rows keep their order. `domain` in units of the value (default: what the intervals span); `zero` draws a line at 0.
    """
    order = list(dict.fromkeys(_row_label(row) for row in rows))
    data = [
        {"label": _row_label(row), "series": row["series"], **_numbers(row, "value", "low", "high")}
        for row in rows
        if not row.get("heading") and row.get("value") is not None
    ]
    x = alt.X(
        "value:Q",
        title=title,
        scale=alt.Scale(domain=list(domain or span(data, zero=zero)), clamp=True, nice=True),
        axis=alt.Axis(format="+.3~f" if zero else ".3~f", tickCount=5, orient="top", titleAnchor="end"),
    )
    y = alt.Y("label:N", sort=None, title=None, scale=alt.Scale(domain=order), axis=_row_axis(label_width))
    base = alt.Chart(ROWS).encode(y=y)
    many = len(series) > 1 and max(_rows_per_label(data).values(), default=1) > 1
    if many:
        base = base.encode(yOffset=alt.YOffset("series:N", scale=alt.Scale(domain=[s.name for s in series])))
    layers: list[alt.Chart] = []
    if zero:
        layers.append(_zero_line())
    layers.append(
        base.mark_rule(strokeWidth=1.5, opacity=0.75).encode(
            x=alt.X("low:Q", title=title), x2="high:Q", color=_colour(series)
        )
    )
    layers.append(_points(base, series, x, tooltip=["label", "series", "value", "low", "high"]))
    step = ROW + (9 * (len(series) - 1) if many else 0)
    chart = alt.layer(*layers).properties(
        height=alt.Step(step, **{"for": "position"}) if many else alt.Step(step)
    )
    return _finish(chart, data, width)


def dots(
    rows: Sequence[Mapping[str, Any]],
    *,
    series: Sequence[Series],
    title: str,
    domain: tuple[float, float] = (0.0, 1.0),
    label_width: int = 190,
    width: int = STATIC_WIDTH,
) -> Chart:
    """A row per label, a symbol per series on it, joined by a thin line: levels side by side.

    rows: {label, series, value}.
    """
    order = list(dict.fromkeys(_row_label(row) for row in rows))
    data = [
        {"label": _row_label(row), "series": row["series"], **_numbers(row, "value")}
        for row in rows
        if row.get("value") is not None
    ]
    axis = alt.Axis(format=".3~f", tickCount=5, orient="top", titleAnchor="end")
    x = alt.X("value:Q", title=title, scale=alt.Scale(domain=list(domain), clamp=True), axis=axis)
    y = alt.Y("label:N", sort=None, title=None, scale=alt.Scale(domain=order), axis=_row_axis(label_width))
    base = alt.Chart(ROWS).encode(y=y)
    line = base.mark_rule(color="var(--grid)", strokeWidth=2).encode(
        x=alt.X("min(value):Q", title=title), x2="max(value):Q"
    )
    layers = [line, _points(base, series, x, tooltip=["label", "series", "value"])]
    return _finish(alt.layer(*layers).properties(height=alt.Step(ROW + 4)), data, width)


def curves(
    rows: Sequence[Mapping[str, Any]],
    *,
    series: Sequence[Series],
    x_title: str,
    y_title: str = "",
    domain: tuple[float, float] | None = (0.0, 1.0),
    ticks: Sequence[float] | None = None,
    points: bool = True,
    height: int = 190,
    width: int = PANEL_WIDTH,
) -> Chart:
    """A line per series over a dose. rows: {x, series, value, low, high}; missing bounds draw no interval."""
    data = [
        {"series": row["series"], **_numbers(row, "x", "value", "low", "high")}
        for row in rows
        if row.get("value") is not None
    ]
    axis = alt.Axis(values=list(ticks), format="d") if ticks else alt.Axis(tickCount=5, format=".4~f")
    x = alt.X("x:Q", title=x_title, axis=axis, scale=alt.Scale(nice=False, zero=False))
    y = alt.Y(
        "value:Q",
        title=y_title or None,
        scale=alt.Scale(domain=list(domain), clamp=True) if domain else alt.Scale(zero=False),
        axis=alt.Axis(format=".4~f", tickCount=5),
    )
    base = alt.Chart(ROWS).encode(x=x)
    dashes = alt.StrokeDash(
        "series:N",
        legend=None,
        scale=alt.Scale(
            domain=[s.name for s in series], range=[[1, 0] if s.filled else [5, 3] for s in series]
        ),
    )
    layers = [
        base.mark_line(strokeWidth=2, interpolate="linear").encode(
            y=y, color=_colour(series), strokeDash=dashes
        )
    ]
    if any(row["low"] is not None for row in data):
        layers.insert(
            0,
            base.mark_rule(strokeWidth=1.25, opacity=0.45).encode(
                y=alt.Y("low:Q", title=y_title or None), y2="high:Q", color=_colour(series)
            ),
        )
    if points:
        layers.append(_points(base, series, x, y=y, tooltip=["series", "x", "value", "low", "high"]))
    return _finish(alt.layer(*layers).properties(height=height), data, width)


def _row_label(row: Mapping[str, Any]) -> str:
    """The label on one line: characters that print nothing send text measurement through every font there is."""
    text = "".join(c if c.isprintable() else " " for c in str(row["label"])).strip()
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return (HEADING if row.get("heading") else "") + text


def _rows_per_label(data: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    count: dict[str, int] = {}
    for row in data:
        count[row["label"]] = count.get(row["label"], 0) + 1
    return count


def span(data: Sequence[Mapping[str, Any]], *, zero: bool = False) -> tuple[float, float]:
    """What the values and intervals of these rows span, with a margin; `zero` makes 0 part of it."""
    ends = [row[key] for row in data for key in ("value", "low", "high") if row[key] is not None] or [
        0.0,
        1.0,
    ]
    low, high = min(ends + [0.0] * zero), max(ends + [0.0] * zero)
    margin = 0.04 * (high - low) or 0.5
    return low - margin, high + margin


def _numbers(row: Mapping[str, Any], *names: str) -> dict[str, float | None]:
    return {name: None if row.get(name) is None else round(float(row[name]), 6) for name in names}


def _row_axis(label_width: int) -> alt.Axis:
    heading = f"substring(datum.value, 0, 1) == '{HEADING}'"
    return alt.Axis(
        labelLimit=label_width,
        minExtent=label_width,
        maxExtent=label_width,
        domain=False,
        ticks=False,
        grid=False,
        labelPadding=8,
        labelFontWeight=alt.condition(heading, alt.value(600), alt.value(400)),
        labelColor=alt.condition(heading, alt.value("var(--ink)"), alt.value("var(--soft)")),
    )


def _colour(series: Sequence[Series]) -> alt.Color:
    domain, colours = [s.name for s in series], [s.colour for s in series]
    return alt.Color("series:N", legend=None, scale=alt.Scale(domain=domain, range=colours))


def _points(
    base: alt.Chart, series: Sequence[Series], x: alt.X, *, tooltip: Sequence[str], **also: Any
) -> alt.Chart:
    names = [s.name for s in series]
    fills = [s.colour if s.filled else "var(--page)" for s in series]
    return base.mark_point(size=52, strokeWidth=1.75, opacity=1).encode(
        x=x,
        stroke=alt.Stroke(
            "series:N", legend=None, scale=alt.Scale(domain=names, range=[s.colour for s in series])
        ),
        fill=alt.Fill("series:N", legend=None, scale=alt.Scale(domain=names, range=fills)),
        shape=alt.Shape(
            "series:N", legend=None, scale=alt.Scale(domain=names, range=[s.shape for s in series])
        ),
        tooltip=[_tip(name) for name in tooltip],
        **also,
    )


def _tip(name: str) -> alt.Tooltip:
    if name in ("label", "series"):
        return alt.Tooltip(f"{name}:N", title={"label": "row", "series": "arm"}[name])
    return alt.Tooltip(f"{name}:Q", format=".3~f")


def _zero_line() -> alt.Chart:
    return (
        alt.Chart(alt.InlineData(values=[{"at": 0}]))
        .mark_rule(color="var(--soft)", strokeWidth=1)
        .encode(x="at:Q")
    )


def _finish(chart: Any, data: list[dict[str, Any]], width: int) -> Chart:
    """Rows and configuration join as plain JSON: Altair would copy them at every step of a chart."""
    spec = chart.to_dict(validate=False)
    spec.update(
        background="transparent", padding={"left": 2, "right": 14, "top": 4, "bottom": 4}, config=CONFIG
    )
    spec["datasets"] = {**spec.get("datasets", {}), "rows": data}
    live = {**spec, "width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}
    return Chart(live, _svg({**spec, "width": width}))


def _svg(spec: Mapping[str, Any]) -> str:
    """Static picture. Its clip paths get names of their own, since ids are shared by the whole page."""
    svg = vl_convert.vegalite_to_svg(dict(spec))
    return re.sub(r'(id="|url\(#)(clip|gradient)', rf"\g<1>{content_hash(spec)}-\g<2>", svg)


@cache
def runtime() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script with no outside reference (0.9 MB)."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
