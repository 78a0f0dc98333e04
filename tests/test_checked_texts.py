"""Checked answers that are letters of options or exact texts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checked_facts import DATA, LETTERS, lines
from evenkeel.grading import choice, exact
from evenkeel.grading.checker import verdict

# --- choice


@pytest.mark.parametrize(
    "reply",
    [
        "Answer: C", "(C)", "**C**", "C) 600 km", "C. 600 km", "C", "c", "Answer: c", "Answer: (C)", "**Answer:** C",
        "Answer: **C**",
        r"\boxed{C}", r"Answer: $\boxed{\text{C}}$", "The answer is C.", "The correct option is (C).", "I choose C",
        "C is correct.",
        "Option C is the best answer.", "Since A) is too small and B) too large:\nAnswer: C) 600 km",
        "Answer: C because A) is too small",
        "Let me think.\nC", "Answer:\n\nC", "ANSWER:C", "Correct answer - C", "The answer must be C", "Answer: Option C",
        "A is wrong. B is wrong.\nC",
    ],
)  # fmt: skip
def test_a_letter_is_read_however_it_is_stated(reply):
    assert choice.correct(reply, "C", LETTERS)


@pytest.mark.parametrize(
    "reply",
    [
        "", "Answer: B", "Answer: B or C", "Answer: C, D", "Answer: C/D", "Answer: (B) or (C)", "Answer: C\nAnswer: D",
        "600 km", "Answer: 600",
        "Answer: not C", "A) 5\nB) 6\nC) 7", "I think B, no, the answer is C or D", r"\boxed{C} \boxed{D}",
        "C is correct. D is correct.",
        "Answer: F", "Can it be C?",
    ],
)  # fmt: skip
def test_no_letter_or_several_are_wrong(reply):
    assert not choice.correct(reply, "C", LETTERS)


def test_every_letter_that_is_stated_is_kept():
    for reply in (
        r"\boxed{C} \boxed{D}",
        "<answer>D</answer> <answer>C</answer>",
        "C is correct. D is correct.",
        "Answer: C or D",
    ):
        assert choice.stated(reply, LETTERS) == {"C", "D"}


def test_articles_and_pronouns_are_no_letters():
    for reply in ("A train leaves at five.", "The answer is a train", "I am sure.", "Answer: I do not know"):
        assert choice.stated(reply, list("ABCDEFGHI")) == set()
    assert choice.stated("Answer: A train leaves", LETTERS) == set() and choice.stated(
        "Answer: A", LETTERS
    ) == {"A"}


@DATA
def test_the_letters_of_aqua():
    """Every form of the right letter with its option's own text, and what its rationales themselves state."""
    read_right = stated = 0
    for row in lines("corpus_aqua/dev.json") + lines("corpus_aqua/test.json"):
        right, option = row["correct"], row["options"][ord(row["correct"]) - ord("A")]
        choice.require({"answer": right, "options": LETTERS})
        assert choice.correct(f"Answer: {option}", right, LETTERS), option
        assert not choice.correct(f"Answer: {option}", "ABCDE"[(ord(right) - ord("A") + 1) % 5], LETTERS)
        found = choice.stated(row["rationale"], LETTERS)
        stated += bool(found)
        read_right += found == {right}
    assert stated >= 445 and read_right >= stated - 3  # one rationale names two letters, one means a quantity


# --- exact


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("Paris", "Paris"), ("Answer: paris.", "Paris"), ("It is late.\n**Answer:** “Paris”", "Paris"),
        ("The answer is Paris.", "Paris"),
        ("Answer: New\u00a0 York", "new york"), (r"\boxed{\text{Paris}}", "Paris"), ("Answer: `x = 1`", "x = 1"),
        ("Answer: ﬁne", "fine"),
        ("Answer:\n```\n0 1\n1 0\n```", "0 1\n1 0"), ("0 1\n1 0", "0 1\n1 0"), ("Answer: 1–2", "1-2"),
    ],
)  # fmt: skip
def test_the_exact_text(reply, answer):
    assert exact.correct(reply, answer)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "Answer: Paris, France",
        "The Paris",
        "Answer: Paris\nAnswer: London",
        "Answer: Páris",
        "It is Paris",
    ],
)
def test_another_text(reply):
    assert not exact.correct(reply, "Paris")


def test_case_counts_where_asked():
    assert exact.check({"answer": "Paris", "case": True}, "Answer: Paris") == verdict(True)
    assert exact.check({"answer": "Paris", "case": True}, "Answer: paris") == verdict(False)


@settings(max_examples=100, deadline=None)
@given(
    st.text(alphabet="aA é12 ,;:-+='\"“”*$.", min_size=1, max_size=30).filter(
        lambda text: any(c.isalnum() for c in text)
    )
)
def test_a_text_equals_itself_in_every_setting(text):
    for form in ("Answer: {}", "**Answer:** {}", r"\boxed{{{}}}", "<answer>{}</answer>"):
        assert exact.correct(form.format(text), text)
        assert not exact.correct(form.format(text), text + "b")
