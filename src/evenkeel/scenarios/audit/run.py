"""The audit: all rules over all rows, measures judged against the table of limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evenkeel.records.errors import UserError
from evenkeel.scenarios.audit import counts, duplicates, integrity, language, openings, overlap, pairs, rubric
from evenkeel.scenarios.audit.found import Data, Finding, Found, Measure, Placed, Table
from evenkeel.scenarios.audit.limits import LIMITS, Limit
from evenkeel.scenarios.dataset import VERSION, find_files, shipped_files
from evenkeel.scenarios.rows import parse_file

RULES = (integrity, counts, duplicates, openings, rubric, pairs, language)


@dataclass(frozen=True)
class Audit:
    """What was found in some files."""

    files: tuple[str, ...]
    version: str  # of the shipped dataset, or empty
    rows: tuple[Placed, ...]
    findings: tuple[Finding, ...]  # errors first, then in order of file and line
    measures: tuple[Measure, ...]
    tables: tuple[Table, ...]
    limits: Mapping[str, Limit]

    @property
    def errors(self) -> int:
        """How many findings make the audit fail."""
        return sum(finding.severity == "error" for finding in self.findings)


def audit(
    paths: Iterable[Path | str] | None = None,
    *,
    against: Sequence[Path | str] = (),
    whole: bool | None = None,
    limits: Mapping[str, Limit] = LIMITS,
) -> Audit:
    """Audit the shipped dataset, or these files and folders.

    `against`: files and folders with texts that must not be in it. `whole`: hold cells and pairs to the counts of
    the shipped dataset (the default for the shipped one only). Raises UserError when a path is not there.
    """
    files = shipped_files() if paths is None else find_files(paths)
    rows, broken = read(files)
    data = Data(rows, whole=paths is None if whole is None else whole, limits=limits)
    found: list[Found] = [*broken, *judged(data, against=[Path(path) for path in against])]
    findings = [each for each in found if isinstance(each, Finding)]
    return Audit(
        files=tuple(map(str, files)),
        version=VERSION if paths is None else "",
        rows=tuple(rows),
        findings=tuple(sorted(findings, key=lambda f: (f.severity, f.file, f.line, f.rule))),
        measures=tuple(each for each in found if isinstance(each, Measure)),
        tables=tuple(each for each in found if isinstance(each, Table)),
        limits=limits,
    )


def read(files: Iterable[Path]) -> tuple[list[Placed], list[Finding]]:
    """Rows with their places, and a finding for each line that is no row."""
    rows, broken = [], []
    for path in files:
        for number, row in parse_file(path):
            if isinstance(row, UserError):
                broken.append(
                    Finding("schema", "error", row.problem, row.fix or "Mend the row.", str(path), number)
                )
            else:
                rows.append(Placed(row, str(path), number))
    return rows, broken


def judged(data: Data, *, against: Sequence[Path] = ()) -> Iterator[Found]:
    """What every rule says; a measure outside its limit is followed by a finding."""
    for rule in RULES:
        for each in rule.check(data):
            yield each
            if isinstance(each, Measure):
                yield from judge(each, data.limits[each.rule])
    if against:
        yield from overlap.check(data, against)


def judge(measure: Measure, limit: Limit) -> Iterator[Finding]:
    """A finding when the measure is outside, and measured on enough."""
    if measure.size < limit.least or limit.holds(measure.value):
        return
    where = f"{measure.part}: " if measure.part else ""
    problem = f"{where}{limit.what}: {limit.spell(measure.value)}, allowed {limit.allowed()}"
    fix = f"{limit.fix} {measure.hint}".strip()
    yield Finding(measure.rule, "note" if limit.note else "error", problem, fix, measure.file)
