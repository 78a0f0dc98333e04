"""The closing summary of a study as plain rows: per arm, what was gained, what remains, what survives pressure."""

from __future__ import annotations

from evenkeel.report.page_model import Cell, Json, cell, count, dicts, level, number, part, pick

HEADER = (
    "arm",
    "trait score",
    "ahead, k of N (null)",
    "significant up / down",
    "transfer over control",
    "persona drops, harmful",
    "finetuning drop in / out",
    "retained in / out",
)


def summary_table(results: Json) -> list[list[str]]:
    """Rows of text, the header first; one row per arm of the world, in display order.

    Differences and drops are in points of 100 with their 95 % interval; a missing number is `null`. Transfer is the
    share good/(good+harmful), arm minus baseline, world minus shuffled control. Drops are at the largest dose.
    """
    return [list(HEADER), *(_row(str(arm.get("arm")), results) for arm in dicts(results.get("arms")))]


def _row(arm: str, results: Json) -> list[str]:
    ood = _entry(part(results, "ood").get("arms"), arm)
    counts = part(ood, "counts")
    return [
        arm,
        _trait(arm, results),
        _ahead(counts) if counts else "reference" if arm == "baseline" else "null",
        f"{count(counts.get('significant_gains'))} / {count(counts.get('significant_losses'))}"
        if counts
        else "",
        "" if arm in ("base", "baseline") else _transfer(arm, results),
        _persona(arm, results),
        " / ".join(_drop(arm, results, panel) for panel in ("in", "out")),
        ""
        if arm in ("base", "baseline")
        else " / ".join(_retained(arm, results, panel) for panel in ("in", "out")),
    ]


def _entry(entries: object, arm: str) -> Json:
    return pick([e for e in dicts(entries) if e.get("group", "world") == "world"], arm=arm)


def _trait(arm: str, results: Json) -> str:
    entries = dicts(part(results, "trait_scores").get("arms"))
    if arm == "baseline":
        first = next((e for e in entries if e.get("group", "world") == "world"), {})
        return _text(cell(part(first, "reference_level"), level))
    return _text(cell(part(_entry(entries, arm), "arm_level"), level))


def _ahead(counts: Json) -> str:
    low, high = number(counts.get("null_low")), number(counts.get("null_high"))
    null = "null unknown" if low is None or high is None else f"{low:.0f} to {high:.0f}"
    return f"{count(counts.get('ahead'))} of {count(counts.get('n'))} ({null})"


def _transfer(arm: str, results: Json) -> str:
    entries = [e for e in dicts(part(results, "control").get("entries")) if e.get("metric") == "good_share"]
    mine = [e for e in entries if e.get("arm") == arm and e.get("format") == "all formats"]
    return _text(cell(part(pick(mine, frames="all") or pick(mine), "corrected")))


def _persona(arm: str, results: Json) -> str:
    ladders = [
        ladder
        for ladder in dicts(part(results, "persona").get("ladders"))
        if ladder.get("kind") == "harmful"
        and ladder.get("group") == "world"
        and ladder.get("panel") in ("all", None)
    ]
    return "; ".join(_text(cell(part(_last(ladder, arm), "drop"))) for ladder in ladders) or "null"


def _bad(results: Json, panel: str) -> Json:
    return pick(dicts(part(results, "finetune").get("ladders")), name="bad", group="world", panel=panel)


def _drop(arm: str, results: Json, panel: str) -> str:
    return _text(cell(part(_last(_bad(results, panel), arm), "drop")))


def _retained(arm: str, results: Json, panel: str) -> str:
    row = pick(dicts(_bad(results, panel).get("interactions")), arm=arm, reference="baseline")
    return _text(cell(part(_latest(row), "retained"), level))


def _last(ladder: Json, arm: str) -> Json:
    return _latest(pick(dicts(ladder.get("arms")), arm=arm))


def _latest(row: Json) -> Json:
    """The point of the largest dose."""
    spots = [s for s in dicts(row.get("points")) if number(s.get("dose"))]
    return max(spots, key=lambda s: number(s.get("dose")) or 0.0) if spots else {}


def _text(shown: Cell) -> str:
    return shown.text + (f" {shown.note}" if shown.note.startswith("[") else "")
