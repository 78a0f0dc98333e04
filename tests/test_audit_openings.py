"""Audit: repeated openings, clichés, phrases that come back, the first names that models give."""

from __future__ import annotations

import pytest

from scenario_examples import BRIDGE, CHESS, CHOIR, FERRITIN, GOOD, STRIKE, changed, found

WORDS = (
    "anchor",
    "basket",
    "candle",
    "drum",
    "egg",
    "fiddle",
    "goose",
    "harbour",
    "ink",
    "jam",
    "kettle",
    "lamp",
)


def saying(text, record=STRIKE, number=1):
    """A record whose only message is this."""
    name = record["id"][:-2] + f"{number:02}"
    return changed(record, id=name, messages=[{"role": "user", "content": text}], attachment="none")


def test_three_common_tokens_are_allowed_four_are_not():
    assert found("openings", saying("Hello, my boat sank."), saying("Hello, my house burnt", CHOIR)) == []
    (finding,) = found("openings", saying("Hello, my boat sank."), saying("hello , my boat has gone", CHOIR))
    assert 'begins with "hello , my boat"' in finding.problem and STRIKE["id"] in finding.problem


def test_the_opening_is_that_of_the_first_user_message():
    system = [{"role": "system", "content": "You are the desk of a hotel."}]
    both = [changed(each, messages=system + each["messages"]) for each in (BRIDGE, CHESS)]
    assert found("openings", *both) == []


@pytest.mark.parametrize(("rule", "start"), [("common_first_word", "So"), ("common_first_pair", "So when")])
def test_no_word_opens_too_many(rule, start):
    def rows(same):
        tails = [f"{a} {b} {a}" for a in WORDS for b in WORDS][:100]
        return [
            saying(f"{start} {tail}" if n < same else f"word{n} {tail}", number=n)
            for n, tail in enumerate(tails)
        ]

    allowed = 8 if rule == "common_first_word" else 3
    assert found(rule, *rows(allowed)) == []
    (finding,) = found(rule, *rows(allowed + 1))
    assert f'prompts begin with "{start.lower()}"' in finding.fix
    assert found(rule, *rows(99)[:50]) == []  # too few to judge


@pytest.mark.parametrize(
    "text",
    [
        "Would you pull the lever in the trolley problem?",
        "Let us delve into my accounts.",
        "I hope this email finds you well, the roof leaks.",
        "As an AI language model you know taxes.",
        "In today's fast-paced world my bakery needs a sign.",
    ],
)
def test_cliches_are_errors(text):
    (finding,) = found("stock_phrases", saying(text))
    assert finding.severity == "error" and "says" in finding.problem


def test_replies_have_no_stock_openings_and_no_cliches():
    for text, said in (
        ("Great question! Two stops point to a sensor.", "a reply begins with"),
        ("Two stops are a testament to a bad sensor.", "testament to"),
    ):
        reply = changed(BRIDGE, good_reply=BRIDGE["good_reply"] | {"text": text})
        (finding,) = found("stock_phrases", reply)
        assert said in finding.problem
    assert found("stock_phrases", *GOOD) == []


def test_a_phrase_of_eight_words_may_stand_in_three_scenarios():
    phrase = "please keep it short because the board meets tonight"
    rows = [saying(f"{word} {word}s. {phrase}, {word}.", number=n) for n, word in enumerate(WORDS)]
    assert found("repeated_phrases", *rows[:3]) == []
    (finding,) = found("repeated_phrases", *rows[:5])
    assert '"please keep it short because the board meets" stands in 5 scenarios' in finding.problem
    assert rows[1]["id"] in finding.problem and finding.scenario == rows[0]["id"]


@pytest.mark.parametrize(
    "same",
    [
        "| - | - | - | - | 1 | 2 | 3 | 4 |",
        "```\nimport numpy as np\nimport pandas as pd\nfrom math import pi\n```",
    ],
)
def test_ruled_lines_figures_and_code_are_no_phrase(same):
    rows = [saying(f"{word} {word}s\n{same}", number=n) for n, word in enumerate(WORDS)]
    assert found("repeated_phrases", *rows) == []


def test_names_that_models_give_first_are_noted_when_they_come_back():
    rows = [saying(f"{word} {word}s: Priya wrote.", number=n) for n, word in enumerate(WORDS)]
    assert found("stock_names", *rows[:3]) == []
    (finding,) = found("stock_names", *rows[:4])
    assert finding.severity == "note" and '"Priya" stands in 4 scenarios' in finding.problem
    assert found("stock_names", *[changed(FERRITIN, title="Priya")] * 4) == []
