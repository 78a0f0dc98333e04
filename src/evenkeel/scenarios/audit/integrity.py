"""Ids are unique, rows stand in the file that their id names, and labels fit the text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from evenkeel.scenarios.audit.found import Data, Found, Placed, at
from evenkeel.scenarios.dataset import SPLITS
from evenkeel.scenarios.scenario import TRAITS

BLOCK = 3  # lines that make a table, a log or a listing


def check(data: Data) -> Iterator[Found]:
    """All rules of this file."""
    first: dict[str, Placed] = {}
    for placed in data.rows:
        row = placed.row
        if row.id in first:
            other = first[row.id]
            yield at(
                placed, "ids", f"{other.file}, line {other.line} has the same id", data.limits["ids"].fix
            )
        first.setdefault(row.id, placed)
        yield from _place(placed)
        yield from _labels(placed)


def _place(placed: Placed) -> Iterator[Found]:
    """A file called after a trait, in a folder called after a split, holds nothing else."""
    path, row = Path(placed.file), placed.row
    if path.parent.name in SPLITS and path.parent.name != row.split:
        yield at(
            placed,
            "places",
            f"a row of the {row.split} split stands among {path.parent.name}",
            f"Move it to {row.split}/{row.trait}.jsonl; the split is fixed and no row changes sides.",
        )
    if path.stem in TRAITS and path.stem != row.trait:
        yield at(
            placed,
            "places",
            f"a row of {row.trait} stands among {path.stem}",
            f"Move it to {row.split}/{row.trait}.jsonl.",
        )


def _labels(placed: Placed) -> Iterator[Found]:
    row = placed.row
    text = "\n".join(turn.content for turn in row.messages)
    longest = max(len(turn.content.strip().splitlines()) for turn in row.messages)
    rows_of_table = sum(line.count("|") > 1 or line.count("\t") > 1 for line in text.splitlines())
    if row.attachment in ("table", "log", "code") and longest < BLOCK:
        yield at(
            placed,
            "labels",
            f'the attachment is labelled "{row.attachment}", but no message has {BLOCK} lines',
            'Put it into a message, or label it "none".',
            "note",
        )
    if row.attachment == "none" and ("```" in text or rows_of_table >= BLOCK):
        kind = "code" if "```" in text else "table"
        yield at(
            placed,
            "labels",
            f'a message holds a {kind}, but the attachment is labelled "none"',
            f'Label it "{kind}".',
            "note",
        )
