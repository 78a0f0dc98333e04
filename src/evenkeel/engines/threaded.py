"""Sampling in a thread of its own: the event loop stays free, and whoever judges replies works while others are sampled.

Torch gives the interpreter up in nearly every operation, so one thread samples and one waits for answers at little cost
to either.
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
from evenkeel.engines.native import continuous, sampler
from evenkeel.engines.native import engine as native
from evenkeel.records.types import Completion, SampleRequest, TrainSequence


class Threaded(Engine):
    """A native engine whose `sample` yields while it goes on; the other verbs are the engine's own."""

    def __init__(self, engine: native.NativeEngine, *, rows: int | None = None) -> None:
        """With `rows`, so many are alive at once and each is yielded when it ends, see continuous.py. Without, the batches are
        the engine's own, and so is every bit of the result; other batches round otherwise, the same for equal requests.
        """
        self.engine, self.rows = engine, rows

    async def sample(self, requests: Sequence[SampleRequest]) -> AsyncIterator[Completion]:
        """Completions of all requests. Left early, it comes back when the step or batch in hand is done, and not before: nobody
        may change the weights under it.
        """
        loop, arrived = asyncio.get_running_loop(), asyncio.Queue[Any]()
        leaving, ended = threading.Event(), asyncio.Event()

        def tell(call: Callable[..., None], *about: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: there is nobody to tell
                loop.call_soon_threadsafe(call, *about)

        def work() -> None:
            try:
                for completions in self._completions(requests):
                    if completions:
                        tell(arrived.put_nowait, completions)
                    if leaving.is_set():
                        break
                tell(arrived.put_nowait, None)
            except BaseException as error:  # raised again where the completions are waited for
                tell(arrived.put_nowait, error)
            finally:
                tell(ended.set)

        thread = threading.Thread(target=work, name="sampling", daemon=True)
        thread.start()
        try:
            while (found := await arrived.get()) is not None:
                if isinstance(found, BaseException):
                    raise found
                for completion in found:
                    yield completion
        finally:
            leaving.set()
            try:
                await ended.wait()
            finally:
                thread.join()  # at once, unless a second cancellation came while waiting

    def _completions(self, requests: Sequence[SampleRequest]) -> Iterator[list[Completion]]:
        """What `NativeEngine.sample_now` lists, as it comes: those together that end together."""
        engine = self.engine
        if self.rows is None:
            return sampler.sample(engine.model, requests, engine.stop_tokens, engine.cache_tokens)
        return continuous.sample(engine.model, requests, engine.stop_tokens, engine.cache_tokens, self.rows)

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
    """The engine as a study with judges samples from it: each reply comes when it ends, so that judging it begins early."""
    return Threaded(engine, rows=continuous.ROWS)
