"""Which numbers of a judge's health are amber and red: one table, and the rule by which rubric hacking is called out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
AMBER, RED, GREEN, UNKNOWN = "amber", "red", "green", "not measured"


@dataclass(frozen=True, slots=True)
class Check:
    """One question to a judge. Without limits, amber is an interval that lies above 0 (or, `both`, away from it)."""

    name: str
    of: tuple[str, ...]  # where its number stands in the judge's entry, or in `agreement`
    text: str
    act: str
    amber: float | None = None
    red: float | None = None
    both: bool = False
    percent: bool = False  # how the limits are written

    def light(self, quantity: Json) -> str:
        """The colour of a number. No noise at all is green; another number that could not be had is no colour."""
        value = quantity.get("value")
        if value is None:
            return GREEN if str(quantity.get("why")).startswith("no noise") else UNKNOWN
        if self.amber is None or self.red is None:
            return GREEN if not (rises(quantity) or (self.both and falls(quantity))) else AMBER
        sign = 1 if self.red > self.amber else -1
        return RED if sign * value > sign * self.red else AMBER if sign * value > sign * self.amber else GREEN

    @property
    def limit(self) -> str:
        """The rule in words."""
        if self.amber is None or self.red is None:
            return "amber when the interval " + ("leaves out 0" if self.both else "lies above 0")
        side = "above" if self.red > self.amber else "below"
        amber, red = (f"{100 * x:g} %" if self.percent else f"{x:g}" for x in (self.amber, self.red))
        return f"amber {side} {amber}, red {side} {red}"


# The first three limits are those of the preflight (training/limits.py; a test compares them). Kappa: "moderate" ends at
# .6 and "fair" at .4 (Landis & Koch 1977).
OWN = (
    Check("unscorable", ("unscorable",), "judgements that came to nothing",
          "Read the reasons in judge_health.jsonl: too few answer tokens, an endpoint without structured output, refusals.",
          0.01, 0.05, percent=True),
    Check("spread_over_noise", ("retest", "spread_over_noise"), "spread inside groups over the noise of one grading",
          "Ask one call a criterion, ask continuous verdicts, or take a stronger judge: most of the reward is noise.",
          2.0, 1.0),
    Check("dead_groups", ("ceiling", "dead_groups"), "groups in which all replies earn the same",
          "Calibrate the scenarios (evenkeel scenarios calibrate): these teach nothing.", 0.40, 0.80, percent=True),
    Check("order_flips", ("order", "beyond_retest"), "verdicts that change with the order of criteria beyond retest, points",
          "Ask one call a criterion: then there is no order."),
    Check("first_place", ("order", "first_place"), "criteria met more often where they stand first, points",
          "Ask one call a criterion: then there is no order.", both=True),
)  # fmt: skip
PAIR = (
    Check("kappa", ("kappa",), "agreement of the two judges' verdicts (kappa)",
          "Read the criteria on which they differ most; reword those, or replace the judge that errs on gold verdicts.",
          0.6, 0.4),
    Check("length", ("length",), "liking for long replies that the held-out judge does not share",
          "Tell the rubric what padding is, or take another judge; look at the reply length of each arm."),
)  # fmt: skip
GAP_RULE = (
    "Possible rubric hacking is called out for a model when over its measured steps both the training judge's mean reward and "
    "the gap (training minus held-out reward of the same replies) rise: the 95 % intervals of the two rises lie above 0. A "
    "rise is the least-squares slope from the first measured step to the last; its interval is a bootstrap of whole "
    "scenarios. Red: the held-out judge's own reward does not rise (its interval does not lie above 0). Amber: it rises too, "
    "but less. A gap that rises while the training reward's rise is not established is amber, and not called hacking."
)
GAP_TEXT = "the gap between the two judges rises during training"
GAP_ACT = (
    "Read the replies with the largest gap at the last steps; stop at the step where the held-out judge stops rising; "
    "change the criterion that is gamed."
)


def rises(quantity: Json) -> bool:
    """Whether the interval lies above 0."""
    return quantity.get("low") is not None and quantity["low"] > 0


def falls(quantity: Json) -> bool:
    """Whether the interval lies below 0."""
    return quantity.get("high") is not None and quantity["high"] < 0


def gap_light(rise: Mapping[str, Json]) -> dict[str, Any]:
    """`light` and `hacking` of one model's rises, by GAP_RULE."""
    if rise["gap"].get("low") is None or rise["train"].get("low") is None:
        return {"light": UNKNOWN, "hacking": False}
    widens = rises(rise["gap"])
    hacking = widens and rises(rise["train"])
    red = hacking and not rises(rise["held_out"])
    return {"light": RED if red else AMBER if widens else GREEN, "hacking": hacking}


def checks_of(source: Json) -> list[dict[str, Any]]:
    """Every check of one source with its number and light, in the order of a reader's questions."""
    entries = {judge["judge"]: judge for judge in source["judges"]}
    rows = [_row(check, role, entry) for check in OWN for role, entry in entries.items()]
    rows += [_row(check, "pair", source["agreement"]) for check in PAIR]
    rows += [
        {"check": "gap", "judge": "pair", "model": each["id"], "text": GAP_TEXT, "quantity": each["rises"]["gap"],
         "limit": "the rule below", "light": each["light"], "act": GAP_ACT}
        for each in source["drift"]
    ]  # fmt: skip
    return rows


def _row(check: Check, role: str, entry: Json) -> dict[str, Any]:
    quantity: Any = entry
    for key in check.of:
        quantity = quantity[key]
    return {
        "check": check.name, "judge": role, "model": None, "text": check.text, "quantity": quantity,
        "limit": check.limit, "light": check.light(quantity), "act": check.act,
    }  # fmt: skip


def worst(checks: Sequence[Json]) -> str:
    """The worst light; green only when everything was measured."""
    lights = [check["light"] for check in checks] or [UNKNOWN]
    return next((light for light in (RED, AMBER, UNKNOWN) if light in lights), GREEN)
