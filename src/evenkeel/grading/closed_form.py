r"""Numbers with roots and pi ("2\sqrt{3}", "5π/6"), compared by math-verify, which is asked only what it answers in bounded time.

math-verify guards itself with signals, which work in the main thread alone, and a time limit would make a reward depend on the
machine. So there is no time limit: only expressions of a small grammar pass (numbers, + - * /, fractions, roots of integers, pi,
small powers) with few of each, and hostile ones (10**10**10, towers of powers, a megabyte of digits) are not read at all.
"""

from __future__ import annotations

import itertools
import logging
import re
import threading
from typing import Any

from evenkeel.records.errors import UserError

LONGEST = 60  # characters
MOST_ROOTS = 2
MOST_POWERS = 2
DEEPEST = 4  # brackets in brackets
APART = 1e-5  # math-verify compares decimals to six places

_ROOT = r"\\sqrt(?:\[[2-5]\])?\{\s?(?:[0-9]{1,6}|\\pi\s?|\\frac\s?\{[0-9]{1,6}\}\s?\{[0-9]{1,6}\})\s?\}"
_GRAMMAR = re.compile(
    rf"(?:\\frac|\\cdot|{_ROOT}|\\pi(?:\s?\^[2-4](?![0-9]))?|(?<![0-9.])[0-9]{{1,2}}\^[2-4](?![0-9])"
    r"|(?<![0-9.])[0-9]{1,6}(?:\.[0-9]{1,6})?(?![0-9.^])|[-+*/(){}\s])+"
)
_UNIT = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{1,15}(?:\s?\^?\s?\{?[23]\}?)?\.?\Z")
_LOCK = threading.Lock()  # the parser under math-verify shares tables between its instances


def closed_form(text: str) -> str | None:
    """The LaTeX of one expression in which roots are written √ and pi π; None when it is anything else."""
    while (shorter := _UNIT.sub("", text.strip())) != text:
        text = shorter
    latex = re.sub(r"√\s?\(([^()]*)\)", r"√{\1}", text)
    latex = re.sub(r"√\s?([0-9]+(?:\.[0-9]+)?)", r"√{\1}", latex)
    latex = (
        re.sub(r"\^\s?\{\s?([0-9])\s?\}", r"^\1", latex)
        .replace("√", r"\sqrt")
        .replace("π", r"\pi ")
        .replace("×", r"\cdot ")
        .strip()
    )
    fits = len(latex) <= LONGEST and latex.count("sqrt") <= MOST_ROOTS and latex.count("^") <= MOST_POWERS
    return latex if fits and _nested(latex) and "**" not in latex and _GRAMMAR.fullmatch(latex) else None


def _nested(latex: str) -> bool:
    """Whether every bracket is closed, none before it is opened, and none too deep in others."""
    levels = list(itertools.accumulate((character in "({") - (character in ")}") for character in latex))
    return not levels or (min(levels) >= 0 and max(levels) <= DEEPEST and levels[-1] == 0)


def same_value(gold: str, answer: str) -> bool:
    """Do two expressions have the same value? Decimals are equal to six places. Raises UserError without math-verify."""
    try:
        from math_verify import LatexExtractionConfig, parse, verify
    except ImportError:
        fix = 'pip install "evenkeel[text]"'
        raise UserError(
            "answers with roots or pi need math-verify, which is not installed", fix=fix
        ) from None
    logging.getLogger("math_verify").setLevel(logging.ERROR)  # it warns that nothing limits its time; we do

    def parsed(latex: str) -> list[Any]:
        found = parse(
            f"${latex}$", [LatexExtractionConfig()], fallback_mode="no_fallback", parsing_timeout=None
        )
        return [expression for expression in found if not isinstance(expression, str)]

    with _LOCK:
        golds, answers = parsed(gold), parsed(answer)
        if not golds or not answers or _apart(golds[0], answers[0]):
            return False
        return bool(verify(golds[0], answers[0], timeout_seconds=None, raise_on_error=True))


def _apart(one: Any, other: Any) -> bool:
    """Whether two sympy numbers differ by what no rounding explains; then nobody need ask for a symbolic proof, which is slow."""
    try:
        difference = abs(complex((one.doit() - other.doit()).evalf(20)))
    except (TypeError, ValueError, OverflowError):  # no number: a division by zero
        return True
    return not difference <= APART
