"""What every kind of instruction constraint has: a rule, what its parameters must be, and what it asks in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from evenkeel.grading.languages import known
from evenkeel.records.errors import did_you_mean

AT_LEAST, LESS_THAN = "at least", "less than"

Parameter = Callable[[Any], str]
"""What is wrong with a value, in words; empty when nothing is."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of constraint. `words` says what it asks, with the parameters' names in braces."""

    follows: Callable[..., bool]  # (reply, **parameters)
    words: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


def compared(count: int, relation: str, number: int) -> bool:
    """Whether a count is "at least" or "less than" a number."""
    return count >= number if relation == AT_LEAST else count < number


def relation(value: Any) -> str:
    """ "at least" or "less than"."""
    return "" if value in (AT_LEAST, LESS_THAN) else f'must be "{AT_LEAST}" or "{LESS_THAN}"'


def count(value: Any) -> str:
    """A whole number from 1."""
    return (
        ""
        if isinstance(value, int) and not isinstance(value, bool) and value >= 1
        else "must be a whole number from 1"
    )


def text(value: Any) -> str:
    """A text that is not blank."""
    return "" if isinstance(value, str) and value.strip() else "must be a text that is not blank"


def texts(value: Any) -> str:
    """A list of such texts."""
    good = isinstance(value, list | tuple) and value and not any(text(each) for each in value)
    return "" if good else "must be a list of texts that are not blank"


def character(value: Any) -> str:
    """One character (the benchmark counts "#" and "!" as letters too)."""
    return "" if isinstance(value, str) and len(value) == 1 and value.strip() else "must be one character"


def language(value: Any) -> str:
    """The code of a language that can be told from others."""
    return (
        ""
        if value in known()
        else f"must be a language that can be told from others. {did_you_mean(str(value), known())}"
    )
