"""Lexical diversity and reading level of prompts, by trait."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from evenkeel.scenarios.audit.found import Data, Found, Measure, Table
from evenkeel.scenarios.disjoint import prompt_text
from evenkeel.scenarios.scenario import TRAITS

FACTOR = 0.72  # type-token ratio at which MTLD starts a new factor
SAMPLE = 5000  # words on which distinct trigrams are counted: the ratio falls with length, so it is fixed

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_SENTENCE_END = re.compile(r"[.!?:;]+(?=\s|$)|\n+")
_VOWELS = re.compile(r"[aeiouyáàâäãåéèêëíìîïóòôöõøúùûüýæœ]+")


def check(data: Data) -> Iterator[Found]:
    """All rules of this file."""
    lines = []
    everything: list[float] = []
    for trait in TRAITS:
        prompts = [prompt_text(p.row.conversation) for p in data.rows if p.row.trait == trait]
        if not prompts:
            continue
        words = [word for prompt in prompts for word in words_of(prompt)]
        grades = [grade(prompt) for prompt in prompts]
        everything += grades
        diversity, distinct, level = mtld(words), distinct_trigrams(prompts), float(np.mean(grades))
        yield Measure("mtld", diversity, len(words), part=trait)
        yield Measure("trigrams", distinct, len(words), part=trait)
        yield Measure("grade", level, len(prompts), part=trait)
        lines.append(
            (trait, f"{len(words):,}", f"{diversity:.0f}", f"{100 * distinct:.1f} %", f"{level:.1f}")
        )
    if everything:
        low, middle, high = np.percentile(everything, [10, 50, 90])
        yield Measure("grade_spread", float(high - low), len(everything))
        lines.append(("all", "", "", "", f"{low:.1f} / {middle:.1f} / {high:.1f}"))
    head = ("trait", "words", "MTLD", "distinct trigrams", "grade (all: 10/50/90 %)")
    yield Table("Language of the prompts", head, tuple(lines))


def words_of(text: str) -> list[str]:
    """Words without case, figures and punctuation."""
    return _WORD.findall(text.casefold())


def mtld(words: Sequence[str]) -> float:
    """Measure of textual lexical diversity (McCarthy and Jarvis 2010): the mean number of words over which the
    type-token ratio stays above .72, forwards and backwards. 0 for no words.
    """
    return (_factors(words) + _factors(words[::-1])) / 2 if words else 0.0


def _factors(words: Sequence[str]) -> float:
    factors, kinds, n = 0.0, set[str](), 0
    for word in words:
        kinds.add(word)
        n += 1
        if len(kinds) / n < FACTOR:
            factors, kinds, n = factors + 1, set(), 0
    if n:
        factors += (1 - len(kinds) / n) / (1 - FACTOR)
    return len(words) / factors if factors else float(len(words))


def distinct_trigrams(texts: Sequence[str]) -> float:
    """Distinct over all trigrams of the first 5,000 words of some texts; trigrams do not cross texts."""
    grams: list[tuple[str, ...]] = []
    for text in texts:
        words = words_of(text)
        grams += zip(words, words[1:], words[2:], strict=False)
        if len(grams) >= SAMPLE:
            break
    grams = grams[:SAMPLE]
    return len(set(grams)) / len(grams) if grams else 1.0


def grade(text: str) -> float:
    """Flesch-Kincaid grade (Kincaid et al. 1975): years of school in the United States. A line ends a sentence,
    so that tables and lists do not read as one long one; syllables are groups of vowels. 0 for no words.
    """
    words = words_of(text)
    sentences = sum(bool(_WORD.search(part)) for part in _SENTENCE_END.split(text))
    if not words:
        return 0.0
    return 0.39 * len(words) / sentences + 11.8 * sum(map(_syllables, words)) / len(words) - 15.59


def _syllables(word: str) -> int:
    groups = len(_VOWELS.findall(word))
    silent = word.endswith("e") and not word.endswith(("le", "ee", "ie")) and groups > 1
    return max(1, groups - silent)
