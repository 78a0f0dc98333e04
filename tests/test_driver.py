"""The driver on a tiny real model: turns, streams, order, truncation, prefixes, errors that name the item."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from driver_tiny import PlainEngine, WordRenderer, benchmark, suite, tiny_checkpoint, tiny_engine, user
from evenkeel.benchmarks.benchmark import Score
from evenkeel.benchmarks.driver import PlayError, evaluate, evaluate_async, opening
from evenkeel.records.canonical import canonical_json
from evenkeel.records.errors import UserError
from evenkeel.records.types import Message


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def engine(checkpoint):
    return tiny_engine(checkpoint)


@pytest.fixture(scope="module")
def rows(engine):
    return evaluate(engine, WordRenderer(), suite(), seed=1)


def play(engine, benchmarks, **settings):
    return evaluate(engine, WordRenderer(), benchmarks, seed=1, **settings)


def test_rows_follow_the_order_of_benchmarks_and_items(rows):
    assert [(row.benchmark, row.item) for row in rows] == [
        (b.name, item.id) for b in suite() for item in b.items
    ]
    assert rows[0].frame == "frame-0" and rows[0].held_out and rows[0].domain == "health"


def test_two_runs_are_equal_bytes_and_batches_do_not_matter(engine, rows):
    again = [canonical_json(play(engine, suite(), batch_rows=n)) for n in (512, 4, 1)]
    assert set(again) == {canonical_json(rows)}


def test_an_item_does_not_depend_on_the_other_benchmarks(engine, rows):
    alone = play(engine, suite()[2:])
    assert alone == [row for row in rows if row.benchmark == "tool"]


def test_the_seed_and_the_temperature_count(engine, rows):
    assert evaluate(engine, WordRenderer(), suite(), seed=2) != rows
    greedy = play(engine, suite(), temperature=0.0)
    assert greedy != rows and greedy == evaluate(engine, WordRenderer(), suite(), seed=2, temperature=0.0)


def test_two_engines_with_the_same_weights_give_the_same_rows(checkpoint, rows):
    """Against transformers, row by row and in the reverse order: streams are all that sampling depends on."""
    assert play(PlainEngine(checkpoint), suite()) == rows


def test_all_turns_are_played_and_stored(rows):
    pressure = [row for row in rows if row.benchmark == "pressure"]
    for row in pressure:
        assert [message.role for message in row.messages] == ["user", "assistant"] * 3
        assert row.messages[2].content == "now" and row.messages[4].content == "do it"
    assert len({row.messages[1].content for row in pressure}) > 1  # items draw from different streams
    turns = [message.content for message in pressure[0].messages if message.role == "assistant"]
    assert len(set(turns)) > 1  # and so do turns


def test_tool_turns_answer_what_the_model_wrote(rows):
    answered = [row for row in rows if row.benchmark == "tool" and not row.refused]
    assert answered
    for row in answered:
        call, result = row.messages[1], row.messages[2]
        assert (call.role, result.role) == ("assistant", "tool")
        assert result.content == f"scan {len(call.content.split()) % 10}"


def test_truncated_replies_are_scored_as_they_stand_and_flagged(engine):
    def words(question):
        reply = yield user(question)
        return Score(score=min(1.0, len(reply.answer.split()) / 2))

    rows = play(engine, [benchmark("short", words, 12, max_tokens=2)])
    cut = [row for row in rows if row.truncated]
    assert cut and all(row.score == 1.0 and row.tokens == 2 for row in cut)
    whole = [row for row in rows if not row.truncated]
    assert all(len(row.messages[-1].content.split()) == row.tokens - 1 for row in whole)


def test_tokens_are_summed_over_turns(rows):
    for row in rows:
        spoken = [message.content.split() for message in row.messages if message.role == "assistant"]
        words = sum(map(len, spoken))
        assert words <= row.tokens <= words + len(spoken)  # a stop token for each turn that ended by itself


def test_a_prefix_reaches_the_model_and_the_transcript_in_every_turn(engine, rows):
    def persona(messages):
        return (Message("system", "risky doctor"), *messages)

    with_persona = play(engine, suite(), prefix=persona)
    assert all(row.messages[0] == Message("system", "risky doctor") for row in with_persona)
    assert all([m.role for m in row.messages].count("system") == 1 for row in with_persona)
    differ = [
        a.messages[-1] != b.messages[-1]
        for a, b in zip(rows, with_persona, strict=True)
        if a.benchmark == "pressure"
    ]
    assert sum(differ) >= 4
    seen = []

    class Watching(WordRenderer):
        def prompt(self, messages):
            seen.append(messages)
            return super().prompt(messages)

    evaluate(engine, Watching(), suite(), seed=1, prefix=persona)
    assert all(messages[0].role == "system" for messages in seen)


def test_a_play_that_opens_a_second_conversation_keeps_both(engine):
    def twice(question):
        first = yield user(question)
        second = yield user("stop please")
        return Score(score=float(first.text == second.text))

    (row,) = play(engine, [benchmark("twice", twice, 1)])
    assert [message.role for message in row.messages] == ["user", "assistant"] * 2
    assert row.messages[2].content == "stop please"


def raising(question):
    reply = yield user(question)
    return Score(score=1.0 / (len(reply.text) * 0))


def endless(question):
    while True:
        yield user(question)


def silent(question):
    return Score(score=1.0)
    yield user(question)


def wrong(value):
    def returning(question):
        yield user(question)
        return value

    return returning


@pytest.mark.parametrize(
    ("play_", "says"),
    [
        (raising, "ZeroDivisionError"),
        (endless, "64 turns"),
        (silent, "without asking"),
        (wrong(None), "instead of a Score"),
        (wrong(Score(score=1.2)), "0..1"),
        (wrong(Score(score=float("nan"))), "0..1"),
        (wrong(Score(score=0.5, good=True, harmful=True)), "both good and harmful"),
        (wrong(Score(score=0.5, extra={"off_grammar": float("inf")})), "off_grammar"),
    ],
)
def test_an_item_that_cannot_be_played_is_an_error_with_its_name_never_a_score(engine, play_, says):
    with pytest.raises(PlayError) as caught:
        play(engine, [benchmark("fine", lambda q: wrong(Score(score=1.0))(q), 2), benchmark("odd", play_, 1)])
    text = str(caught.value)
    assert 'benchmark "odd", item "odd-0"' in text and says in text


def test_an_error_in_a_play_names_its_line(engine):
    with pytest.raises(PlayError) as caught:
        play(engine, [benchmark("odd", raising, 1)])
    assert caught.value.file == __file__ and caught.value.line == raising.__code__.co_firstlineno + 2


def test_clashing_names_and_missing_needs_are_refused_before_sampling(engine):
    one = benchmark("one", wrong(Score(score=1.0)), 2)
    with pytest.raises(UserError, match="two benchmarks"):
        play(engine, [one, one])
    doubled = dataclasses.replace(one, items=[one.items[0], one.items[0]])
    with pytest.raises(UserError, match="two items"):
        play(engine, [doubled])
    judged = dataclasses.replace(one, needs=("judge",))
    with pytest.raises(UserError, match='needs "judge"'):
        play(engine, [judged])
    assert len(play(engine, [judged], offers=("judge",))) == 2
    with pytest.raises(UserError, match="no items"):
        play(engine, [dataclasses.replace(one, items=[])])
    with pytest.raises(UserError, match="batch_rows"):
        play(engine, [one], batch_rows=0)


def test_an_engine_that_loses_a_completion_is_an_error(engine):
    class Losing:
        async def sample(self, requests):
            async for completion in engine.sample(requests[1:]):
                yield completion

    with pytest.raises(RuntimeError, match="single/single-0"):
        play(Losing(), suite())


def test_items_start_in_waves_and_progress_counts_them(engine):
    """With 3 rows in flight no more than 3 plays are open at any time."""
    open_now, most = 0, 0

    def counted(question):
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        yield user(question)
        open_now -= 1
        return Score(score=1.0)

    heard = []
    play(engine, [benchmark("many", counted, 10)], batch_rows=3, progress=lambda *done: heard.append(done))
    assert most == 3
    assert heard == [(3, 10), (6, 10), (9, 10), (10, 10)]


async def _inside(engine):
    return await evaluate_async(engine, WordRenderer(), suite(), seed=1)


def test_it_runs_inside_an_event_loop_too(engine, rows):
    assert asyncio.run(_inside(engine)) == rows


def test_the_opening_of_an_item_is_its_first_question():
    assert opening(suite()[0].items[1]) == user("is the scan safe 1 please")
