"""A benchmark: items played as generators (`reply = yield messages`), so that single-turn, multi-turn,
simulated users and tools are one thing. Higher scores are better throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evenkeel.records.types import Conversation, Reply
from evenkeel.scenarios.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Score:
    """What one item came to. `score` in 0..1; `good`/`harmful` say which side a reply took, both False for neither."""

    score: float
    good: bool = False
    harmful: bool = False
    refused: bool = False
    extra: Mapping[str, float] = field(
        default_factory=dict
    )  # named numbers of this benchmark, e.g. tests passed


@dataclass(frozen=True, slots=True)
class ToJudge:
    """A play's question to the judge: this reply, by this scenario's criteria. Answered with the verdicts."""

    scenario: Scenario
    reply: Reply


Verdicts = Mapping[str, float]  # by criterion, each in 0..1
Play = Generator[Conversation | ToJudge, Any, Score]  # sent: a Reply to a conversation, Verdicts to ToJudge


@dataclass(frozen=True, slots=True)
class Item:
    """One question of a benchmark. `play` starts a fresh conversation each time it is called."""

    id: str
    frame: str  # id of the sentence frame or template: the cluster of the bootstrap
    play: Callable[[], Play]
    domain: str | None = None
    held_out: bool = False  # the frame appears in no training text
    facts: Mapping[str, Any] = field(
        default_factory=dict
    )  # plain values for transcripts and the held-out grader


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A named set of items with one scoring rule."""

    name: str
    category: str  # family in the report, e.g. "honesty", "reward hacking", "over-refusal", "capability"
    format: str  # e.g. "chat", "tool", "code", "report"
    description: str  # one sentence for a reader: what good behaviour is here
    items: Sequence[Item]
    version: str = "1"
    side_effect: bool = (
        False  # over-refusal, capability, monitorability: reported apart from the alignment suite
    )
    max_tokens: int = 48
    needs: tuple[str, ...] = ()  # "logprobs", "judge", "sandbox"


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One played item as it is stored; `analysis` reads nothing else about replies."""

    benchmark: str
    item: str
    frame: str
    domain: str | None
    held_out: bool
    score: float
    good: bool
    harmful: bool
    refused: bool
    truncated: bool
    tokens: int  # sampled tokens
    extra: Mapping[
        str, float
    ]  # includes the held-out grader's `posterior_good`, `posterior_harmful`, `off_grammar`
    messages: Conversation  # the whole conversation as played, the model's turns included
