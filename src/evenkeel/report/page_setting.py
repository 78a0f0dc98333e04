"""The first half of the story: question and answer, arms and their ledger, preflight, health of the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evenkeel.report.page_model import (
    Cell,
    Json,
    Section,
    Table,
    bounds,
    count,
    dicts,
    differs,
    main_arm,
    number,
    part,
    pick,
    points,
    say,
    share,
    words,
)

ARM_MEANING = {
    "base": "untouched, no reinforcement learning",
    "baseline": "standard prompts only, the same amount of reinforcement learning",
    "trait": "trait conversations, rewarded by each one's own rubric",
    "health_only": "trait conversations about health only",
    "no_health_science": "trait conversations without health and science",
    "generic_helpfulness": "the same trait conversations, rewarded for generic helpfulness",
}
LIGHTS = {"green": "● green", "amber": "▲ amber", "red": "■ red"}


@dataclass(frozen=True, slots=True)
class Headline:
    """One of the three numbers of the first screen."""

    value: str
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The first screen: the question, one paragraph, three numbers."""

    paragraph: str
    headlines: Sequence[Headline]


def answer(results: Json) -> Answer:
    """The question answered in one paragraph from the intervals alone, with three numbers."""
    arm = main_arm(results)
    comparison = world_entry(part(results, "ood").get("arms"), arm)
    corrected = _corrected(results, arm)
    held = _last_interaction(results, arm)
    sentences = [
        _spread_sentence(results, arm, comparison),
        _control_sentence(corrected, pick(dicts(results.get("primary")), id="corrected_good_share", arm=arm)),
        _attack_sentence(held),
        _scope_sentence(part(comparison, "mean")),
    ]
    return Answer(" ".join(s for s in sentences if s), _headlines(comparison, corrected, held))


def world_entry(entries: object, arm: str, **where: object) -> Json:
    """The comparison of an arm in the worlds that have a persona (not the shuffled control)."""
    found = [e for e in dicts(entries) if e.get("group", "world") == "world"]
    return pick(found, arm=arm, **where)


def _corrected(results: Json, arm: str) -> Json:
    entries = dicts(part(results, "control").get("entries"))
    return pick(entries, arm=arm, metric="good_share", format="all formats", frames="all")


def _last_interaction(results: Json, arm: str) -> Json:
    """After the largest dose of harmful finetuning, out of domain: the point of the arm against the baseline."""
    ladder = pick(
        dicts(part(results, "finetune").get("ladders")), kind="harmful", group="world", panel="out"
    ) or pick(dicts(part(results, "finetune").get("ladders")), name="bad", group="world", panel="out")
    row = pick(dicts(ladder.get("interactions")), arm=arm, reference="baseline")
    spots = [p for p in dicts(row.get("points")) if number(p.get("dose"))]
    return max(spots, key=lambda p: number(p.get("dose")) or 0.0) if spots else {}


def _spread_sentence(results: Json, arm: str, comparison: Json) -> str:
    mean, counts = part(comparison, "mean"), part(comparison, "counts")
    row = pick(dicts(results.get("arms")), arm=arm)
    dose = share(row.get("share")) if number(row.get("share")) else "a small share"
    start = f"Rewarding beneficial behaviour in {dose} of the training prompts"
    direction = differs(mean)
    if number(mean.get("value")) is None:
        why = mean.get("why") or comparison.get("why") or "not measured"
        return f"{start} was not compared out of distribution: {why}."
    told = {1: "raised", -1: "lowered", 0: "did not measurably move", None: "moved (without an interval)"}[
        direction
    ]
    amount = f"{points(mean.get('value'))} points of 100 on average"
    text = f"{start} {told} behaviour on benchmarks it never trained on: {amount}"
    if counts:
        text += f", ahead of the matched baseline on {count(counts.get('ahead'))} of {count(counts.get('n'))}"
    return text + "."


def _control_sentence(entry: Json, claim: Json) -> str:
    """`claim`: the preregistered one about this number, corrected for its family; it may be empty."""
    corrected = part(entry, "corrected")
    if number(corrected.get("value")) is None:
        why = corrected.get("why") or "no shuffled control was measured"
        return f"Whether this is more than surface text cannot be told: {why}."
    direction = differs(corrected)
    amount = f"{points(corrected.get('value'))} points"
    if direction == 1:
        kept = f"{amount} of good against harmful behaviour remain after the shuffled control is taken away"
        holm = number(claim.get("p_holm"))
        if holm is not None and holm >= 0.05:
            start = kept[0].upper() + kept[1:]
            return f"{start}; corrected for all primary claims that could still be chance (p = {holm:.2f})."
        return f"It is more than surface text: {kept}."
    if direction == -1:
        return f"The shuffled control gained more than the world did ({amount}): what rose is surface text."
    return f"After the shuffled control is taken away, {amount} remain, which cannot be told from nothing."


def _attack_sentence(spot: Json) -> str:
    lead, kept = part(spot, "level_difference"), part(spot, "raw")
    if number(lead.get("value")) is None:
        return ""
    dose = count(spot.get("dose"))
    told = {
        1: "still ahead",
        -1: "behind",
        0: "no longer measurably ahead",
        None: "compared without an interval",
    }
    ahead = f"{told[differs(lead)]} out of domain ({points(lead.get('value'))} points)"
    text = f"After {dose} steps of harmful finetuning it is {ahead}"
    if number(kept.get("value")) is None:
        return text + "."
    drops = f"difference of the drops {say(kept)} points"
    direction = differs(kept)
    if direction in (1, -1):
        return f"{text}, and it lost {'less' if direction == 1 else 'more'} than the baseline ({drops})."
    return f"{text}; whether it lost less than the baseline cannot be told ({drops})."


def _scope_sentence(mean: Json) -> str:
    if "items only" in str(mean.get("over")):
        return "Intervals are over the items of one base: another base could answer differently."
    return ""


def _headlines(comparison: Json, corrected: Json, held: Json) -> list[Headline]:
    counts, remains, lead = (
        part(comparison, "counts"),
        part(corrected, "corrected"),
        part(held, "level_difference"),
    )
    ahead = f"{count(counts.get('ahead'))} of {count(counts.get('n'))}" if counts else "null"
    signed = lambda q: points(q.get("value")) if number(q.get("value")) is not None else "null"  # noqa: E731
    return [
        Headline(ahead, "benchmarks ahead of the baseline", _first_detail(part(comparison, "mean"), counts)),
        Headline(
            signed(remains),
            "points of transfer left after the shuffled control",
            _detail(remains, "of the share good / (good + harmful)"),
        ),
        Headline(
            signed(lead),
            f"points ahead after {count(held.get('dose'))} harmful finetuning steps"
            if held
            else "points ahead after attack",
            _detail(lead, "out of domain"),
        ),
    ]


def _first_detail(mean: Json, counts: Json) -> str:
    if not counts:
        return "not measured"
    over = f"; interval over {mean['over']}" if mean.get("over") else ""
    return f"{null_of(counts)}; mean {say(mean)} points{over}"


def _detail(quantity: Json, of: str) -> str:
    if number(quantity.get("value")) is None:
        return str(quantity.get("why") or "not measured")
    interval = bounds(quantity) or str(quantity.get("why") or "no interval")
    return f"{interval}, {of}" + (f"; interval over {quantity['over']}" if quantity.get("over") else "")


def null_of(counts: Json) -> str:
    """`baseline seeds among themselves: 18 to 31; 30 gains and 3 losses significant`, or why there is no null."""
    low, high = number(counts.get("null_low")), number(counts.get("null_high"))
    null = (
        f"baseline seeds among themselves: {low:.0f} to {high:.0f}"
        if low is not None and high is not None
        else "null: "
    )
    if low is None:
        null += str(counts.get("null_why") or "not measured")
    gains, losses = count(counts.get("significant_gains")), count(counts.get("significant_losses"))
    return f"{null}; significant: {gains} up, {losses} down"


def arms_section(results: Json) -> Section:
    """Arms, what each was rewarded for, and whether the compute was matched."""
    ledger = part(results, "ledger")
    arms = dicts(results.get("arms"))
    verdicts: dict[str, list[Json]] = {}
    for row in dicts(ledger.get("arms")):
        verdicts.setdefault(str(row.get("arm")), []).append(row)
    rows = [
        [
            Cell(str(arm.get("arm"))),
            Cell(ARM_MEANING.get(str(arm.get("kind")), words(arm.get("kind")))),
            Cell(share(arm.get("share"))),
            Cell(_plural(arm.get("models"))),
            Cell(_plural(arm.get("bases"))),
            _verdict(str(arm.get("arm")), verdicts),
        ]
        for arm in arms
    ]
    table = Table(
        "Arms of this study. All start from the same base and share every slot of the plan but the replaced ones.",
        ["arm", "what is rewarded", "share", "models", "bases", "compute against the baseline"],
        rows,
    )
    reasons = [
        f"{row.get('arm')} on {row.get('base')}: {'; '.join(map(str, row['reasons']))}"
        for row in dicts(ledger.get("arms"))
        if isinstance(row.get("reasons"), list) and row["reasons"]
    ]
    return Section(
        "arms",
        "Arms and ledger",
        lead=[
            "Matched means the same steps, prompts, completions, groups and cap, and total FLOPs within 10 %. "
            "Where that fails, the arm is called step-matched and its ratio is given."
        ],
        tables=[table] if rows else [],
        folded=[t for t in [_totals(dicts(ledger.get("models")))] if t],
        notes=reasons,
        why=str(ledger.get("why") or "") if not rows else "",
    )


def _plural(value: object) -> str:
    return count(len(value)) if isinstance(value, list) else count(value)


def _verdict(arm: str, verdicts: Mapping[str, list[Json]]) -> Cell:
    rows = verdicts.get(arm)
    if not rows:
        return Cell("reference" if arm == "baseline" else "no training" if arm == "base" else "null", "")
    kinds = list(dict.fromkeys(str(row.get("verdict")) for row in rows))
    ratios = [r for r in (number(row.get("flops_ratio")) for row in rows) if r is not None]
    spread = (
        ""
        if not ratios
        else f"FLOPs × {min(ratios):.2f}" + (f" to {max(ratios):.2f}" if len(ratios) > 1 else "")
    )
    return Cell(", ".join(kinds), "green" if kinds == ["matched"] else "amber", spread)


def _totals(models: Sequence[Json]) -> Table | None:
    keys = list(
        dict.fromkeys(k for m in models for k, v in part(m, "totals").items() if number(v) is not None)
    )
    if not keys:
        return None
    rows = [
        [Cell(str(m.get("model"))), *(Cell(count(part(m, "totals").get(k))) for k in keys)] for m in models
    ]
    return Table("Ledger of every model, as recorded by its run", ["model", *map(words, keys)], rows)


def preflight_section(results: Json) -> Section:
    """What was checked on the base before any step."""
    rows = dicts(results.get("preflight"))
    lights = [str(row.get("light")) for row in rows]
    order = {"red": 0, "amber": 1}
    shown = [row for row in rows if row.get("light") in order]
    counted = ", ".join(f"{lights.count(light)} {light}" for light in ("green", "amber", "red"))
    return Section(
        "preflight",
        "Preflight",
        lead=[f"{len(rows)} checks on the base models before the first step: {counted}."] if rows else [],
        tables=[_checks("Checks that are not green", shown)] if shown else [],
        folded=[_checks("Every check", rows)] if rows else [],
        notes=[] if shown or not rows else ["No check was amber or red."],
        why="" if rows else "no preflight was recorded",
    )


def _checks(caption: str, rows: Sequence[Json]) -> Table:
    def arms(row: Json) -> str:
        found = row.get("arms")
        return ", ".join(map(str, found)) if isinstance(found, list) else str(found or "")

    return Table(
        caption,
        ["check", "source", "value", "amber", "red", "light", "base", "arms", "setting"],
        [
            [
                Cell(words(row.get("check"))),
                Cell(words(row.get("source") or "")),
                Cell(count(row.get("value"))),
                Cell(count(row.get("amber"))),
                Cell(count(row.get("red"))),
                Cell(LIGHTS.get(str(row.get("light")), str(row.get("light"))), str(row.get("light"))),
                Cell(str(row.get("base") or "")),
                Cell(arms(row)),
                Cell(str(row.get("setting") or "")),
            ]
            for row in rows
        ],
    )
