"""The one grader for all checked answers: each check to its checker, crashes, and facts refused at loading."""

import asyncio

import pytest

from checked_facts import LETTERS, entries
from evenkeel.grading import checked
from evenkeel.grading.checked import Checked, criteria_of, require_checkable
from evenkeel.grading.checker import Checker, verdict
from evenkeel.grading.collect import collect
from evenkeel.grading.grader import GradeRequest
from evenkeel.records.errors import UserError
from evenkeel.records.types import Message, Provenance, Reply, Scored, Unscorable
from evenkeel.scenarios.scenario import Scenario


def scenario(**facts):
    return Scenario("s", (Message("user", "x"),), (), "train", Provenance("test"), source="test", facts=facts)


def graded(grader, *pairs):
    requests = [GradeRequest(str(number), scenario(**facts), Reply(f"<think>Answer: 0</think>{reply}", reply))
                for number, (facts, reply) in enumerate(pairs)]  # fmt: skip
    return list(asyncio.run(collect(grader, requests)).values())


def test_each_check_goes_to_its_checker_and_sees_the_answer_alone():
    [entry] = entries("chain_sum", 1)
    words = {"id": "length_constraints:number_words", "relation": "less than", "num_words": 3}
    outcomes = graded(
        Checked(),
        ({"check": "number", "answer": "42"}, "Answer: 42"),
        ({"check": "number", "answer": "42"}, ""),
        ({"check": "choice", "answer": "C", "options": LETTERS}, "Answer: C"),
        ({"check": "exact", "answer": "Paris"}, "Answer: London"),
        ({"check": "reasoning_gym", "task": "chain_sum", "entry": entry}, f"Answer: {entry['answer']}"),
        ({"check": "constraints", "constraints": [words, {"id": "punctuation:no_comma"}]}, "one, two"),
    )
    assert outcomes == [
        verdict(True), verdict(False), verdict(True), verdict(False), verdict(True),
        Scored({"c1:length_constraints:number_words": 1.0, "c2:punctuation:no_comma": 0.0}),
    ]  # fmt: skip


def test_criteria_and_points():
    grader, asked = (
        Checked(),
        scenario(
            check="constraints", constraints=[{"id": "punctuation:no_comma"}, {"id": "startend:quotation"}]
        ),
    )
    assert grader.criteria(scenario(check="number", answer="1")) == ("correct",)
    assert grader.points(scenario(check="number", answer="1")) == (1.0,)
    assert grader.criteria(asked) == ("c1:punctuation:no_comma", "c2:startend:quotation") and grader.points(
        asked
    ) == (1.0, 1.0)
    assert criteria_of(asked.facts)[0].text == "The reply has no comma."


def test_a_crash_of_a_checker_is_unscorable_and_says_why():
    def crash(facts, answer):
        raise RuntimeError("out of tape")

    async def crash_later(facts, answer):
        return crash(facts, answer)

    for function in (crash, crash_later):
        outcomes = graded(
            Checked({"number": Checker("t", function, lambda facts: None)}),
            ({"check": "number", "answer": "1"}, "1"), ({"check": "exact", "answer": "1"}, "1"),
        )  # fmt: skip
        assert outcomes == [Unscorable("the check crashed: RuntimeError: out of tape"), verdict(True)]


def test_checks_that_take_time_run_side_by_side():
    """Two that wait for each other would never end if one came after the other."""

    async def run():
        met = asyncio.Barrier(2)

        async def check(facts, answer):
            await met.wait()
            return verdict(answer == "1")

        grader = Checked({"slow": Checker("7", check, lambda facts: None)})
        requests = [GradeRequest(text, scenario(check="slow"), Reply(text, text)) for text in "12"]
        assert "slow:7" in grader.version
        return await asyncio.wait_for(collect(grader, requests), 60)

    assert asyncio.run(run()) == {"1": verdict(True), "2": verdict(False)}


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({}, 'unknown check "None"'), ({"check": "numbr"}, 'Did you mean "number"'),
        ({"check": "number", "answer": 42}, "must be a text"),
        ({"check": "number", "answer": "4 or 5"}, "no number"), ({"check": "exact", "answer": "**"}, "empty|must be"),
        ({"check": "choice", "answer": "F", "options": LETTERS}, "not one of its options"),
        ({"check": "choice", "answer": "A", "options": ["a", "b"]}, "Give letters"),
        ({"check": "constraints", "constraints": []}, "no constraints"),
    ],
)  # fmt: skip
def test_facts_that_cannot_be_checked_are_refused_at_loading(facts, says):
    with pytest.raises(UserError, match=says):
        require_checkable(facts)


def test_a_check_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(checked.CHECKS, "unit_tests", "no_such_file")
    monkeypatch.setitem(checked.CHECKS, "elsewhere", "no_such_file")
    checked.checker.cache_clear()
    try:
        with pytest.raises(UserError, match=r'check "unit_tests" cannot be done here'):
            require_checkable({"check": "unit_tests", "tests": []})
        assert "unit_tests:none" in Checked().version
        assert graded(Checked(), ({"check": "number", "answer": "1"}, "1")) == [verdict(True)]
    finally:
        checked.checker.cache_clear()
