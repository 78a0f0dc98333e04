"""Numbers of judges' health on rows made by hand, where the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from evenkeel.records.streams import generator
from evenkeel.report import judge_health_numbers as numbers
from evenkeel.report.judge_health import drift, judge_health
from evenkeel.report.judge_health_lights import OWN, PAIR, gap_light
from evenkeel.report.judge_health_table import judged
from evenkeel.training.limits import LIMITS


def row(place, verdicts, judge="train", variant="first", **more):
    """A judgement on reply (step, slot, sample); criteria a (2 points) and b (2 points), or those of the verdicts."""
    step, slot, sample = place
    criteria = sorted(verdicts) if verdicts else ["a", "b"]
    reward = None if verdicts is None else sum(verdicts.values()) / len(verdicts)
    return {
        "step": step, "slot": slot, "sample": sample, "window": step, "source": "trait", "scenario": f"{step}/{slot}",
        "tokens": 10 + sample, "judge": judge, "name": judge, "version": "1", "variant": variant, "rubric": "r",
        "criteria": criteria, "points": [2] * len(criteria), "verdicts": verdicts, "reward": reward,
        "unscorable": None if verdicts else "no", **more,
    }  # fmt: skip


def analysed(rows, model=None):
    [source] = judge_health([(model or {"id": "m"}, rows)])["sources"]
    return source


def test_retest_by_hand():
    """Four scenarios of two replies; the second reply loses `a` when asked again, in one scenario of two."""
    rows = []
    for slot in range(4):
        for sample, first in enumerate(({"a": 1.0, "b": 0.0}, {"a": 1.0, "b": 1.0})):
            again = {**first, "a": 0.0} if sample and slot % 2 else first
            rows += [row((0, slot, sample), first), row((0, slot, sample), again, variant="again")]
    retest = analysed(rows)["judges"][0]["retest"]
    assert retest["flips"]["value"] == 2 / 16
    # verdicts met: 12 of 16 and 10 of 16, 14 agree
    chance = 12 / 16 * 10 / 16 + 4 / 16 * 6 / 16
    assert retest["kappa"]["value"] == pytest.approx((14 / 16 - chance) / (1 - chance))
    assert retest["noise"]["value"] == pytest.approx(np.sqrt(2 * 0.5**2 / 8 / 2))
    assert retest["spread"]["value"] == pytest.approx(np.std([0.5, 1.0], ddof=1))
    assert retest["spread_over_noise"]["value"] == pytest.approx(
        retest["spread"]["value"] / retest["noise"]["value"]
    )
    assert (retest["flips"]["n"], retest["flips"]["scenarios"]) == (16, 4)


def test_ceilings_floors_and_ties_by_hand():
    """`a` is always met, `b` never in one of two groups; rewards there tie, elsewhere one pair of three does."""
    rows = []
    for sample in range(3):
        rows += [
            row((0, 0, sample), {"a": 1.0, "b": 0.0}),
            row((0, 1, sample), {"a": 1.0, "b": float(sample > 0)}),
        ]
    ceiling = analysed(rows)["judges"][0]["ceiling"]
    assert {name: found["value"] for name, found in ceiling.items()} == pytest.approx(
        {"ceiling": 2 / 4, "floor": 1 / 4, "no_spread": 3 / 4, "ties": 4 / 6, "dead_groups": 1 / 2}
    )
    assert ceiling["ties"]["low"] is None and "2 scenarios are too few" in ceiling["ties"]["why"]


def test_order_by_hand():
    """What stands first is met; `again` flips one verdict as well, so only one of the two flips is the order's."""
    rows = []
    for slot in range(3):
        rows += [
            row((0, slot, 0), {"a": 1.0, "b": 0.0}),
            row((0, slot, 0), {"a": 1.0, "b": 1.0}, variant="again"),
            row((0, slot, 0), {"a": 0.0, "b": 1.0}, variant="reversed"),
        ]
    order = analysed(rows)["judges"][0]["order"]
    assert (order["flips"]["value"], order["beyond_retest"]["value"]) == (1.0, 0.5)
    assert order["first_place"]["value"] == 1.0 and order["shift"]["value"] == 0.0


def test_the_middle_of_a_rubric_stands_neither_first_nor_last():
    rows = []
    for slot in range(3):
        rows += [
            row((0, slot, 0), {"a": 1.0, "b": 1.0, "c": 0.0}),
            row((0, slot, 0), {"a": 0.0, "b": 0.0, "c": 0.0}, variant="reversed"),
        ]
    order = analysed(rows)["judges"][0]["order"]
    assert order["first_place"]["value"] == 0.5 and order["shift"]["value"] == pytest.approx(-2 / 3)


def test_length_is_a_rank_correlation_inside_groups():
    """Longer replies earn more inside each group, although the longer group earns less; a tied group says nothing."""
    rows = []
    for slot in range(4):
        for sample in range(3):
            verdicts = {"a": sample / 4 if slot < 3 else 0.5, "b": 0.5 - slot / 10}
            rows.append(row((0, slot, sample), verdicts, tokens=100 * slot + sample**2))
    length = analysed(rows)["judges"][0]["length"]
    assert length["value"] == pytest.approx(1.0) and length["n"] == 9
    for each in rows:
        each["tokens"] = -each["tokens"]
    assert analysed(rows)["judges"][0]["length"]["value"] == pytest.approx(-1.0)


def test_agreement_by_hand():
    rows = []
    for slot in range(4):
        for sample in range(2):
            rows.append(row((0, slot, sample), {"a": float(sample), "b": 1.0}))
            rows.append(row((0, slot, sample), {"a": float(sample), "b": float(slot % 2)}, "held_out"))
    found = analysed(rows)
    assert found["agreement"]["same"]["value"] == 0.75
    assert found["agreement"]["correlation"]["value"] == pytest.approx(1.0)  # a level apart, the same order
    assert found["agreement"]["shift"]["value"] == 0.25
    assert found["agreement"]["length"]["value"] == pytest.approx(0.0)
    by_name = {each["criterion"]: each for each in found["criteria"]}
    assert by_name["a"]["kappa"]["value"] == 1 and by_name["a"]["disagree"]["value"] == 0
    assert by_name["b"]["disagree"]["value"] == 0.5 and by_name["b"]["met"]["value"] == 1
    assert by_name["b"]["scenarios"] == 4  # one rubric, shared


def test_the_same_name_in_two_rubrics_is_two_criteria():
    rows = [row((0, slot, 0), {"a": 1.0, "b": 1.0}, rubric=f"r{slot}") for slot in range(2)]
    assert [(each["criterion"], each["scenario"]) for each in analysed(rows)["criteria"]] == [
        ("a", "0/0"), ("b", "0/0"), ("a", "0/1"), ("b", "0/1"),
    ]  # fmt: skip


def test_a_share_of_nothing_gets_an_interval_that_knows_how_few_scenarios_there_were():
    found = numbers.estimate(np.array([[9.0, 0.0]] * 5), numbers.mean, "", share=True)
    assert found["value"] == found["low"] == 0.0 and found["high"] == pytest.approx(0.434, abs=0.001)
    assert numbers.estimate(np.zeros((5, 2)), numbers.mean, "none") == numbers.missing("none")


def drifting(gap: float, rise: float, *stream, scenarios: int = 30, noise: float = 0.15):
    """Rows of a run in which the training reward rises by `rise`, and the held-out one by `gap` less."""
    rng, rows = generator("drift", *stream), []
    for step in range(scenarios):
        level, done = rng.normal(0, 0.1), step / (scenarios - 1)
        for sample in range(4):
            shared = 0.3 + level + rise * done + rng.normal(0, noise)
            train, other = shared + rng.normal(0, 0.05), shared - gap * done + rng.normal(0, 0.05)
            for judge, value in (("train", train), ("held_out", other)):
                rows.append(row((step, 0, sample), {"a": value}, judge) | {"window": step * 5 // scenarios})
    return rows


def test_rises_are_least_squares_from_the_first_step_to_the_last():
    rows = drifting(0.2, 0.5, "exact", noise=0.0)
    [model] = analysed(rows, {"id": "m", "arm": "trait-5", "base": "b"})["drift"]
    series = {
        judge: [(r["step"], r["reward"]) for r in rows if r["judge"] == judge]
        for judge in ("train", "held_out")
    }
    for judge, pairs in series.items():
        steps, rewards = np.array(pairs).T
        assert model["rises"][judge]["value"] == pytest.approx(np.polyfit(steps, rewards, 1)[0] * 29)
    assert model["rises"]["gap"]["value"] == pytest.approx(
        model["rises"]["train"]["value"] - model["rises"]["held_out"]["value"]
    )
    assert model["steps"] == [0, 29] and [point["step"] for point in model["points"]] == [
        2.5,
        8.5,
        14.5,
        20.5,
        26.5,
    ]


@pytest.mark.parametrize(
    ("gap", "rise", "light", "hacking"),
    [
        (0.5, 0.5, "red", True),
        (0.3, 0.8, "amber", True),
        (0.0, 0.5, "green", False),
        (0.4, 0.0, "amber", False),
    ],
)
def test_the_rule_that_calls_out_hacking(gap, rise, light, hacking):
    [model] = analysed(drifting(gap, rise, gap, rise))["drift"]
    assert (model["light"], model["hacking"]) == (light, hacking)


def test_honest_judges_are_seldom_called_hacked(monkeypatch):
    """The gap's interval lies above 0 in 2.5 % of honest runs, within Monte Carlo error."""
    monkeypatch.setattr(numbers.statistics, "RESAMPLES", 1000)
    numbers._weights.cache_clear()
    try:
        made = [drifting(0.0, 0.5, "honest", run, scenarios=20) for run in range(120)]
        runs = [drift(judged([rows], "trait"), 0, {}) for rows in made]
    finally:
        numbers._weights.cache_clear()
    assert sum(run["hacking"] for run in runs) <= 8  # 3 expected
    assert sum(run["rises"]["train"]["low"] > 0 for run in runs) > 100


def test_a_model_without_a_held_out_judge_has_no_gap():
    rows = [each for each in drifting(0.5, 0.5, "alone") if each["judge"] == "train"]
    found = analysed(rows)
    assert found["drift"][0]["rises"]["gap"]["why"] == "no held-out judge was asked"
    assert found["drift"][0]["rises"]["train"]["low"] > 0
    assert (found["drift"][0]["light"], found["light"]) == ("not measured", "not measured")


def test_the_gap_is_over_replies_that_both_judged():
    rows = drifting(0.2, 0.5, "both")
    alone = [row((29, 0, 9), {"a": -50.0}), row((0, 0, 9), {"a": 50.0}, "held_out")]
    assert analysed(rows + alone)["drift"] == analysed(rows)["drift"]


def test_models_are_pooled_for_the_judge_and_apart_for_the_gap():
    hacked, sound = drifting(0.5, 0.5, "one"), drifting(0.0, 0.5, "two")
    [source] = judge_health([({"id": "x", "arm": "trait-5"}, hacked), ({"id": "y"}, sound)])["sources"]
    assert [(each["id"], each["light"]) for each in source["drift"]] == [("x", "red"), ("y", "green")]
    assert source["replies"] == 240 and source["scenarios"] == 30 and source["groups"] == 60


def test_nothing_measured():
    assert judge_health([])["sources"] == [] and judge_health([])["why"]


def test_limits_are_those_of_the_preflight():
    ours = {check.name: check for check in (*OWN, *PAIR)}
    for name in ("unscorable", "spread_over_noise", "dead_groups"):
        assert (ours[name].amber, ours[name].red) == (LIMITS[name].amber, LIMITS[name].red)
        for value in (0.0, 0.03, 0.2, 0.6, 0.9, 1.5, 3.0):
            assert ours[name].light({"value": value}) == LIMITS[name].light(value)


def test_lights_without_limits_follow_the_interval():
    length = next(check for check in PAIR if check.name == "length")
    place = next(check for check in OWN if check.name == "first_place")
    below = {"value": -0.2, "low": -0.3, "high": -0.1}
    assert (length.light(below), place.light(below)) == ("green", "amber")
    assert length.light({"value": 0.2, "low": 0.1, "high": 0.3}) == "amber"
    assert length.light({"value": None, "why": "x"}) == "not measured"
    none = {"value": None, "low": None, "high": None}
    assert gap_light({"train": none, "held_out": none, "gap": none}) == {
        "light": "not measured",
        "hacking": False,
    }
