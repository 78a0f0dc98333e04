"""The constraints that may be put on a reply, with the ids, parameters and definitions of IFEval (Zhou et al. 2023, 2311.07911).

Two may stand together when they claim different aspects of the reply: capitals and lowercase both claim its case, bullets
and paragraphs its layout. Aspects are claimed generously, so that one reply can meet all of them whatever the prompt.

Left out on purpose: `language:response_language` (needs a language detector), `combination:repeat_prompt` and
`combination:two_responses` (pay for copying), `detectable_format:constrained_response` (replaces the task).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
Parameters = dict[str, Any]

TOKENS_PER_WORD = 3  # of room for a minimum of words: what a tokenizer needs, doubled
KEYWORDS = (
    "balance", "bridge", "careful", "chance", "change", "choice", "clear", "corner", "courage", "detail", "doubt",
    "early", "effort", "energy", "evening", "example", "familiar", "fresh", "garden", "gentle", "habit", "harvest",
    "honest", "hour", "journey", "kitchen", "lesson", "limit", "market", "memory", "moment", "morning", "neighbour",
    "open", "patience", "pattern", "practice", "purpose", "quiet", "reason", "rhythm", "river", "season", "shadow",
    "signal", "simple", "spirit", "steady", "surprise", "travel", "trust", "useful", "value", "village", "weather",
    "window", "winter", "wonder",
)  # fmt: skip
FORBIDDEN = (
    "actually", "also", "always", "amazing", "basically", "best", "different", "easy", "ensure", "essential", "great",
    "however", "important", "just", "key", "many", "never", "often", "overall", "perfect", "popular", "really",
    "several", "some", "special", "things", "truly", "unique", "usually", "various", "very", "well",
)  # fmt: skip
ENDINGS = (
    "And that is the whole story.", "I hope this helps.", "Let me know how it goes.", "Now it is your turn.",
    "So much for today.", "Take it from there.", "That is all there is to it.", "The rest is up to you.",
    "This is where I stop.", "What do you think?",
)  # fmt: skip
FIRST_WORDS = (
    "after",
    "because",
    "before",
    "first",
    "here",
    "in",
    "meanwhile",
    "now",
    "people",
    "still",
    "then",
    "yet",
)
LETTERS = "bfgkpvwyz"


@dataclass(frozen=True, slots=True)
class Draw:
    """What parameters are drawn from."""

    rng: np.random.Generator
    prompt: str
    max_tokens: int  # of the reply

    def of(self, options: Sequence[T]) -> T:
        """One of them."""
        return options[int(self.rng.integers(len(options)))]

    def words(self, options: Sequence[str], count: int) -> list[str]:
        """So many different ones that the prompt does not use (a task may be about a word of its prompt)."""
        used = set(re.findall(r"\w+", self.prompt.casefold()))
        free = [word for word in options if word not in used]
        return [free[i] for i in self.rng.permutation(len(free))[:count]]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A kind of constraint. `says` are templates over the parameters, `{bound}` and `{quoted}`."""

    claims: frozenset[str]
    says: tuple[str, ...]
    draw: Callable[[Draw], Parameters | None] = lambda draw: {}  # None: impossible here

    def sentence(self, parameters: Parameters, draw: Draw) -> str:
        """The constraint in words, one of its wordings."""
        bound = "at least" if parameters.get("relation") == "at least" else "fewer than"
        listed = next((value for value in parameters.values() if isinstance(value, list)), [])
        quoted = " and ".join(f'"{word}"' for word in listed)
        return draw.of(self.says).format(bound=bound, quoted=quoted, **parameters)


def _one(name: str, options: Sequence[Any]) -> Callable[[Draw], Parameters]:
    return lambda draw: {name: draw.of(options)}


def _number_words(draw: Draw) -> Parameters | None:
    most = draw.max_tokens // TOKENS_PER_WORD
    least = [n for n in (20, 30, 40, 60, 80, 100, 120, 150) if n <= most]
    if draw.of((True, False)):
        return {"relation": "at least", "num_words": draw.of(least)} if least else None
    return {"relation": "less than", "num_words": draw.of((50, 60, 80, 100, 120, 150))}


def _number_sentences(draw: Draw) -> Parameters:
    return {"relation": draw.of(("at least", "less than")), "num_sentences": draw.of((4, 5, 6, 7, 8))}


def _first_word(draw: Draw) -> Parameters:
    paragraphs = draw.of((2, 3, 4))
    nth = draw.of(range(2, paragraphs + 1))
    return {"num_paragraphs": paragraphs, "nth_paragraph": nth, "first_word": draw.of(FIRST_WORDS)}


def _two_words(name: str, options: Sequence[str]) -> Callable[[Draw], Parameters | None]:
    def draw_words(draw: Draw) -> Parameters | None:
        words = draw.words(options, 2)
        return {name: words} if len(words) == 2 else None

    return draw_words


def _keyword_times(draw: Draw) -> Parameters | None:
    words = draw.words(KEYWORDS, 1)
    return {"relation": "at least", "keyword": words[0], "frequency": draw.of((2, 3, 4))} if words else None


def _letter_times(draw: Draw) -> Parameters:
    return {"let_relation": "at least", "letter": draw.of(LETTERS), "let_frequency": draw.of((3, 4, 5, 6))}


def _capital_words(draw: Draw) -> Parameters:
    return {"capital_relation": "at least", "capital_frequency": draw.of((2, 3, 4, 5, 6))}


def _sections(draw: Draw) -> Parameters:
    return {
        "section_spliter": draw.of(("SECTION", "Section", "PART", "Part")),
        "num_sections": draw.of((2, 3, 4)),
    }


def _kind(claims: str, *says: str, draw: Callable[[Draw], Parameters | None] | None = None) -> Constraint:
    aspects = frozenset(claims.split())
    return Constraint(aspects, says, draw) if draw else Constraint(aspects, says)


CONSTRAINTS: Mapping[str, Constraint] = {
    "keywords:existence": _kind(
        "keyword",
        "Use the words {quoted} somewhere.",
        "Both {quoted} have to come up in what you write.",
        "Work the words {quoted} into the text.",
        draw=_two_words("keywords", KEYWORDS),
    ),
    "keywords:frequency": _kind(
        "keyword",
        'The word "{keyword}" must occur at least {frequency} times.',
        'Say "{keyword}" {frequency} times or more.',
        'Use the word "{keyword}" at least {frequency} times.',
        draw=_keyword_times,
    ),
    "keywords:forbidden_words": _kind(
        "forbidden",
        "Do without the words {quoted}.",
        "Neither of the words {quoted} may occur.",
        "Avoid the words {quoted} altogether.",
        draw=_two_words("forbidden_words", FORBIDDEN),
    ),
    "keywords:letter_frequency": _kind(
        "letters",
        'The letter "{letter}" must occur at least {let_frequency} times.',
        'Use words that have the letter "{letter}" in them, so that it is there at least {let_frequency} times.',
        'Let the letter "{letter}" come up {let_frequency} times or more.',
        draw=_letter_times,
    ),
    "length_constraints:number_words": _kind(
        "length",
        "Use {bound} {num_words} words.",
        "The whole reply should have {bound} {num_words} words.",
        "Keep to a length of {bound} {num_words} words.",
        draw=_number_words,
    ),
    "length_constraints:number_sentences": _kind(
        "length layout title marks ending case",
        "Write {bound} {num_sentences} sentences.",
        "The reply should consist of {bound} {num_sentences} sentences.",
        "Say it in {bound} {num_sentences} sentences.",
        draw=_number_sentences,
    ),
    "length_constraints:number_paragraphs": _kind(
        "layout ending",
        "Write exactly {num_paragraphs} paragraphs and put a line with three asterisks (***) between one and the next.",
        "Make it {num_paragraphs} paragraphs, no more and no fewer, separated by the Markdown divider ***",
        "There should be {num_paragraphs} paragraphs in all, divided from each other by *** on a line of its own.",
        draw=_one("num_paragraphs", (2, 3, 4)),
    ),
    "length_constraints:nth_paragraph_first_word": _kind(
        "layout title case ending",
        "Write exactly {num_paragraphs} paragraphs with an empty line between them; "
        'the first word of paragraph number {nth_paragraph} must be "{first_word}".',
        "Make it {num_paragraphs} paragraphs, separated by empty lines and by nothing else. "
        'Begin paragraph {nth_paragraph} with the word "{first_word}".',
        'Paragraph {nth_paragraph} has to start with "{first_word}". In all there are {num_paragraphs} paragraphs, '
        "each set off from the next by an empty line.",
        draw=_first_word,
    ),
    "detectable_content:number_placeholders": _kind(
        "placeholders",
        "Leave at least {num_placeholders} blanks for someone to fill in, written in square brackets like [name].",
        "Put at least {num_placeholders} placeholders in square brackets into it, for example [date].",
        "Somewhere in the text, leave {num_placeholders} or more gaps to be filled in later, such as [place].",
        draw=_one("num_placeholders", (1, 2, 3)),
    ),
    "detectable_content:postscript": _kind(
        "ending case",
        "Close with a postscript that starts with {postscript_marker}",
        "After the end, add one more remark as a postscript, marked {postscript_marker}",
        "Do not forget a postscript at the very end; introduce it with {postscript_marker}",
        draw=_one("postscript_marker", ("P.S.", "P.P.S")),
    ),
    "detectable_format:number_bullet_lists": _kind(
        "layout marks",
        'Give exactly {num_bullets} bullet points, each on its own line beginning with "* ".',
        'Among other things the reply has exactly {num_bullets} bullets in Markdown, lines that begin with "* ".',
        'List {num_bullets} points, no more and no fewer, and begin the line of each with "* ".',
        draw=_one("num_bullets", (2, 3, 4, 5)),
    ),
    "detectable_format:number_highlighted_sections": _kind(
        "marks",
        "Emphasise at least {num_highlights} passages with single asterisks, *like this*.",
        "Set {num_highlights} or more phrases in italics in the Markdown way, *with asterisks*.",
        "Highlight what matters in at least {num_highlights} places, each between two asterisks: *so*.",
        draw=_one("num_highlights", (1, 2, 3)),
    ),
    "detectable_format:multiple_sections": _kind(
        "layout case",
        "Divide it into {num_sections} sections, headed {section_spliter} 1, {section_spliter} 2 and so on.",
        "Structure it as {num_sections} sections and begin each with its mark: {section_spliter} 1, and so forth.",
        "It should have {num_sections} sections, marked {section_spliter} 1 to {section_spliter} {num_sections}.",
        draw=_sections,
    ),
    "detectable_format:json_format": _kind(
        "length layout title marks ending opening commas case placeholders",
        "Put everything into one valid JSON value and write nothing outside it.",
        "The entire output must be JSON that a program can read; a Markdown fence around it is fine.",
        "Wrap up the whole reply as a JSON object.",
    ),
    "detectable_format:title": _kind(
        "title",
        "Give it a title in double angle brackets, such as <<a quiet day>>.",
        "It needs a title; write that between << and >>.",
        "Put a heading of your choice on it, enclosed like this: <<heading>>.",
    ),
    "startend:end_checker": _kind(
        "ending case",
        'The very last words must be "{end_phrase}", with nothing after them.',
        'Finish with exactly this: "{end_phrase}"',
        'End on "{end_phrase}" and stop there.',
        draw=_one("end_phrase", ENDINGS),
    ),
    "startend:quotation": _kind(
        "opening ending",
        "Enclose the whole reply in double quotation marks.",
        "The first and the last character should be a double quotation mark.",
        "Wrap everything you write in one pair of double quotation marks.",
    ),
    "change_case:capital_word_frequency": _kind(
        "case",
        "Write at least {capital_frequency} words in capital letters only.",
        "There should be {capital_frequency} or more words in ALL CAPS.",
        "Put at least {capital_frequency} words in capitals from the first letter to the last.",
        draw=_capital_words,
    ),
    "change_case:english_capital": _kind(
        "case",
        "Write in English and use capital letters only.",
        "Everything has to be in English and in CAPITALS.",
        "No lowercase letters at all, please; English, in capitals throughout.",
    ),
    "change_case:english_lowercase": _kind(
        "case",
        "Write in English and in lowercase letters only.",
        "No capital letters anywhere, please; plain lowercase English.",
        "Keep the whole reply in lowercase, and in English.",
    ),
    "punctuation:no_comma": _kind(
        "commas",
        "Do not use a single comma.",
        "There must be no commas in it.",
        "Write it without commas.",
    ),
}
"""IFEval id -> what it claims, how it is said, how its parameters are drawn."""


def compatible(names: Sequence[str]) -> bool:
    """Whether one reply can meet all of these at once."""
    claims = [aspect for name in names for aspect in CONSTRAINTS[name].claims]
    return len(claims) == len(set(claims))
