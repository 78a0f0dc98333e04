"""Judges that are no judges: one that says the same of everything is found out."""

import asyncio
import json

import pytest

from evenkeel import cli
from evenkeel.engines.endpoint import EndpointConfig
from evenkeel.grading.gold import GoldItem
from evenkeel.grading.judge import JudgeConfig
from evenkeel.grading.qualify import qualify
from judge_tiny import SCENARIO
from loopback import Loopback, completion
from rule_judge import answer, criteria_of, question_of, reply_of

GOLD = [
    GoldItem("drinks", f"{n}", SCENARIO, text, {"leaf": "tea" in text, "vessel": "cup" in text, "spirit": "rum" in text})
    for n, text in enumerate(["a cup of tea", "tea", "a cup of rum", "rum", "water", "tea with rum", "a cup", "milk"] * 4)
]  # fmt: skip
HALF = ("a cup of tea", "rum", "water", "a cup")  # with as large a share of what is met as of what is not


def always(says):
    """A judge that says the same of everything."""

    def behave(body, n):
        names = [name for name, _ in criteria_of(question_of(body))]
        reason = f"Therefore {'' if says else 'not '}met."
        return completion(json.dumps({"verdicts": [{"id": m, "reason": reason, "met": says} for m in names]}))

    return behave


@pytest.mark.parametrize(
    ("behave", "unfit"),
    [
        (lambda body, n: answer(body), ""), (always(True), "says yes to nearly everything, 100%"),
        (always(False), "says no to nearly everything, 100%"),
        (lambda body, n: always(reply_of(question_of(body)) in HALF)(body, n), "hardly more often"),
    ],
)  # fmt: skip
def test_a_judge_that_says_the_same_of_everything_is_found_out(tmp_path, behave, unfit):
    with Loopback(behave) as server:
        config = JudgeConfig(EndpointConfig(server.url, "rule"), role="eval", form="json")
        found = asyncio.run(qualify(config, tmp_path / "c.sqlite", GOLD, retest=0, attacked=0))
    assert unfit in found.unfit and bool(found.unfit) == bool(unfit)


def test_the_check_says_that_a_judge_always_says_yes(tmp_path, capsys):
    def behave(body, n):  # the dataset's criteria, which no rule knows
        listed = question_of(body).split("Criteria:\n")[1].split("\n\n")[0]
        names = [line[2:].partition(":")[0] for line in listed.split("\n")]
        entries = [{"id": name, "reason": "So. Therefore met.", "met": True} for name in names]
        return completion(json.dumps({"verdicts": entries}))

    with Loopback(behave) as server:
        cli.main(
            [
                "judge",
                "check",
                "--url",
                server.url,
                "--model",
                "m",
                "--limit",
                "4",
                "--cache",
                str(tmp_path / "c.sqlite"),
            ]
        )
    said = capsys.readouterr().out
    assert (
        "NOT FIT to give rewards: it says yes to nearly everything" in said and "of what is not: 100%" in said
    )
