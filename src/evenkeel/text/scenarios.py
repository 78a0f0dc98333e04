"""The trait scenarios of a text study: for training, held out, and kept aside for the attack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from evenkeel.records.canonical import content_hash
from evenkeel.records.errors import UserError
from evenkeel.scenarios.dataset import load_rows
from evenkeel.scenarios.rows import ScenarioRow
from evenkeel.scenarios.scenario import Scenario
from evenkeel.scenarios.standard.files import resolve
from evenkeel.text.settings import TraitSettings


def trait_rows(settings: TraitSettings, folder: Path) -> list[ScenarioRow]:
    """All rows of the study. Raises UserError for a file that cannot be read, or when a split is missing."""
    files = [resolve(name, folder) for name in settings.files]
    rows = load_rows(files or None, traits=settings.traits)
    for split in ("train", "eval"):
        if not any(row.split == split for row in rows):
            raise UserError(
                f'the trait scenarios have no row of split "{split}"', file=", ".join(settings.files) or None,
                fix="A study trains on one split and measures on the other.",
            )  # fmt: skip
    return rows


def scenarios_of(rows: Sequence[ScenarioRow], split: str, max_tokens: int) -> tuple[Scenario, ...]:
    """The scenarios of a split, in order of their ids, replies cut at `max_tokens`."""
    chosen = sorted((row for row in rows if row.split == split), key=lambda row: row.id)
    return tuple(replace(row.scenario(), max_tokens=max_tokens) for row in chosen)


def rows_hash(rows: Sequence[ScenarioRow]) -> str:
    """Changes with any word of any row."""
    return content_hash(sorted(rows, key=lambda row: row.id))
