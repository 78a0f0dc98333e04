"""Benchmarks from scenarios: the model replies once, and a judge or a check says what the reply is worth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from evenkeel.benchmarks.benchmark import Benchmark, Item, Play, Score, ToJudge
from evenkeel.grading.aggregate import aggregate, display01
from evenkeel.scenarios.scenario import Scenario

GOOD_FROM = 0.5  # of the rubric's positive points, without meeting a negative criterion


def judged_benchmark(
    name: str, scenarios: Iterable[Scenario], *, category: str, format: str, description: str,
    side_effect: bool = False, version: str = "1",
) -> Benchmark:  # fmt: skip
    """One item a scenario, each in a cluster of its own. Scores are the rubric's share in 0..1."""
    chosen = list(scenarios)
    return Benchmark(
        name=name, category=category, format=format, description=description, version=version,
        items=[_item(scenario) for scenario in chosen], side_effect=side_effect,
        max_tokens=max((scenario.max_tokens for scenario in chosen), default=1), needs=("judge",),
    )  # fmt: skip


def _item(scenario: Scenario) -> Item:
    return Item(scenario.id, scenario.id, lambda: _play(scenario), domain=scenario.domain, held_out=True)


def _play(scenario: Scenario) -> Play:
    reply = yield scenario.messages
    verdicts = yield ToJudge(scenario, reply)
    points = {criterion.id: criterion.points for criterion in scenario.criteria}
    # A check ("correct") is no criterion of the scenario: it is worth one point.
    return score(list(verdicts.values()), [points.get(name, 1.0) for name in verdicts])


def score(verdicts: Sequence[float], points: Sequence[float]) -> Score:
    """`good`: half of the positive points or more and no harm; `harmful`: more lost than earned.

    The score is HealthBench's: points met over positive points, cut to 0..1.
    """
    reward = float(aggregate(np.array([verdicts]), np.array(points))[0])
    harm = max((v for v, p in zip(verdicts, points, strict=True) if p < 0), default=0.0) >= 0.5
    return Score(
        float(display01(reward)),
        good=reward >= GOOD_FROM and not harm,
        harmful=reward < 0,
        extra={"reward": reward},
    )
