"""Rows of the trait dataset: what is read, errors that name file, line, scenario and fix, and the same line written."""

from __future__ import annotations

import json

import pytest

from evenkeel.records.errors import UserError
from evenkeel.records.types import Message
from evenkeel.scenarios import dataset
from evenkeel.scenarios.dataset import find_files, load_rows
from evenkeel.scenarios.rows import parse_file, parse_row, reply_score, row_json, write_file
from evenkeel.scenarios.scenario import DOMAINS, TRAITS
from scenario_examples import BRIDGE, CHESS, FERRITIN, GOOD, changed, row, write


@pytest.mark.parametrize("record", GOOD, ids=lambda record: record["id"])
def test_a_row_is_read_and_written_as_the_same_line(record):
    line = row_json(row(record))
    assert "\n" not in line
    assert row_json(parse_row(line)) == line
    assert json.loads(line) == {"good_reply": None, "bad_reply": None} | record


def test_a_row_is_a_scenario_of_the_project():
    scenario = row().scenario()
    assert scenario.id == "truthfulness/health/train-01" and scenario.split == "train"
    assert (scenario.trait, scenario.domain, scenario.source) == ("truthfulness", "health", "trait")
    assert scenario.messages[1] == Message("assistant", FERRITIN["messages"][1]["content"])
    assert [criterion.points for criterion in scenario.criteria] == [5.0, 3.0, -6.0]
    assert scenario.provenance.licence == "CC-BY-4.0"
    assert scenario.provenance.detail["reviewer"] == "another engineer"
    assert scenario.max_tokens == 600


def test_what_a_reply_earns():
    assert reply_score(row(), ["retracts_limit", "writes_message"]) == 1.0
    assert reply_score(row(), ["writes_message"]) == pytest.approx(3 / 8)
    assert reply_score(row(), []) == 0.0
    assert reply_score(row(BRIDGE), ["silent"]) == pytest.approx(-0.8)
    assert reply_score(row(CHESS, criteria=[*CHESS["criteria"][:2], CHESS["criteria"][3] | {"points": -10}],
                           good_reply=None, bad_reply=None), ["replay"]) == pytest.approx(-10 / 11)  # fmt: skip
    harsh = [CHESS["criteria"][0] | {"points": 1}, *CHESS["criteria"][2:]]
    assert reply_score(row(CHESS, criteria=harsh, good_reply=None, bad_reply=None), ["replay"]) == -1.0


CRITERIA = FERRITIN["criteria"]
WRONG = {
    "unknown field": ({"titel": "x"}, 'no field "titel"', 'Did you mean "title"?'),
    "missing field": ({"pressures": None}, 'field "pressures" is missing', "Every row has"),
    "no provenance": ({"provenance": None}, 'field "provenance" is missing', "Every row has"),
    "half a provenance": (
        {"provenance": {"source": "x"}}, 'provenance needs the setting "writer"', "",
    ),
    "empty provenance": (
        {"provenance": FERRITIN["provenance"] | {"reviewer": " "}}, "provenance must not be empty", "mandatory",
    ),
    "date": ({"provenance": FERRITIN["provenance"] | {"date": "today"}}, 'date is "today"', "YYYY-MM-DD"),
    "wrong word": ({"format": "advise"}, 'format is "advise"', 'Did you mean "advice"?'),
    "wrong pressure": ({"pressures": ["deadlin"]}, 'pressures[1] is "deadlin"', 'Did you mean "deadline"?'),
    "no pressure": ({"pressures": []}, "pressures must name one or more", "deadline"),
    "wrong age": ({"person": FERRITIN["person"] | {"age": 34}}, "person.age must be a text", ""),
    "wrong type": ({"flawed_turn": "yes"}, "flawed_turn must be true or false", ""),
    "no list": ({"messages": "hello"}, "messages must be a list", ""),
    "id": ({"id": "truthfulness-health-1"}, "is not TRAIT/DOMAIN/SPLIT-NN", "train-01"),
    "id against fields": ({"id": "truthfulness/health/eval-01"}, "split train", "agree"),
    "trait against id": ({"trait": "corrigibility"}, "trait corrigibility", "agree"),
    "ends with assistant": ({"messages": FERRITIN["messages"][:2]}, "user, assistant", "ending with user"),
    "tool role": (
        {"messages": [{"role": "tool", "content": "x"}]}, 'messages[1].role is "tool"', "Known: assistant",
    ),
    "two users": ({"messages": FERRITIN["messages"][::2]}, "the roles are user, user", "in turn"),
    "flawed without a turn": ({"messages": FERRITIN["messages"][:1]}, "flawed_turn is true", "say false"),
    "empty message": ({"messages": [{"role": "user", "content": " "}]}, "a message is empty", ""),
    "empty title": ({"title": ""}, "must not be empty", ""),
    "half points": ({"criteria": [CRITERIA[0] | {"points": 2.5}]}, "criteria[1].points must be a whole number", ""),
    "too many points": ({"criteria": [CRITERIA[0] | {"points": 11}]}, "between -10 and 10", ""),
    "no points": ({"criteria": [*CRITERIA, CRITERIA[0] | {"id": "x", "points": 0}]}, "has no points", ""),
    "nothing to earn": ({"criteria": CRITERIA[2:], "good_reply": None, "bad_reply": None}, "no positive points", "Add"),
    "two alike": ({"criteria": [*CRITERIA, CRITERIA[0]]}, 'the id "retracts_limit"', "own id"),
    "id no slug": ({"criteria": [*CRITERIA, CRITERIA[0] | {"id": "No slug"}]}, "is no slug", "a-z"),
    "half a pair": ({"bad_reply": None}, "one of good_reply and bad_reply is missing", "together"),
    "unknown criterion met": (
        {"good_reply": {"text": "x", "meets": ["retract_limit"]}}, 'meets "retract_limit"', 'mean "retracts_limit"?',
    ),
    "met twice": (
        {"good_reply": {"text": "x", "meets": ["retracts_limit"] * 2}}, "a criterion twice", "once",
    ),
    "empty reply": ({"good_reply": {"text": "", "meets": []}}, "a reply of the pair is empty", "take the pair out"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_errors_name_file_line_scenario_and_fix(name, tmp_path):
    changes, problem, fix = WRONG[name]
    path = tmp_path / "mine.jsonl"
    write(path, BRIDGE, changed(FERRITIN, **changes))
    with pytest.raises(UserError) as caught:
        load_rows([path])
    text = str(caught.value)
    assert f"{path}, line 2: scenario " in text and problem in text and fix in text


def test_broken_json_is_an_error_at_its_line_and_the_other_rows_are_read(tmp_path):
    path = tmp_path / "mine.jsonl"
    write(path, FERRITIN, "{broken", "[1]", BRIDGE)
    found = dict(parse_file(path))
    assert found[1].id == FERRITIN["id"] and found[4].id == BRIDGE["id"]
    assert "line 2: not valid JSON" in str(found[2]) and "line 3: a row is a JSON object" in str(found[3])


def test_a_line_separator_inside_a_text_is_no_new_line(tmp_path):
    path = tmp_path / "mine.jsonl"
    write_file(path, [row(title="one\u2028two"), row(BRIDGE)])
    assert [one.title for one in load_rows([path])] == ["one\u2028two", BRIDGE["title"]]


def test_two_rows_with_one_id_are_refused(tmp_path):
    write(tmp_path / "a.jsonl", FERRITIN)
    write(tmp_path / "b.jsonl", BRIDGE, FERRITIN)
    with pytest.raises(UserError, match=r"b\.jsonl, line 2: scenario truthfulness/health/train-01 is there"):
        load_rows([tmp_path])


def test_rows_are_selected_by_trait_domain_and_split(tmp_path):
    write(tmp_path / "all.jsonl", *GOOD)
    ids = {record["id"] for record in GOOD}
    assert {one.id for one in load_rows([tmp_path])} == ids
    assert {one.domain for one in load_rows([tmp_path], traits=["truthfulness"])} == {"health", "law"}
    assert [one.id for one in load_rows([tmp_path], traits=["truthfulness"], domains=["law"])] == [
        "truthfulness/law/train-01"
    ]
    assert {one.split for one in load_rows([tmp_path], split="eval")} == {"eval"}
    for wrong in ({"traits": ["truthfulnes"]}, {"domains": ["heath"]}, {"split": "test"}):
        with pytest.raises(UserError, match="no scenario has"):
            load_rows([tmp_path], **wrong)


def test_a_path_without_rows_is_an_error(tmp_path):
    for path in (tmp_path, tmp_path / "nothing.jsonl"):
        with pytest.raises(UserError, match="no such file"):
            find_files([path])


def test_the_shipped_files_are_found_by_split_and_trait(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset, "FOLDER", tmp_path)
    with pytest.raises(UserError, match="not there"):
        load_rows()
    write(tmp_path / "eval" / "corrigibility.jsonl", BRIDGE)
    write(tmp_path / "train" / "truthfulness.jsonl", FERRITIN)
    assert [one.id for one in load_rows()] == [FERRITIN["id"], BRIDGE["id"]]


def test_every_trait_and_domain_can_be_an_id():
    for trait in TRAITS:
        for domain in DOMAINS:
            name = f"{trait}/{domain}/train-12"
            assert row(id=name, trait=trait, domain=domain).scenario().id == name
