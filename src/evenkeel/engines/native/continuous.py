"""Continuous batching: rows that have ended make room for others at once, and each is handed on when it ends.

One batch after another leaves the model half idle while the last long rows of each end, and nobody sees a reply until then.
Here several small batches are under way, begun some steps apart, and every step of the model serves all of them; so there is
always somebody who has just ended, and the matrices are read once for many rows. What is under way together depends on
the requests and on what is sampled, never on time: equal requests give equal bits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import torch

from evenkeel.engines.native.cache import joined, step
from evenkeel.engines.native.model import Transformer
from evenkeel.engines.native.sampler import Batch, Row, batches, is_stop
from evenkeel.records.types import Completion, SampleRequest

ROWS = 384  # alive at a time: fewer cost more a row, more leave the judge without work at first
BATCHES = 4  # that so many rows make
APART = 8  # steps between the first beginnings, so that equally long rows do not all end together


@torch.inference_mode()
def sample(
    model: Transformer,
    requests: Sequence[SampleRequest],
    stop_tokens: Sequence[int],
    budget: int,
    rows: int = ROWS,
) -> Iterator[list[Completion]]:
    """Completions of all requests: after every step those that end with it, often none.

    `rows` are alive at a time; `budget` is about the size of their caches in tokens. Raises ValueError as `sampler.sample` does.
    """
    stops_V = is_stop(model, stop_tokens)
    waiting, under_way = deque(batches(requests, budget // BATCHES, max(1, rows // BATCHES))), list[Batch]()
    begun = steps = 0
    while waiting or under_way:
        if under_way:
            _step(model, under_way)
            steps += 1
        late = steps >= APART * begun or not under_way
        if waiting and late and _room(under_way, waiting[0], rows, budget):
            under_way.append(Batch(model, waiting.popleft()))
            begun = min(begun + 1, BATCHES)
        yield [one for batch in under_way for one in batch.completions(batch.draw(stops_V))]
        under_way = [batch for batch in under_way if batch.alive]


def _step(model: Transformer, under_way: Sequence[Batch]) -> None:
    """One more token to every living row."""
    token_A = joined([batch.token_A for batch in under_way])
    logits_AV = step(model, [batch.cache for batch in under_way], token_A)
    parts = logits_AV.split([batch.alive for batch in under_way])
    for batch, part_AV in zip(under_way, parts, strict=True):
        batch.logits_AV = part_AV


def _room(under_way: Sequence[Batch], coming: Sequence[Row], rows: int, budget: int) -> bool:
    """Whether this batch may begin, too: neither too many rows alive nor too large a cache."""
    alive = sum(batch.alive for batch in under_way) + len(coming)
    longest = max(len(row.request.prompt) for row in coming) + max(row.request.max_tokens for row in coming)
    places = sum(batch.cache.places for batch in under_way) + len(coming) * longest
    return not under_way or (alive <= rows and places <= budget)
