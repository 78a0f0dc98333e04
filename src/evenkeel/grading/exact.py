r"""Is the answer exactly this text? facts = {"check": "exact", "answer": "text", "case": false}

Both sides are normalised alike: Unicode NFKC, typographic quotes and dashes as plain ones, runs of white space as one blank, what
only sets the answer off taken away at its ends (bold, code, quotes, `$`, `\boxed{}`, `\text{}`, one full stop), letters without
case unless `case` is true. Nothing else is: articles, accents, spelling and the order of words count.

What is compared is what the reply states as its answer ("Answer: text", "the answer is text"); a reply without a statement is
compared as a whole. Two different statements are wrong. An answer of several lines, or a very long one, is compared with all
that follows "Answer:".
"""

from __future__ import annotations

import re
import unicodedata

from evenkeel.grading.checker import Checker, Facts, text_fact, verdict
from evenkeel.grading.stated import LONGEST, bare, block, statements, unfenced
from evenkeel.records.errors import UserError
from evenkeel.records.types import Scored

_TYPOGRAPHY = str.maketrans("‘’‚“”„«»‐‑‒–—−", '\'\'\'"""""------')


def correct(reply: str, answer: str, case: bool = False) -> bool:
    """Does the reply state this text as its answer, and no other?"""
    found = stated(reply, several_lines="\n" in answer.strip() or len(answer) > LONGEST)
    if any(len(said) > 4 * len(answer) + LONGEST for said in found):  # normalising cannot make it that short
        return False
    return {normalised(said, case) for said in found} == {normalised(answer, case)}


def stated(reply: str, several_lines: bool = False) -> list[str]:
    """What the reply gives as its answer, each time it does so; the whole reply when it never says that it does."""
    if several_lines:
        return [block(reply) or unfenced(reply)]
    found = statements(reply)
    asked_for = [statement.said for statement in found if statement.asked_for]
    return asked_for or [statement.said for statement in found] or [reply]


def normalised(text: str, case: bool = False) -> str:
    """The form in which texts are compared."""
    text = unicodedata.normalize("NFKC", text).translate(_TYPOGRAPHY)
    text = bare(re.sub(r"\s+", " ", text))
    return text if case else text.casefold()


def check(facts: Facts, answer: str) -> Scored:
    """One verdict: the reply's answer is the facts' text."""
    return verdict(correct(answer, text_fact(facts), bool(facts.get("case", False))))


def require(facts: Facts) -> None:
    """Raises UserError unless there is something to compare with."""
    if not normalised(text_fact(facts)):
        raise UserError(
            f"the answer {facts['answer']!r} of an exact task is empty once normalised", fix="Give a text."
        )


CHECKER = Checker("1", check, require)
