"""One page to read scenarios: filters, the conversation as turns, the rubric, the reply pair side by side.

The page loads nothing. Texts are data: the template escapes them, and a content security policy allows exactly the
one script of this package, by hash. Without that script everything is still there to read.
"""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from evenkeel.records.files import write_text
from evenkeel.scenarios.audit.found import Finding
from evenkeel.scenarios.rows import PairedReply, ScenarioRow, reply_score
from evenkeel.scenarios.scenario import DOMAINS, TRAITS

TEMPLATES = Path(__file__).parent / "templates"


def write_page(path: Path, rows: Iterable[ScenarioRow], findings: Iterable[Finding] = ()) -> None:
    """Write the page. Equal rows give equal bytes."""
    write_text(path, page(list(rows), findings))


def page(rows: Sequence[ScenarioRow], findings: Iterable[Finding] = ()) -> str:
    """The whole page as text; findings of an audit stand at their scenarios."""
    told: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        told[finding.scenario].append(finding)
    script, style = (_asset(f"browse.{kind}") for kind in ("js", "css"))
    traits, domains = list(TRAITS), list(DOMAINS)
    ordered = sorted(
        rows,
        key=lambda row: (traits.index(row.trait), domains.index(row.domain), row.split == "eval", row.id),
    )
    return _template().render(
        rows=ordered,
        told=told,
        traits=[trait for trait in traits if any(row.trait == trait for row in rows)],
        domains=[domain for domain in domains if any(row.domain == domain for row in rows)],
        about=TRAITS,
        names=DOMAINS,
        pair=pair,
        policy=_policy(script),
        style=Markup(style),
        script=Markup(script),
    )


def pair(row: ScenarioRow) -> list[dict[str, Any]]:
    """The two replies as the page shows them: name, text, what it earns, criteria met and not met."""
    replies: list[tuple[str, PairedReply]] = list(zip(("good", "bad"), row.replies, strict=False))
    return [
        {
            "name": name,
            "text": reply.text,
            "score": reply_score(row, reply.meets),
            "words": len(reply.text.split()),
            "met": [line for line in row.criteria if line.id in reply.meets],
            "missed": [line for line in row.criteria if line.id not in reply.meets],
        }
        for name, reply in replies
    ]


def _policy(script: str) -> str:
    """Nothing may be fetched; only this script may run."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'"
    )


def _asset(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["signed"] = lambda points: f"{points:+d}".replace("-", "\N{MINUS SIGN}")
    environment.filters["score"] = lambda score: f"{score:.2f}".replace("-", "\N{MINUS SIGN}")
    environment.filters["words"] = lambda slug: slug.replace("_", " ")
    return environment.get_template("browse.html.jinja")
