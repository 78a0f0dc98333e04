"""An audit as text for people and as JSON for programs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from evenkeel.scenarios.audit.found import Finding, Measure, Table
from evenkeel.scenarios.audit.run import Audit

SHOWN = 40  # findings in the text; --json has them all


def summary(audit: Audit) -> str:
    """Counts, limits with what was measured, findings, and one closing line."""
    files = f"{len(audit.files)} file{'s' * (len(audit.files) != 1)}"
    version = f", version {audit.version}" if audit.version else ""
    parts = [f"{len(audit.rows):,} scenarios in {files}{version}"]
    parts += [_table(table) for table in audit.tables]
    parts.append(_table(_limits(audit)))
    if audit.findings:
        parts.append("\n".join(["Findings", *map(_finding, audit.findings[:SHOWN])]))
    if len(audit.findings) > SHOWN:
        parts.append(f"... and {len(audit.findings) - SHOWN} more: --json prints them all")
    notes = len(audit.findings) - audit.errors
    verdict = "passed" if audit.errors == 0 else "failed"
    parts.append(f"The audit {verdict}: {_count(audit.errors, 'error')}, {_count(notes, 'note')}.")
    return "\n\n".join(parts)


def record(audit: Audit) -> dict[str, Any]:
    """Everything, as plain values."""
    return {
        "files": audit.files,
        "version": audit.version,
        "scenarios": len(audit.rows),
        "passed": audit.errors == 0,
        "errors": audit.errors,
        "notes": len(audit.findings) - audit.errors,
        "limits": audit.limits,
        "measures": audit.measures,
        "tables": audit.tables,
        "findings": audit.findings,
    }


def _count(n: int, what: str) -> str:
    return f"{n or 'no'} {what}{'s' * (n != 1)}"


def _limits(audit: Audit) -> Table:
    """Every limit with what was measured: a number, the worst and best of several, or how often it was broken."""
    measures: dict[str, list[Measure]] = defaultdict(list)
    for measure in audit.measures:
        measures[measure.rule].append(measure)
    broken = Counter(finding.rule for finding in audit.findings)
    rows = []
    for rule, limit in audit.limits.items():
        values = sorted(measure.value for measure in measures[rule])
        shown = " to ".join(dict.fromkeys(limit.spell(value) for value in (values[:1] + values[-1:])))
        if values and max(measure.size for measure in measures[rule]) < limit.least:
            shown += " (too few to judge)"
        verdict = f"{_count(broken[rule], 'finding')}" if broken[rule] else "ok"
        rows.append((rule, limit.what, limit.allowed(), shown, verdict))
    return Table("Limits", ("rule", "what", "allowed", "measured", ""), tuple(rows))


def _finding(finding: Finding) -> str:
    place = f"{finding.file}, line {finding.line}" if finding.line else finding.file
    where = ": ".join(part for part in (place, finding.scenario) if part)
    lines = [
        f"{finding.severity} [{finding.rule}] {where}".rstrip(),
        f"    {finding.problem}",
        f"    {finding.fix}",
    ]
    return "\n".join(lines)


def _table(table: Table) -> str:
    """Columns aligned, numbers to the right."""
    lines: Sequence[tuple[str, ...]] = (table.head, *table.rows) if any(table.head) else table.rows
    widths = [max(len(line[column]) for line in lines) for column in range(len(table.head))]
    right = [all(_numeric(row[column]) for row in table.rows) for column in range(len(table.head))]
    text = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in lines
    ]
    return "\n".join([table.title, *(f"  {line}" for line in text)])


def _numeric(cell: str) -> bool:
    return not cell or cell[0].isdigit() or cell[0] == "-"
