"""Scores on disk: `rows.jsonl.gz` (one played item a line, in the order of play) and `summary.json`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenkeel.benchmarks.benchmark import Benchmark, ScoreRow
from evenkeel.benchmarks.protocol import Protocol, protocol_from
from evenkeel.records.errors import UserError
from evenkeel.records.files import read_json, read_rows, write_json, write_rows
from evenkeel.records.types import Message

ROWS, SUMMARY = "rows.jsonl.gz", "summary.json"
_AGAIN = "Delete the folder and evaluate again."


@dataclass(frozen=True, slots=True)
class Scores:
    """What `read_scores` returns: rows as played, numbers by benchmark, protocols by benchmark."""

    rows: tuple[ScoreRow, ...]
    benchmarks: Mapping[str, Mapping[str, Any]]
    protocols: Mapping[str, Protocol]

    def of(self, benchmark: str) -> tuple[ScoreRow, ...]:
        """The rows of one benchmark."""
        return tuple(row for row in self.rows if row.benchmark == benchmark)


def summarise(rows: Sequence[ScoreRow]) -> dict[str, Any]:
    """Numbers of one benchmark. Rates and means are over items; a number without any case is None.

    good_share: good / (good + harmful), the share of taken sides that were the good one.
    off_grammar: mean of the held-out grader's share where it gave one. tokens: sampled tokens in all.
    distinct: distinct final replies / items; a policy that always says the same scores 1 / items.

    Raises ValueError without rows.
    """
    if not rows:
        raise ValueError("no rows to summarise")
    good, harmful = sum(row.good for row in rows), sum(row.harmful for row in rows)
    return {
        "n": len(rows),
        "score": _mean(row.score for row in rows),
        "good_share": good / (good + harmful) if good + harmful else None,
        "good_rate": good / len(rows),
        "harmful_rate": harmful / len(rows),
        "truncated": _mean(row.truncated for row in rows),
        "refused": _mean(row.refused for row in rows),
        "off_grammar": _mean(row.extra["off_grammar"] for row in rows if "off_grammar" in row.extra),
        "distinct": len({final_reply(row) for row in rows}) / len(rows),
        "tokens": sum(row.tokens for row in rows),
    }


def final_reply(row: ScoreRow) -> str:
    """The model's last words in a row."""
    return next(message.content for message in reversed(row.messages) if message.role == "assistant")


def write_scores(
    folder: Path, benchmarks: Sequence[Benchmark], rows: Sequence[ScoreRow], protocols: Mapping[str, Protocol]
) -> None:
    """Write both files; `summary.json` comes last, so that it is there only beside complete rows.

    Raises ValueError unless `rows` are exactly the items of `benchmarks` in order, each with its protocol.
    """
    expected = [(benchmark.name, item.id) for benchmark in benchmarks for item in benchmark.items]
    if [(row.benchmark, row.item) for row in rows] != expected:
        raise ValueError("the rows are not the items of the benchmarks, in order: a score would miss items")
    if set(protocols) != {benchmark.name for benchmark in benchmarks}:
        raise ValueError("every benchmark needs its protocol, and no other")
    by_name: dict[str, list[ScoreRow]] = {benchmark.name: [] for benchmark in benchmarks}
    for row in rows:
        by_name[row.benchmark].append(row)
    write_rows(Path(folder) / ROWS, rows)
    summary = {
        "protocols": {name: protocol.hash for name, protocol in protocols.items()},
        "protocol_fields": protocols,
        "benchmarks": {
            benchmark.name: {**_about(benchmark), **summarise(by_name[benchmark.name])}
            for benchmark in benchmarks
        },
    }
    write_json(Path(folder) / SUMMARY, summary)


def read_scores(folder: Path) -> Scores:
    """What `write_scores` wrote. Raises UserError naming the file (and line) that is missing or damaged."""
    path, summary_path = Path(folder) / ROWS, Path(folder) / SUMMARY
    summary = read_json(summary_path)
    rows = []
    for number, record in enumerate(read_rows(path), 1):
        try:
            rows.append(_row(record))
        except (TypeError, KeyError, AttributeError) as error:
            raise UserError(f"not a score row ({error})", file=path, line=number, fix=_AGAIN) from None
    try:
        protocols = {name: protocol_from(record) for name, record in summary["protocol_fields"].items()}
        benchmarks = summary["benchmarks"]
        counts = {name: numbers["n"] for name, numbers in benchmarks.items()}
        hashes = summary["protocols"]
    except (TypeError, KeyError, AttributeError) as error:
        raise UserError(f"not a summary of scores ({error!r})", file=summary_path, fix=_AGAIN) from None
    if hashes != {name: protocol.hash for name, protocol in protocols.items()}:
        raise UserError("protocol hashes do not belong to their fields", file=summary_path, fix=_AGAIN)
    found: dict[str, int] = {}
    for row in rows:
        found[row.benchmark] = found.get(row.benchmark, 0) + 1
    if found != counts:
        raise UserError("rows and summary.json do not belong together", file=path, fix=_AGAIN)
    return Scores(tuple(rows), benchmarks, protocols)


def _mean(values: Iterable[float]) -> float | None:
    """Correctly rounded, so that it does not depend on the order of summation."""
    numbers = [float(value) for value in values]
    return math.fsum(numbers) / len(numbers) if numbers else None


def _about(benchmark: Benchmark) -> dict[str, Any]:
    """What a report needs to know of a benchmark beside its numbers."""
    return {
        "category": benchmark.category,
        "format": benchmark.format,
        "side_effect": benchmark.side_effect,
        "description": benchmark.description,
        "version": benchmark.version,
    }


def _row(record: Mapping[str, Any]) -> ScoreRow:
    messages = tuple(Message(message["role"], message["content"]) for message in record["messages"])
    return ScoreRow(**{**record, "messages": messages})
