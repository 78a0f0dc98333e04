"""The paper's figures beside each section: quoted as the paper's, with what this study measured for the same claim."""

from __future__ import annotations

from evenkeel.report.page_model import Json, Quote, cell, dicts, number

# section of the page -> beginnings of the ids of findings and of the paper's figures that belong there
BESIDE = {
    "traits": ("trait_score",),
    "ood": ("ood", "production"),
    "transfer": ("health_only", "no_health_science"),
    "generic": ("generic_helpfulness",),
    "control": ("control",),
    "persona": ("persona_",),
    "finetune": ("finetune_",),
    "side-effects": ("capability", "monitorability", "over_refusal", "diversity"),
    "refusals": ("refusals", "neither_refuses"),
    "judges": ("structure",),
}


def quotes_for(section: str, results: Json) -> list[Quote]:
    """Quotes of one section: findings first (they know what was measured here), then figures without a finding."""
    starts = BESIDE.get(section, ())
    findings = [
        f for f in dicts(results.get("findings")) if f.get("paper") and str(f.get("id")).startswith(starts)
    ]
    quotes = [Quote(str(f.get("claim")), _here(f), str(f["paper"])) for f in findings if starts]
    told = {str(f["paper"]) for f in findings}
    figures = (
        [p for p in dicts(results.get("paper")) if str(p.get("id")).startswith(starts)] if starts else []
    )
    return quotes + [
        Quote(str(p.get("claim")), "", str(p.get("figure")))
        for p in figures
        if str(p.get("figure")) not in told
    ]


def _here(finding: Json) -> str:
    measured = str(finding.get("measured") or "")
    if not measured:
        measured = cell(finding).text if number(finding.get("value")) is not None else "null"
    verdict = finding.get("verdict")
    return measured + (f": {verdict}" if verdict else "")
