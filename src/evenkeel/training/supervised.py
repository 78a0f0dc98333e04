"""Supervised learning: the constant weight. Mean negative log-probability over the tokens of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from evenkeel.engines.interface import Engine
from evenkeel.records.errors import UserError
from evenkeel.records.streams import generator
from evenkeel.records.types import TrainSequence


def finetune(
    engine: Engine,
    sequences: Sequence[TrainSequence],
    *,
    steps: int,
    batch: int,
    learning_rate: float,
    seed: int,
    stops: Sequence[int] = (),
    at_stop: Callable[[int], None] | None = None,
) -> list[float]:
    """`steps` AdamW updates on batches of `batch` sequences; the loss of each, nats a token, before its
    update.

    Sequences come without replacement in shuffled epochs, by a stream of (seed, epoch): the first k steps of
    a long run are a run of k steps. `at_stop(k)` is called after k steps for every k in `stops` (0: before
    the first). Raises UserError without sequences, with empty replies, or with a stop beyond `steps`.
    """
    if not sequences or batch < 1:
        raise UserError(f"nothing to finetune on: {len(sequences)} sequences, batches of {batch}")
    if any(not sequence.completion for sequence in sequences):
        raise UserError("a finetuning sequence has no reply tokens", fix="Leave it out.")
    if any(not 0 <= stop <= steps for stop in stops):
        raise UserError(f"stops {tuple(stops)} must lie within 0..{steps}")
    call = at_stop or (lambda step: None)
    order = _endless(len(sequences), seed)
    losses = []
    if 0 in stops:
        call(0)
    for step in range(1, steps + 1):
        rows = [sequences[next(order)] for _ in range(batch)]
        losses.append(_step(engine, rows, learning_rate))
        if step in stops:
            call(step)
    return losses


def _step(engine: Engine, rows: Sequence[TrainSequence], learning_rate: float) -> float:
    lengths_B = np.array([len(row.completion) for row in rows])
    mask_BT = np.arange(lengths_B.max()) < lengths_B[:, None]
    weights_BT = -(mask_BT / lengths_B.sum())  # d(mean negative log-probability) / d(log-probability)
    logp_BT = engine.forward_backward(rows, weights_BT)
    engine.optim_step(learning_rate)
    return float((weights_BT * logp_BT).sum())


def _endless(n: int, seed: int) -> Iterator[int]:
    """Positions 0..n-1 in a new order each epoch."""
    epoch = 0
    while True:
        yield from generator("finetune", seed, epoch).permutation(n).tolist()
        epoch += 1
