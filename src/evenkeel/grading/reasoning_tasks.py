r"""Generated tasks of reasoning-gym, scored by the package's own `score_answer`.

facts = {"check": "reasoning_gym", "task": "chain_sum", "entry": {"question": ..., "answer": ..., "metadata": {...}}}, the
entry in plain JSON. What is scored is what the reply states as its answer (see `stated`), or the whole reply without
any; an answer of several lines is all that follows "Answer:". Two different statements are wrong.

Deviations, so that nothing earns without being right:
- Full marks or none. The package gives part of them for containing the answer: half for "15" where "5" is right.
- A text that its scorer chokes on is wrong, provided that the scorer still accepts the entry's own answer.
- Some scorers evaluate the reply as Python. They see only texts of a harmless alphabet (`HARMLESS`), in which right answers are
  written; `UNTRUSTED` lists tasks whose scorer cannot be trusted with any text at all.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from evenkeel.grading.checker import Checker, Facts, text_fact, verdict, versioned
from evenkeel.grading.exact import stated
from evenkeel.grading.stated import LONGEST as READ
from evenkeel.grading.stated import bare
from evenkeel.records.errors import UserError, did_you_mean
from evenkeel.records.types import Scored
from evenkeel.scenarios.standard.reasoning import UNTRUSTED

LONGEST = 20_000  # characters of an answer
FULL = 1 - 1e-9

_SUM = (  # a sum of terms such as -3*x**2*y: no brackets, functions or words, no power of a power
    r"(?!.*\*\*\s*\d+\s*\*\*)"
    r"(?:\*\*\s?\d{1,2}(?!\d)|(?<!\d)\d{1,15}(?!\d)|(?<![A-Za-z0-9])[A-Za-z](?![A-Za-z0-9])|(?<!\*)\*(?!\*)|[-+ ]|/(?= ?\d))"
)
HARMLESS: Mapping[str, re.Pattern[str]] = {
    **dict.fromkeys(
        ("string_insertion", "spiral_matrix", "binary_matrix", "n_queens"), re.compile(r"[\w\s]{0,2000}")
    ),
    "countdown": re.compile(r"(?!.*(?:\*\*|//))[-+*/() 0-9]{0,200}"),
    **dict.fromkeys(("polynomial_multiplication", "simple_integration"), re.compile(rf"{_SUM}{{0,300}}")),
}


def correct(reply: str, task: str, entry: Mapping[str, Any]) -> bool:
    """Does the task's scorer give full marks for what the reply states? Raises UserError without reasoning-gym."""
    own = entry["answer"]
    found = stated(reply, several_lines="\n" in own or len(own) > READ // 2)
    if len({bare(said) for said in found}) != 1:
        return False
    return any(_full(task, text, entry) for text in dict.fromkeys((found[0].strip(), bare(found[0]))))


def check(facts: Facts, answer: str) -> Scored:
    """One verdict: full marks by the task's own scorer."""
    return verdict(correct(answer, facts["task"], facts["entry"]))


def require(facts: Facts) -> None:
    """Raises UserError unless the task is known and trusted and its scorer accepts the entry's own answer."""
    task, entry = text_fact(facts, "task"), facts.get("entry")
    _scorer(task)
    if task in UNTRUSTED:
        raise UserError(
            f'the task "{task}" of reasoning-gym is refused: {UNTRUSTED[task]}', fix="Leave it out."
        )
    if not isinstance(entry, Mapping) or not isinstance(entry.get("answer"), str):
        raise UserError(
            f'an entry of "{task}" has no answer of its own',
            fix="Leave the task out; nothing can check its entries.",
        )
    if not correct(f"Answer: {entry['answer']}", task, entry):
        fix = "Leave the task out: its entries do not survive being written as JSON, or its answers are not written plainly."
        raise UserError(
            f'the answer of an entry of "{task}" does not get full marks from its own scorer', fix=fix
        )


def _full(task: str, text: str, entry: Mapping[str, Any]) -> bool:
    if not text or len(text) > LONGEST or (task in HARMLESS and not HARMLESS[task].fullmatch(text)):
        return False
    scorer = _scorer(task)
    try:
        return float(scorer(text, dict(entry))) >= FULL
    except Exception:
        if float(scorer(entry["answer"], dict(entry))) >= FULL:  # the scorer works, so it is the text
            return False
        raise


@functools.cache
def _scorer(task: str) -> Callable[[str, dict[str, Any]], float]:
    """The task's own `score_answer`, with its default settings. Raises UserError without the package or the task."""
    try:
        from reasoning_gym.factory import DATASETS, get_score_answer_fn
    except ImportError:
        fix = 'pip install "evenkeel[text]"'
        raise UserError("generated tasks need reasoning-gym, which is not installed", fix=fix) from None
    if task not in DATASETS:
        raise UserError(f'reasoning-gym has no task "{task}"', fix=did_you_mean(task, DATASETS))
    return get_score_answer_fn(task)


CHECKER = Checker(versioned("1", "reasoning-gym"), check, require)
