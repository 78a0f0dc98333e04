"""Sampling from the model as it is now: a prefill per distinct prompt, one cache, finished rows leave.

A batch is prefilled without padding, its keys and values are spread to the rows of the cache, right-aligned
at the prompt's end so that every row writes the same column, and each step handles the rows still alive. A
row's random numbers come from its own stream, never from its place. Extra shape suffixes: _Q distinct
prompts, _A rows alive, _S cache columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from evenkeel.engines.native.model import Transformer, attention
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
    ordered = sorted(requests, key=lambda request: (request.max_tokens, len(request.prompt)))
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
    prompts: dict[tuple[int, ...], int] = {}
    prompt_of_B = torch.tensor([prompts.setdefault(row.request.prompt, len(prompts)) for row in rows])
    limit_B = torch.tensor([row.request.max_tokens for row in rows])
    keys_B = np.array([key(*row.request.stream, row.sample) for row in rows], dtype=np.uint64)
    longest = int(limit_B.max())
    uniforms_BT = torch.from_numpy(uniforms(keys_B[:, None], np.arange(longest)))
    draw = Draw(torch.tensor([row.request.temperature for row in rows]))
    cache, logits_QV = prefill(model, list(prompts), prompt_of_B, longest)
    tokens_BT = torch.zeros(len(rows), longest, dtype=torch.long)
    logp_BT = torch.zeros(len(rows), longest, dtype=torch.float64)
    length_B = torch.zeros(len(rows), dtype=torch.long)
    stopped_B = torch.zeros(len(rows), dtype=torch.bool)
    stops = torch.tensor(list(stop_tokens), dtype=torch.long)
    alive_A = torch.arange(len(rows))  # the row that each place of the cache holds
    logits_AV = logits_QV[prompt_of_B]
    for t in range(longest):
        token_A, chosen_A = draw(logits_AV, uniforms_BT[alive_A, t], alive_A)
        tokens_BT[alive_A, t], logp_BT[alive_A, t] = token_A, chosen_A
        stop_A = torch.isin(token_A, stops)
        done_A = stop_A | (limit_B[alive_A] == t + 1)
        if done_A.any():
            finished = alive_A[done_A]
            length_B[finished], stopped_B[finished] = t + 1, stop_A[done_A]
            keep_A = cache.drop(done_A)
            alive_A, token_A = alive_A[keep_A], token_A[keep_A]
        if not len(alive_A):
            break
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


class Cache:
    """Keys and values of the rows still alive: one preallocated tensor [B, S, K, E] a layer and kind.

    Prompts end at one common column; `bias_B11S` hides the columns before a shorter one.
    """

    def __init__(self, model: Transformer, lengths_B: Tensor, width: int, room: int) -> None:
        config, batch = model.config, len(lengths_B)
        shape = (batch, width + room - 1, config.kv_heads, config.head_dim)
        self.keys = [torch.empty(shape) for _ in model.blocks]
        self.values = [torch.empty(shape) for _ in model.blocks]
        self.alive, self.filled = batch, width
        self.position_B = lengths_B.clone()
        hidden_BS = torch.arange(shape[1]) < (width - lengths_B)[:, None]
        bias = torch.zeros(batch, 1, 1, shape[1]).masked_fill_(hidden_BS[:, None, None], -torch.inf)
        self.bias_B11S = bias if bool(hidden_BS.any()) else None

    def step(self, model: Transformer, token_A: Tensor) -> Tensor:
        """Add one token to every living row; returns logits_AV after it."""
        alive, column = self.alive, self.filled
        self.filled += 1
        x_AD, turn_A1E = model.embed(token_A), model.turns(self.position_B[:alive])
        self.position_B[:alive] += 1
        bias = None if self.bias_B11S is None else self.bias_B11S[:alive, :, :, : self.filled]
        for layer, keys, values in zip(model.blocks, self.keys, self.values, strict=True):
            q_AHE, k_AKE, v_AKE = layer.queries_keys_values(x_AD, turn_A1E)
            keys[:alive, column], values[:alive, column] = k_AKE, v_AKE
            # The query heads that share a key head are its "positions": no key is copied.
            q = q_AHE.unflatten(1, (k_AKE.shape[1], -1))
            k, v = (part[:alive, : self.filled].transpose(1, 2) for part in (keys, values))
            x_AD = layer.finish(x_AD, attention(q, k, v, mask=bias).flatten(1))
        return model.logits(x_AD)

    def drop(self, done_A: Tensor) -> Tensor:
        """Let finished rows go: living rows from the end move into their places. Returns the new order."""
        left = self.alive - int(done_A.sum())
        holes = torch.nonzero(done_A[:left]).flatten()
        movers = left + torch.nonzero(~done_A[left:]).flatten()
        if len(holes):
            for part in (*self.keys, *self.values):
                part[holes, : self.filled] = part[movers, : self.filled]
            self.position_B[holes] = self.position_B[movers]
            if self.bias_B11S is not None:
                self.bias_B11S[holes] = self.bias_B11S[movers]
        order_A = torch.arange(left)
        order_A[holes] = movers
        self.alive = left
        return order_A


def prefill(
    model: Transformer, prompts: Sequence[tuple[int, ...]], prompt_of_B: Tensor, room: int
) -> tuple[Cache, Tensor]:
    """A cache of len(prompt_of_B) rows with room for `room` more tokens, and logits_QV after each prompt."""
    length_Q = torch.tensor([len(prompt) for prompt in prompts])
    width = int(length_Q.max())
    start_Q = length_Q.cumsum(0) - length_Q
    place_P = torch.arange(width)
    real_QP = place_P < length_Q[:, None]
    index_QP = start_Q[:, None] + torch.minimum(place_P, length_Q[:, None] - 1)
    right_QP = start_Q[:, None] + (place_P - (width - length_Q)[:, None]).clamp_(min=0)
    spread_BP = right_QP[prompt_of_B]
    cache = Cache(model, length_Q[prompt_of_B], width, room)
    x_ND = model.embed(torch.tensor([token for prompt in prompts for token in prompt]))
    turn_N1E = model.turns(place_P.expand_as(real_QP)[real_QP])
    last_Q = start_Q + length_Q - 1
    for number, layer in enumerate(model.blocks):
        q_NHE, k_NKE, v_NKE = layer.queries_keys_values(x_ND, turn_N1E)
        cache.keys[number][:, :width], cache.values[number][:, :width] = k_NKE[spread_BP], v_NKE[spread_BP]
        q, k, v = (part[index_QP].transpose(1, 2) for part in (q_NHE, k_NKE, v_NKE))
        attended_QPX = attention(q, k, v, causal=True).transpose(1, 2).flatten(2)
        if number < len(model.blocks) - 1:
            x_ND = layer.finish(x_ND, attended_QPX[real_QP])
        else:  # only the last token's logits are wanted
            x_ND = layer.finish(x_ND[last_Q], attended_QPX[torch.arange(len(prompts)), length_Q - 1])
    return cache, model.logits(x_ND)
