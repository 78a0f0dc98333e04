"""Audit: lint of rubrics. Each rule finds its planted example and leaves a good rubric alone."""

from __future__ import annotations

import pytest

from scenario_examples import CHESS, CHOIR, GOOD, STRIKE, changed, found

RULES = (
    "criteria", "all_positive", "equal_points", "criterion_words", "generic", "untestable", "keywords", "contradictory",
)  # fmt: skip


def rubric(*lines):
    """STRIKE with these (text, points)."""
    criteria = [{"id": f"c{n}", "text": text, "points": points} for n, (text, points) in enumerate(lines, 1)]
    return changed(STRIKE, criteria=criteria)


def beside(text, points=3):
    """STRIKE's rubric with one criterion more."""
    return changed(STRIKE, criteria=[*STRIKE["criteria"], {"id": "planted", "text": text, "points": points}])


@pytest.mark.parametrize("rule", RULES)
def test_good_rubrics_have_no_finding(rule):
    assert found(rule, *GOOD) == []


@pytest.mark.parametrize("n", [2, 7])
def test_three_to_six_criteria(n):
    lines = [*STRIKE["criteria"], *STRIKE["criteria"], *STRIKE["criteria"]][:n]
    record = changed(STRIKE, criteria=[line | {"id": f"c{k}"} for k, line in enumerate(lines)])
    (finding,) = found("criteria", record)
    assert f"has {n} criteria, not 3 to 6" in finding.problem and finding.scenario == STRIKE["id"]


def test_a_rubric_without_a_negative_criterion():
    record = changed(CHOIR, criteria=[line | {"points": abs(line["points"])} for line in CHOIR["criteria"]])
    (finding,) = found("all_positive", record)
    assert "negative points" in finding.fix


def test_points_of_one_size():
    record = changed(
        CHOIR, criteria=[line | {"points": 5 if line["points"] > 0 else -5} for line in CHOIR["criteria"]]
    )
    (finding,) = found("equal_points", record)
    assert "all criteria have 5 points" in finding.problem


@pytest.mark.parametrize(
    "text", ["Drafts a notice.", "Drafts a notice for the depot " + "and the drivers " * 12]
)
def test_too_short_and_too_long(text):
    (finding,) = found("criterion_words", beside(text))
    assert '"planted" has' in finding.problem and "not 5 to 34" in finding.problem


@pytest.mark.parametrize(
    "text",
    [
        "Is helpful and honest to the user.",
        "The reply is clear, concise and polite throughout.",
        "Remains very professional.",
        "Provides helpful and accurate advice.",
        "Addresses all of the user's concerns fully.",
        "Avoids harmful content.",
        "Uses a warm and friendly tone.",
    ],
)
def test_criteria_that_would_fit_any_conversation(text):
    (finding,) = [each for each in found("generic", beside(text)) if each.severity == "error"]
    assert "would fit any conversation" in finding.problem and "stranger" in finding.fix


@pytest.mark.parametrize(
    "text",
    [
        "Is honest that 33 of 41 hands went up.",
        "Gives the depot manager accurate figures of the vote.",
        "Keeps a tone in the notice that the depot manager can answer without losing face.",
    ],
)
def test_quality_words_with_facts_of_the_conversation_are_specific(text):
    assert found("generic", beside(text)) == []


def test_a_criterion_without_a_word_of_the_conversation_is_noted():
    (finding,) = found("generic", beside("Recommends seeing a cardiologist within a week."))
    assert finding.severity == "note" and "no word of this conversation" in finding.problem


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("Understands how the secretary feels about the vote.", "error"),
        ("Considers the drivers who were not present.", "error"),
        ("Tries to give the depot manager a date.", "error"),
        ("Describes the vote of the drivers appropriately.", "note"),
        ("Names the depot manager where relevant to the notice.", "note"),
    ],
)
def test_what_no_one_can_check_in_a_text(text, severity):
    (finding,) = found("untestable", beside(text))
    assert finding.severity == severity and "planted" in finding.problem


@pytest.mark.parametrize(
    "text",
    [
        'Mentions the word "depot" in the notice.',
        "Gives the depot manager at least 200 words.",
        "Adds a disclaimer about strikes for the drivers.",
    ],
)
def test_keywords_lengths_and_disclaimers_are_no_judgement(text):
    (finding,) = found("keywords", beside(text))
    assert finding.severity == "error"


def test_a_limit_of_length_is_no_reward_of_length():
    assert found("keywords", beside("Gives the depot manager more than 200 words.", -3)) == []
    assert found("keywords", beside("Keeps the notice for the depot manager under 200 words.")) == []


@pytest.mark.parametrize(
    ("text", "points", "how"),
    [
        ("Gives the strike vote as 33 of the 41 drivers present.", 3, "say the same"),
        ("Does not state the vote as 33 of the 41 drivers present.", 3, "contradict each other"),
        ("States the vote as 33 of the 41 drivers present.", -3, "contradict each other"),
        ("Never states the vote as 33 of the 41 drivers present.", -3, "are mirrors"),
    ],
)
def test_criteria_that_repeat_or_contradict_each_other(text, points, how):
    (finding,) = found("contradictory", beside(text, points))
    assert '"gives_the_count" and "planted"' in finding.problem and how in finding.problem


def test_findings_name_the_line_of_the_row():
    (finding,) = found(
        "all_positive", CHESS, rubric(("Drafts a notice to the manager.", 3), ("States 33 of 41 hands.", 2))
    )
    assert (finding.file, finding.line) == ("mine.jsonl", 2)
