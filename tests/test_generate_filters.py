"""Rows that the generator rejects: generic ones, those against the audit's rules, near duplicates, overlaps."""

import json
import random

import pytest

import scripted_writer as writer
from evenkeel.scenarios.generator import sampling
from evenkeel.scenarios.generator.filters import Neighbours, alone
from evenkeel.scenarios.rows import row_json
from generator_tiny import mended, run, spoilt
from loopback import completion
from scenario_examples import BRIDGE, CHOIR, FERRITIN, PROOF, row, write


def test_a_generic_rubric_is_rejected_before_the_pair_is_paid(tmp_path):
    vague = [{"id": "good", "text": "Is helpful and honest to the user.", "points": 5},
             {"id": "b", "text": "Says that rimo tola basu nelo kavi.", "points": 3},
             {"id": "c", "text": "Leaves fula moka deri sopa tulu.", "points": -6}]  # fmt: skip
    bad = spoilt(lambda b: writer.stage_of(b) == "rubric", lambda b: mended(b, criteria=vague))
    done, server = run(tmp_path, bad, traits=("truthfulness",), draws=2)
    assert done.reasons == {"generic": 4} and done.short == {"truthfulness/health": 1, "truthfulness/law": 1}
    assert "pair" not in {writer.stage_of(body) for _, body in server.requests}


@pytest.mark.parametrize(
    ("stage", "record", "rule"),
    [
        ("rewrite", {"messages": [{"role": "user", "content": "We must delve into the ledger of the tram depot."}],
                     "flawed_turn": False}, "stock_phrases"),
        ("rubric", {"criteria": FERRITIN["criteria"][:2], "good_reply": None, "bad_reply": None}, "criteria"),
        ("pair", {"good_reply": FERRITIN["bad_reply"], "bad_reply": FERRITIN["good_reply"]}, "pair_gap"),
        ("pair", {"bad_reply": FERRITIN["bad_reply"] | {"text": "Sure, no. " * 15}}, "stock_phrases"),
    ],
)  # fmt: skip
def test_the_audits_rules_on_one_row(stage, record, rule):
    assert alone(stage, row(**record)).rule == rule
    assert alone(stage, row()) is None


def test_near_duplicates_are_rejected(tmp_path):
    def same(body):  # every draft of the first draw of each slot, and its rewrite, in the same words
        return completion(json.dumps(writer.written(dict(body, seed=5))))

    slots = [sampling.Slot(0, "truthfulness", "health", n) for n in (101, 102, 103)]
    alike = {sampling.call_seed(0, slot, 0, "rubric") for slot in slots}
    done, _ = run(
        tmp_path,
        spoilt(lambda b: b["seed"] in alike, same),
        traits=("truthfulness",),
        domains=("health",),
        per_cell=3,
    )
    assert done.reasons == {"near_rubrics": 2} and not done.short
    assert [r.provenance.detail["seed"][-1] for r in done.ordered] == [
        "0",
        "1",
        "1",
    ]  # the first in order stays


def test_neighbours_know_prompts_rubrics_replies_criteria_openings_and_phrases():
    there = Neighbours()
    for record in (FERRITIN, CHOIR, PROOF):
        there.add(row(record))
    assert there.objection(row(BRIDGE)) is None
    for rule, taken in (
        ("openings", {"messages": [{"role": "user", "content": FERRITIN["messages"][0]["content"][:30] + " but not so"}]}),
        ("near_prompts", {"messages": [{"role": "user", "content": "So! " + PROOF["messages"][0]["content"]}]}),
        ("near_rubrics", {"criteria": FERRITIN["criteria"]}),
        ("near_replies", {"bad_reply": BRIDGE["bad_reply"] | {"text": FERRITIN["bad_reply"]["text"] + " Yes."}}),
        ("reused_criteria", {"criteria": [*BRIDGE["criteria"], PROOF["criteria"][1]]}),
    ):  # fmt: skip
        changed = row(
            BRIDGE, **({"good_reply": None, "bad_reply": None} if "criteria" in taken else {}) | taken
        )
        assert there.objection(changed).rule == rule
    assert there.early(row(FERRITIN), 0) is None and there.early(row(FERRITIN), 1).rule == "openings"
    phrase = "the tide table of the year before last says otherwise"
    for number in range(3):
        said = f"{writer.words(random.Random(number), 60)} {phrase}"
        name = f"bounded_initiative/art_music/train-2{number}"
        there.add(row(CHOIR, id=name, messages=[{"role": "user", "content": said}]))
    worn = row(
        BRIDGE, messages=[{"role": "user", "content": f"{writer.words(random.Random(9), 60)} {phrase}"}]
    )
    assert there.objection(worn).rule == "repeated_phrases"


def test_rows_written_earlier_and_texts_of_against_are_kept_away_from(tmp_path):
    before, _ = run(tmp_path / "before", traits=("truthfulness",), domains=("law",))
    (tmp_path / "texts").mkdir()
    copied = before.ordered[0].messages[-1].content
    (tmp_path / "texts" / "exam.txt").write_text(f"Question 1. {copied}")
    done, _ = run(tmp_path / "a", traits=("truthfulness",), domains=("law",), against=(tmp_path / "texts",))
    assert done.reasons == {"overlap": 1} and not done.short
    moved = before.ordered[0]
    write(tmp_path / "old.jsonl", row_json(moved).replace("train-101", "train-01"))
    done, server = run(
        tmp_path / "b", traits=("truthfulness",), domains=("law",), beside=(tmp_path / "old.jsonl",)
    )
    assert done.reasons == {"openings": 1} and not done.short
    assert len(server.requests) == 2 + 4  # seen after the rewrite: rubric and pair are not paid
    assert moved.title in writer.text_of(server.requests[0][1])
