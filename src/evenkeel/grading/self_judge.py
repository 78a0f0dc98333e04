"""A frozen copy of the policy as its own judge, behind the same `ask` as an endpoint.

Questions that wait at the same time are sampled as one batch, in a thread, so that the policy's own sampling goes on. There is
no structured output here: answers are in the tagged form. A model too weak to give them is found out as any judge is: its
answers are unscorable, and judging pauses.

How questions fall into batches depends on when they come, and batches round differently; where two tokens are as good as equal,
the greedy one may differ between runs. An answer that is in the cache is the same for ever.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import replace

from evenkeel.engines.endpoint import Answer, Ask, CallFailed, EndpointConfig
from evenkeel.engines.interface import Renderer
from evenkeel.engines.native.engine import NativeEngine
from evenkeel.engines.threaded import Threaded
from evenkeel.grading.judge import JudgeConfig
from evenkeel.records.canonical import content_hash
from evenkeel.records.types import Completion, SampleRequest


def self_judge_config(config: JudgeConfig, weights: str) -> JudgeConfig:
    """The judge that a copy with these weights (their hash) is: the hash is its model's name, and so in every cache key."""
    return replace(config, endpoint=EndpointConfig("", f"policy:{weights}"), form="tags", continuous=False)


class SelfJudge:
    """Answers by a model in this process (`Asks`), used in one event loop."""

    def __init__(self, load: Callable[[], NativeEngine], renderer: Renderer) -> None:
        """`load` gives a copy that nobody trains; it is called once, when the first question comes."""
        self.engine, self.renderer = functools.cache(lambda: Threaded(load())), renderer
        self._waiting: list[tuple[SampleRequest, asyncio.Future[Completion]]] = []
        self._work: asyncio.Task[None] | None = None
        self._number = 0

    async def __aenter__(self) -> SelfJudge:
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    async def ask(self, ask: Ask, begun: Callable[[], None] = lambda: None) -> Answer:
        """One completion: the likeliest at temperature 0, otherwise drawn from a stream of the question and its seed.

        Raises CallFailed where the question asks for what a plain model does not offer.
        """
        if ask.schema is not None or ask.top_logprobs:
            raise CallFailed("bad request", "the policy offers neither structured output nor alternatives", 1)
        prompt = self.renderer.prompt(ask.messages)
        stream = ("self judge", content_hash([ask.messages, ask.seed]))
        self._number += 1
        begun()
        completion = await self._sampled(
            SampleRequest(str(self._number), prompt, ask.max_tokens, stream, temperature=ask.temperature)
        )
        reply = self.renderer.reply(completion)
        return Answer(reply.answer, reply.finish, len(prompt), len(completion.tokens), attempts=1)

    async def _sampled(self, request: SampleRequest) -> Completion:
        answered: asyncio.Future[Completion] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, answered))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._batches(self.engine()))
        return await answered

    async def _batches(self, engine: Threaded) -> None:
        """Batch after batch until nobody waits."""
        while self._waiting:
            await asyncio.sleep(0)  # who asks in the same turn belongs to the same batch
            batch, self._waiting = self._waiting, []
            wanted = [(request, answered) for request, answered in batch if not answered.done()]
            by_id = {request.id: answered for request, answered in wanted}
            try:
                async for completion in engine.sample([request for request, _ in wanted]):
                    if not by_id[
                        completion.request
                    ].done():  # whoever asked may have been cancelled meanwhile
                        by_id[completion.request].set_result(completion)
            except Exception as error:
                for answered in by_id.values():
                    if not answered.done():
                        answered.set_exception(error)
            finally:
                for answered in by_id.values():
                    answered.cancel()  # does nothing to those that are answered
