"""Sampling in a thread of its own: the event loop stays free, and whoever judges replies works while others are sampled.

Torch gives the interpreter up in nearly every operation, so one thread samples and one waits for answers at little cost
to either. Nothing is computed differently: the same batches go through the same sampler.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evenkeel.engines.interface import Engine
from evenkeel.engines.native import engine as native
from evenkeel.engines.native import sampler
from evenkeel.records.types import Completion, SampleRequest, TrainSequence

STREAMED_ROWS = (
    128  # a batch small enough that the first replies come early, and nearly as fast a row as larger ones
)


class Threaded(Engine):
    """A native engine whose `sample` yields each batch as soon as it is done; the other verbs are the engine's own."""

    def __init__(self, engine: native.NativeEngine, *, rows: int | None = None) -> None:
        """`rows` is the size of a batch, so that replies of a small model come in parts, too; the batches are the engine's own
        if it is None, and so is every bit of the result. Other batches round otherwise, the same for equal requests.
        """
        self.engine, self.rows = engine, rows

    async def sample(self, requests: Sequence[SampleRequest]) -> AsyncIterator[Completion]:
        """Completions of all requests. Left early, it comes back when the batch in hand is done, and not before: nobody
        may change the weights under it.
        """
        loop, arrived = asyncio.get_running_loop(), asyncio.Queue[Any]()
        leaving, ended = threading.Event(), asyncio.Event()

        def tell(call: Callable[..., None], *about: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: there is nobody to tell
                loop.call_soon_threadsafe(call, *about)

        def work() -> None:
            try:
                for completion in self._completions(requests):
                    tell(arrived.put_nowait, completion)
                    if leaving.is_set():
                        break
                tell(arrived.put_nowait, None)
            except BaseException as error:
                tell(arrived.put_nowait, error)
            finally:
                tell(ended.set)

        thread = threading.Thread(target=work, name="sampling", daemon=True)
        thread.start()
        try:
            while (found := await arrived.get()) is not None:
                if isinstance(found, BaseException):
                    raise found
                yield found
        finally:
            leaving.set()
            try:
                await ended.wait()
            finally:
                thread.join()  # at once, unless a second cancellation came while waiting

    def _completions(self, requests: Sequence[SampleRequest]) -> Iterator[Completion]:
        """What `NativeEngine.sample_now` lists, batch by batch."""
        config = self.engine.config
        budget = native.CACHE_BYTES // (2 * 4 * config.layers * config.kv_heads * config.head_dim)
        for piece in [requests] if self.rows is None else _pieces(requests, self.rows):
            yield from sampler.sample(self.engine.model, piece, self.engine.stop_tokens, budget)

    def logprobs(self, batch: Sequence[TrainSequence]) -> np.ndarray:
        """See `Engine.logprobs`."""
        return self.engine.logprobs(batch)

    def forward_backward(self, batch: Sequence[TrainSequence], weights_BT: np.ndarray) -> np.ndarray:
        """See `Engine.forward_backward`."""
        return self.engine.forward_backward(batch, weights_BT)

    def optim_step(self, learning_rate: float) -> dict[str, float]:
        """See `Engine.optim_step`."""
        return self.engine.optim_step(learning_rate)

    def save(self, folder: Path, *, optimizer: bool = True) -> None:
        """See `Engine.save`."""
        self.engine.save(folder, optimizer=optimizer)

    def load(self, folder: Path, *, optimizer: bool = True) -> None:
        """See `Engine.load`."""
        self.engine.load(folder, optimizer=optimizer)

    def __getattr__(self, name: str) -> Any:
        """What a native engine has beyond the verbs: its size, its FLOPs, `copy`."""
        if name == "engine":  # not yet there, while unpickling
            raise AttributeError(name)
        return getattr(self.engine, name)


def streamed(engine: native.NativeEngine) -> Threaded:
    """The engine as a study with judges samples from it: replies come in parts, so that judging them begins early."""
    return Threaded(engine, rows=STREAMED_ROWS)


def _pieces(requests: Sequence[SampleRequest], rows: int) -> Iterator[list[SampleRequest]]:
    """Requests of like length in pieces of about so many rows, whole groups. The last piece is halved: what is sampled last
    is what somebody still waits for when sampling has ended.
    """
    ordered = sorted(requests, key=lambda one: (one.max_tokens, len(one.prompt), one.prompt))
    left = sum(request.group for request in ordered)
    wanted = rows if left > rows else (left + 1) // 2
    piece: list[SampleRequest] = []
    for request in ordered:
        piece.append(request)
        filled = sum(one.group for one in piece)
        if filled >= min(wanted, left):
            yield piece
            piece, left = [], left - filled
            wanted = left if wanted < rows else rows if left > rows else (left + 1) // 2
