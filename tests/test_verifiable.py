"""Checked answers: numbers, letters, exact texts, generated tasks, and the one grader for all of them."""

import asyncio
import json
import threading
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenkeel.grading import checked, choice, exact, final_number, reasoning_tasks
from evenkeel.grading.checked import Checked, criteria_of, require_checkable
from evenkeel.grading.checker import Checker, verdict
from evenkeel.grading.collect import collect
from evenkeel.grading.grader import GradeRequest
from evenkeel.grading.numbers import Number, read
from evenkeel.records.errors import UserError
from evenkeel.records.types import Message, Provenance, Reply, Scored, Unscorable
from evenkeel.scenarios.scenario import Scenario

BENCHMARKS = Path(__file__).parents[2] / "shared" / "benchmarks"
DATA = pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="the benchmark files are not beside this checkout")
LETTERS = list("ABCDE")


def lines(path):
    return [json.loads(line) for line in (BENCHMARKS / path).read_text().splitlines()]


# --- final number


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("Answer: 42", "42"), ("So 40 + 2 is that.\n**Answer:** 42", "42"), ("### Final Answer: 42.", "42"),
        ("**Answer: 42**", "42"),
        ("She has 7 * 6 apples.\n#### 42", "42"), (r"Hence \boxed{42}.", "42"), (r"Answer: $\boxed{\text{42}}$", "42"),
        ("42", "42"),
        ("Answer:\n\n\\[ 42 \\]", "42"), ("The final answer is 42.", "42"), ("The answer, in dollars, is: **42**", "42"),
        ("42.", "42.0"),
        ("The answer is found by adding 3 and 4.\nAnswer: 7", "7"), ("The answer is 42 because 6 * 7 = 42.", "42"),
        ("She has 42.", "42"),
        ("Answer: 6 * 7 = 42", "42"), ("Answer: x = 42", "42"), ("Answer: She needs 42 more apples", "42"),
        ("<answer>42</answer>", "42"),
        ("Answer: $1,234.50", "1234.5"), (r"Answer: 1{,}234{,}567", "1234567"), (r"\boxed{11,\! 111,\! 100}", "11111100"),
        ("Answer: 1\u202f234", "1234"), ("Answer: 18 km/h", "18"), (r"Answer: 5\text{ cm}^2", "5"), ("Answer: 5 m^2", "5"),
        ("Answer: 90°", "90"), ("Answer: -5", "-5"), ("Answer: −$5", "-5"), ("Answer: $-5", "-5"), ("Answer: minus 5", "-5"),
        ("Answer: .5", "0.5"), ("Answer: 3/4 cup", "0.75"), (r"Answer: -\frac{1}{2}", "-0.5"), (r"Answer: \dfrac34", "3/4"),
        ("Answer: 2 1/2", "2.5"), ("Answer: 2½", "2.5"), ("Answer: 0.333333", "1/3"), ("Answer: 25%", "25"),
        ("Answer: 25 %", "0.25"),
        ("Answer: 25", "25%"), ("Answer: 1.5 million", "1500000"), ("Answer: 3 × 10^4", "30000"),
        (r"Answer: 3 \times 10^{-4}", "0.0003"),
        ("Answer: 1e5", "100000"), ("Answer: €5", "5"), ("Answer: ４２", "42"), ("Answer: 42 (42.0)", "42"),
        ("Answer: 42 42", "42"),
        (r"Answer: \sqrt{12}", r"2\sqrt{3}"), ("Answer: 2√3 cm", r"2\sqrt{3}"), ("Answer: 3.464102", r"2\sqrt{3}"),
        ("Answer: 10π", r"10\pi"),
        (r"Answer: \frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}"), (r"Answer: \sqrt{16}", "4"),
        (r"Answer: \frac{5\pi}{6}", "5π/6"),
    ],
)  # fmt: skip
def test_a_right_number_is_right_however_it_is_written(reply, answer):
    assert final_number.correct(reply, answer)


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("", "42"), ("   \n", "42"), ("I do not know.", "42"), ("Answer:", "42"), ("Answer: forty-two", "42"),
        ("Answer: 43", "42"),
        ("Answer: 42\nAnswer: 43", "42"), ("The answer is 43.\nAnswer: 42", "42"), (r"\boxed{42} or \boxed{43}", "42"),
        (r"Answer: 43 or \boxed{42}", "42"), ("Answer: 42 or 43", "42"), ("Answer: 41 to 42", "42"),
        ("Answer: x = 43 or x = 42", "42"),
        ("The answer is 41. Answer: 42", "42"), ("43 and then 42", "42"), ("Answer: 42, not 24", "42"),
        ("<answer>42</answer> Answer: 43", "42"),
        ("Answer: not 42", "42"), ("Answer: at least 42", "42"), ("Answer: > 42", "42"), ("Answer: less than 42", "42"),
        ("Answer: over 42", "42"),
        ("Answer: 42 or more", "42"), ("Answer: 6 * 7", "42"), ("Answer: 84/2", "42"), ("Answer: 40 + 2", "42"),
        ("Answer: 6**2", "6"),
        ("Answer: 5 + 5", "5"), ("Answer: 6*6", "6"), ("Answer: 2^5", "2"), ("Answer: 3x4", "3"), ("Answer: 2x", "2"),
        ("Answer: 5 - 5", "5"),
        ("Answer: --5", "5"), ("Answer: 1,23", "1"), ("Answer: 1.2.3", "1.2"), ("Answer: 2:30", "2"), ("Answer: 5/0", "5"),
        ("Answer: 1_000", "1"),
        ("Answer: 42.5", "42"), ("Answer: -42", "42"), ("Answer: 0.33", "1/3"), ("Answer: 4200%", "4.2"), ("Answer: 420", "42"),
        ("Answer: 10**10**10", "10"), ("Answer: " + "9" * 10**6, "9" * 40), ("Answer: 9^9^9^9", "9"),
        ("Answer: 42\n" * 10**5, "42"),
        (r"Answer: \sqrt{13}", r"2\sqrt{3}"), (r"Answer: -\pi", r"\pi"), ("Answer: 3.46", r"2\sqrt{3}"),
        (r"Answer: 3\sqrt{", "3"),
        (r"Answer: \sqrt{((\pi+2)^9)^9}", "3"), (r"Answer: \frac{\pi}{0}", "3"),
    ],
)  # fmt: skip
def test_what_is_not_the_number_is_wrong(reply, answer):
    assert not final_number.correct(reply, answer)


@settings(max_examples=200, deadline=None)
@given(
    number=st.decimals(-(10**9), 10**9, places=3),
    form=st.sampled_from(["{}", "{:,}", "${:,}", "{} km", "**{}**", r"\boxed{{{}}}"]),
)
def test_a_number_survives_being_written(number, form):
    """Whatever the format, it is read as itself and as no other number."""
    written = form.format(number)
    assert read(written) == Number(Fraction(number))
    assert final_number.correct(f"I think so.\nAnswer: {written}", str(number))
    assert not final_number.correct(f"Answer: {written}", str(number + 1))


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="0123456789+-*/^()=., $%\\{}xandorpi\n√π", max_size=80))
def test_no_text_breaks_the_reading_of_numbers(text):
    for found in (read(text), final_number.final(f"Answer: {text}")):
        assert found is None or isinstance(found, Number | str)


@settings(max_examples=100, deadline=None)
@given(top=st.integers(-999, 999), bottom=st.integers(2, 999))
def test_fractions_are_exact(top, bottom):
    value = Fraction(top, bottom)
    if value.denominator > 1:
        assert final_number.correct(
            rf"\boxed{{\frac{{{top}}}{{{bottom}}}}}", f"{value.numerator}/{value.denominator}"
        )
    assert not final_number.correct(f"Answer: {top}/{bottom}", f"{top + 1}/{bottom}")


def test_closed_forms_are_compared_in_any_thread():
    """math-verify's own time limits raise outside the main thread."""
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(final_number.correct(r"Answer: \sqrt{12}",
        r"2\sqrt{3}"))) for _ in range(4)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [True] * 4


@DATA
@pytest.mark.parametrize("path", ["gsm8k/test.jsonl", "corpus_gsm8k_train/train.jsonl"])
def test_gold_answers_of_gsm8k_match_themselves(path):
    for row in lines(path):
        gold = row["answer"].split("####")[1].strip()
        final_number.require({"answer": gold})
        assert final_number.correct(row["answer"], gold)  # the worked solution ends with "#### 42"
        assert not final_number.correct(f"Answer: {gold}1", gold)


@DATA
def test_gold_answers_of_svamp_match_themselves():
    for row in json.loads((BENCHMARKS / "corpus_svamp" / "SVAMP.json").read_text()):
        assert final_number.correct(f"Answer: {row['Answer']:,}", str(row["Answer"]))


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


# --- generated tasks

TASKS = (
    "acre", "ab", "base_conversion", "basic_arithmetic", "binary_matrix", "bitwise_arithmetic", "caesar_cipher",
    "calendar_arithmetic",
    "chain_sum", "countdown", "dice", "family_relationships", "gcd", "isomorphic_strings", "knights_knaves", "letter_counting",
    "mini_sudoku", "n_queens", "number_sorting", "polynomial_multiplication", "prime_factorization", "simple_integration",
    "spell_backward",
    "syllogism", "word_sorting",
)  # fmt: skip


def entries(task, size=2):
    import reasoning_gym

    data = reasoning_gym.create_dataset(task, size=size, seed=11)
    return [json.loads(json.dumps(data[index])) for index in range(size)]


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


# --- the grader


def scenario(**facts):
    return Scenario("s", (Message("user", "x"),), (), "train", Provenance("test"), source="test", facts=facts)


def graded(grader, *pairs):
    requests = [GradeRequest(str(number), scenario(**facts), Reply(f"<think>Answer: 0</think>{reply}", reply))
                for number, (facts, reply) in enumerate(pairs)]  # fmt: skip
    return list(asyncio.run(collect(grader, requests)).values())


def test_each_check_goes_to_its_checker_and_sees_the_answer_alone():
    [entry] = entries("chain_sum", 1)
    words = {"id": "length_constraints:number_words", "relation": "less than", "num_words": 3}
    outcomes = graded(
        Checked(),
        ({"check": "number", "answer": "42"}, "Answer: 42"),
        ({"check": "number", "answer": "42"}, ""),
        ({"check": "choice", "answer": "C", "options": LETTERS}, "Answer: C"),
        ({"check": "exact", "answer": "Paris"}, "Answer: London"),
        ({"check": "reasoning_gym", "task": "chain_sum", "entry": entry}, f"Answer: {entry['answer']}"),
        ({"check": "constraints", "constraints": [words, {"id": "punctuation:no_comma"}]}, "one, two"),
    )
    assert outcomes == [
        verdict(True), verdict(False), verdict(True), verdict(False), verdict(True),
        Scored({"c1:length_constraints:number_words": 1.0, "c2:punctuation:no_comma": 0.0}),
    ]  # fmt: skip


def test_criteria_and_points():
    grader, asked = (
        Checked(),
        scenario(
            check="constraints", constraints=[{"id": "punctuation:no_comma"}, {"id": "startend:quotation"}]
        ),
    )
    assert grader.criteria(scenario(check="number", answer="1")) == ("correct",)
    assert grader.points(scenario(check="number", answer="1")) == (1.0,)
    assert grader.criteria(asked) == ("c1:punctuation:no_comma", "c2:startend:quotation") and grader.points(
        asked
    ) == (1.0, 1.0)
    assert criteria_of(asked.facts)[0].text == "The reply has no comma."


def test_a_crash_of_a_checker_is_unscorable_and_says_why():
    def crash(facts, answer):
        raise RuntimeError("out of tape")

    async def crash_later(facts, answer):
        return crash(facts, answer)

    for function in (crash, crash_later):
        outcomes = graded(
            Checked({"number": Checker("t", function, lambda facts: None)}),
            ({"check": "number", "answer": "1"}, "1"), ({"check": "exact", "answer": "1"}, "1"),
        )  # fmt: skip
        assert outcomes == [Unscorable("the check crashed: RuntimeError: out of tape"), verdict(True)]


def test_checks_that_take_time_run_side_by_side():
    """Two that wait for each other would never end if one came after the other."""

    async def run():
        met = asyncio.Barrier(2)

        async def check(facts, answer):
            await met.wait()
            return verdict(answer == "1")

        grader = Checked({"slow": Checker("7", check, lambda facts: None)})
        requests = [GradeRequest(text, scenario(check="slow"), Reply(text, text)) for text in "12"]
        assert "slow:7" in grader.version
        return await asyncio.wait_for(collect(grader, requests), 60)

    assert asyncio.run(run()) == {"1": verdict(True), "2": verdict(False)}


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({}, 'unknown check "None"'), ({"check": "numbr"}, 'Did you mean "number"'),
        ({"check": "number", "answer": 42}, "must be a text"),
        ({"check": "number", "answer": "4 or 5"}, "no number"), ({"check": "exact", "answer": "**"}, "empty|must be"),
        ({"check": "choice", "answer": "F", "options": LETTERS}, "not one of its options"),
        ({"check": "choice", "answer": "A", "options": ["a", "b"]}, "Give letters"),
        ({"check": "constraints", "constraints": []}, "no constraints"),
    ],
)  # fmt: skip
def test_facts_that_cannot_be_checked_are_refused_at_loading(facts, says):
    with pytest.raises(UserError, match=says):
        require_checkable(facts)


def test_a_check_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(checked.CHECKS, "unit_tests", "no_such_file")
    monkeypatch.setitem(checked.CHECKS, "elsewhere", "no_such_file")
    checked.checker.cache_clear()
    try:
        with pytest.raises(UserError, match=r'check "unit_tests" cannot be done here'):
            require_checkable({"check": "unit_tests", "tests": []})
        assert "unit_tests:none" in Checked().version
        assert graded(Checked(), ({"check": "number", "answer": "1"}, "1")) == [verdict(True)]
    finally:
        checked.checker.cache_clear()
