"""The two protocols the rest of the house speaks to a model through: Engine and Renderer.

The verbs are those of the Tinker API, so a cluster behind it serves as well as one process does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from evenkeel.records.types import Completion, Conversation, Reply, SampleRequest, TrainSequence


class Renderer(Protocol):
    """Messages <-> tokens for one model: template, stop tokens, visible reasoning split from the answer."""

    stop_tokens: tuple[int, ...]

    def prompt(self, messages: Conversation) -> tuple[int, ...]:
        """Token ids up to and including the opening of the next assistant turn."""
        ...

    def completion(self, text: str) -> tuple[int, ...]:
        """Token ids of an assistant reply, the stop token included (for supervised learning)."""
        ...

    def reply(self, completion: Completion) -> Reply:
        """The completion as text; a missing stop token is `finish="length"`."""
        ...


class Engine(Protocol):
    """Samples from and trains one policy. `sample` yields completions as they are ready, in no promised order."""

    def sample(self, requests: Sequence[SampleRequest]) -> AsyncIterator[Completion]:
        """Completions of all requests; their log-probabilities are the current weights' own."""
        ...

    def logprobs(self, batch: Sequence[TrainSequence]) -> np.ndarray:
        """logp_BT float64 of completion tokens, right-padded with 0 to the longest completion."""
        ...

    def forward_backward(self, batch: Sequence[TrainSequence], weights_BT: np.ndarray) -> np.ndarray:
        """Accumulate the gradient of sum(weights x logp); returns logp_BT as `logprobs` does.

        The whole batch's denominator is already inside the weights; rows of zero weight cost nothing.
        """
        ...

    def optim_step(self, learning_rate: float) -> dict[str, float]:
        """One AdamW step on the accumulated gradient (descent on sum(weights x logp)), then zero it.

        Returns at least `grad_norm` and `update_norm`.
        """
        ...

    def save(self, folder: Path, *, optimizer: bool = True) -> None:
        """A Hugging Face checkpoint (and the optimizer's state), safetensors only, written atomically."""
        ...

    def load(self, folder: Path, *, optimizer: bool = True) -> None:
        """Restore what `save` wrote. Raises UserError naming the file when it does not fit."""
        ...
