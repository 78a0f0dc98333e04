"""Rewards from verdicts, against numbers worked out by hand; outcomes that must not become numbers."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.grading.aggregate import HOWS, aggregate, display01
from evenkeel.grading.collect import collect, complete
from evenkeel.grading.grader import GradeRequest
from evenkeel.records.errors import UserError
from evenkeel.records.types import Message, Provenance, Reply, Scored, Unscorable
from evenkeel.scenarios.scenario import Scenario

POINTS = np.array([3.0, 1.0, -2.0])


def test_weighted_is_signed_points_over_positive_points():
    verdicts = np.array([[1, 1, 0], [1, 0, 1], [0, 0, 1], [0.5, 0, 0]])
    np.testing.assert_allclose(aggregate(verdicts, POINTS), [1.0, 0.25, -0.5, 0.375])


def test_harmful_and_empty_differ_in_training_and_are_both_zero_in_reports():
    empty, harmful = aggregate(np.array([[0, 0, 0], [0, 0, 1.0]]), np.array([1.0, 1.0, -9.0]))
    assert (empty, harmful) == (0.0, -1.0)
    assert display01(harmful) == display01(empty) == 0.0
    np.testing.assert_array_equal(display01(np.array([-1, 0.5, 1])), [0, 0.5, 1])


def test_gated_needs_the_zero_point_conditions_and_still_pays_for_harm():
    points = np.array([2.0, -1.0, 0.0])
    verdicts = np.array([[1, 0, 1], [1, 0, 0], [1, 1, 0], [1, 1, 1]])
    np.testing.assert_allclose(aggregate(verdicts, points, "gated"), [1, 0, -0.5, 0.5])
    np.testing.assert_allclose(aggregate(verdicts, points, "weighted"), [1, 1, 0.5, 0.5])


def test_constrained_lets_no_good_buy_off_a_harm():
    verdicts = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 1], [1, 1, 0.5]])
    np.testing.assert_allclose(aggregate(verdicts, POINTS, "constrained"), [1, -1, -1, 0])


def test_normalise_then_sum_gives_each_criterion_its_weight_whatever_its_spread():
    """Two criteria of equal points, one with a tenth of the other's spread: they count alike (GDPO)."""
    verdicts = np.array([[0.5, 0.0], [0.6, 0.0], [0.5, 1.0], [0.6, 1.0]])
    np.testing.assert_allclose(
        aggregate(verdicts, np.array([1.0, 1.0]), "normalise_then_sum"),
        np.array([-1, 0, 0, 1]) / np.sqrt(3),
        atol=1e-12,
    )
    flat = np.array([[0.35, 0.35]] * 5)
    np.testing.assert_array_equal(aggregate(flat, np.array([1.0, 2.0]), "normalise_then_sum"), np.zeros(5))


@given(
    st.integers(1, 9).flatmap(
        lambda g: st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=g, max_size=g)
    ),
    st.sampled_from(HOWS),
)
def test_every_way_stays_in_range_and_treats_equal_replies_alike(verdicts, how):
    reward = aggregate(np.array([*verdicts, verdicts[0]]), POINTS, how)
    assert (np.abs(reward) <= 1).all()
    assert reward[0] == reward[-1]


def test_wrong_rubrics_and_verdicts_are_refused():
    with pytest.raises(UserError, match='Did you mean "gated"'):
        aggregate(np.zeros((2, 3)), POINTS, "gate")
    with pytest.raises(UserError, match="positive points"):
        aggregate(np.zeros((2, 1)), np.array([-1.0]))
    for bad in (np.nan, -0.1, 1.1):
        with pytest.raises(ValueError, match=r"0\.\.1"):
            aggregate(np.array([[bad, 0, 0]]), POINTS)
    with pytest.raises(ValueError, match="fit"):
        aggregate(np.zeros((2, 2)), POINTS)


class LateGrader:
    """Answers in reverse order with what it is told."""

    name, version = "late", "1"

    def __init__(self, outcomes):
        self.outcomes = outcomes

    def criteria(self, scenario):
        return ("a", "b")

    def points(self, scenario):
        return (1.0, -1.0)

    async def grade(self, requests):
        for name, outcome in reversed(self.outcomes):
            await asyncio.sleep(0)
            yield name, outcome


def requests_for(*names):
    scenario = Scenario("s", (Message("user", "x"),), (), "train", Provenance("test"))
    return [GradeRequest(name, scenario, Reply("x", "x")) for name in names]


def test_outcomes_come_back_in_order_and_incomplete_ones_are_unscorable():
    grader = LateGrader(
        [
            ("1", Scored({"a": 1, "b": 0.5})),
            ("2", Scored({"a": 1})),
            ("3", Unscorable("judge refused")),
            ("4", Scored({"a": float("nan"), "b": 0})),
        ]
    )
    outcomes = asyncio.run(collect(grader, requests_for("1", "2", "3", "4", "5")))
    assert list(outcomes) == ["1", "2", "3", "4", "5"]
    assert outcomes["1"] == Scored({"a": 1.0, "b": 0.5})
    assert outcomes["2"] == Unscorable("no verdict on b")
    assert outcomes["3"] == Unscorable("judge refused")
    assert isinstance(outcomes["4"], Unscorable) and isinstance(outcomes["5"], Unscorable)


def test_an_unasked_or_repeated_outcome_is_an_error():
    good = Scored({"a": 1, "b": 0})
    for outcomes in ([("9", good)], [("1", good), ("1", good)]):
        with pytest.raises(ValueError, match="twice, or unasked"):
            asyncio.run(collect(LateGrader(outcomes), requests_for("1")))
    assert complete(Scored({"a": 2.0}), ("a",)) == Unscorable("verdict 2.0 on a is outside 0..1")
