"""Sampling from the model as it is now: batches of like rows, one draw a row and step, finished rows leave.

A row's random numbers come from its own stream, never from its place in a batch. Extra shape suffix: _A rows
still alive.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from evenkeel.engines.native.cache import prefill, step
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
) -> Iterator[list[Completion]]:
    """Completions of all requests, batch by batch. `budget` is the cache's size in tokens.

    Raises ValueError for an empty prompt, a group or token limit below 1, or a negative temperature.
    """
    for rows in batches(requests, budget):
        yield _sample_batch(model, rows, stop_tokens)


def batches(
    requests: Sequence[SampleRequest], budget: int, most_rows: float = math.inf
) -> Iterator[list[Row]]:
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
            if batch and ((len(batch) + 1) * columns > budget or len(batch) == most_rows):
                yield batch
                batch, longest = [], 0
            batch.append(Row(request, sample_number))
            longest = max(longest, len(request.prompt))
    if batch:
        yield batch


@torch.inference_mode()
def _sample_batch(model: Transformer, rows: Sequence[Row], stop_tokens: Sequence[int]) -> list[Completion]:
    """Sample all rows of one batch; completions in their order."""
    batch, stops_V = Batch(model, rows), is_stop(model, stop_tokens)
    batch.draw(stops_V)
    while batch.alive:
        batch.logits_AV = step(model, [batch.cache], batch.token_A)
        batch.draw(stops_V)
    return batch.completions(torch.arange(len(rows)))


def is_stop(model: Transformer, stop_tokens: Sequence[int]) -> Tensor:
    """stops_V, True for the tokens that end a row."""
    stops_V = torch.zeros(model.config.vocabulary, dtype=torch.bool)
    stops_V[list(stop_tokens)] = True
    return stops_V


class Batch:
    """Rows that begin together: what they have said so far, which of them are alive, and logits_AV of their next token."""

    def __init__(self, model: Transformer, rows: Sequence[Row]) -> None:
        self.rows, self.t = rows, 0
        self.limit_B = torch.tensor([row.request.max_tokens for row in rows])
        longest = int(self.limit_B.max())
        keys_B = np.array([key(*row.request.stream, row.sample) for row in rows], dtype=np.uint64)
        self.uniforms_BT = torch.from_numpy(uniforms(keys_B[:, None], np.arange(longest)))
        self.draw_one = Draw(torch.tensor([row.request.temperature for row in rows]))
        self.cache, self.logits_AV = prefill(model, [row.request.prompt for row in rows], longest)
        self.tokens_BT = torch.zeros(len(rows), longest, dtype=torch.long)
        self.logp_BT = torch.zeros(len(rows), longest, dtype=torch.float64)
        self.length_B = torch.zeros(len(rows), dtype=torch.long)
        self.stopped_B = torch.zeros(len(rows), dtype=torch.bool)
        self.alive_A = torch.arange(len(rows))
        self.token_A = torch.zeros(0, dtype=torch.long)  # the last drawn of the rows alive

    @property
    def alive(self) -> int:
        """How many rows go on."""
        return len(self.alive_A)

    def draw(self, stops_V: Tensor) -> Tensor:
        """Draw every living row's next token; returns the rows that end with it."""
        t, alive_A = self.t, self.alive_A
        token_A, chosen_A = self.draw_one(self.logits_AV, self.uniforms_BT[alive_A, t], alive_A)
        self.tokens_BT[alive_A, t], self.logp_BT[alive_A, t] = token_A, chosen_A
        self.t += 1
        stop_A = stops_V[token_A]
        going_A = ~stop_A & (self.limit_B[alive_A] > t + 1)
        if going_A.all():
            self.token_A = token_A
            return alive_A[:0]
        finished = alive_A[~going_A]
        self.length_B[finished], self.stopped_B[finished] = t + 1, stop_A[~going_A]
        self.alive_A, self.token_A = alive_A[going_A], token_A[going_A]
        if self.alive:
            self.cache.keep(going_A)
        return finished

    def completions(self, finished: Tensor) -> list[Completion]:
        """Those of these rows."""
        if not len(finished):
            return []
        columns = (self.tokens_BT, self.logp_BT, self.length_B, self.stopped_B)
        found = zip(finished.tolist(), *(column[finished].tolist() for column in columns), strict=True)
        return [
            Completion(
                request=self.rows[row].request.id,
                sample=self.rows[row].sample,
                tokens=tuple(tokens[:length]),
                logprobs=tuple(logp[:length]),
                finish="stop" if stopped else "length",
            )
            for row, tokens, logp, length, stopped in found
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
