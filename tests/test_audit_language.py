"""Audit: lexical diversity and reading level catch templates and a single voice."""

from __future__ import annotations

import random

import pytest

from evenkeel.scenarios.audit.language import distinct_trigrams, grade, mtld, words_of
from scenario_examples import STRIKE, changed, found

CONSONANTS, VOWELS = "bcdfghklmnprstvz", "aeiou"


def vocabulary(n, syllables=2, seed=0):
    rng = random.Random(seed)
    return ["".join(rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(syllables)) for _ in range(n)]


def written(words, seed, length=100, sentence=10):
    """A text whose words are drawn as in natural language: few very often, most seldom."""
    rng = random.Random(seed)
    drawn = rng.choices(words, weights=[1 / (rank + 3) for rank in range(len(words))], k=length)
    sentences = [" ".join(drawn[at : at + sentence]) for at in range(0, length, sentence)]
    return ". ".join(sentences) + "."


def rows(texts):
    return [
        changed(
            STRIKE,
            id=f"truthfulness/law/train-{n:03}",
            messages=[{"role": "user", "content": text}],
            attachment="none",
        )
        for n, text in enumerate(texts)
    ]


RICH = [written(vocabulary(6000), seed) for seed in range(60)]
TEMPLATE = "i am the {} of a {} and my {} wants the {} by tonight but the {} is not ready so what should i write to the {}? "
FARM = [
    "".join(TEMPLATE.format(*random.Random(f"{n} {k}").choices(vocabulary(400), k=6)) for k in range(4))
    for n in range(60)
]


def test_mtld_by_hand():
    """Words that never come back are one open factor; a text of one word breaks off at every second word."""
    assert mtld(["a", "b", "c", "d"]) == 4
    assert mtld(["a"] * 8) == 2
    assert mtld([]) == 0
    assert mtld(["the", "cat", "and", "the", "dog", "and", "the", "bird", "and", "the", "fish"]) < mtld(
        ["the", "cat", "and", "a", "dog", "or", "one", "bird", "beside", "this", "fish"]
    )


def test_distinct_trigrams_are_counted_over_a_fixed_length():
    assert distinct_trigrams(["a b c d e"]) == 1.0
    assert distinct_trigrams(["a b c a b c a b c"]) == pytest.approx(3 / 7)
    words = vocabulary(5002, 5)
    once, again = " ".join(words), " ".join(words[:400])
    assert (
        distinct_trigrams([once])
        == distinct_trigrams([f"{once} {again}"])
        == distinct_trigrams([once, again])
        == 1.0
    )


def test_figures_and_punctuation_are_no_words():
    assert words_of("It's 5 o'clock: Żółw, 3rd|déjà-vu!") == ["it's", "o'clock", "żółw", "rd", "déjà", "vu"]


@pytest.mark.parametrize("rule", ["mtld", "trigrams"])
def test_a_template_with_slots_is_found_and_ordinary_text_is_not(rule):
    assert found(rule, *rows(RICH)) == []
    (finding,) = found(rule, *rows(FARM))
    assert finding.severity == "error" and finding.problem.startswith("truthfulness: ")
    assert found(rule, *rows(FARM[:20])) == []  # too few words to judge


def test_reading_levels():
    assert grade("The cat sat on the mat. It was a big cat.") < 1
    assert grade(
        "Notwithstanding considerable methodological heterogeneity, contemporary epidemiological investigations "
        "consistently demonstrate statistically significant associations."
    ) > 20  # fmt: skip
    assert grade("one two\nthree four\nfive six") == grade("one two. three four. five six.")
    assert grade("12 + 34") == 0.0


def test_prompts_that_are_all_plain_or_all_learned_are_found():
    plain, learned = vocabulary(3000, 1), vocabulary(3000, 5)
    mixed = [written(vocabulary(3000), seed, sentence=8 + seed % 9) for seed in range(30)]
    assert found("grade", *rows(mixed)) == []
    for words, sentence in ((plain, 4), (learned, 20)):
        (finding,) = found("grade", *rows([written(words, seed, sentence=sentence) for seed in range(30)]))
        assert "allowed 3 to 11" in finding.problem


def test_one_voice_for_all_is_found():
    words = vocabulary(3000)
    one_voice = [written(words, seed, sentence=10) for seed in range(100)]
    assert len(found("grade_spread", *rows(one_voice))) == 1
    many = [written(words, seed, sentence=5 + seed % 15) for seed in range(100)]
    assert found("grade_spread", *rows(many)) == []
