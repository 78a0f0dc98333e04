r"""Is the chosen letter the right one? facts = {"check": "choice", "answer": "C", "options": ["A", "B", "C", "D", "E"]}

"Answer: C", "the correct option is (C)", "\boxed{C}", "I choose C", "C is correct" state a letter. In a reply without any of
these, so does every line that begins with a label: "(C)", "**C**", "C) text", "C. text". Two different letters stated anywhere
("B or C") are wrong. The text of an option states nothing without its letter, which is what prompts ask for.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from evenkeel.grading.checker import Checker, Facts, text_fact, verdict
from evenkeel.grading.stated import LONGEST, bare, statements
from evenkeel.records.errors import UserError
from evenkeel.records.types import Scored

_DECOR = r"[ \t*_`\"'$\\({\[#>-]{0,8}"
_LABEL = rf"{_DECOR}(?:\b(?:option|choice|letter|answer)\b:?)?{_DECOR}(?P<letter>[A-Z])(?![\w'’])"
_LEADING = re.compile(_LABEL, re.IGNORECASE)
_SPOKEN = re.compile(
    r"(?:\b(?:option|choice|letter|answer)\b[^.:\n]{0,40}?(?:\b(?:is|be)\b|[:=]|\s[-–—]\s)"
    r"|\b(?:I|we) (?:choose|chose|pick|select)\b|\bgo with\b)"
    rf"\s{{0,3}}:?{_LABEL}",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"\b(?P<letter>[A-Z])[)\]*_]{0,4} (?:is|must be) (?:the )?(?:(?:only )?(?:correct|right|best)\b|answer\b)"
)
_JOINED = re.compile(
    r"[\s*_`)\].}]*(?:,|/|&|\bor\b|\band\b)+[\s*_`(\[]*(?:(?:option|choice) )?([A-Z])(?![\w'’])"
)
_LABELLED = re.compile(r"(?<![\w(])\(?([A-Z])\)")
_CLOSED = re.compile(r"\s*\Z|[)\]}.:,;*_`\"'$!/]")  # after a letter that is no word
_LABEL_CLOSED = re.compile(r"\s*\Z|[)\]}.:*_`\"'$]")
_REASON = re.compile(r"\b(?:because|since|as)\b")
_GOES_ON = re.compile(r"\s+(?:[^\sa-z]|(?:because|since|as|is|and|or|with|by|which)\b)")


def correct(reply: str, answer: str, options: Collection[str]) -> bool:
    """Is `answer` the one letter of `options` that the reply states?"""
    return stated(reply, options) == {answer}


def stated(reply: str, options: Collection[str]) -> set[str]:
    """The letters of `options` that the reply states as its answer."""
    letters: set[str] = set()
    for statement in statements(reply):
        letters |= _leading(bare(statement.said)) | _leading(statement.said)
    for match in _SPOKEN.finditer(reply):
        letters |= _from(match, reply)
    letters |= {match["letter"] for match in _SUBJECT.finditer(reply)}
    if not letters & set(options):
        letters = set().union(*(_leading(line, _LABEL_CLOSED) for line in reply.split("\n")))
    return letters & set(options)


def check(facts: Facts, answer: str) -> Scored:
    """One verdict: the reply states the facts' letter and no other."""
    return verdict(correct(answer, text_fact(facts), facts["options"]))


def require(facts: Facts) -> None:
    """Raises UserError unless the options are different capital letters and the answer is one of them."""
    options, answer = facts.get("options"), text_fact(facts)
    if not isinstance(options, list | tuple) or not all(
        isinstance(o, str) and re.fullmatch("[A-Z]", o) for o in options
    ):
        raise UserError(
            f"the options of a choice task are {options!r}", fix='Give letters: ["A", "B", "C", "D"].'
        )
    if len({*options}) != len(options) or len(options) < 2 or answer not in options:
        raise UserError(f"the answer {answer!r} of a choice task is not one of its options {options}",
                        fix="The options must differ, and the answer must be one of them.")  # fmt: skip


def _leading(text: str, closed: re.Pattern[str] | None = None) -> set[str]:
    """The letters that a text begins with; with `closed`, only if that follows."""
    match = _LEADING.match(text)
    return _from(match, text) if match and (closed is None or closed.match(text, match.end())) else set()


def _from(match: re.Match[str], text: str) -> set[str]:
    """The letter of the match and those joined to it on its line; nothing when it is a word ("a", "I")."""
    letter, after = match["letter"], text[match.end() : match.end() + LONGEST].split("\n", 1)[0]
    word = letter in "AI" and not _GOES_ON.match(after)
    if not _CLOSED.match(after) and (letter.islower() or word):
        return set()
    after = _REASON.split(after)[0]
    letters, at = {letter.upper()}, 0
    while joined := _JOINED.match(after, at):
        letters.add(joined[1])
        at = joined.end()
    return letters | set(_LABELLED.findall(after))


CHECKER = Checker("1", check, require)
