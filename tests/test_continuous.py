"""Continuous batching: the same tokens as batch by batch, each handed on when it ends, never too many at a time."""

import weakref
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest

from evenkeel.engines.native import continuous
from evenkeel.engines.native.sampler import Batch
from evenkeel.records.types import SampleRequest
from training_tiny import tiny_checkpoint, tiny_engine

LARGE = 10**6
REQUESTS = [
    SampleRequest(str(n), tuple(2 + (n + i) % 8 for i in range(1 + n % 5)), 4 + 5 * (n % 4), ("c", n), group=1 + n % 6)
    for n in range(20)
]  # fmt: skip


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return tiny_engine(tiny_checkpoint(tmp_path_factory.mktemp("model")))


def sampled(engine, requests=REQUESTS, budget=LARGE, rows=continuous.ROWS):
    return [
        ended
        for ended in continuous.sample(engine.model, requests, engine.stop_tokens, budget, rows)
        if ended
    ]


@pytest.fixture
def begun(monkeypatch):
    """Every batch that begins, and how many others were under way then."""
    batches, alive = [], []

    class Watched(Batch):
        def __init__(self, model, rows):
            alive.append(sum(batch.alive for batch in batches))
            super().__init__(model, rows)
            batches.append(self)

    monkeypatch.setattr(continuous, "Batch", Watched)
    return batches, alive


@pytest.mark.parametrize(
    ("rows", "budget"), [(384, LARGE), (16, LARGE), (3, LARGE), (1, LARGE), (32, 200), (32, 1)]
)
def test_tokens_are_those_of_one_batch_after_another(engine, rows, budget):
    expected = {(one.request, one.sample): one for one in engine.sample_now(REQUESTS)}
    found = list(chain.from_iterable(sampled(engine, budget=budget, rows=rows)))
    assert len(found) == len(expected) == sum(request.group for request in REQUESTS)
    for one in found:
        other = expected[one.request, one.sample]
        assert (one.tokens, one.finish) == (other.tokens, other.finish)
        np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-5)


def test_equal_requests_give_equal_bits(engine):
    assert sampled(engine, rows=16) == sampled(engine, REQUESTS[::-1], rows=16)


def test_rows_that_end_together_come_together_and_the_short_ones_first(engine):
    requests = [SampleRequest(str(n), (3, 4), 2 + 3 * n, ("s", n)) for n in range(4)]
    unending = continuous.sample(engine.model, requests, (), LARGE)
    assert [[one.request for one in ended] for ended in unending if ended] == [["0"], ["1"], ["2"], ["3"]]


def test_a_batch_begins_as_soon_as_there_is_room_and_no_sooner(engine, begun):
    sampled(engine, rows=16)
    batches, alive = begun
    assert max(len(batch.rows) for batch in batches) == 4
    assert all(others + len(batch.rows) <= 16 for others, batch in zip(alive, batches, strict=True))
    assert max(alive) > 8  # several at a time


def test_the_caches_hold_no_more_than_the_budget(engine, monkeypatch):
    """Looked at when each has just been made: those before it must be gone, or fit beside it."""
    held, made = [], []

    class Watched(Batch):
        def __init__(self, model, rows):
            super().__init__(model, rows)
            made.append(weakref.ref(self.cache))
            held.append(sum(cache.places for one in made if (cache := one()) is not None))

    monkeypatch.setattr(continuous, "Batch", Watched)
    sampled(engine, [replace(request, group=4) for request in REQUESTS], rows=64, budget=150)
    assert len(made) > 8 and 100 < max(held) <= 150
    assert sum(one() is not None for one in made) == 0


def test_batches_begin_some_steps_apart(engine, monkeypatch):
    """Rows of equal length would otherwise all end together, and whoever judges them would wait meanwhile."""
    steps, step = [], continuous.step
    monkeypatch.setattr(continuous, "step", lambda *given: (steps.append(1), step(*given))[1])
    requests = [SampleRequest(str(n), (3, 4), 30, ("a", n), group=4) for n in range(8)]
    sampling = continuous.sample(engine.model, requests, (), LARGE, 16)
    ends = [(len(steps), len(ended)) for ended in sampling if ended]
    assert [count for _, count in ends] == [4] * 8
    apart = np.diff([number for number, _ in ends])
    assert min(apart) >= 30 - 3 * continuous.APART and apart[0] == continuous.APART


def test_nothing_asked_gives_nothing(engine):
    assert sampled(engine, []) == []
