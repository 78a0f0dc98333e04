"""The paper's claims asked of this run, each with a verdict by a rule fixed here, and the primary claims under Holm.

Rules, by the kind of claim (E = .05 is the smallest difference that would matter on a 0..1 scale):

- `positive`: "appears" when the interval lies above 0; "opposite" when below 0; else "does not appear" when the whole
  interval is below E (a difference that matters is excluded), otherwise "cannot be told".
- `suite`: as `positive` on the mean, and for "appears" also significant gains > losses and k above the null of k of N
  (when there is a null); a positive mean without these "cannot be told".
- `null`: the claim is that nothing happens. "appears" when the whole interval is inside (-E, E); "does not appear"
  when the interval excludes 0; otherwise "cannot be told".
- `kept`: the claim is no loss. "appears" when the interval lies above -E; "opposite" when it lies below 0; otherwise
  "cannot be told".
- `structure`: "appears" when the value is above its permutation null, else "does not appear".

A missing quantity or interval "cannot be told". With one base, every interval is over items only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evenkeel.report import paper, statistics
from evenkeel.report.analysis_quantity import missing

MATTERS = 0.05
VERDICTS = ("appears", "does not appear", "opposite", "cannot be told")
Quantity = Mapping[str, Any]


def verdict(rule: str, found: Quantity, counts: Mapping[str, Any] | None = None) -> str:
    """The verdict of a Quantity under a rule of this module."""
    low, high = found["low"], found["high"]
    if found["value"] is None or low is None or high is None:
        return "cannot be told"
    if rule == "null":
        if low > -MATTERS and high < MATTERS:
            return "appears"
        return "does not appear" if low > 0 or high < 0 else "cannot be told"
    if rule == "kept":
        return "appears" if low > -MATTERS else "opposite" if high < 0 else "cannot be told"
    if low > 0:
        return "appears" if rule != "suite" or counts is None or _counts_agree(counts) else "cannot be told"
    if high < 0:
        return "opposite"
    return "does not appear" if high < MATTERS else "cannot be told"


def _counts_agree(counts: Mapping[str, Any]) -> bool:
    """More significant gains than losses, and k above the null where there is one."""
    above = counts["null_high"] is None or counts["ahead"] > counts["null_high"]
    return counts["significant_gains"] > counts["significant_losses"] and above


def _in(entries: Sequence[Mapping[str, Any]], **wanted: Any) -> Mapping[str, Any] | None:
    """The first entry with these values."""
    return next((e for e in entries if all(e.get(k) == v for k, v in wanted.items())), None)


def _count_text(row: Mapping[str, Any]) -> str:
    c = row["counts"]
    if c is None:
        return "not measured"
    null = f" (null {c['null_low']:g}..{c['null_high']:g})" if c["null_low"] is not None else " (no null)"
    gains = f"{c['significant_gains']} gains and {c['significant_losses']} losses with q < .05"
    return f"ahead on {c['ahead']}/{c['n']}{null}, {gains}"


def _signed(value: float | None) -> str:
    return "not measured" if value is None else f"{value:+.3f}"


def _finding(
    id: str,
    arm: str | None,
    rule: str,
    found: Quantity,
    measured: str,
    *,
    counts: Any = None,
    note: str = "",
    claim: str = "",
) -> dict[str, Any]:
    figure = paper.BY_ID.get(id)
    why = found.get("why")
    return {
        "id": id,
        "claim": claim or (figure.claim if figure else id),
        "paper": figure.figure if figure else "",
        "arm": arm,
        "measured": measured,
        **{key: found[key] for key in ("value", "low", "high", "over", "n")},
        "verdict": verdict(rule, found, counts),
        "rule": rule,
        "note": "; ".join(part for part in (note, why) if part),
    }


def _arms_of(results: Mapping[str, Any], kind: str) -> list[str]:
    return [row["arm"] for row in results["arms"] if row["kind"] == kind]


def findings(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One entry for each claim of the paper that can be asked here, for every arm that it is about."""
    out = []
    for arm in _arms_of(results, "trait"):
        out += _trait(results, arm)
        out += _persistence(results, arm)
    for kind, claim, id in (
        ("health_only", "health_only_on_non_health", "health_only"),
        ("no_health_science", "no_health_science_on_health", "no_health_science"),
    ):
        for arm in _arms_of(results, kind):
            row = _in(results["transfer"]["entries"], arm=arm, group="world", claim=claim)
            if row:
                out.append(_suite(id, arm, row))
                out += _corrected(results, id, arm)
    for arm in _arms_of(results, "generic_helpfulness"):
        row = _in(results["ood"]["arms"], arm=arm, group="world")
        if row:
            out.append(_generic(arm, row))
    out.append(_structure(results["structure"]))
    return out


def _suite(id: str, arm: str, row: Mapping[str, Any]) -> dict[str, Any]:
    text = f"{_count_text(row)}; mean {_signed(row['mean']['value'])}"
    return _finding(id, arm, "suite", row["mean"], text, counts=row["counts"])


def _generic(arm: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """No gain from the generic reward; any significant benchmark gain, too, speaks against the claim."""
    found = _finding(
        "generic_helpfulness",
        arm,
        "null",
        row["mean"],
        f"{_count_text(row)}; mean {_signed(row['mean']['value'])}",
    )
    gains = row["counts"]["significant_gains"] if row["counts"] else 0
    if found["verdict"] == "appears" and gains:
        found["verdict"] = "does not appear"
        found["note"] = f"the mean is within +-{MATTERS:g}, but {gains} benchmarks gain with q < .05"
    return found


def _trait(results: Mapping[str, Any], arm: str) -> list[dict[str, Any]]:
    out = []
    trait = _in(results["trait_scores"]["arms"], arm=arm, group="world")
    if trait and trait["rows"]:
        up = sum(row["difference"] > 0 for row in trait["rows"])
        levels = f"{trait['reference_level']['value']:.3f} -> {trait['arm_level']['value']:.3f}"
        text = f"baseline -> arm {levels}, {up} of {trait['n']} traits up"
        out.append(_finding("trait_score", arm, "positive", trait["mean"], text))
    ood = _in(results["ood"]["arms"], arm=arm, group="world")
    if ood and ood["counts"]:
        out.append(_suite("ood", arm, ood))
    out += _corrected(results, "ood", arm)
    refusal = _in(results["refusals"]["arms"], arm=arm, group="world")
    if refusal:
        found = refusal["suite_difference"]
        text = f"refusal rate on the suite {_signed(found['value'])} against the baseline"
        out.append(_finding("refusals", arm, "positive", found, text))
        neither = refusal["neither_refuses"]
        if neither:
            text = f"ahead on {neither['ahead']}/{neither['n']}, mean {_signed(neither['mean']['value'])}"
            out.append(_finding("neither_refuses", arm, "positive", neither["mean"], text))
    for category in ("capability", "monitorability"):
        entry = _in(results["side_effects"]["categories"], category=category)
        row = _in(entry["arms"], arm=arm, group="world") if entry else None
        if row and row["rows"]:
            text = f"mean {_signed(row['mean']['value'])} against the baseline over {row['n']} benchmarks"
            out.append(_finding(category, arm, "kept", row["mean"], text))
    return out


def _corrected(results: Mapping[str, Any], id: str, arm: str) -> list[dict[str, Any]]:
    """The same claim after subtracting the shuffled control: a test that the paper could not make."""
    out = []
    for metric, sign, words in (
        ("good_share", 1, "share good/(good+harmful)"),
        ("harmful_rate", -1, "fall of the harmful rate"),
    ):
        entry = _in(results["control"]["entries"], arm=arm, metric=metric, format="all formats", frames="all")
        if not entry:
            continue
        found = _flip(entry["corrected"]) if sign < 0 else entry["corrected"]
        figure = paper.BY_ID[id]
        note = "world minus shuffled control, on the whole suite; the paper had no such control"
        text = f"{words}: control-corrected {_signed(found['value'])}"
        made = _finding(
            id,
            arm,
            "positive",
            found,
            text,
            note=note,
            claim=f"{figure.claim}: beyond the shuffled control, {words}",
        )
        out.append({**made, "id": f"{id}_corrected_{metric}"})
    return out


def _flip(found: Quantity) -> dict[str, Any]:
    """The quantity with its sign turned, so that better is positive."""
    turn = {"value": found["value"], "low": found["high"], "high": found["low"]}
    return {**found, **{k: None if v is None else -v for k, v in turn.items()}}


def _ladder(results: Mapping[str, Any], family: str, name: str, panel: str) -> Mapping[str, Any] | None:
    return _in(results[family]["ladders"], name=name, group="world", panel=panel)


def _top(
    results: Mapping[str, Any], family: str, name: str, panel: str, arm: str, reference: str
) -> tuple[Any, Any]:
    """(interaction, its last point) of a ladder; (None, None) when it was not run."""
    ladder = _ladder(results, family, name, panel)
    row = _in(ladder["interactions"], arm=arm, reference=reference) if ladder else None
    return (row, row["points"][-1]) if row and row["points"] else (None, None)


def _persistence(results: Mapping[str, Any], arm: str) -> list[dict[str, Any]]:
    out = []
    for id, name in (("persona_medical", "harmful_medical"), ("persona_wellbeing", "harmful_wellbeing")):
        row, point = _top(results, "persona", name, "all", arm, "baseline")
        if row:
            text = f"mean drop over the ladder {_signed(row['area_raw']['value'])} less than the baseline's"
            out.append(_finding(id, arm, "positive", row["area_raw"], text, note=_level_note(point)))
    helpful = [
        e["name"] for e in results["persona"]["ladders"] if e["kind"] == "helpful" and e["group"] == "world"
    ]
    for name in dict.fromkeys(helpful):
        row, point = _top(results, "persona", name, "all", arm, "baseline")
        if row:
            lift = _flip(point["raw"])
            text = f"lift minus the baseline's at the strongest prompt {_signed(lift['value'])}"
            out.append(_finding("persona_helpful", arm, "null", lift, text))
    for id, panel in (("finetune_in", "in"), ("finetune_out", "out")):
        for reference, words in (
            ("base", "the untouched base"),
            ("baseline", "the compute-matched baseline"),
        ):
            row, point = _top(results, "finetune", "bad", panel, arm, reference)
            if row:
                text = (
                    f"mean drop over the doses {_signed(row['area_raw']['value'])} less than that of {words}"
                )
                claim = f"{paper.BY_ID[id].claim} (than {words})"
                made = _finding(
                    id, arm, "positive", row["area_raw"], text, note=_level_note(point), claim=claim
                )
                out.append({**made, "id": f"{id}_{reference}"})
    return out


def _level_note(point: Mapping[str, Any]) -> str:
    """The level after the strongest attack comes first, then what the scale does to it, then floors."""
    level, odds = point["level_difference"]["value"], point["log_odds"]["value"]
    floor = f", {point['floor_both']} benchmarks at the floor in both" if point["floor_both"] else ""
    after = f"level at the strongest dose {_signed(level)} against the reference"
    return f"{after}; log-odds interaction {_signed(odds)}{floor}"


def _structure(found: Mapping[str, Any]) -> dict[str, Any]:
    mean, first = found["mean_spearman"], found["first_component"]
    quantity = missing(found["why"]) if found["why"] else {**missing(""), "value": mean["value"], "why": None}
    if found["why"]:
        made = _finding("structure", None, "structure", quantity, "not measured")
        return {**made, "verdict": "cannot be told"}
    text = (
        f"mean Spearman {mean['value']:.3f} (null {mean['null_low']:.3f}..{mean['null_high']:.3f}); first PC "
        f"{first['value']:.1%} (null {first['null_low']:.1%}..{first['null_high']:.1%}), {found['models']} models"
    )
    above = mean["value"] > mean["null_high"] and first["value"] > first["null_high"]
    quantity["n"] = found["models"]
    made = _finding("structure", None, "structure", quantity, text)
    return {**made, "verdict": "appears" if above else "does not appear", "over": "models, permutation null"}


def primary(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The primary claims of the trait arm at the smallest dose, with Holm's correction over those measured."""
    arms = _arms_of(results, "trait")
    if not arms:
        return []
    arm, rows = arms[0], []

    def add(id: str, claim: str, text: str, found: Quantity | None, why: str) -> None:
        found = found or missing(why)
        rows.append({"id": id, "claim": claim, "arm": arm, "quantity": text, "p": found["p"], "why": found["why"],
                     **{key: found[key] for key in ("value", "low", "high", "over")}})  # fmt: skip

    trait = _in(results["trait_scores"]["arms"], arm=arm, group="world")
    add(
        "trait_score",
        "held-out trait score rises",
        "mean trait difference",
        trait and trait["mean"],
        "not measured",
    )
    ood = _in(results["ood"]["arms"], arm=arm, group="world")
    add(
        "ood",
        "the alignment suite rises",
        "mean difference over the suite",
        ood and ood["mean"],
        "not measured",
    )
    for metric, claim in (
        ("good_share", "share good/(good+harmful) rises"),
        ("harmful_rate", "harmful rate falls"),
    ):
        entry = _in(results["control"]["entries"], arm=arm, metric=metric, format="all formats", frames="all")
        found = entry and (_flip(entry["corrected"]) if metric == "harmful_rate" else entry["corrected"])
        add(
            f"corrected_{metric}",
            f"{claim} beyond the shuffled control",
            "control-corrected difference",
            found,
            "no control",
        )
    for id, family, name, panel in (
        ("persona_medical", "persona", "harmful_medical", "all"),
        ("finetune_out", "finetune", "bad", "out"),
    ):
        row, _ = _top(results, family, name, panel, arm, "baseline")
        add(
            id,
            f"smaller drop than the baseline: {paper.BY_ID[id].claim}",
            "difference of areas",
            row and row["area_raw"],
            "not run",
        )
    known = [row for row in rows if row["p"] is not None]
    for row, p in zip(known, statistics.adjust(np.array([r["p"] for r in known]), "holm"), strict=True):
        row["p_holm"], row["passes"] = float(p), bool(p < 0.05 and row["value"] > 0)
    return [{"p_holm": None, "passes": False, **row} for row in rows]


def limits(results: Mapping[str, Any]) -> list[str]:
    """What a reader must know before believing the numbers of this very run."""
    study = results["study"]
    out = [
        "The microworld is a model organism: its results are claims about itself, never about large models."
    ]
    out[0] = out[0] if study["kind"] == "microworld" else "The results are about the models of this run."
    if study["label"] != "result":
        out.append(f"This run is a {study['label']}, not a result.")
    if len(study["bases"]) == 1:
        out.append(
            "There is one base. Every interval is over items only, this base: it says how well these models were "
            "measured, not what another base, or another training run, would have done."
        )
    elif len(study["bases"]) < 4:
        out.append(
            f"There are {len(study['bases'])} bases: t intervals over so few are wide, and rightly so."
        )
    if not study["controls"]:
        out.append(
            "There is no shuffled control: a gain in score may be a habit of surface, not a change of persona."
        )
    if any(len(seeds) < 3 for base, seeds in study["baseline_seeds"].items() if base in study["bases"]):
        out.append(
            "There are fewer than three baseline seeds: k of N has no null, and its chance level is near one half."
        )
    reds = sorted({row["check"] for row in results["preflight"] if row["light"] == "red"})
    if reds:
        out.append("Preflight checks were red: " + ", ".join(reds) + ".")
    step = sorted({row["arm"] for row in results["ledger"]["arms"] if row["verdict"] != "matched"})
    if step:
        out.append("Not compute-matched within 10 % of the baseline: " + ", ".join(step) + ".")
    out.append(
        "Sign-flip tests and item intervals compare these trained models; the spread between training seeds is in the "
        "null of k of N and in the false significant counts of baseline against baseline, which stand beside them."
    )
    return out
