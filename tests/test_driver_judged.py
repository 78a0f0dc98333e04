"""Benchmarks whose plays ask a judge: verdicts reach their own item, in any order, and a missing one is never a number."""

import asyncio

import pytest

from driver_tiny import WordRenderer, benchmark, tiny_checkpoint, tiny_engine, user
from evenkeel.benchmarks.benchmark import Score, ToJudge
from evenkeel.benchmarks.driver import PlayError, evaluate
from evenkeel.records.errors import UserError
from evenkeel.records.types import Message, Provenance, Scored, Unscorable
from evenkeel.scenarios.scenario import Criterion, Scenario


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return tiny_engine(tiny_checkpoint(tmp_path_factory.mktemp("model")))


class LengthJudge:
    """Meets `long` by the number of words; the first replies are answered last, and some verdicts come at a second try."""

    name, version = "length", "1"

    def __init__(self, fails_until=0, number=0):
        self.fails_until, self.number, self.heard = fails_until, number, []

    def criteria(self, scenario):
        return tuple(criterion.id for criterion in scenario.criteria)

    def points(self, scenario):
        return tuple(criterion.points for criterion in scenario.criteria)

    def again(self, number):
        return LengthJudge(self.fails_until, number)

    async def grade(self, requests):
        for request in requests:
            self.heard.append(request.id)
            await asyncio.sleep(0.02 / len(self.heard))
            if self.number < self.fails_until:
                yield request.id, Unscorable("the judge mumbled")
            else:
                yield request.id, Scored({"long": len(request.reply.answer.split()) / 6})


def scenario(question):
    return Scenario(
        question, user(question), (Criterion("long", "is long", 1.0),), "eval", Provenance("test")
    )


def judged(question):
    """One reply, judged; then a second question and a second judgement."""
    first = yield user(question)
    one = yield ToJudge(scenario(question), first)
    second = yield (*user(question), Message("assistant", first.text), Message("user", "now"))
    two = yield ToJudge(scenario(question), second)
    words = [len(reply.answer.split()) / 6 for reply in (first, second)]
    assert [one["long"], two["long"]] == words  # each play hears of its own reply
    return Score(score=two["long"], extra={"first": one["long"]})


def suite(**changes):
    return [benchmark("judged", judged, 9, needs=("judge",), **changes), benchmark("other", judged, 4)]


def test_verdicts_reach_their_plays_whatever_the_batches(engine):
    judge = LengthJudge()
    rows = evaluate(engine, WordRenderer(), suite(), seed=3, judge=judge)
    assert len(judge.heard) == 26 and len({row.score for row in rows}) > 2
    for batch_rows in (1, 5):
        assert (
            evaluate(engine, WordRenderer(), suite(), seed=3, judge=LengthJudge(), batch_rows=batch_rows)
            == rows
        )


def test_judging_begins_while_others_are_sampled(engine):
    class Counts:
        turns = 0

        def sample(self, requests):
            self.turns += 1
            return engine.sample(requests)

    class Tells(LengthJudge):
        async def grade(self, requests):
            begun.append(counts.turns)
            async for each in super().grade(requests):
                yield each

    counts, begun = Counts(), []
    evaluate(counts, WordRenderer(), suite(), seed=3, judge=Tells(), batch_rows=2)
    assert begun[0] == 2 < counts.turns  # with the turn after the one that asked, and others follow


def test_a_verdict_that_fails_is_asked_for_again(engine):
    rows = evaluate(engine, WordRenderer(), suite(), seed=3, judge=LengthJudge())
    assert evaluate(engine, WordRenderer(), suite(), seed=3, judge=LengthJudge(fails_until=2)) == rows


def test_a_verdict_that_never_comes_ends_the_evaluation(engine):
    with pytest.raises(PlayError, match="gave no verdict in 3 tries: the judge mumbled"):
        evaluate(engine, WordRenderer(), suite(), seed=3, judge=LengthJudge(fails_until=9))


def test_a_benchmark_that_needs_a_judge_says_so_before_the_first_token(engine):
    with pytest.raises(UserError, match='needs "judge"'):
        evaluate(engine, WordRenderer(), suite(), seed=3)
    with pytest.raises(PlayError, match="asks a judge that this run does not have"):
        evaluate(engine, WordRenderer(), [benchmark("undeclared", judged, 2)], seed=3)
