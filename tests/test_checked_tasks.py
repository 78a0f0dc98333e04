"""Checked answers to generated tasks: scored in full or not at all, and never run as code."""

import pytest

from checked_facts import entries
from evenkeel.grading import reasoning_tasks
from evenkeel.grading.checked import require_checkable
from evenkeel.records.errors import UserError

TASKS = (
    "acre", "ab", "base_conversion", "basic_arithmetic", "binary_matrix", "bitwise_arithmetic", "caesar_cipher",
    "calendar_arithmetic",
    "chain_sum", "countdown", "dice", "family_relationships", "gcd", "isomorphic_strings", "knights_knaves", "letter_counting",
    "mini_sudoku", "n_queens", "number_sorting", "polynomial_multiplication", "prime_factorization", "simple_integration",
    "spell_backward",
    "syllogism", "word_sorting",
)  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_own_answers_of_generated_tasks_are_right_and_others_are_not(task):
    for entry in entries(task):
        facts = {"check": "reasoning_gym", "task": task, "entry": entry}
        reasoning_tasks.require(facts)
        for form in ("I see.\nAnswer: {}", "**Answer:**\n{}", "<answer>{}</answer>", "Answer:\n```\n{}\n```"):
            assert reasoning_tasks.correct(form.format(entry["answer"]), task, entry), form
        for reply in ("", "Answer: wrong", "Answer: __import__('os')", "Answer: 9**9**9**9", "[" * 10_000):
            assert not reasoning_tasks.correct(reply, task, entry), reply


def test_part_of_an_answer_earns_nothing():
    [entry] = entries("gcd", 1)
    entry["answer"] = "5"
    assert reasoning_tasks.correct("Answer: 5", "gcd", entry) and not reasoning_tasks.correct(
        "Answer: 15", "gcd", entry
    )


@pytest.mark.parametrize("task", sorted(reasoning_tasks.HARMLESS))
def test_a_reply_is_never_run_as_code(task, tmp_path):
    """The package's own scorers of these tasks evaluate their argument."""
    [entry] = entries(task, 1)
    trace = tmp_path / "trace"
    reasoning_tasks.correct(f"Answer: [open({str(trace)!r}, 'w')]", task, entry)
    reasoning_tasks.correct(f"Answer: exec(\"open({str(trace)!r}, 'w')\")", task, entry)
    assert not trace.exists()


def test_an_answer_of_reasoning_gym_would_be_run_as_code(tmp_path):
    """What the alphabet is for: without it, the reply opens a file."""
    import reasoning_gym

    [entry] = entries("spiral_matrix", 1)
    reasoning_gym.get_score_answer_fn("spiral_matrix")(
        f"[open({str(tmp_path / 'trace')!r}, 'w').close()]", entry
    )
    assert (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("task", "entry", "says"),
    [
        ("game_of_life_halting", {"answer": "True"}, "any text"), ("rubiks_cube", {"answer": None}, "no answer of its own"),
        ("chain_summ", {"answer": "1"}, 'Did you mean "chain_sum"'),
        ("chain_sum", {"answer": "Answer: 1\nAnswer: 2"}, "full marks"),
    ],
)  # fmt: skip
def test_tasks_that_nothing_can_score_are_refused_at_loading(task, entry, says):
    with pytest.raises(UserError, match=says):
        require_checkable({"check": "reasoning_gym", "task": task, "entry": entry})
