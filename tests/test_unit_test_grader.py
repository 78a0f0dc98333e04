"""The grader by unit tests: the program of a reply, many replies at once, facts checked first, real programs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from evenkeel.grading.collect import collect
from evenkeel.grading.grader import GradeRequest
from evenkeel.grading.unit_tests import CHECKER, UnitTests, check_unit_tests, code_of
from evenkeel.records.errors import UserError
from evenkeel.records.types import Message, Provenance, Reply, Scored
from evenkeel.scenarios.scenario import Scenario
from sandbox_trials import HASTY, needs_sandbox

MBPP = Path(__file__).parents[2] / "shared" / "benchmarks" / "mbpp_sanitized" / "sanitized-mbpp.json"


@needs_sandbox
@pytest.mark.skipif(not MBPP.exists(), reason="needs ../shared/benchmarks/mbpp_sanitized")
def test_reference_programs_pass_and_mutated_ones_fail():
    rows = json.loads(MBPP.read_text())[::40]
    facts = [{"tests": row["test_list"], "setup": "\n".join(row["test_imports"])} for row in rows]
    right = [f"So:\n```python\n{row['code']}\n```" for row in rows]
    wrong = [row["code"].replace("return", "return 77,") for row in rows]

    async def all_of_them(answers):
        return await asyncio.gather(*map(check_unit_tests, answers, facts))

    assert len(rows) > 10
    assert set(asyncio.run(all_of_them(right))) == {1.0}
    assert set(asyncio.run(all_of_them(wrong))) == {0.0}


@pytest.mark.parametrize("answer, code", [
    ("def f(): pass", "def f(): pass"),
    ("So:\n```python\na = 1\n```\nor\n```python\nb = 2\n```\ndone", "b = 2\n"),
    ("```python\na = 1\n```\nprints\n```\n1\n```", "a = 1\n"),
    ("```\na = 1\n```\nand\n```text\nhello\n```", "a = 1\n"),
    ("1. Write\n   ```py\n   if a:\n       b\n   ```\n", "if a:\n    b\n"),
    ("~~~Python3 title=x\na = '''```'''\n~~~", "a = '''```'''\n"),
    ("````python\nx = '''\n```\n'''\n````", "x = '''\n```\n'''\n"),
    ("```python\r\na = 1\r\n```", "a = 1\n"),
    ("cut off:\n```python\na = 1\nb", "a = 1\nb"),
])  # fmt: skip
def test_the_program_of_a_reply_is_found(answer, code):
    assert code_of(answer) == code


def scenario(*tests):
    facts = {"check": "unit_tests", "tests": list(tests), "setup": ""}
    return Scenario("s", (Message("user", "Write f."),), (), "train", Provenance("test"), facts=facts)


@needs_sandbox
def test_the_grader_grades_many_replies_at_once_while_the_loop_goes_on():
    task = scenario("assert f(1) == 1", "assert f(2) == 4")
    replies = [
        "def f(x): return x * x",
        "def f(x): return x",
        "I cannot.",
        "",
        "while True: pass",
        "def f(x): return x ** 2",
    ]
    requests = [GradeRequest(str(n), task, Reply(text, text)) for n, text in enumerate(replies)]
    ticks = 0

    async def graded(grader, requests):
        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.ensure_future(tick())
        outcomes = await collect(grader, requests)
        ticking.cancel()
        return [outcome.verdicts["correct"] for outcome in outcomes.values()]

    assert asyncio.run(graded(UnitTests(limits=HASTY), requests)) == [1, 0, 0, 0, 0, 1]
    assert asyncio.run(graded(UnitTests(share=True), requests[:4])) == [1, 0.5, 0, 0]
    assert ticks > 5
    assert UnitTests().version != UnitTests(share=True).version != UnitTests(limits=HASTY).version


@needs_sandbox
def test_the_checker_checks_the_facts_first():
    CHECKER.require({"tests": ["assert f(1) == 2"]})
    for facts in (
        {},
        {"tests": []},
        {"tests": "assert f(1)"},
        {"tests": ["assert ("]},
        {"tests": ["f()"], "setup": "import"},
    ):
        with pytest.raises(UserError):
            CHECKER.require(facts)
    assert asyncio.run(CHECKER.check({"tests": ["assert f(1) == 2"]}, "f = lambda x: 2")) == Scored(
        {"correct": 1.0}
    )
