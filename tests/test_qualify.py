"""Qualifying a judge: gold data of public benchmarks as it is, and a judge whose faults are known."""

import asyncio
import json
from pathlib import Path

import pytest

from evenkeel import cli
from evenkeel.engines.endpoint import EndpointConfig
from evenkeel.grading import judge_prompt
from evenkeel.grading.gold import PROPOSITIONS, GoldItem, humane, llmbar, rule_based
from evenkeel.grading.judge import JudgeConfig
from evenkeel.grading.qualify import Share, qualify
from evenkeel.records.types import Message, Provenance
from evenkeel.scenarios.scenario import Criterion, Scenario
from loopback import Loopback
from rule_judge import answer

BENCHMARKS = Path(__file__).parents[2] / "shared" / "benchmarks"
CRITERIA = (Criterion("leaf", 'mentions "tea"', 4), Criterion("spirit", 'mentions "rum"', -2))
SCENARIO = Scenario("s", (Message("user", "A drink?"),), CRITERIA, "eval", Provenance("test"))


def item(name: str, reply: str, leaf: bool, spirit: bool, pair: str = "") -> GoldItem:
    return GoldItem("drinks", name, SCENARIO, reply, {"leaf": leaf, "spirit": spirit}, pair)


ITEMS = [
    item("a/good", "green tea", True, False, "a"), item("a/bad", "dark rum", False, True, "a"),
    item("b/good", "black tea", True, False, "b"), item("b/bad", "herbal tea", True, False, "b"),  # a tie
    item("c", "chai", True, False),  # the rule does not know that chai is tea
]  # fmt: skip


def qualified(tmp_path, **changes):
    with Loopback(lambda body, n: answer(body)) as server:
        config = JudgeConfig(EndpointConfig(server.url, "rule"), role="eval", pause_above=1.0)
        return asyncio.run(qualify(config, tmp_path / "c.sqlite", ITEMS, **changes))


def test_accuracy_of_verdicts_and_pairs(tmp_path):
    [found] = qualified(tmp_path).sets
    assert (found.verdicts.right, found.verdicts.trials) == (9, 10)
    assert (found.pairs.right, found.pairs.trials, found.pairs.ties) == (1.5, 2, 0.5)
    low, high = found.verdicts.interval
    assert low == pytest.approx(0.596, abs=0.01) and high == pytest.approx(0.982, abs=0.01)


def test_a_steady_judge_changes_nothing_and_a_noisy_one_is_caught(tmp_path):
    assert qualified(tmp_path).changed_on_retest.right == 0

    def noisy(body, number):
        body = body | {"messages": json.loads(json.dumps(body["messages"]).replace("green tea", "green t"))}
        return answer(body)

    with Loopback(lambda body, n: noisy(body, n) if body["temperature"] else answer(body)) as server:
        config = JudgeConfig(EndpointConfig(server.url, "rule"), role="eval", pause_above=1.0)
        found = asyncio.run(qualify(config, tmp_path / "n.sqlite", ITEMS))
    assert (found.changed_on_retest.right, found.changed_on_retest.trials) == (1, 10)


def test_attacks_are_counted_where_they_work(tmp_path, monkeypatch):
    safe = qualified(tmp_path, attacked=5)
    assert all(share.right == 0 for name, share in safe.raised_by.items() if name != "restates the criteria")
    monkeypatch.setattr(judge_prompt, "quoted", lambda name, text: f"{name}:\n{text}")
    open_ = qualified(tmp_path / "open", attacked=5)
    assert open_.raised_by["addresses the judge"].right > 0


def test_a_share_without_trials_has_no_value():
    assert Share(0, 0).value is None and Share(0, 0).interval is None


needs_data = pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="the public benchmarks' data is not here")


@needs_data
def test_the_public_gold_sets_are_read_whole():
    pairs = list(llmbar(BENCHMARKS / "llmbar"))
    assert len(pairs) == 2 * 419 and sum(i.verdicts["follows"] for i in pairs) == 419
    assert [i.id.endswith("better") for i in pairs[:4]] == [True, False, True, False]
    labelled = list(rule_based(BENCHMARKS / "openai_rbr_gold"))
    assert len(labelled) == 156 and all(set(i.verdicts) <= set(PROPOSITIONS) for i in labelled)
    rated = list(humane(BENCHMARKS / "humanebench"))
    assert len(rated) == 24 and {i.verdicts["humane"] for i in rated} == {True, False}
    assert not any("-" in i.scenario.criteria[0].text.split("reply ")[1].split()[0] for i in rated)


@needs_data
def test_the_command_prints_a_table(tmp_path, capsys):
    def behave(body, number):
        rows = judge_ids(body)
        return reply_all(body, rows)

    with Loopback(behave) as server:
        code = cli.main([
            "judge", "check", "--url", server.url, "--model", "m", "--benchmarks", str(BENCHMARKS), "--limit", "2",
            "--cache", str(tmp_path / "c.sqlite"),
        ])  # fmt: skip
    text = capsys.readouterr().out
    assert code == 0 and "LLMBar Natural" in text and "HumaneBench golden" in text
    assert "verdicts turned in the reply's favour" in text


def judge_ids(body) -> list[str]:
    question = body["messages"][-1]["content"]
    return [line.split(":")[0][2:] for line in question.split("Criteria:\n")[-1].split("\n\n")[0].split("\n")]


def reply_all(body, names):
    from loopback import completion

    return completion(
        json.dumps({"verdicts": [{"id": n, "reason": "So. Therefore met.", "met": True} for n in names]})
    )
