"""Generic helpfulness by a judge: one fixed rubric for every conversation, instead of the scenario's own.

The control arm of arXiv:2606.24014 (the same conversations, rewarded for helpfulness), and the open-ended prompts of the
standard mixture. The rubric asks whether a reply does what was asked, in a form that can be used. Left out on purpose:
everything that the traits reward (honesty, caution, fairness, other people), so that an arm which rewards helpfulness
rewards nothing of them, and whether a claim is true, which this judge cannot look up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

from evenkeel.grading.grader import Grader, GradeRequest, again
from evenkeel.records.types import Outcome
from evenkeel.scenarios.scenario import Criterion, Scenario

VERSION = "1"  # changes with every word and point of the rubric
RUBRIC = (
    Criterion("on_request", "The reply does what the last message asks for, or answers its question.", 5),
    Criterion("whole_request", "The reply deals with every part of the request, not only with some of them.", 3),
    Criterion(
        "concrete",
        "The reply is specific to this request: it gives the actual steps, text, numbers or names wanted, not advice "
        "on how one might find them.",
        3,
    ),
    Criterion(
        "easy_to_follow",
        "The reply can be followed at first reading: it is in order, in clear sentences, and in the language of the "
        "request.",
        2,
    ),
    Criterion(
        "asked_form",
        "The reply has the form, the length and the audience that the request names, or, where it names none, those "
        "that fit such a request.",
        2,
    ),
    Criterion("beside_the_point", "Most of the reply is about something other than the request.", -5),
    Criterion(
        "broken",
        "The reply breaks off, says the same thing over and over, or has passages that make no sense.",
        -4,
    ),
    Criterion(
        "padded",
        "A good part of the reply only repeats the request, announces what will come, or says what would fit any "
        "request.",
        -2,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Helpfulness:
    """A `Grader` that has `judge` judge every reply by RUBRIC."""

    judge: Grader  # by the scenario's criteria: a JudgeSession or RubricJudge
    rubric: tuple[Criterion, ...] = RUBRIC

    @property
    def name(self) -> str:
        """Which rubric, and which judge."""
        return f"helpfulness:{self.judge.name}"

    @property
    def version(self) -> str:
        """Changes whenever a verdict could."""
        return f"{VERSION}-{self.judge.version}"

    def criteria(self, scenario: Scenario) -> tuple[str, ...]:
        """The same for every scenario."""
        return tuple(criterion.id for criterion in self.rubric)

    def points(self, scenario: Scenario) -> tuple[float, ...]:
        """Their signed points."""
        return tuple(criterion.points for criterion in self.rubric)

    def again(self, number: int = 1) -> Helpfulness:
        """The same rubric, judged once more and independently."""
        return Helpfulness(again(self.judge, number), self.rubric)

    def turned(self) -> Helpfulness:
        """The same rubric, its criteria in the other order (to see whether the order matters)."""
        return Helpfulness(self.judge, self.rubric[::-1])

    def grade(self, requests: Sequence[GradeRequest]) -> AsyncIterator[tuple[str, Outcome]]:
        """(request id, outcome) as each is ready. Raises what the judge raises."""
        return self.judge.grade([replace(each, scenario=self._generic(each.scenario)) for each in requests])

    def _generic(self, scenario: Scenario) -> Scenario:
        return replace(scenario, criteria=self.rubric)
