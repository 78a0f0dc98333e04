"""The central objects that cross layers: messages, completions, outcomes.

Shape suffixes used everywhere: _B sequences or rows, _P prompts, _G samples of one group, _T tokens,
_C criteria, _V vocabulary, _N items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant", "tool"]
Finish = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


Conversation = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """Ask an engine for `group` completions of one prompt. Sample g draws from stream `(*stream, g)`."""

    id: str
    prompt: tuple[int, ...]  # token ids, generation prompt included
    max_tokens: int
    stream: tuple[str | int, ...]
    group: int = 1
    temperature: float = 1.0  # 0 is greedy


@dataclass(frozen=True, slots=True)
class Completion:
    """What the policy chose: tokens (the stop token included), their log-probabilities under the untempered policy."""

    request: str  # SampleRequest.id
    sample: int  # index in the group
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish: Finish


@dataclass(frozen=True, slots=True)
class Reply:
    """A completion as text. Rubrics see the answer only, unless a benchmark asks for the reasoning."""

    text: str  # everything, as written
    answer: str
    reasoning: str = ""
    finish: Finish = "stop"


@dataclass(frozen=True, slots=True)
class TrainSequence:
    """One row of a training batch: prompt tokens carry no loss, completion tokens do."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """A grader's verdict for every criterion, each in 0..1 (how far the criterion is met, whatever its sign)."""

    verdicts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Unscorable:
    """No number: the judge failed, refused, or left a criterion out. Never read as 0."""

    reason: str


Outcome = Scored | Unscorable


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a scenario comes from; mandatory in shipped data."""

    source: str
    licence: str = "Apache-2.0"
    detail: Mapping[str, str] = field(default_factory=dict)
