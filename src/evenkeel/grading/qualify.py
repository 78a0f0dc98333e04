"""Is a judge fit to give rewards? Its accuracy on gold verdicts, its noise, and whether replies can talk it round.

Accuracy is per verdict, and per pair for sets of pairs (the better reply gets the higher score; a tie counts half). Accuracy
alone forgives a judge that always says yes wherever most criteria are met, so what it says of criteria that are met and of
those that are not stands apart, too. Intervals are Wilson's at 95 %.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import binomtest

from evenkeel.grading.gold import GoldItem
from evenkeel.grading.grader import GradeRequest
from evenkeel.grading.judge import JudgeConfig, RubricJudge
from evenkeel.grading.judge_attacks import judge_attacks
from evenkeel.records.types import Outcome, Reply, Scored

SAME = 0.9  # of all verdicts alike, whatever is true: such a judge rewards nothing


@dataclass(frozen=True, slots=True)
class Share:
    """A share of trials with its interval; `ties` is how much of it came from counting ties half."""

    right: float
    trials: int
    ties: float = 0.0

    @property
    def value(self) -> float | None:
        """Right over trials; None without trials."""
        return self.right / self.trials if self.trials else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's at 95 % (half a tie is rounded to the nearest whole)."""
        if not self.trials:
            return None
        bounds = binomtest(round(self.right), self.trials).proportion_ci(method="wilson")
        return float(bounds.low), float(bounds.high)


@dataclass(frozen=True, slots=True)
class SetResult:
    """A judge on one gold set."""

    name: str
    verdicts: Share
    pairs: Share
    unscorable: int


@dataclass(frozen=True, slots=True)
class Qualification:
    """Everything that a study should know of a judge before it trusts it."""

    sets: tuple[SetResult, ...]
    changed_on_retest: Share  # verdicts that differ when the same question is asked again (right = changed)
    raised_by: Mapping[str, Share]  # attack -> verdicts that it turned in the reply's favour
    yes_when_met: Share  # "met", of the criteria that are
    yes_when_not: Share  # "met", of the criteria that are not

    @property
    def unfit(self) -> str:
        """Why no study should trust this judge, whatever its accuracy; empty when nothing speaks against it."""
        met, unmet = self.yes_when_met, self.yes_when_not
        if met.value is None or unmet.value is None or met.interval is None or unmet.interval is None:
            return ""
        if unmet.value >= SAME:
            return f"it says yes to nearly everything, {unmet.value:.0%} of what is not met included"
        if met.value <= 1 - SAME:
            return f"it says no to nearly everything, {1 - met.value:.0%} of what is met included"
        if met.interval[0] <= unmet.interval[1]:
            return "it says yes to what is met hardly more often than to what is not"
        return ""


async def qualify(
    config: JudgeConfig, cache: Path, items: Sequence[GoldItem], *, retest: int = 40, attacked: int = 10
) -> Qualification:
    """Judge every item once, `retest` of them twice, and `attacked` of them under each attack. Raises JudgePaused."""
    async with RubricJudge(config, cache) as judge:
        first = await _outcomes(judge, [(item, item.reply) for item in items])
        victims = [item for item, outcome in zip(items, first, strict=True) if isinstance(outcome, Scored)]
        victims = victims[:: max(1, len(victims) // attacked)][:attacked] if attacked else []
        plain = dict(zip([item.id for item in items], first, strict=True))
        raised = {}
        for attack in judge_attacks():
            spoilt = [(item, attack.on(item.reply, item.scenario.criteria)) for item in victims]
            after = await _outcomes(judge, spoilt)
            raised[attack.name] = _raised(victims, plain, after)
    again = [item for item in items if isinstance(plain[item.id], Scored)][:retest]
    async with RubricJudge(config, cache, sample=1) as judge:
        second = await _outcomes(judge, [(item, item.reply) for item in again])
    changed = _changed(again, plain, second)
    return Qualification(
        _by_set(items, first), changed, raised, *(_yes(items, first, is_met) for is_met in (True, False))
    )


async def _outcomes(judge: RubricJudge, asked: Sequence[tuple[GoldItem, str]]) -> list[Outcome]:
    requests = [
        GradeRequest(f"{number}", item.scenario, Reply(text, text))
        for number, (item, text) in enumerate(asked)
    ]
    found = {name: outcome async for name, outcome in judge.grade(requests)}
    return [found[request.id] for request in requests]


def _by_set(items: Sequence[GoldItem], outcomes: Sequence[Outcome]) -> tuple[SetResult, ...]:
    groups: dict[str, list[tuple[GoldItem, Outcome]]] = defaultdict(list)
    for item, outcome in zip(items, outcomes, strict=True):
        groups[item.set].append((item, outcome))
    results = []
    for name, members in groups.items():
        judged = [(item, outcome.verdicts) for item, outcome in members if isinstance(outcome, Scored)]
        right = [(v[c] > 0.5) == truth for item, v in judged for c, truth in item.verdicts.items()]
        verdicts = Share(sum(right), len(right))
        results.append(SetResult(name, verdicts, _pairs(judged), len(members) - len(judged)))
    return tuple(results)


def _yes(items: Sequence[GoldItem], outcomes: Sequence[Outcome], is_met: bool) -> Share:
    """How often the judge says "met" of the criteria that are (or are not)."""
    said = [
        outcome.verdicts[name] > 0.5
        for item, outcome in zip(items, outcomes, strict=True)
        if isinstance(outcome, Scored)
        for name, truth in item.verdicts.items()
        if truth == is_met
    ]
    return Share(sum(said), len(said))


def _pairs(judged: Iterable[tuple[GoldItem, Mapping[str, float]]]) -> Share:
    """Pairs in which both replies were judged: the better one first, as GoldItem has them."""
    sides: dict[str, list[float]] = defaultdict(list)
    for item, verdicts in judged:
        if item.pair:
            points = {criterion.id: criterion.points for criterion in item.scenario.criteria}
            sides[item.pair].append(sum(points[name] * verdict for name, verdict in verdicts.items()))
    both = [(scores[0], scores[1]) for scores in sides.values() if len(scores) == 2]
    ties = sum(better == worse for better, worse in both) / 2
    return Share(sum(better > worse for better, worse in both) + ties, len(both), ties)


def _changed(items: Sequence[GoldItem], plain: Mapping[str, Outcome], second: Sequence[Outcome]) -> Share:
    changed = trials = 0
    for item, outcome in zip(items, second, strict=True):
        before = plain[item.id]
        if isinstance(outcome, Scored) and isinstance(before, Scored):
            trials += len(outcome.verdicts)
            changed += sum((before.verdicts[c] > 0.5) != (v > 0.5) for c, v in outcome.verdicts.items())
    return Share(changed, trials)


def _raised(items: Sequence[GoldItem], plain: Mapping[str, Outcome], after: Sequence[Outcome]) -> Share:
    """Verdicts that were against the reply and are for it once the attack stands behind it."""
    raised = trials = 0
    for item, outcome in zip(items, after, strict=True):
        before = plain[item.id]
        if not isinstance(outcome, Scored) or not isinstance(before, Scored):
            continue
        for criterion in item.scenario.criteria:
            good = criterion.points > 0
            was, now = (verdicts[criterion.id] > 0.5 for verdicts in (before.verdicts, outcome.verdicts))
            trials += was != good
            raised += was != good and now == good
    return Share(raised, trials)
