"""Sampling in a thread: the same bits, judged while it goes on, left without a deadlock."""

import asyncio
import threading
from contextlib import aclosing

import pytest

from evenkeel.engines.native import engine as native
from evenkeel.engines.threaded import Threaded
from evenkeel.records.types import Message, Provenance, SampleRequest
from evenkeel.scenarios.scenario import Scenario
from evenkeel.training.loop import train_arm
from evenkeel.training.rollout import Bench, roll_out
from training_tiny import (
    SOURCES,
    TinyGrader,
    TinyRenderer,
    config,
    folder_bytes,
    graders,
    plan,
    tiny_checkpoint,
    tiny_engine,
)

REQUESTS = [
    SampleRequest(str(n), tuple(2 + (n + i) % 8 for i in range(2 + n % 5)), 12 + n % 3, ("overlap", n), group=4)
    for n in range(12)
]  # fmt: skip


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return tiny_engine(tiny_checkpoint(tmp_path_factory.mktemp("model")))


def sampled(engine, requests=REQUESTS):
    async def run():
        return {(one.request, one.sample): one async for one in engine.sample(requests)}

    return asyncio.run(run())


@pytest.mark.parametrize("cache_bytes", [native.CACHE_BYTES, 2**16])  # one batch, and many
def test_every_bit_is_as_without_the_thread(engine, monkeypatch, cache_bytes):
    monkeypatch.setattr(native, "CACHE_BYTES", cache_bytes)
    assert sampled(Threaded(engine)) == sampled(engine)


def test_training_with_a_thread_ends_with_the_same_bytes(tmp_path):
    base = tiny_checkpoint(tmp_path / "base")
    for name, wrap in (("plain", lambda engine: engine), ("threaded", Threaded)):
        settings = config(steps=3)
        train_arm(
            wrap(tiny_engine(base)), TinyRenderer(), plan(settings), SOURCES, graders(), settings, seed=0,
            folder=tmp_path / name,
        )  # fmt: skip
    assert folder_bytes(tmp_path / "plain") == folder_bytes(tmp_path / "threaded")


class WaitsForTheJudge(Threaded):
    """Goes on sampling only when the first reply that ended has been judged."""

    judged = None

    def _completions(self, requests):
        for number, ended in enumerate(super()._completions(requests)):
            if number == 1:
                assert self.judged.wait(20), "nothing was judged while sampling went on"
            yield ended


def test_replies_are_judged_while_others_of_their_group_are_sampled(engine):
    threaded = WaitsForTheJudge(engine, rows=64)
    threaded.judged = threading.Event()
    asked = []

    class Tells(TinyGrader):
        async def grade(self, requests):
            asked.append([request.id for request in requests])
            async for each in super().grade(requests):
                yield each
            threaded.judged.set()

    scenarios = [
        Scenario(f"s{n}", (Message("user", "one two"),), (), "train", Provenance("test")) for n in range(3)
    ]
    bench = Bench(TinyRenderer(), {"trait": Tells()}, {})
    groups = asyncio.run(roll_out(threaded, bench, scenarios, stream=("t",), group=4, max_tokens=40))
    whole = [
        f"{group.slot}/{n}"
        for group in groups
        for n, one in enumerate(group.rollouts)
        if one.reply.finish == "stop"
    ]
    assert len(asked) > 1 and sorted(name for names in asked for name in names) == sorted(whole)
    assert len(groups) == 3 and all(len(group.rollouts) == 4 for group in groups)


def test_an_engine_that_keeps_a_reply_is_told(engine):
    class Forgets(Threaded):
        def _completions(self, requests):
            for ended in super()._completions(requests):
                yield [one for one in ended if (one.request, one.sample) != ("1", 2)]

    scenarios = [
        Scenario(f"s{n}", (Message("user", "one two"),), (), "train", Provenance("test")) for n in range(3)
    ]
    bench = Bench(TinyRenderer(), {"trait": TinyGrader()}, {})
    with pytest.raises(ValueError, match="2 full groups of 3"):
        asyncio.run(roll_out(Forgets(engine), bench, scenarios, stream=("t",), group=4, max_tokens=40))


class Endless(Threaded):
    """Samples the same requests until it is left."""

    batches = 0

    def _completions(self, requests):
        while True:
            yield from super()._completions(requests)
            self.batches += 1


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "sampling"]


def test_leaving_early_stops_the_thread(engine):
    async def run():
        async with aclosing(endless.sample(REQUESTS)) as completions:
            async for _ in completions:
                break
        assert not threads()  # at once: nobody samples while weights change
        return endless.batches

    endless = Endless(engine)
    assert asyncio.run(run()) <= 1


@pytest.mark.parametrize("times", [1, 2])
def test_a_cancelled_rollout_stops_the_thread(engine, times):
    async def run():
        async def consume():
            async for _ in Endless(engine).sample(REQUESTS):
                started.set()

        started = asyncio.Event()
        task = asyncio.create_task(consume())
        await started.wait()
        for _ in range(times):  # the second time while it waits for the batch in hand
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not threads()

    asyncio.run(run())


def test_an_iterator_that_nobody_closes_ends_with_the_event_loop(engine):
    async def run():
        async for _ in Endless(engine).sample(REQUESTS):
            break

    asyncio.run(run())
    assert not threads()


def test_errors_come_out_where_they_would_without_the_thread(engine):
    with pytest.raises(ValueError, match="needs a prompt"):
        sampled(Threaded(engine), [SampleRequest("empty", (), 4, ("x",))])
    assert not threads()


def test_the_other_verbs_are_the_engines(engine, tmp_path):
    threaded = Threaded(engine)
    threaded.save(tmp_path / "saved", optimizer=False)
    threaded.load(tmp_path / "saved", optimizer=False)
    assert threaded.flops_per_token == engine.flops_per_token and threaded.stop_tokens == engine.stop_tokens
    assert not isinstance(threaded.copy(), Threaded)
    with pytest.raises(AttributeError):
        _ = threaded.no_such_thing
