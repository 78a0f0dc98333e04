"""Instruction constraints: what is drawn can be met, is said in words, and contradicts neither itself nor the prompt."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

import pytest

from evenkeel.grading.constraints import CHECKER
from evenkeel.records.errors import UserError
from evenkeel.scenarios.standard.constraint_kinds import (
    CONSTRAINTS,
    ENDINGS,
    FIRST_WORDS,
    FORBIDDEN,
    KEYWORDS,
    compatible,
)
from evenkeel.scenarios.standard.load import load_source
from evenkeel.scenarios.standard.settings import SourceSettings


def load(folder, **values):
    return load_source(
        SourceSettings(name="s", kind="instructions", share=1.0, licence="own", **values),
        seed=0,
        folder=folder,
    )


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.name


def prompt(scenario):
    return scenario.messages[-1].content


def constraint_rows(tmp_path, count=150, **changes):
    rows = [{"prompt": f"Tell me about day {n} of your journey to the market."} for n in range(count)]
    return load(tmp_path, file=write(tmp_path / "p.jsonl", rows), **changes)


def test_one_to_three_constraints_that_can_stand_together_are_drawn(tmp_path):
    rows = constraint_rows(tmp_path, variants=4)
    assert len({s.id for s in rows}) == len(rows) == 600
    drawn = [[one["id"] for one in s.facts["constraints"]] for s in rows]
    assert {len(names) for names in drawn} == {1, 2, 3}
    assert all(compatible(names) for names in drawn)
    assert {name for names in drawn for name in names} == set(CONSTRAINTS)
    assert len({tuple(names) for names in drawn[:4]}) > 1  # variants of one prompt


def reply_for(constraints: list[Mapping]) -> str:
    """A reply, however dull, that meets all of these."""
    given = {one["id"].partition(":")[2]: one for one in constraints}
    words = [word for one in constraints for word in one.get("keywords", ())]
    if one := given.get("frequency"):
        words += [one["keyword"]] * one["frequency"]
    if one := given.get("letter_frequency"):
        words += [one["letter"] * one["let_frequency"]]
    if one := given.get("number_highlighted_sections"):
        words += ["*so*"] * one["num_highlights"]
    if one := given.get("number_placeholders"):
        words += ["[name]"] * one["num_placeholders"]
    if one := given.get("capital_word_frequency"):
        words += ["WALK"] * one["capital_frequency"]
    if (one := given.get("number_words")) and one["relation"] == "at least":
        words += ["we", "walk", "on"] * (one["num_words"] // 3 + 1)
    text = " ".join([*words, "and we walk."])
    if (one := given.get("number_sentences")) and one["relation"] == "at least":
        text += " We walk on." * one["num_sentences"]
    if one := given.get("number_paragraphs"):
        text = "\n***\n".join([text] + ["We walk."] * (one["num_paragraphs"] - 1))
    if one := given.get("nth_paragraph_first_word"):
        text = "\n\n".join([text] + [f"{one['first_word']} we walk."] * (one["num_paragraphs"] - 1))
    if one := given.get("number_bullet_lists"):
        text += "\n* on" * one["num_bullets"]
    if one := given.get("multiple_sections"):
        text += "".join(f"\n{one['section_spliter']} {n + 1}\non" for n in range(one["num_sections"]))
    if "title" in given:
        text = f"<<walks>>\n{text}"
    if one := given.get("postscript"):
        text += f"\n{one['postscript_marker']} On!"
    if one := given.get("end_checker"):
        text += f" {one['end_phrase']}"
    text = (
        text.upper() if "english_capital" in given else text.lower() if "english_lowercase" in given else text
    )
    if "quotation" in given:
        text = f'"{text}"'
    return json.dumps({"text": text}) if "json_format" in given else text


@pytest.mark.parametrize("max_tokens", [80, 600])
def test_one_reply_can_meet_all_that_is_asked_of_it(max_tokens, tmp_path):
    rows = constraint_rows(tmp_path, variants=4, max_tokens=max_tokens)
    assert len(rows) == 600
    for scenario in rows:
        CHECKER.require(scenario.facts)
        verdicts = CHECKER.check(scenario.facts, reply_for(scenario.facts["constraints"])).verdicts
        assert set(verdicts.values()) == {1.0}, (verdicts, scenario.facts["constraints"])


def test_not_everything_is_met_by_any_reply(tmp_path):
    """A constraint that no reply fails would teach nothing."""
    plain = "Well, it is a long story. Some things are very important, and many are just the usual."
    long = " ".join([*[plain] * 20, *FORBIDDEN])
    for name in CONSTRAINTS:
        rows = constraint_rows(tmp_path, 20, constraints=(name,))
        met = [all(CHECKER.check(s.facts, reply).verdicts.values()) for s in rows for reply in (plain, long)]
        assert sum(met) <= 20, name


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("change_case:english_capital", "change_case:english_lowercase"),
        ("change_case:english_lowercase", "change_case:capital_word_frequency"),
        ("change_case:english_lowercase", "detectable_format:multiple_sections"),
        ("change_case:english_lowercase", "detectable_content:postscript"),
        ("punctuation:no_comma", "detectable_format:json_format"),
        ("startend:end_checker", "startend:quotation"),
        ("startend:end_checker", "detectable_content:postscript"),
        ("length_constraints:number_words", "length_constraints:number_sentences"),
        ("length_constraints:number_paragraphs", "length_constraints:nth_paragraph_first_word"),
        ("detectable_format:number_bullet_lists", "detectable_format:number_highlighted_sections"),
        ("keywords:existence", "keywords:existence"),
    ],
)
def test_contradictions_are_excluded(one, two):
    assert not compatible([one, two]) and compatible([one])


def test_what_is_drawn_contradicts_nothing_in_the_words():
    assert not any("," in text for text in ENDINGS)  # "no commas" may stand beside an ending
    spoken = {word for text in (*ENDINGS, *FIRST_WORDS) for word in re.findall(r"\w+", text.casefold())}
    assert not spoken & set(FORBIDDEN) and not set(KEYWORDS) & set(FORBIDDEN)


def test_words_of_the_prompt_are_neither_asked_for_nor_forbidden(tmp_path):
    rows = constraint_rows(
        tmp_path, variants=4, constraints=("keywords:existence", "keywords:forbidden_words")
    )
    asked = {word for s in rows for one in s.facts["constraints"] for word in one.get("keywords", ())}
    assert len(asked) == len(KEYWORDS) - 2 and not asked & {"journey", "market"}


def test_each_constraint_is_said_with_its_parameters_in_several_ways(tmp_path):
    said: dict[str, set[str]] = {}
    for name in CONSTRAINTS:
        for scenario in constraint_rows(tmp_path, 30, constraints=(name,)):
            (one,) = scenario.facts["constraints"]
            how = scenario.facts["how"]
            assert prompt(scenario).endswith(how) and "{" not in how
            for key, value in one.items():
                if key != "id" and not key.endswith("relation"):
                    assert all(str(part) in how for part in (value if isinstance(value, list) else [value]))
                if key.endswith("relation"):
                    assert ("fewer than" in how) == (value == "less than")
            said.setdefault(name, set()).add(re.sub(r'"[^"]*"|\d+|\w+ 1|P\.\S+', "", how)[:25])
    assert {name for name, ways in said.items() if len(ways) < 3} == set()


def test_a_minimum_of_words_fits_the_cap(tmp_path):
    rows = constraint_rows(tmp_path, constraints=("length_constraints:number_words",), max_tokens=130)
    least = {
        one["num_words"]
        for s in rows
        for one in s.facts["constraints"]
        if one["relation"] == "at least"
    }  # fmt: skip
    assert least == {20, 30, 40}


def test_prompts_that_fix_the_form_themselves_are_left_out(tmp_path):
    rows = [
        {"instruction": "Write a Python function.", "instances": [{"input": "", "output": ""}]},
        {"instruction": "Is this spam?", "instances": [{"input": "x"}], "is_classification": True},
        {"instruction": "Plan a party.", "instances": [{"input": "Python programmers", "output": ""}]},
    ]
    file = write(tmp_path / "p.jsonl", rows)
    (row,) = load(tmp_path, file=file)
    assert prompt(row).startswith("Plan a party.\n\nPython programmers\n\n")
    write(tmp_path / "p.jsonl", rows[:2])
    with pytest.raises(UserError, match="has no tasks"):
        load(tmp_path, file=file)
