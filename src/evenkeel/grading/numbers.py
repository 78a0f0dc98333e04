r"""The one number of a short text, read exactly: "$1,234.50", "3/4 cup", "-2 1/2", "25 %", "3 \times 10^4", "1.5 million".

A text with two different numbers, a bound ("at least 5", "> 5"), a number in words, or arithmetic left undone ("6 * 7", "84/2":
the last step of a task is part of the task) has none. What holds a root or pi is a closed form (see `closed_form`).

Values are compared as rational numbers. 25 % is 0.25 and, where the question asks for a percentage, 25; two million is 2,000,000
and, asked for in millions, 2. Decimals stand for a fraction that they cannot express from six significant digits on (0.333333
is 1/3; 0.33 is not).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from evenkeel.grading.closed_form import closed_form, same_value
from evenkeel.grading.stated import LONGEST, bare, without_names

ROUNDING = Fraction(1, 1_000_000)
SCALES = {
    "%": Fraction(1, 100), "percent": Fraction(1, 100), "dozen": Fraction(12), "hundred": Fraction(100),
    "thousand": Fraction(1000), "million": Fraction(10**6), "billion": Fraction(10**9), "trillion": Fraction(10**12),
}  # fmt: skip

_DECIMAL = r"(?:[0-9]{1,3}(?:,[0-9]{3}){1,12}|[0-9]{1,40})(?:\.[0-9]{1,40})?|\.[0-9]{1,40}"
_POWER = r"10\s?(?:\^|\*\*)\s?(?:\{{\s?)?(?P<{0}>[-+]?[0-9]{{1,3}})(?:\s?\}})?(?![0-9])"
_NUMBER = re.compile(
    r"(?<![\w^])(?<![0-9][.,])(?P<sign>[-+]\s?)?(?:[$€£¥₹]\s?(?P<minus>-)?)?"
    rf"(?:{_POWER.format('power')}"
    r"|(?:(?P<whole>[0-9]{1,15})\s?)?\\frac\s?\{\s?(?P<top>-?[0-9]{1,15})\s?\}\s?\{\s?(?P<bottom>[0-9]{1,15})\s?\}"
    r"|(?:(?P<whole2>[0-9]{1,15})\s)?(?P<top2>[0-9]{1,15})\s?/\s?(?P<bottom2>[0-9]{1,15})(?!\s?[/^0-9])"
    rf"|(?P<digits>{_DECIMAL})(?:[eE](?P<e>[-+]?[0-9]{{1,3}})(?![0-9])|\s?[×x*]\s?{_POWER.format('times')})?"
    r")(?![.,]?[0-9])(?:\s?(?P<scale>%|percent\b|dozen\b|hundred\b|thousand\b|[mbtr]{1,2}illion\b))?",
    re.IGNORECASE,
)
_NOT_EQUAL = re.compile(
    r"\b(?:not|never|neither|nor|between|(?:less|more|fewer|greater) than|at (?:least|most)|up to|or (?:less|more|fewer))\b"
    r"|\b(?:over|under|above|below)\s+[$€£]?[0-9]|n't\b|[<>≤≥±≠]|\\(?:[lg]eq?|pm|neq?)\b",
    re.IGNORECASE,
)
_SEVERAL = re.compile(
    r"\b(?:or|and|to)\b|[;,&]", re.IGNORECASE
)  # joins values, so an "=" is not one equation
_BETWEEN = re.compile(
    r"[-+0-9)}%]\s*[-+]\s*[$€£¥₹]?\s*[0-9.(\\]"
)  # plus or minus behind a number or another sign
_OPERATION = re.compile(r"#\s*(?:[+*×÷^!]|[-/:]\s*[#(])|[)#]\s*[x·]\s*[#(0-9]|#\s?[xyzn]\b")  # "#": a number
_STRAY = re.compile(r"(?<![a-zA-Z0-9^{])[0-9]")  # a digit of no number and no unit (m^2, CO2)
_REASON = re.compile(r"\b(?:because|since)\b|, (?:so|as|which|where)\b", re.IGNORECASE)
_PLAINLY = tuple((re.compile(pattern, re.IGNORECASE), plain) for pattern, plain in (
    (r"\\[dtc]frac(?![a-z])", r"\\frac"),
    (r"\\frac\s?([0-9])\s?([0-9])(?![0-9])", r"\\frac{\1}{\2}"),
    (r"\\frac\s?(\{-?[0-9]{1,15}\})\s?([0-9])", r"\\frac\1{\2}"),
    (r"(?<=[0-9])(?:\{,\}|,?\\[,!; ])\s?(?=[0-9]{3})", ","),  # thousands, in LaTeX and with narrow blanks
    (r"(?<=[0-9])[\u00a0\u2009\u202f](?=[0-9]{3})", ","),
    (r"\\(?:left|right|displaystyle)(?![a-z])|\\[,!; ]", " "),
    (r"\\(?:times|cdot)(?![a-z])", "×"),
    (r"\\approx\b|≈", "="),
    (r"\\pi(?![a-z])|\bpi\b", "π"),
    (r"\\sqrt(?![a-z])|\bsqrt(?=\s?\()", "√"),
    (r"\^\s?\{?\s?\\circ\s?\}?|°", " degrees"),
    (r"\\([$%&#])", r"\1"),
    (r"\b(?:minus|negative)\s+(?=[0-9$])", "-"),
    (r"(?<![0-9)\s*])\s*\*+|\*+(?!\*|\s*[-0-9(])", " "),  # bold type, but not 2*3
    (r"\$", " "),
))  # fmt: skip
_SIGNS = str.maketrans("−‒–０１２３４５６７８９", "---0123456789")


@dataclass(frozen=True, slots=True)
class Number:
    """A rational number as written. `scale` is what a percent sign or the word million may make of it."""

    value: Fraction
    scale: Fraction = Fraction(1)

    def same(self, other: Number) -> bool:
        """Equal as written, or with the scale of one of them or of both."""
        mine, theirs = {self.value, self.value * self.scale}, {other.value, other.value * other.scale}
        return any(_equal(a, b) for a in mine for b in theirs)

    def latex(self) -> str:
        """As a decimal where it has one, otherwise as a fraction."""
        top, bottom = self.value.numerator, self.value.denominator
        if not _terminates(self.value):
            return rf"\frac{{{top}}}{{{bottom}}}"
        return format(Decimal(top) / Decimal(bottom), "f")


Read = Number | str  # a closed form is its LaTeX


def read(said: str) -> Read | None:
    """The one number of a text; None when there is none, several, or something else than a number."""
    text = plainly(said) if len(said) <= LONGEST else ""
    if _NOT_EQUAL.search(text):
        return None
    if (reason := _REASON.search(text)) and first_digit(text) < reason.start():
        text = text[: reason.start()]
    if not _SEVERAL.search(_NUMBER.sub("#", text)):
        text = text.rpartition("=")[2]
    if "√" in text or "π" in text:
        return closed_form(text)
    numbers = [_number(match) for match in _NUMBER.finditer(text)]
    rest = _NUMBER.sub("#", text)
    if _BETWEEN.search(text) or _OPERATION.search(rest) or _STRAY.search(rest):
        return None
    return _one(numbers)


def same(one: Read, other: Read) -> bool:
    """Equal in value; math-verify decides where one of them is a closed form."""
    if isinstance(one, Number) and isinstance(other, Number):
        return one.same(other)
    return same_value(*(number if isinstance(number, str) else number.latex() for number in (one, other)))


def plainly(said: str) -> str:
    """LaTeX, Unicode and bold type written plainly, characters such as ½ as fractions."""
    text = without_names(bare(said)).translate(_SIGNS)
    if not text.isascii():
        text = "".join(_vulgar(character) for character in text)
    for pattern, plain in _PLAINLY:
        text = pattern.sub(plain, text)
    return text.strip().removesuffix("!")


def first_digit(text: str) -> int:
    """Where the first number begins; the length of the text without one."""
    first = re.search(r"[0-9√π]|\\frac", text)
    return first.start() if first else len(text)


def _vulgar(character: str) -> str:
    if not unicodedata.decomposition(character).startswith("<fraction>"):
        return character
    return f" {unicodedata.normalize('NFKC', character).replace('⁄', '/')} "


def _number(match: re.Match[str]) -> Number | None:
    """The match's value; None for a fraction without value or left undone (84/2)."""
    part = match.groupdict()
    top, bottom = part["top"] or part["top2"], part["bottom"] or part["bottom2"]
    if part["power"] is not None:
        value = Fraction(10) ** int(part["power"])
    elif top is not None:
        if int(bottom) == 0 or (int(top) % int(bottom) == 0 and int(bottom) != 1):
            return None
        value = Fraction(int(top), int(bottom)) + int(part["whole"] or part["whole2"] or 0)
    else:
        value = Fraction(part["digits"].replace(",", "")) * Fraction(10) ** int(
            part["e"] or part["times"] or 0
        )
    negative = (part["sign"] or "").startswith("-") != bool(part["minus"])
    return Number(-value if negative else value, SCALES.get((part["scale"] or "").lower(), Fraction(1)))


def _one(numbers: Sequence[Number | None]) -> Number | None:
    """The number that all of them are."""
    first = numbers[0] if numbers else None
    agree = first is not None and all(other is not None and first.same(other) for other in numbers[1:])
    return first if agree else None


def _equal(a: Fraction, b: Fraction) -> bool:
    if a == b:
        return True
    return _terminates(a) != _terminates(b) and abs(a - b) <= ROUNDING * max(abs(a), abs(b))


def _terminates(value: Fraction) -> bool:
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1
