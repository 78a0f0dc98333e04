"""Audit: equal and nearly equal prompts, rubrics, replies and criteria are found, across splits too."""

from __future__ import annotations

import pytest

from scenario_examples import BRIDGE, CHESS, FERRITIN, GOOD, PROOF, STRIKE, changed, found

RULES = ("near_prompts", "near_rubrics", "near_replies", "reused_criteria")


@pytest.mark.parametrize("rule", RULES)
def test_different_scenarios_have_no_finding(rule):
    assert found(rule, *GOOD) == []


def test_a_paraphrased_prompt_is_found_across_splits():
    text = STRIKE["messages"][1]["content"]
    near = text.replace("41 drivers of 60", "44 drivers of 61").replace("Friday", "Monday")
    (finding,) = found(
        "near_prompts", STRIKE, BRIDGE, changed(CHESS, messages=[{"role": "user", "content": near}])
    )
    assert finding.scenario == CHESS["id"] and finding.line == 3
    assert f"like that of {STRIKE['id']} of the other split (mine.jsonl, line 1)" in finding.problem
    assert "Rewrite one of the two" in finding.fix


def test_an_equal_prompt_is_said_to_be_equal_and_system_prompts_do_not_count():
    same = changed(PROOF, messages=STRIKE["messages"][1:])
    (finding,) = found("near_prompts", STRIKE, same)
    assert "its prompt equals that" in finding.problem and "other split" not in finding.problem
    system = {
        "role": "system",
        "content": "You are the guide of a museum of clocks, brief and friendly to all visitors.",
    }
    both = [changed(each, messages=[system, *each["messages"]]) for each in (BRIDGE, PROOF)]
    assert found("near_prompts", *both) == []


def test_a_shared_rubric_is_found():
    (finding,) = found("near_rubrics", FERRITIN, changed(STRIKE, criteria=FERRITIN["criteria"]))
    assert "its rubric equals that" in finding.problem


def test_one_reused_criterion_is_found_but_not_inside_one_rubric():
    reused = {"id": "takes_back", "text": "Takes back the racing limit of 20 that it invented.", "points": 4}
    (finding,) = found("reused_criteria", FERRITIN, changed(STRIKE, criteria=[*STRIKE["criteria"], reused]))
    assert "its criterion equals that" in finding.problem
    twice = changed(FERRITIN, criteria=[*FERRITIN["criteria"], reused])
    assert found("reused_criteria", twice) == []


def test_replies_of_two_scenarios_may_not_be_alike_those_of_one_pair_may():
    copied = changed(BRIDGE, bad_reply=BRIDGE["bad_reply"] | {"text": FERRITIN["bad_reply"]["text"]})
    (finding,) = found("near_replies", FERRITIN, copied)
    assert finding.scenario == BRIDGE["id"]
    alike = changed(BRIDGE, bad_reply=BRIDGE["bad_reply"] | {"text": BRIDGE["good_reply"]["text"] + " Now."})
    assert found("near_replies", alike) == []
