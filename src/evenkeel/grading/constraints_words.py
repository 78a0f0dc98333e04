r"""Constraints on words, letters, length, case and language (IFEval's keywords, length_constraints, change_case, language).

Keywords count wherever they occur, inside other words too ("war" in "reward"), and forbidden words only as whole words, both as
in IFEval; they are taken literally, not as regular expressions. Words are runs of letters and digits (`\w+`), as there.
Deviations from IFEval, which uses NLTK and langdetect: sentences end at ".", "!" or "?" before a blank, but not after an
abbreviation, an initial or the number of a list item, nor where a small letter follows; languages are told apart by `languages`,
and a reply whose language cannot be said is not in the language asked for (there, it is); a reply in capitals or small letters is
taken for English unless it is another language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from evenkeel.grading import constraints_kind as kind
from evenkeel.grading.constraints_kind import Kind, compared
from evenkeel.grading.languages import language_of

NEAR = 200  # characters looked at on either side of a full stop

_WORD = re.compile(r"\w+")
_TOKEN = re.compile(r"\w+(?:[-'’.&]\w+)*")  # a word as capitals are counted: "U.S", "WELL-KNOWN"
_END = re.compile(r"(?P<mark>[.!?…]+)[\"'”’»)\]*_]*(?=\s|\Z)|[。！？।॥۔؟]+")
_SHORT = """mr mrs ms dr prof rev gen sen rep gov capt lt col sgt hon jr sr st ave blvd vs etc e.g i.e eg ie cf approx no vol fig
ed eds al inc ltd co corp u.s u.k u.n p.m a.m ph.d b.a m.a dept est jan feb mar apr jun jul aug sep sept oct nov dec"""
_ABBREVIATIONS = frozenset(_SHORT.split())


def existence(reply: str, keywords: Sequence[str]) -> bool:
    """Every keyword occurs, in any case."""
    return all(keyword.casefold() in reply.casefold() for keyword in keywords)


def frequency(reply: str, keyword: str, relation: str, frequency: int) -> bool:
    """The keyword occurs so often, in any case."""
    return compared(reply.casefold().count(keyword.casefold()), relation, frequency)


def forbidden_words(reply: str, forbidden_words: Sequence[str]) -> bool:
    """None of the words occurs as a whole word, in any case."""
    return not any(re.search(rf"\b{re.escape(word)}\b", reply, re.IGNORECASE) for word in forbidden_words)


def letter_frequency(reply: str, letter: str, let_relation: str, let_frequency: int) -> bool:
    """The letter occurs so often, in any case."""
    return compared(reply.lower().count(letter.lower()), let_relation, let_frequency)


def number_words(reply: str, relation: str, num_words: int) -> bool:
    """So many words."""
    return compared(len(_WORD.findall(reply)), relation, num_words)


def number_sentences(reply: str, relation: str, num_sentences: int) -> bool:
    """So many sentences."""
    return compared(sentences(reply), relation, num_sentences)


def number_paragraphs(reply: str, num_paragraphs: int) -> bool:
    """Exactly so many paragraphs, divided by ***; an empty one between dividers is a mistake."""
    paragraphs = [paragraph.strip() for paragraph in reply.split("***")]
    paragraphs = paragraphs[not paragraphs[0] : len(paragraphs) - (not paragraphs[-1])]
    return all(paragraphs) and len(paragraphs) == num_paragraphs


def nth_paragraph_first_word(reply: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    """Exactly so many paragraphs, divided by blank lines, and the nth begins with the word."""
    paragraphs = [paragraph.strip() for paragraph in reply.split("\n\n") if paragraph.strip()]
    if len(paragraphs) != num_paragraphs or nth_paragraph > num_paragraphs:
        return False
    first = re.split(r"[.,?!'\"]", paragraphs[nth_paragraph - 1].split()[0].lstrip("'\""))[0]
    return first.lower() == first_word.lower()


def capital_word_frequency(reply: str, capital_relation: str, capital_frequency: int) -> bool:
    """So many words all in capitals ("I" and "A" are such words)."""
    return compared(
        sum(word.isupper() for word in _TOKEN.findall(reply)), capital_relation, capital_frequency
    )


def english_capital(reply: str) -> bool:
    """English in capitals only."""
    return reply.isupper() and language_of(reply) in ("en", None)


def english_lowercase(reply: str) -> bool:
    """English in small letters only."""
    return reply.islower() and language_of(reply) in ("en", None)


def response_language(reply: str, language: str) -> bool:
    """Most of the reply is in the language."""
    return language_of(reply) == language


def sentences(text: str) -> int:
    """How many sentences a text has; what follows the last full stop is one as well."""
    start = found = 0
    small = text.islower()  # nothing can be told from a small letter
    for end in _END.finditer(text):
        following = text[end.end() : end.end() + NEAR].lstrip()[:1]
        if (following.islower() and not small) or (
            following
            and end["mark"] == "."
            and _abbreviated(text[max(start, end.start() - NEAR) : end.start()])
        ):
            continue
        found += _WORD.search(text, start, end.end()) is not None
        start = end.end()
    return found + (_WORD.search(text, start) is not None)


def _abbreviated(sentence: str) -> bool:
    """Whether the full stop after this belongs to an abbreviation, an initial or the number of a list item."""
    line = sentence.rpartition("\n")[2]
    word = re.split(r"[\s(\"'“‘*_]", line)[-1]
    initial = len(word) == 1 and word.isupper() and word != "I"
    item = word.isdecimal() and not line[: -len(word)].strip("\t #*_-")
    return initial or item or word.lower() in _ABBREVIATIONS


KINDS: Mapping[str, Kind] = {
    "keywords:existence": Kind(existence, "contains each of {keywords}", {"keywords": kind.texts}),
    "keywords:frequency": Kind(
        frequency, 'contains "{keyword}" {relation} {frequency} times',
        {"keyword": kind.text, "relation": kind.relation, "frequency": kind.count},
    ),
    "keywords:forbidden_words": Kind(forbidden_words, "contains none of {forbidden_words}", {"forbidden_words": kind.texts}),
    "keywords:letter_frequency": Kind(
        letter_frequency, 'contains the letter "{letter}" {let_relation} {let_frequency} times',
        {"letter": kind.character, "let_relation": kind.relation, "let_frequency": kind.count},
    ),
    "length_constraints:number_words": Kind(
        number_words, "has {relation} {num_words} words", {"relation": kind.relation, "num_words": kind.count}
    ),
    "length_constraints:number_sentences": Kind(
        number_sentences, "has {relation} {num_sentences} sentences", {"relation": kind.relation, "num_sentences": kind.count}
    ),
    "length_constraints:number_paragraphs": Kind(
        number_paragraphs, "has exactly {num_paragraphs} paragraphs, divided by ***", {"num_paragraphs": kind.count}
    ),
    "length_constraints:nth_paragraph_first_word": Kind(
        nth_paragraph_first_word,
        "has exactly {num_paragraphs} paragraphs, divided by blank lines; "
        'number {nth_paragraph} begins with the word "{first_word}"',
        {"num_paragraphs": kind.count, "nth_paragraph": kind.count, "first_word": kind.text},
    ),
    "change_case:capital_word_frequency": Kind(
        capital_word_frequency, "has {capital_relation} {capital_frequency} words in capitals",
        {"capital_relation": kind.relation, "capital_frequency": kind.count},
    ),
    "change_case:english_capital": Kind(english_capital, "is in English and in capital letters only"),
    "change_case:english_lowercase": Kind(english_lowercase, "is in English and in small letters only"),
    "language:response_language": Kind(response_language, "is in the language {language}", {"language": kind.language}),
}  # fmt: skip
