"""What all standard sources have in common: ids, seeds, limits, and wordings that the grader reads."""

from __future__ import annotations

import re

import pytest

from evenkeel.grading import choice, exact, final_number
from evenkeel.records.types import Scored
from evenkeel.scenarios.standard.wording import WORDINGS, bare_text
from standard_sources import SUMS, load, prompt, write


def test_ids_are_of_the_content_so_that_an_inserted_row_renames_no_other(tmp_path):
    before = load(tmp_path, kind="gsm8k", file=write(tmp_path / "a.jsonl", SUMS[1:]))
    after = load(tmp_path, kind="gsm8k", file=write(tmp_path / "b.jsonl", SUMS[::-1]))
    assert {s.id: s.messages for s in before}.items() < {s.id: s.messages for s in after}.items()
    assert len({s.id for s in after}) == 40 and all(s.id.startswith("s/") for s in after)
    assert (
        before[3].provenance.detail == {"file": "a.jsonl", "row": "4"}
        and before[3].provenance.licence == "MIT"
    )


def test_same_seed_same_tasks_and_another_seed_only_words_them_otherwise(tmp_path):
    file = write(tmp_path / "a.jsonl", SUMS)
    one, same, other = (load(tmp_path, seed, kind="gsm8k", file=file) for seed in (0, 0, 1))
    assert one == same
    assert [s.id for s in one] == [s.id for s in other] and [bare_text(s) for s in one] == [
        bare_text(s) for s in other
    ]
    assert [prompt(s) for s in one] != [prompt(s) for s in other]


def test_a_task_that_stands_twice_counts_once(tmp_path):
    assert len(load(tmp_path, kind="gsm8k", file=write(tmp_path / "a.jsonl", SUMS + SUMS[:7]))) == 40


def test_a_limit_draws_from_all_rows_and_keeps_their_order(tmp_path):
    every = load(tmp_path, kind="gsm8k", file=write(tmp_path / "a.jsonl", SUMS))
    drawn = load(tmp_path, kind="gsm8k", file="a.jsonl", limit=10)
    assert len(drawn) == 10 and drawn != every[:10]
    assert [s for s in every if s in drawn] == list(drawn)
    fewer = load(tmp_path, kind="gsm8k", file=write(tmp_path / "b.jsonl", SUMS[1:]), limit=10)
    assert len({s.id for s in fewer} & {s.id for s in drawn}) >= 9
    other = load(tmp_path, 1, kind="gsm8k", file="a.jsonl", limit=10)
    assert {s.id for s in other} != {s.id for s in drawn}


@pytest.mark.parametrize("form", WORDINGS)
def test_every_wording_says_where_the_answer_goes(form):
    marks = {"tagged": "<answer>", "unit_tests": "block"}
    texts = [text for text, _ in WORDINGS[form]]
    assert 3 <= len(set(texts)) == len(texts) <= 5
    assert {before for _, before in WORDINGS[form]} == {True, False}
    for text in texts:
        assert marks[form] in text if form in marks else re.search(r'"Answer:|boxed\{\}|"####"', text)


def test_all_wordings_occur_and_the_bare_task_is_left_without_them(tmp_path):
    rows = load(tmp_path, kind="gsm8k", file=write(tmp_path / "a.jsonl", SUMS))
    assert {s.facts["how"] for s in rows} == {text for text, _ in WORDINGS["number"]}
    for scenario, row in zip(rows, SUMS, strict=True):
        assert scenario.facts["how"] in prompt(scenario)
        assert bare_text(scenario) == row["question"]


SAID = {"number": ("72", "71"), "choice": ("C", "B"), "exact": ("Lima", "Bern")}


@pytest.mark.parametrize("form", SAID)
def test_a_reply_that_does_as_it_is_asked_is_read_by_the_grader(form):
    right, wrong = SAID[form]
    checker = {"number": final_number, "choice": choice, "exact": exact}[form].CHECKER
    facts = {"check": form, "answer": right, "options": ["A", "B", "C"]}
    checker.require(facts)
    for how, _ in WORDINGS[form]:
        frame = "\\boxed{%s}" if "boxed" in how else "#### %s" if "####" in how else "Answer: %s"
        for said, verdict in ((right, 1.0), (wrong, 0.0)):
            reply = f"First I add 2 and 3, A and B.\n{frame % said}"
            assert checker.check(facts, reply) == Scored({"correct": verdict}), how
