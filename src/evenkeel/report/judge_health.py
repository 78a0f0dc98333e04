"""What `judge_health.jsonl` says about the judges of a run: noise, ceilings, order, length, agreement, and the gap.

Everything is within one source (its rubrics and its judges), pooled over the models that were measured, because a judge is
the same for all arms. The gap between training judge and held-out judge over the steps is a model's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evenkeel.report import judge_health_numbers as numbers
from evenkeel.report.judge_health_lights import checks_of, gap_light, worst
from evenkeel.report.judge_health_numbers import Quantity, estimate, missing, sums
from evenkeel.report.judge_health_table import JUDGES, Judged, Row, judged

Json = Mapping[str, Any]

NO_HELD_OUT = "no held-out judge was asked"
NOT_AGAIN = "no reply was judged twice"
NOT_REVERSED = "no rubric was asked in reverse"
ONE_KIND = "every verdict was the same"


def judge_health(measured: Sequence[tuple[Json, Sequence[Row]]]) -> dict[str, Any]:
    """The part `judge_health` of results.json. Of each measured model: its row of the index (id, arm, base), and its rows
    of `judge_health.jsonl`. What it holds is in docs/judge-health.md.
    """
    sources = sorted({row["source"] for _, rows in measured for row in rows})
    models = [model for model, _ in measured]
    tables = {source: judged([rows for _, rows in measured], source) for source in sources}
    return {
        "sources": [_source(source, table, models) for source, table in tables.items()],
        "over": numbers.OVER,
        "why": None if sources else "no reply of a judged source was drawn",
    }


def _source(source: str, table: Judged, models: Sequence[Json]) -> dict[str, Any]:
    judges = [_judge(table, role) for role in JUDGES if role in table.judge]
    found: dict[str, Any] = {
        "source": source,
        "replies": len(table.scenario_N),
        "groups": len(set(table.group_N.tolist())),
        "scenarios": len(table.scenarios),
        "judges": judges,
        "agreement": agreement(table),
        "criteria": criteria(table),
        "drift": [drift(table, number, model) for number, model in enumerate(models)],
    }
    found["drift"] = [each for each in found["drift"] if each["points"]]
    found["checks"] = checks_of(found)
    return found | {"light": worst(found["checks"])}


def _judge(table: Judged, role: str) -> dict[str, Any]:
    """One judge on its own."""
    scenario_J, failed_J = table.unscorable[role]
    unscorable = sums(scenario_J, len(table.scenarios), failed_J)
    return {
        "judge": role,
        "name": table.judge[role],
        "judgements": len(failed_J),
        "unscorable": estimate(unscorable, numbers.mean, "nothing was judged", share=True),
        "retest": retest(table, role),
        "ceiling": ceiling(table, role),
        "order": order(table, role),
        "length": length(table, table.reward[role, "first"]),
    }


def retest(table: Judged, role: str) -> dict[str, Quantity]:
    """The same replies judged twice: verdicts that flip, kappa, the noise of one reward, and the spread it has to resolve.

    `noise` is the standard deviation of one of two gradings, `spread` the mean standard deviation inside groups: both as in
    the preflight.
    """
    size = len(table.scenarios)
    one_V, two_V = table.verdict[role, "first"], table.verdict[role, "again"]
    one_N, two_N = table.reward[role, "first"], table.reward[role, "again"]
    flips = sums(table.scenario_V, size, numbers.changed(one_V, two_V))
    alike = sums(table.scenario_V, size, *numbers.kappa_columns(one_V, two_V))
    noise = sums(table.scenario_N, size, (one_N - two_N) ** 2)
    spread = numbers.spread_sums(table, one_N)
    both = np.hstack([spread[:, :2], noise])

    def spread_over_noise(total: np.ndarray) -> Any:
        return (total[..., 1] / total[..., 0]) / np.sqrt(total[..., 3] / total[..., 2] / 2)

    silent = NOT_AGAIN if not noise.any() else "no noise: the same reply gets the same reward"
    return {
        "flips": estimate(flips, numbers.mean, NOT_AGAIN, share=True),
        "kappa": estimate(alike, numbers.kappa, ONE_KIND if alike.any() else NOT_AGAIN),
        "noise": estimate(noise, lambda total: np.sqrt(numbers.mean(total) / 2), NOT_AGAIN),
        "spread": estimate(spread, numbers.mean, "no group has two judged replies"),
        "spread_over_noise": estimate(both, spread_over_noise, silent),
    }


def ceiling(table: Judged, role: str) -> dict[str, Quantity]:
    """What cannot teach: criteria that all replies of a group meet, or none does, and replies and groups that tie."""
    edges = numbers.edge_sums(table, table.verdict[role, "first"])
    groups = numbers.spread_sums(table, table.reward[role, "first"])
    why = "no group has two judged replies"
    return {
        "ceiling": estimate(edges, numbers.mean, why, share=True),
        "floor": estimate(edges, numbers.ratio(2, 0), why, share=True),
        "no_spread": estimate(edges, numbers.ratio(3, 0), why, share=True),
        "ties": estimate(groups, numbers.ratio(4, 3), why, share=True),
        "dead_groups": estimate(groups, numbers.ratio(2, 0), why, share=True),
    }


def order(table: Judged, role: str) -> dict[str, Quantity]:
    """The same replies with the criteria in reverse: flips, those beyond test-retest, the reward's shift, and how much
    more often a criterion is met where it stands first than where it stands last.
    """
    size = len(table.scenarios)
    first_V, again_V, turned_V = (table.verdict[role, variant] for variant in ("first", "again", "reversed"))
    flips_V = numbers.changed(first_V, turned_V)
    beyond_V = flips_V - numbers.changed(first_V, again_V)
    at_end_V = np.where(
        table.end_V == 0, np.nan, table.end_V
    )  # asked in reverse, first and last change places
    shift_N = table.reward[role, "reversed"] - table.reward[role, "first"]
    return {
        "flips": estimate(
            sums(table.scenario_V, size, flips_V), numbers.mean, NOT_REVERSED, share=True
        ),
        "beyond_retest": estimate(
            sums(table.scenario_V, size, beyond_V), numbers.mean, f"{NOT_REVERSED}, or {NOT_AGAIN}"
        ),
        "shift": estimate(sums(table.scenario_N, size, shift_N), numbers.mean, NOT_REVERSED),
        "first_place": estimate(
            sums(table.scenario_V, size, at_end_V * (first_V - turned_V)), numbers.mean, NOT_REVERSED
        ),
    }  # fmt: skip


def length(table: Judged, reward_N: np.ndarray) -> Quantity:
    """Rank correlation of a reply's length with its reward, inside groups."""
    products = numbers.centred(table, table.tokens_N.astype(np.float64), reward_N, ranks=True)
    total = sums(table.scenario_N, len(table.scenarios), *products)
    return estimate(total, numbers.correlation, "in no group do both length and reward vary")


def agreement(table: Judged) -> dict[str, Quantity]:
    """Training judge and held-out judge on the same replies. `shift` is training minus held-out reward, `length` the
    difference of their correlations with length: the part of a liking for length that the other judge does not share.
    """
    size = len(table.scenarios)
    one_V, two_V = table.verdict["train", "first"], table.verdict["held_out", "first"]
    one_N, two_N = table.reward["train", "first"], table.reward["held_out", "first"]
    why = NO_HELD_OUT if "held_out" not in table.judge else "no reply was judged by both"
    tokens_N = np.where(np.isfinite(one_N + two_N), table.tokens_N, np.nan)  # the same replies for both
    lengths = np.hstack([
        sums(table.scenario_N, size, *numbers.centred(table, tokens_N, reward_N, ranks=True))
        for reward_N in (one_N, two_N)
    ])  # fmt: skip
    return {
        "same": estimate(
            sums(table.scenario_V, size, 1 - numbers.changed(one_V, two_V)), numbers.mean, why, share=True
        ),
        "kappa": estimate(
            sums(table.scenario_V, size, *numbers.kappa_columns(one_V, two_V)), numbers.kappa,
            ONE_KIND if "held_out" in table.judge else why,
        ),
        "correlation": estimate(
            sums(table.scenario_N, size, *numbers.centred(table, one_N, two_N)), numbers.correlation,
            "the rewards of one of the two never vary inside a group" if "held_out" in table.judge else why,
        ),
        "shift": estimate(sums(table.scenario_N, size, one_N - two_N), numbers.mean, why),
        "length": estimate(
            lengths, lambda total: numbers.correlation(total) - numbers.correlation(total[..., 4:]),
            "in no group do length and both rewards vary" if "held_out" in table.judge else why,
        ),
    }  # fmt: skip


def criteria(table: Judged) -> list[dict[str, Any]]:
    """Criterion by criterion. Scenarios with the same rubric share theirs; one scenario alone has no interval."""
    size, rows = len(table.scenarios), []
    first_V, again_V = table.verdict["train", "first"], table.verdict["train", "again"]
    other_V = table.verdict["held_out", "first"]
    for number, criterion in enumerate(table.criteria):
        of_V = table.criterion_V == number
        scenario_v = table.scenario_V[of_V]
        columns = {
            "met": (numbers.met(first_V[of_V]), "not judged"),
            "flips": (numbers.changed(first_V[of_V], again_V[of_V]), NOT_AGAIN),
            "disagree": (numbers.changed(first_V[of_V], other_V[of_V]), NO_HELD_OUT),
        }
        pair = sums(scenario_v, size, *numbers.kappa_columns(first_V[of_V], other_V[of_V]))
        rows.append({
            "criterion": criterion.name, "points": criterion.points,
            "scenario": criterion.scenario, "scenarios": len(set(scenario_v.tolist())),
            **{name: estimate(sums(scenario_v, size, v), numbers.mean, why, share=True)
               for name, (v, why) in columns.items()},
            "kappa": estimate(pair, numbers.kappa, ONE_KIND if pair.any() else NO_HELD_OUT),
        })  # fmt: skip
    return rows


def drift(table: Judged, number: int, model: Json) -> dict[str, Any]:
    """One model's rewards over its steps by both judges, on replies that both judged (or by the one there is).

    `rises` are least-squares slopes from the first to the last measured step.
    """
    here_N = table.model_N == number
    one_N, two_N = (table.reward[role, "first"] for role in JUDGES)
    both = "held_out" in table.judge
    known_N = here_N & np.isfinite(one_N + two_N if both else one_N)
    series = {"train": one_N, "held_out": two_N, "gap": one_N - two_N}
    steps_n = table.step_N[known_N]
    size, scenario_n = len(table.scenarios), table.scenario_N[known_N]
    first, last = (int(steps_n.min()), int(steps_n.max())) if len(steps_n) else (0, 0)
    x_n = (steps_n - first) / max(last - first, 1)
    why = NO_HELD_OUT if not both else "one step only" if first == last else "not judged"
    points = []
    for window in sorted(set(table.window_N[known_N].tolist())):
        in_n = table.window_N[known_N] == window
        points.append({
            "step": float(steps_n[in_n].mean()),
            **{name: estimate(sums(scenario_n[in_n], size, y_N[known_N][in_n]), numbers.mean, why)
               for name, y_N in series.items()},
        })  # fmt: skip
    rises = {
        name: estimate(
            sums(scenario_n, size, x_n, y_N[known_N], x_n * x_n, x_n * y_N[known_N]), numbers.slope, why
        )
        if first < last
        else missing(why)
        for name, y_N in series.items()
    }
    about = {key: model.get(key) for key in ("id", "arm", "base", "seed")}
    return {**about, "steps": [first, last], "points": points, "rises": rises, **gap_light(rises)}
