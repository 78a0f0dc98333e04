"""How far could a run's judge be trusted? Stored replies of early, middle and late steps, judged again.

Whole groups are judged once more and independently (noise), with the criteria in reverse (order), and by a held-out judge,
which is asked the same three ways. The training judge's first verdicts are those of the run: they cost no call, and they
are what was trained on. The result is one row a judgement; `report/judge_health.py` makes numbers of them.

Left out on purpose: shortening or lengthening replies to see whether length is paid for. An edited reply differs in more
than its length; within a group the policy has written long and short replies of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from evenkeel.grading.aggregate import aggregate
from evenkeel.grading.collect import collect
from evenkeel.grading.grader import Grader, GradeRequest
from evenkeel.records.canonical import content_hash
from evenkeel.records.errors import UserError
from evenkeel.records.streams import generator
from evenkeel.records.types import Outcome, Reply, Scored, Unscorable
from evenkeel.scenarios.scenario import Scenario

Row = dict[str, Any]
Role = Literal["train", "held_out"]
Variant = Literal["first", "again", "reversed"]

FILE = "judge_health.jsonl"
WINDOWS = 6  # equal parts of the run from which groups are drawn
GROUPS = 8  # groups a window and source
BELONG = "Measure the judges with the scenarios and graders that the run had."


@dataclass(frozen=True, slots=True)
class Judges:
    """Who judges the replies of one source, both by the same rubric. `again` is the same judge asked independently:
    RubricJudge(..., sample=1), or `grader.again(judge)`.

    What is None is not measured, nor is a second opinion by the first judge itself. A judge whose configuration pauses above
    a rate of unscorable replies (`pause_above`) pauses here too; 1.0 lets the rate be measured instead.
    """

    train: Grader
    train_again: Grader | None = None
    held_out: Grader | None = None
    held_out_again: Grader | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A stored reply that is judged again."""

    row: Row
    window: int
    scenario: Scenario
    reply: Reply

    @property
    def id(self) -> str:
        """Its place in the run."""
        return f"{self.row['step']}/{self.row['slot']}/{self.row['sample']}"


async def measure(
    rows: Iterable[Row], sources: Mapping[str, Sequence[Scenario]], judges: Mapping[str, Judges],
    *, seed: int, answer: Callable[[str], str], windows: int = WINDOWS, groups: int = GROUPS,
    aggregate_how: Mapping[str, str] | None = None,
) -> list[Row]:  # fmt: skip
    """One row a judgement of the drawn replies, those of the run first.

    `rows` are the completion rows of one arm (training/metrics.py), `sources` its scenarios, `judges` is by source: sources
    without one (checked by a program) are left out. `answer` gives the part of a reply's text that a rubric sees: what the
    renderer of the run splits off. Judges are used in the caller's event loop, opened by the caller.

    Raises UserError when rows and scenarios do not belong together, JudgePaused when an endpoint is down.
    """
    drawn = draw(rows, sources, judges, seed=seed, answer=answer, windows=windows, groups=groups)
    found: list[Row] = []
    for source, panel in judges.items():
        mine = [each for each in drawn if each.row["source"] == source]
        _same_rubric(mine, source, panel)
        how = (aggregate_how or {}).get(source, "weighted")
        found += [_row(each, "train", "first", panel.train, _stored(each, panel.train), how) for each in mine]
        for role, variant, grader in _questions(panel):
            found += [row async for row in _asked(mine, role, variant, grader, how)]
    return found


def draw(
    rows: Iterable[Row], sources: Mapping[str, Sequence[Scenario]], judges: Mapping[str, Judges],
    *, seed: int, answer: Callable[[str], str], windows: int = WINDOWS, groups: int = GROUPS,
) -> list[Drawn]:  # fmt: skip
    """The finished replies of `groups` whole groups of each source and window, by a stream of their own.

    Windows are equal parts of the run's steps. Truncated replies were never judged; a group needs two that were.
    """
    steps: set[int] = set()
    by_group: dict[tuple[str, int, int], list[Row]] = {}
    for row in rows:
        steps.add(row["step"])
        if row["source"] in judges and row["status"] != "truncated":
            by_group.setdefault((row["source"], row["step"], row["slot"]), []).append(row)
    window_of = {
        int(step): window
        for window, part in enumerate(np.array_split(sorted(steps), max(1, min(windows, len(steps)))))
        for step in part
    }
    places: dict[tuple[str, int], list[tuple[str, int, int]]] = {}
    for place, members in sorted(by_group.items()):
        if len(members) > 1:
            places.setdefault((place[0], window_of[place[1]]), []).append(place)
    known = {(name, scenario.id): scenario for name, listed in sources.items() for scenario in listed}
    drawn = []
    for (source, window), listed in places.items():
        order = generator("judge health", seed, source, window).permutation(len(listed))[:groups]
        for index in sorted(order.tolist()):
            for row in sorted(by_group[listed[index]], key=lambda row: row["sample"]):
                scenario = _scenario(known, source, row["scenario"])
                drawn.append(Drawn(row, window, scenario, Reply(row["text"], answer(row["text"]))))
    return drawn


def _questions(panel: Judges) -> Iterator[tuple[Role, Variant, Grader]]:
    """What is asked beside the verdicts of the run."""
    asked: tuple[tuple[Role, Variant, Grader | None], ...] = (
        ("train", "again", panel.train_again), ("train", "reversed", panel.train), ("held_out", "first", panel.held_out),
        ("held_out", "again", panel.held_out_again), ("held_out", "reversed", panel.held_out),
    )  # fmt: skip
    first = {id(panel.train), id(panel.held_out)}  # a judge that is its own second opinion is no second one
    return (
        (role, variant, grader)
        for role, variant, grader in asked
        if grader is not None and not (variant == "again" and id(grader) in first)
    )


def _same_rubric(drawn: Sequence[Drawn], source: str, panel: Judges) -> None:
    """Raises UserError when the two judges are not asked the same: their rewards could not be compared."""
    for each in drawn if panel.held_out is not None else ():
        ours, theirs = (
            list(zip(grader.criteria(each.scenario), grader.points(each.scenario), strict=True))
            for grader in (panel.train, panel.held_out)
            if grader is not None
        )
        if ours != theirs:
            raise UserError(
                f'the held-out judge of source "{source}" reads another rubric than the training judge, on scenario '
                f"{each.scenario.id}.", fix="Give it the same rubric: Helpfulness(held_out) beside Helpfulness(train).",
            )  # fmt: skip


async def _asked(
    drawn: Sequence[Drawn], role: Role, variant: Variant, grader: Grader, how: str
) -> AsyncIterator[Row]:
    """Rows of one question to one judge; a rubric that cannot be turned round has no reversed ones."""
    asked = turned(grader) if variant == "reversed" else grader
    scenarios = [
        _reversed(each.scenario, grader, asked) if variant == "reversed" else each.scenario for each in drawn
    ]
    pairs = [(each, scenario) for each, scenario in zip(drawn, scenarios, strict=True) if scenario]
    requests = [GradeRequest(each.id, scenario, each.reply) for each, scenario in pairs]
    outcomes = await collect(asked, requests) if requests else {}
    for each, _ in pairs:
        yield _row(each, role, variant, grader, outcomes[each.id], how)


def turned(grader: Grader) -> Grader:
    """The grader that asks by its own rubric the other way round (a method `turned`); itself where the rubric is the
    scenario's.
    """
    method = getattr(grader, "turned", None)
    return method() if method else grader


def _reversed(scenario: Scenario, grader: Grader, asked: Grader) -> Scenario | None:
    """The scenario with its criteria the other way round; None where that changes nothing of what is asked."""
    other = replace(scenario, criteria=scenario.criteria[::-1])
    return other if asked.criteria(other) != grader.criteria(scenario) else None


def _row(each: Drawn, role: Role, variant: Variant, grader: Grader, outcome: Outcome, how: str) -> Row:
    """A judgement. `criteria` and `points` are in the order of the rubric, whatever order was asked."""
    criteria, points = grader.criteria(each.scenario), grader.points(each.scenario)
    verdicts = dict(outcome.verdicts) if isinstance(outcome, Scored) else None
    texts = {criterion.id: criterion.text for criterion in each.scenario.criteria}
    return {
        **{key: each.row[key] for key in ("step", "slot", "sample", "source", "scenario", "tokens")},
        "window": each.window,
        "judge": role,
        "name": grader.name,
        "version": grader.version,
        "variant": variant,
        "rubric": content_hash(
            [[name, texts.get(name), p] for name, p in zip(criteria, points, strict=True)]
        ),
        "criteria": list(criteria),
        "points": list(points),
        "verdicts": verdicts,
        "reward": _reward(verdicts, criteria, points, how) if verdicts is not None else None,
        "unscorable": outcome.reason if isinstance(outcome, Unscorable) else None,
    }


def _reward(
    verdicts: Mapping[str, float], criteria: Sequence[str], points: Sequence[float], how: str
) -> float:
    """On one scale for every judge. Rewards that are standardised inside a group have no level: weighted instead."""
    how = "weighted" if how == "normalise_then_sum" else how
    return float(aggregate(np.array([[verdicts[name] for name in criteria]]), np.array(points), how)[0])


def _stored(each: Drawn, grader: Grader) -> Outcome:
    """What the run recorded. Raises UserError when that is no verdict on this rubric."""
    row = each.row
    if row["status"] != "scored":
        return Unscorable(row["reason"] or "unscorable in the run")
    criteria = grader.criteria(each.scenario)
    if set(row["verdicts"]) != set(criteria):
        raise UserError(
            f"the stored verdicts on scenario {each.scenario.id} are on {sorted(row['verdicts'])}, its rubric has "
            f"{sorted(criteria)}.", fix=BELONG,
        )  # fmt: skip
    return Scored(row["verdicts"])


def _scenario(known: Mapping[tuple[str, str], Scenario], source: str, name: str) -> Scenario:
    if (source, name) not in known:
        raise UserError(
            f'the run has replies to scenario "{name}" of source "{source}", which is not there.',
            fix=BELONG,
        )
    return known[source, name]
