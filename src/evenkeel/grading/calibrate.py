"""Which scenarios can teach a model something: those where its replies earn differently, by more than the judge's noise.

A model replies G times to each scenario and a judge grades every reply twice. With the two rewards of a reply, noise is
the standard deviation of one grading (test-retest, as in the preflight), and spread is that of the replies, the noise's
share taken out: sqrt(var(mean of both) - noise^2 / 2). Without true differences it is about 0, however noisy the judge.

Shapes: _G replies to one prompt, _C criteria.
"""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from evenkeel.engines.endpoint import Ask, EndpointConfig
from evenkeel.grading.aggregate import NO_SPREAD, aggregate
from evenkeel.grading.collect import collect
from evenkeel.grading.grader import GradeRequest
from evenkeel.grading.judge import JudgeConfig, RubricJudge, Usage
from evenkeel.records import streams
from evenkeel.records.errors import UserError
from evenkeel.records.files import write_text
from evenkeel.records.types import Outcome, Reply, Scored
from evenkeel.scenarios.generator.answers import Asker, NoAnswer, Refused, Totals
from evenkeel.scenarios.rows import ScenarioRow, write_file
from evenkeel.scenarios.scenario import Scenario

EDGE = 0.05  # of the range of possible rewards: a mean nearer to its ends is at the ceiling or the floor
FEWEST = 0.5  # of the replies must be whole and judged twice
TEMPERATURE = 1.0
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>\s*", re.S)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What was measured on a scenario. Numbers are None where too few replies could be judged."""

    id: str
    replies: int  # whole and judged twice
    mean: float | None = None
    spread: float | None = None
    noise: float | None = None
    why: str = ""  # it is dropped; empty when it is kept

    @property
    def kept(self) -> bool:
        """Is it worth training on?"""
        return not self.why


@dataclass
class Calibration:
    """A whole run."""

    table: list[Calibrated] = field(default_factory=list)
    sampled: Totals = field(default_factory=lambda: Totals(0, 0, 0))
    judged: list[Usage] = field(default_factory=list)


def calibrate(
    rows: Sequence[ScenarioRow], model: EndpointConfig, judge: JudgeConfig, out: Path,
    *, samples: int, max_tokens: int, seed: int = 0, tell: Callable[[str], None] = lambda line: None,
) -> Calibration:  # fmt: skip
    """Write the rows worth keeping to `out` and the table of all beside it (.csv); answers stay in two caches there.

    Raises UserError when an endpoint stops answering; the same call goes on from the caches.
    """
    done = asyncio.run(_calibrate(rows, model, judge, out, samples, max_tokens, seed, tell))
    kept = {each.id for each in done.table if each.kept}
    write_file(out, [row for row in rows if row.id in kept])
    write_text(beside(out, ".csv"), table_text(done.table))
    return done


def beside(out: Path, ending: str) -> Path:
    """OUT with another ending."""
    return out.with_name(out.name.removesuffix(".jsonl") + ending)


async def _calibrate(
    rows: Sequence[ScenarioRow], model: EndpointConfig, judge: JudgeConfig, out: Path,
    samples: int, max_tokens: int, seed: int, tell: Callable[[str], None],
) -> Calibration:  # fmt: skip
    done = Calibration()
    tell(f"{len(rows) * samples:,} replies to {len(rows):,} scenarios by {model.model}")
    async with Asker(model, beside(out, ".replies.sqlite")) as asker:
        requests = await _replies(rows, asker, samples, max_tokens, seed)
        done.sampled = asker.answers.totals()
    outcomes: list[Mapping[str, Outcome]] = []
    for sample in (0, 1):
        tell(
            f"{len(requests):,} replies to judge by {judge.endpoint.model}, {('first', 'second')[sample]} time"
        )
        async with RubricJudge(judge, beside(out, ".judge.sqlite"), sample=sample) as grader:
            outcomes.append(await collect(grader, requests))
            done.judged.append(grader.usage)
    by_row: dict[str, list[tuple[Outcome, Outcome]]] = {row.id: [] for row in rows}
    for request in requests:
        by_row[request.scenario.id].append((outcomes[0][request.id], outcomes[1][request.id]))
    done.table = [measured(row.scenario(), by_row[row.id], samples) for row in rows]
    return done


async def _replies(
    rows: Sequence[ScenarioRow], asker: Asker, samples: int, max_tokens: int, seed: int
) -> list[GradeRequest]:
    """Whole replies only: one that was cut off is no behaviour, and one that was refused is none at all."""

    async def reply(scenario: Scenario, place: int) -> GradeRequest | None:
        stream = streams.key("calibrate", seed, scenario.id, place) % 2**31
        answer = await asker.ask(Ask(scenario.messages, max_tokens, TEMPERATURE, stream))
        if isinstance(answer, Refused) or answer.finish == "length":
            return None
        text = answer.text or answer.refusal or ""
        said = _THOUGHT.sub("", text)  # a rubric sees the answer only
        return GradeRequest(f"{scenario.id}/{place}", scenario, Reply(text, said))

    scenarios = [row.scenario() for row in rows]
    tasks = [reply(scenario, place) for scenario in scenarios for place in range(samples)]
    replies = await asyncio.gather(
        *tasks, return_exceptions=True
    )  # those at work finish: their calls are paid
    for each in replies:
        if isinstance(each, NoAnswer):
            fix = f"{len(asker.answers)} replies are kept in {asker.answers.path}; the same command goes on from there."
            raise UserError(f"calibration paused: {each}", fix=fix)
        if isinstance(each, BaseException):
            raise each
    if not len(asker.answers):
        raise UserError("the model's endpoint answered nothing", fix="Check --url and --model.")
    asker.settle()
    return [each for each in replies if isinstance(each, GradeRequest)]


def measured(scenario: Scenario, outcomes: Sequence[tuple[Outcome, Outcome]], samples: int) -> Calibrated:
    """Mean, spread and noise of one scenario, and whether it is kept."""
    both = [(one, two) for one, two in outcomes if isinstance(one, Scored) and isinstance(two, Scored)]
    if len(both) < max(2, FEWEST * samples):
        why = f"only {len(both)} of {samples} replies are whole and were judged twice"
        return Calibrated(scenario.id, len(both), why=why)
    first_G, second_G = (_rewards(scenario, [pair[place] for pair in both]) for place in (0, 1))
    mean_G = (first_G + second_G) / 2
    noise = float(np.sqrt(((first_G - second_G) ** 2).mean() / 2))
    spread = float(np.sqrt(max(0.0, mean_G.var(ddof=1) - noise**2 / 2)))
    mean = float(mean_G.mean())
    return Calibrated(scenario.id, len(both), mean, spread, noise, _why(scenario, mean, spread, noise))


def _why(scenario: Scenario, mean: float, spread: float, noise: float) -> str:
    """The reason to drop a scenario, or nothing."""
    points = [criterion.points for criterion in scenario.criteria]
    lowest = max(-1.0, sum(p for p in points if p < 0) / sum(p for p in points if p > 0))
    share = (mean - lowest) / (1 - lowest)
    if share > 1 - EDGE:
        return "ceiling: nearly every reply earns all there is"
    if share < EDGE:
        return "floor: nearly every reply earns the least there is"
    if max(spread, noise) <= NO_SPREAD:
        return "no spread: the replies earn alike"
    return "the spread does not exceed the judge's noise" if spread <= max(noise, NO_SPREAD) else ""


def _rewards(scenario: Scenario, outcomes: Sequence[Outcome]) -> np.ndarray:
    verdicts = [
        [outcome.verdicts[criterion.id] for criterion in scenario.criteria]
        for outcome in outcomes
        if isinstance(outcome, Scored)
    ]
    return aggregate(np.array(verdicts), np.array([criterion.points for criterion in scenario.criteria]))


def table_text(table: Sequence[Calibrated]) -> str:
    """The table as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("scenario", "kept", "spread", "noise", "mean", "replies", "why"))
    for each in table:
        numbers = ("" if n is None else f"{n:.4f}" for n in (each.spread, each.noise, each.mean))
        writer.writerow((each.id, "yes" if each.kept else "no", *numbers, each.replies, each.why))
    return text.getvalue()
