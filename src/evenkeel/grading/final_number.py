r"""Is the final number of a reply the right one? facts = {"check": "number", "answer": "42"}

Every final answer that the reply states (see `stated`) must be readable (see `numbers`) and they must all be the same: two that
differ are wrong even if one is right, and nothing is guessed. A reply without any statement must contain exactly one number.
"""

from __future__ import annotations

import re

from evenkeel.grading.checker import Checker, Facts, text_fact, verdict, versioned
from evenkeel.grading.numbers import Read, first_digit, plainly, read, same
from evenkeel.grading.stated import first_sentence, statements
from evenkeel.records.errors import UserError
from evenkeel.records.types import Scored

_INTRODUCED = re.compile(
    r"[\W_]*(?:(?:about|approximately|exactly|just|simply|only|roughly|therefore|equal to|[a-zA-Z]\s?=)[\W_]*){0,2}"
)


def correct(reply: str, answer: str) -> bool:
    """Does the reply's final number equal `answer`, itself a number in any form that can be read?"""
    gold, found = read(answer), final(reply)
    return gold is not None and found is not None and same(gold, found)


def final(reply: str) -> Read | None:
    """The reply's final number; None where it states none, one that cannot be read, or several that differ."""
    found: Read | None = None
    stated = statements(reply)
    for statement in stated:
        number = (read if statement.asked_for else _spoken)(first_sentence(statement.said))
        if number is None and statement.asked_for:
            return None
        if found is not None and number is not None and not same(found, number):
            return None
        found = number if found is None else found
    return found if stated else read(reply)


def check(facts: Facts, answer: str) -> Scored:
    """One verdict: the reply's final number is that of the facts."""
    return verdict(correct(answer, text_fact(facts)))


def require(facts: Facts) -> None:
    """Raises UserError unless the facts' answer is one number."""
    if read(text_fact(facts)) is None:
        fix = 'Give one number such as "42", "3/4" or "2\\sqrt{3}", or use the check "exact".'
        raise UserError(f"the answer {facts['answer']!r} of a number task is no number", fix=fix)


def _spoken(said: str) -> Read | None:
    """The number right after "the answer is"; anything else there is reasoning and states nothing."""
    text = plainly(said)
    return read(said) if _INTRODUCED.fullmatch(text[: first_digit(text)]) else None


CHECKER = Checker(versioned("1", "math-verify"), check, require)
