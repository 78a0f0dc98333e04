"""What a rule says: findings about rows, measures of the whole set, tables of counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from evenkeel.scenarios.audit.limits import LIMITS, Limit
from evenkeel.scenarios.rows import ScenarioRow

Severity = Literal["error", "note"]


@dataclass(frozen=True, slots=True)
class Placed:
    """A row and where it stands."""

    row: ScenarioRow
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to mend (error: the audit fails) or to look at (note)."""

    rule: str  # a key of LIMITS
    severity: Severity
    problem: str
    fix: str
    file: str = ""
    line: int = 0
    scenario: str = ""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of the whole set or of one part of it, judged against its limit."""

    rule: str  # a key of LIMITS
    value: float
    size: int  # how many rows (or words, pairs) it is measured on
    part: str = ""  # a trait or a cell; empty for the whole set
    hint: str = ""  # what to look at first
    file: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Counts to read."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Found = Finding | Measure | Table


@dataclass(frozen=True)
class Data:
    """What the rules look at."""

    rows: Sequence[Placed]
    whole: bool = False  # hold cells and pairs to the counts of the shipped dataset
    limits: Mapping[str, Limit] = field(default_factory=lambda: LIMITS)

    def high(self, rule: str) -> float:
        """The upper end of a limit that has one."""
        high = self.limits[rule].high
        assert high is not None
        return high

    def low(self, rule: str) -> float:
        """The lower end of a limit that has one."""
        low = self.limits[rule].low
        assert low is not None
        return low


def at(placed: Placed, rule: str, problem: str, fix: str, severity: Severity = "error") -> Finding:
    """A finding at a row."""
    return Finding(rule, severity, problem, fix, placed.file, placed.line, placed.row.id)
