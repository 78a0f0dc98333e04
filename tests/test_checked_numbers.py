"""Checked answers that are numbers: right however they are written, and wrong when they are another one."""

import json
import threading
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checked_facts import BENCHMARKS, DATA, lines
from evenkeel.grading import final_number
from evenkeel.grading.numbers import Number, read


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


@pytest.mark.parametrize("text", [")π", "(2π", "3)π(", "√(2", "((((((π))))))"])
def test_brackets_that_do_not_match_or_nest_deeply_are_no_number(text):
    assert read("2(π+1)") is not None and read(text) is None


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
