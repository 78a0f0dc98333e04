"""The paper's figures beside each section: quoted as the paper's, with what this study measured for the same claim."""

from __future__ import annotations

import re

from evenkeel.report.page_model import Json, Measured, Quote, bounds, dicts, over_of

# section of the page -> beginnings of the ids of findings and of the paper's figures that belong there
BESIDE = {
    "traits": ("trait_score",),
    "ood": ("ood", "production"),
    "transfer": ("health_only", "no_health_science"),
    "generic": ("generic_helpfulness",),
    "persona": ("persona_",),
    "finetune": ("finetune_",),
    "side-effects": ("capability", "monitorability"),
    "refusals": ("refusals", "neither_refuses"),
    "judges": ("structure",),
}


def quotes_for(section: str, results: Json) -> list[Quote]:
    """Quotes of one section, one per figure of the paper, each with every arm's finding for it.

    Findings against the shuffled control stand in the control's section: the paper had no such control.
    """
    findings = [f for f in dicts(results.get("findings")) if _belongs(str(f.get("id")), section)]
    figures = [p for p in dicts(results.get("paper")) if _belongs(str(p.get("id")), section)]
    wanted = {str(p.get("figure")): str(p.get("claim")) for p in figures}
    for finding in findings:
        wanted.setdefault(str(finding.get("paper") or "no figure"), str(finding.get("claim")))
    return [
        Quote(
            claim,
            [_here(f) for f in findings if str(f.get("paper") or "no figure") == figure],
            pretty(figure),
        )
        for figure, claim in wanted.items()
    ]


def pretty(text: str) -> str:
    """Arrows and minus signs as a typesetter writes them; the figures stay as they are."""
    return re.sub(r"(?<![\w.])-(?=[\d.])", "\u2212", text.replace("->", "\u2192"))


def _belongs(name: str, section: str) -> bool:
    if "_corrected_" in name:
        return section == "control"
    return name.startswith(BESIDE.get(section, ("\0",)))


def _here(finding: Json) -> Measured:
    """What was measured: text, interval with what it is over, verdict."""
    interval, over = bounds(finding), over_of(finding)
    text = pretty(str(finding.get("measured") or "null"))
    if interval:
        text += f" (95 % interval {interval} points" + (f", {over})" if over else ")")
    return Measured(str(finding.get("arm") or "here"), text, str(finding.get("verdict") or ""))
