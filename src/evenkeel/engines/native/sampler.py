"""Sampling from the model as it is now: batches of like rows, one draw a row and step, finished rows leave.

A row's random numbers come from its own stream, never from its place in a batch. Extra shape suffix: _A rows
still alive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from evenkeel.engines.native.cache import prefill
from evenkeel.engines.native.model import Transformer
from evenkeel.records.streams import key, uniforms
from evenkeel.records.types import Completion, SampleRequest


@dataclass(frozen=True, slots=True)
class Row:
    """One completion to be sampled."""

    request: SampleRequest
    sample: int


def sample(
    model: Transformer, requests: Sequence[SampleRequest], stop_tokens: Sequence[int], budget: int
) -> Iterator[Completion]:
    """Completions of all requests, batch by batch. `budget` is the cache's size in tokens.

    Raises ValueError for an empty prompt, a group or token limit below 1, or a negative temperature.
    """
    for rows in _batches(requests, budget):
        yield from _sample_batch(model, rows, stop_tokens)


def _batches(requests: Sequence[SampleRequest], budget: int) -> Iterator[list[Row]]:
    """Rows in batches of like length whose cache holds at most `budget` tokens (or one row)."""
    for request in requests:
        if not request.prompt or request.group < 1 or request.max_tokens < 1 or request.temperature < 0:
            raise ValueError(
                f"request {request.id!r} needs a prompt, group >= 1, max_tokens >= 1, temperature >= 0"
            )
    ordered = sorted(requests, key=lambda one: (one.max_tokens, len(one.prompt), one.prompt))
    batch: list[Row] = []
    longest = 0  # prompt of the batch
    for request in ordered:
        for sample_number in range(request.group):
            columns = max(longest, len(request.prompt)) + request.max_tokens
            if batch and (len(batch) + 1) * columns > budget:
                yield batch
                batch, longest = [], 0
            batch.append(Row(request, sample_number))
            longest = max(longest, len(request.prompt))
    if batch:
        yield batch


@torch.inference_mode()
def _sample_batch(model: Transformer, rows: Sequence[Row], stop_tokens: Sequence[int]) -> list[Completion]:
    """Sample all rows of one batch."""
    limit_B = torch.tensor([row.request.max_tokens for row in rows])
    longest = int(limit_B.max())
    keys_B = np.array([key(*row.request.stream, row.sample) for row in rows], dtype=np.uint64)
    uniforms_BT = torch.from_numpy(uniforms(keys_B[:, None], np.arange(longest)))
    draw = Draw(torch.tensor([row.request.temperature for row in rows]))
    cache, logits_AV = prefill(model, [row.request.prompt for row in rows], longest)
    tokens_BT = torch.zeros(len(rows), longest, dtype=torch.long)
    logp_BT = torch.zeros(len(rows), longest, dtype=torch.float64)
    length_B = torch.zeros(len(rows), dtype=torch.long)
    stopped_B = torch.zeros(len(rows), dtype=torch.bool)
    stops_V = torch.zeros(model.config.vocabulary, dtype=torch.bool)
    stops_V[list(stop_tokens)] = True
    alive_A = torch.arange(len(rows))
    for t in range(longest):
        token_A, chosen_A = draw(logits_AV, uniforms_BT[alive_A, t], alive_A)
        tokens_BT[alive_A, t], logp_BT[alive_A, t] = token_A, chosen_A
        stop_A = stops_V[token_A]
        going_A = ~stop_A & (limit_B[alive_A] > t + 1)
        if not going_A.all():
            finished = alive_A[~going_A]
            length_B[finished], stopped_B[finished] = t + 1, stop_A[~going_A]
            alive_A, token_A = alive_A[going_A], token_A[going_A]
            if not len(alive_A):
                break
            cache.keep(going_A)
        logits_AV = cache.step(model, token_A)
    return _completions(rows, tokens_BT, logp_BT, length_B, stopped_B)


def _completions(
    rows: Sequence[Row], tokens_BT: Tensor, logp_BT: Tensor, length_B: Tensor, stopped_B: Tensor
) -> list[Completion]:
    columns = zip(
        rows, tokens_BT.tolist(), logp_BT.tolist(), length_B.tolist(), stopped_B.tolist(), strict=True
    )
    return [
        Completion(
            request=row.request.id,
            sample=row.sample,
            tokens=tuple(tokens[:length]),
            logprobs=tuple(logp[:length]),
            finish="stop" if stopped else "length",
        )
        for row, tokens, logp, length, stopped in columns
    ]


class Draw:
    """One token a row by inverting the cumulative distribution in float64; temperature 0 takes the best."""

    def __init__(self, temperature_B: Tensor) -> None:
        self.greedy_B = temperature_B == 0
        self.temperature_B1 = torch.where(self.greedy_B, 1.0, temperature_B)[:, None]
        self.tempered = bool((self.temperature_B1 != 1).any())
        self.some_greedy = bool(self.greedy_B.any())

    def __call__(self, logits_AV: Tensor, uniform_A: Tensor, rows_A: Tensor) -> tuple[Tensor, Tensor]:
        """token_A, and its log-probability (float64) before any tempering."""
        top_A1 = logits_AV.amax(-1, keepdim=True)
        shifted_AV = logits_AV - top_A1
        mass_AV = shifted_AV.exp().cumsum(-1, dtype=torch.float64)
        log_total_A1 = mass_AV[:, -1:].log()
        if self.tempered:
            mass_AV = (shifted_AV / self.temperature_B1[rows_A]).exp_().cumsum(-1, dtype=torch.float64)
        target_A1 = uniform_A[:, None] * mass_AV[:, -1:]
        token_A1 = torch.searchsorted(mass_AV, target_A1, right=True).clamp_(max=logits_AV.shape[1] - 1)
        if self.some_greedy:
            token_A1 = torch.where(self.greedy_B[rows_A, None], logits_AV.argmax(-1, keepdim=True), token_A1)
        logp_A1 = shifted_AV.gather(-1, token_A1).double() - log_total_A1
        return token_A1[:, 0], logp_A1[:, 0]
