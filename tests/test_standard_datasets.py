"""Public data sets as sources: GSM8K, SVAMP, AQuA and Self-Instruct as they are, and files of another one."""

from __future__ import annotations

import json
import re

import pytest

from evenkeel.records.errors import UserError
from evenkeel.scenarios.standard.svamp import joined
from evenkeel.scenarios.standard.wording import bare_text
from standard_sources import CORPUS, load, needs_corpus, prompt, write


@needs_corpus
def test_gsm8k_as_it_is():
    rows = load(None, kind="gsm8k", file=str(CORPUS / "corpus_gsm8k_train" / "train.jsonl"), max_tokens=300)
    assert len(rows) == 7473
    assert rows[0].facts == {"check": "number", "answer": "72", "how": rows[0].facts["how"]}
    assert (
        rows[0].source == "s"
        and rows[0].max_tokens == 300
        and rows[0].trait is None
        and rows[0].domain is None
    )
    assert all(re.fullmatch(r"-?\d+(\.\d+)?", s.facts["answer"]) for s in rows)
    assert not any("<<" in prompt(s) for s in rows)  # the worked solution


@needs_corpus
def test_svamp_as_it_is():
    rows = load(None, kind="svamp", file=str(CORPUS / "corpus_svamp" / "SVAMP.json"))
    assert len(rows) == 1000 and rows[0].facts["answer"] == "51"
    assert "on each pack, how much do you have to pay" in prompt(rows[0])
    assert not any(re.search(r"\w (How|What) ", bare_text(s)) for s in rows)


def test_a_body_without_a_full_stop_is_joined_as_a_person_would():
    assert joined("He ate 3.", "How many?") == "He ate 3. How many?"
    assert (
        joined("He has 5. If he eats 3.5 of them", "How many?")
        == "He has 5. If he eats 3.5 of them, how many?"
    )
    assert joined("He has 5. Then he ate 3", "How many?") == "He has 5. Then he ate 3. How many?"


@needs_corpus
@pytest.mark.parametrize("name", ["dev", "test"])
def test_aqua_as_it_is_without_its_rationales(name):
    file = CORPUS / "corpus_aqua" / f"{name}.json"
    rows = load(None, kind="aqua", file=str(file))
    raw = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(rows) == len(raw) == 254
    for scenario, row in zip(rows, raw, strict=True):
        assert scenario.facts["answer"] == row["correct"] and scenario.facts["options"] == list("ABCDE")
        assert all(option[2:].strip() in prompt(scenario) for option in row["options"])
        assert row["rationale"][:60] not in prompt(scenario)
    assert {layout for s in rows for layout in re.findall(r"\n(\(A\)|A\)|A\.) ", prompt(s))} == {
        "(A)",
        "A)",
        "A.",
    }


@needs_corpus
def test_prompts_of_self_instruct_are_open_ended_tasks():
    file = str(CORPUS / "corpus_self_instruct" / "seed_tasks.jsonl")
    rows = load(None, kind="open_ended", file=file, licence="Apache-2.0")
    assert len(rows) == 175 and {tuple(s.facts.items()) for s in rows} == {(("check", "helpfulness"),)}
    assert prompt(rows[1]) == "What is the relation between the given pairs?\n\nNight : Day :: Right : Left"
    assert rows[1].provenance.source == "seed_tasks.jsonl" and rows[1].provenance.licence == "Apache-2.0"


@pytest.mark.parametrize(
    ("kind", "row", "says"),
    [
        ("gsm8k", {"question": "x", "answer": "42"}, "#### "),
        ("gsm8k", {"question": "x", "answer": "#### about 4"}, "#### "),
        ("svamp", {"Body": "x", "Question": "y", "Answer": "many"}, "must be a number"),
        ("aqua", {"question": "x", "options": ["A)1", "B)2"], "correct": "C"}, "one of A, B"),
    ],
)
def test_a_file_of_another_data_set_is_noticed(kind, row, says, tmp_path):
    with pytest.raises(UserError, match=re.escape(says)) as caught:
        load(tmp_path, kind=kind, file=write(tmp_path / "a.jsonl", [row]))
    assert caught.value.line == 1
