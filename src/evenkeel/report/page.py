"""The report: one HTML file that loads nothing, made from `results.json` and `transcripts.json` of a run.

Everything a model or a file wrote is data here. Text is escaped by the template, chart data is JSON in a script block
of a type that no browser runs, and a content security policy allows exactly the two scripts of this package, by hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
from altair.utils.schemapi import debug_mode
from markupsafe import Markup

from evenkeel.records import files
from evenkeel.records.errors import UserError
from evenkeel.report import charts
from evenkeel.report.page_attacks import finetune_section, persona_section
from evenkeel.report.page_closing import (
    VERDICT_MARKS,
    closing_section,
    judges_section,
    refusals_section,
    side_effects_section,
)
from evenkeel.report.page_health import health_section
from evenkeel.report.page_judges import judge_health_section
from evenkeel.report.page_model import MARKS, Json, Panel, Section, count, part
from evenkeel.report.page_quotes import quotes_for
from evenkeel.report.page_results import ood_section, trait_section
from evenkeel.report.page_setting import answer, arms_section, preflight_section
from evenkeel.report.page_transcripts import groups
from evenkeel.report.page_transfer import control_section, generic_section, transfer_section

STORY = (  # the order of the page
    arms_section,
    preflight_section,
    health_section,
    judge_health_section,
    trait_section,
    ood_section,
    transfer_section,
    generic_section,
    control_section,
    persona_section,
    finetune_section,
    side_effects_section,
    refusals_section,
    judges_section,
    closing_section,
)
LABELS = {
    "quick look": (
        "A look, not a result.",
        "Fewer items and seeds than a study: good for seeing that things run, not for claims.",
    ),
    "plumbing": (
        "Plumbing, not a result.",
        "This run shows that the parts fit together. Its numbers mean nothing.",
    ),
}
SHAPES = {  # the symbols of the legend, 5 pixels around the origin
    "circle": "M0-4.2a4.2 4.2 0 1 0 .01 0z",
    "square": "M-3.8-3.8h7.6v7.6h-7.6z",
    "cross": "M-1.6-4.8h3.2v3.2h3.2v3.2h-3.2v3.2h-3.2v-3.2h-3.2v-3.2h3.2z",
    "diamond": "M0-5l4 5l-4 5l-4-5z",
    "triangle-up": "M0-4.8l4.8 8.6h-9.6z",
    "triangle-down": "M0 4.8l4.8-8.6h-9.6z",
    "triangle-right": "M4.8 0l-8.6 4.8v-9.6z",
    "triangle-left": "M-4.8 0l8.6 4.8v-9.6z",
    "wedge": "M0-5.4l2.4 8.6h-4.8z",
}


def write_page(run: Path) -> Path:
    """Write `report.html` of a run directory and return its path. Equal inputs give equal bytes.

    Raises UserError when `results.json` is missing, broken or not a mapping. Transcripts may be missing.
    """
    run = Path(run)
    results = files.read_json(run / "results.json")
    if not isinstance(results, Mapping):
        raise UserError("not a results file: its top level is not a mapping", file=run / "results.json")
    talks = run / "transcripts.json"
    transcripts = files.read_json(talks) if talks.exists() else {}
    path = run / "report.html"
    with debug_mode(False):  # Altair checks specifications in tests; here that would take half of the time
        text = page(results, transcripts if isinstance(transcripts, Mapping) else {})
    files.write_text(path, text)
    return path


def page(results: Json, transcripts: Json) -> str:
    """The whole page as text."""
    sections = [_told(tell(results), results) for tell in story(results)]
    panels = [panel for section in sections for figure in section.figures for panel in figure.panels]
    style, script, runtime = _asset("report.css"), _asset("report.js"), charts.runtime()
    places = {id(panel): index for index, panel in enumerate(panels)}
    study = part(results, "study")
    return _template().render(
        title=f"evenkeel: {study.get('name') or 'study'}",
        kicker=_kicker(results),
        label=LABELS.get(str(study.get("label"))),
        answer=answer(results),
        sections=sections,
        talks=groups(transcripts),
        marks=MARKS,
        verdicts=VERDICT_MARKS,
        shapes=SHAPES,
        number=lambda panel: places[id(panel)],
        svg=_still,
        policy=_policy([runtime, script]),
        style=Markup(style),
        specs=Markup(script_json([panel.chart.spec for panel in panels])),
        runtime=Markup(runtime),
        script=Markup(script),
    )


def story(results: Json) -> list[Callable[[Json], Section]]:
    """The sections of this page. A study whose graders are programs has no judges to speak of."""
    return [tell for tell in STORY if tell is not judge_health_section or part(results, "judge_health")]


def _told(section: Section, results: Json) -> Section:
    """The section with the paper's figures beside it; an empty one says that it is empty."""
    empty = not (section.figures or section.tables or section.folded)
    why = section.why or ("this run's results have no such part" if empty else "")
    return replace(section, quotes=quotes_for(section.id, results), why=why)


def script_json(value: Any) -> str:
    """JSON that can stand in a <script> block: no `<`, `>`, `&` or line separator of JavaScript in it."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _still(panel: Panel) -> Markup:
    """The static picture; Vega writes text and attributes escaped."""
    return Markup(panel.chart.svg)


def _kicker(results: Json) -> str:
    study = part(results, "study")
    facts = [str(study.get("name") or "study")]
    for key, name in (("bases", "base"), ("controls", "shuffled control")):
        value = study.get(key)
        n = len(value) if isinstance(value, list) else 0
        facts += [f"{n} {name}{'s' * (n != 1)}"] if n else []
    if study.get("benchmarks"):
        facts.append(f"{count(study.get('benchmarks'))} benchmarks out of distribution")
    return ", ".join(facts)


def _policy(scripts: Sequence[str]) -> str:
    """Nothing may be fetched; only these scripts may run."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts
    )
    rest = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {hashes}; {rest}"


def _asset(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text()


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.jinja")
