"""Instruction constraints: each of the 25 followed and broken, strict and loose, and what is refused at loading."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenkeel.grading.constraints import KINDS, criteria, followed, in_words, require_known
from evenkeel.grading.constraints_words import sentences
from evenkeel.grading.languages import language_of
from evenkeel.records.errors import UserError

BENCHMARKS = Path(__file__).parents[2] / "shared" / "benchmarks"
DATA = pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="the benchmark files are not beside this checkout")
GERMAN = (
    "Das ist ein Satz, der nicht sehr lang ist, aber er hat genug kleine Wörter, und man kann ihn gut lesen."
)

CASES = [  # id, parameters, replies that follow, replies that do not
    ("keywords:existence", {"keywords": ["Tea", "c++"]}, ["I like TEA and C++."], ["I like tea.", "tea c"]),
    ("keywords:frequency", {"keyword": "tea", "relation": "at least", "frequency": 2}, ["tea, team", "TEA tea"], ["tea"]),
    ("keywords:frequency", {"keyword": "tea", "relation": "less than", "frequency": 2}, ["tea", "rum"], ["tea tea"]),
    ("keywords:forbidden_words", {"forbidden_words": ["tea", "rum"]}, ["a steak"], ["Green Tea.", "no rum"]),
    ("keywords:letter_frequency", {"letter": "a", "let_relation": "at least", "let_frequency": 3}, ["Banana", "A a A"],
    ["bana"]),
    ("keywords:letter_frequency", {"letter": "#", "let_relation": "less than", "let_frequency": 2}, ["#one"], ["#one #two"]),
    ("length_constraints:number_words", {"relation": "at least", "num_words": 3}, ["one, two three"], ["one two -"]),
    ("length_constraints:number_words", {"relation": "less than", "num_words": 3}, ["one two"], ["one two three"]),
    ("length_constraints:number_sentences", {"relation": "less than", "num_sentences": 3},
     ["Dr. A. Smith came at 5 p.m. today. He left."], ["One. Two! Three?"]),
    ("length_constraints:number_sentences", {"relation": "at least", "num_sentences": 2}, ["one. two."], ["1. one\n",
    "Well... no."]),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, ["a\n***\nb", "***\na\n***\nb\n***"], ["a\n\nb",
    "a\n***\n***\nb", "a"]),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "So"},
     ["One.\n\n\"So,\" he said.", "One.\n\n\n\nso it is"], ["So.\n\nOne.", "One.\n\nSo.\n\nTwo.", "One.\n\nSoon."]),
    ("change_case:capital_word_frequency", {"capital_relation": "at least", "capital_frequency": 2}, ["I AM here",
    "WELL-KNOWN US"], ["I am"]),
    ("change_case:capital_word_frequency", {"capital_relation": "less than", "capital_frequency": 2}, ["so it IS"],
    ["SO IT is"]),
    ("change_case:english_capital", {}, ["THIS IS IT. 1", "OK"], ["This IS IT.", GERMAN.upper(), "12"]),
    ("change_case:english_lowercase", {}, ["this is it. 1"], ["This is it.", GERMAN.lower()]),
    ("language:response_language", {"language": "de"}, [GERMAN],
    ["This is a sentence that is in English, and not in the other.", "Ja", "1 2"]),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, ["* a\n* b", "x\n- a\n  - b\n---\n**c**"], ["* a",
    "- a\n- b\n- c"]),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, ["*a b* and **c**"], ["*a*", "2 * 3 * 4 * 5",
    "* a\n* b\n* c"]),
    ("detectable_format:multiple_sections", {"section_spliter": "SECTION", "num_sections": 2},
    ["SECTION 1\na\nSECTION 2\nb"], ["SECTION 1\na", "Section 1 Section 2"]),
    ("detectable_format:title", {}, ["<<A title>>\ntext"], ["<< >>", "<title>", "<<a\nb>>"]),
    ("detectable_format:json_format", {}, ['{"a": [1]}', '```json\n["a"]\n```', "```\n{}\n```"], ["{a: 1}", '"yes"',
    "7", 'Here: {"a": 1}', "[" * 10**5]),
    ("detectable_format:constrained_response", {}, ["My answer is yes.", "So: My answer is maybe."], ["Yes.",
    "My answer is yes. My answer is no."]),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, ["Dear [name] of [home address]"], ["[name]",
    "[] [ ]", "[a\nb] [c]"]),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, ["Bye.\nP.S. One more.", "p. s. x"], ["Bye. PS",
    "Ups. I"]),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, ["Bye.\nP.P.S. One.", "P. P. S x"], ["P.S. One"]),
    ("startend:end_checker", {"end_phrase": "Is there anything else?"},
    ["Done. is there anything else?", '"Is there anything else?"\n'],
     ["Is there anything else? Bye"]),
    ("startend:quotation", {}, ['"All of it."', ' "a "b" c" '], ['"', '"a" b', "'a'"]),
    ("combination:two_responses", {}, ["a\n******\nb", "******\na\n******\nb"], ["a", "a\n******\na",
    "a\n******\nb\n******\nc", "a\n******\n"]),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it. "}, ["say it.\n\nIt."], ["Say\nit.", "Sure! Say it."]),
    ("punctuation:no_comma", {}, ["a; b"], ["a, b"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "parameters", "good", "bad"), CASES, ids=[case[0] for case in CASES])
def test_a_constraint_is_followed_or_not(name, parameters, good, bad):
    constraint = {"id": name, **parameters}
    require_known([constraint])
    for reply in good:
        assert followed([constraint], reply) == followed([constraint], reply, loose=True) == (True,), reply
    for reply in [*bad, "", " \n"]:
        assert followed([constraint], reply) == (False,), reply


def test_all_25_are_tried():
    assert {case[0] for case in CASES} == set(KINDS) and len(KINDS) == 25


def test_the_loose_way_forgives_an_introduction_a_farewell_and_bold_type():
    quoted, repeated = (
        {"id": "startend:quotation"},
        {"id": "combination:repeat_prompt", "prompt_to_repeat": "Say it."},
    )
    for reply in (
        'Sure, here it is:\n"It."',
        '"It."\nHope this helps!',
        'Sure:\n"It."\nBye!',
        '**"It."**',
        'Sure:\n**"It."**\nBye!',
    ):
        assert followed([quoted], reply) == (False,) and followed([quoted], reply, loose=True) == (True,), (
            reply
        )
    assert followed([quoted, repeated], "Sure!\n**Say it.** It.", loose=True) == (False, True)
    assert followed([quoted], 'One.\nTwo.\n"It."\nThree.', loose=True) == (
        False,
    )  # one line at each end, no more
    assert followed([{"id": "punctuation:no_comma"}], "Sure, it is\n", loose=True) == (
        False,
    )  # nothing is left of it


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet='aB ,.\n*"[<', min_size=1, max_size=60))
def test_the_loose_way_is_never_stricter(reply):
    constraints = [{"id": name, **parameters} for name, parameters, _, _ in CASES]
    pairs = zip(followed(constraints, reply), followed(constraints, reply, loose=True), strict=True)
    assert all(loose or not strict for strict, loose in pairs)


@given(st.integers(1, 40), st.integers(1, 60))
def test_words_are_counted_exactly(count, wanted):
    reply = " ".join(["word,"] * count)
    constraints = [
        {"id": "length_constraints:number_words", "relation": r, "num_words": wanted}
        for r in ("at least", "less than")
    ]
    assert followed(constraints, reply) == (count >= wanted, count < wanted)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Hello there. How are you? Fine!", 3), ("Dr. Smith of the U.S. met J. R. Tolkien at 5 p.m. in May. He left.", 2),
        ("no end", 1),
        ("1. First item.\n2. Second item.", 2), ("Wait... what? Yes.", 2), ('He said "Stop!" and left. "Why?" She wept.', 3),
        ("", 0),
        ("Pi is 3.14. It is I. And you?", 3), ("all is small. so is this. and this", 3),
        ("क्या हाल है? मैं ठीक हूँ। धन्यवाद।", 3), ("... !", 0),
    ],
)  # fmt: skip
def test_sentences(text, count):
    assert sentences(text) == count


@pytest.mark.parametrize(
    ("constraint", "says"),
    [
        ({"id": "length_constraints:number_wordz"}, 'Did you mean "length_constraints:number_words"'),
        ({}, "unknown constraint"),
        ({"id": "length_constraints:number_words", "num_words": 4}, "lacks relation"), ("no_comma", "unknown constraint"),
        ({"id": "length_constraints:number_words", "relation": "at most", "num_words": 4}, "at least"),
        ({"id": "length_constraints:number_words", "relation": "at least", "num_words": 0}, "whole number"),
        ({"id": "length_constraints:number_words", "relation": "at least", "num_words": True}, "whole number"),
        ({"id": "punctuation:no_comma", "num_commas": 1}, "does not take num_commas"),
        ({"id": "keywords:existence", "keywords": "tea"}, "list"),
        ({"id": "keywords:letter_frequency", "letter": "ab", "let_relation": "at least", "let_frequency": 1}, "one character"),
        ({"id": "language:response_language", "language": "xx"}, "told from others"),
        ({"id": "language:response_language"}, "lacks language"),
        ({"id": "language:response_language", "language": "da"}, "told from others"),
        ({"id": "startend:end_checker", "end_phrase": " "}, "blank"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused_at_loading(constraint, says):
    with pytest.raises(UserError, match=says):
        require_known([constraint])


def test_parameters_that_are_null_are_absent():
    constraint = {"id": "punctuation:no_comma", "num_words": None, "relation": None}
    require_known([constraint])
    assert followed([constraint], "a b") == (True,)


def test_criteria_say_what_is_asked():
    words = {"id": "length_constraints:number_words", "relation": "at least", "num_words": 40}
    first, second = criteria({"constraints": [words, words]})
    assert (first.id, second.id) == (
        "c1:length_constraints:number_words",
        "c2:length_constraints:number_words",
    )
    assert first.text == "The reply has at least 40 words." and first.points == second.points == 1.0
    assert in_words({"id": "keywords:existence", "keywords": ["tea", "rum"]}) == "contains each of tea, rum"


@DATA
@pytest.mark.parametrize("path", ["ifeval/input_data.jsonl", "sys_ifeval/sys_ifeval.jsonl"])
def test_every_row_of_ifeval_is_known(path):
    seen = set()
    for line in (BENCHMARKS / path).read_text().splitlines():
        row = json.loads(line)
        constraints = [
            {"id": name, **kwargs}
            for name, kwargs in zip(row["instruction_id_list"], row["kwargs"], strict=True)
        ]
        require_known(constraints)
        assert len(criteria({"constraints": constraints})) == len(constraints)
        strict, loose = followed(constraints, row["prompt"]), followed(constraints, row["prompt"], loose=True)
        assert all(weak or not strong for strong, weak in zip(strict, loose, strict=True))
        seen |= {constraint["id"] for constraint in constraints}
    assert seen == set(KINDS)


@DATA
def test_the_prompts_of_ifeval_are_english():
    prompts = [
        json.loads(line)["prompt"]
        for line in (BENCHMARKS / "ifeval" / "input_data.jsonl").read_text().splitlines()
    ]
    found = [language_of(prompt) for prompt in prompts]
    assert set(found) <= {"en", None} and found.count(None) <= 3


def test_hostile_replies_are_read():
    """With a rule whose expression backtracks, one of these would not end."""
    constraints = [{"id": name, **parameters} for name, parameters, _, _ in CASES]
    for hostile in ("*", "[", "<<", "a.", "-", " ", "\n", '"', "Mr. ", "***", "p.", "SECTION ", "`"):
        assert len(followed(constraints, hostile * (100_000 // len(hostile)))) == len(CASES)
