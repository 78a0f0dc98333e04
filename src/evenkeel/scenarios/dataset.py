"""The shipped trait dataset: `dataset/SPLIT/TRAIT.jsonl` beside this file, and the rows of anyone else's files."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from evenkeel.records.errors import UserError, did_you_mean
from evenkeel.scenarios.rows import ScenarioRow, parse_file
from evenkeel.scenarios.scenario import DOMAINS, TRAITS

VERSION = "1.0"  # of the shipped rows; a changed row raises it
FOLDER = Path(__file__).parent / "dataset"
SPLITS = ("train", "eval")


def shipped_files() -> list[Path]:
    """The files of the shipped dataset, training split first, traits in their order. Raises UserError if none is there."""
    files = [FOLDER / split / f"{trait}.jsonl" for split in SPLITS for trait in TRAITS]
    found = [path for path in files if path.is_file()]
    if not found:
        raise UserError(
            "the shipped dataset is not there", file=FOLDER, fix="Install evenkeel again, or name files."
        )
    return found


def find_files(paths: Iterable[Path | str]) -> list[Path]:
    """The files named, and every .jsonl under the folders named, without repeats. Raises UserError for a wrong path."""
    found: list[Path] = []
    for path in map(Path, paths):
        below = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
        if not below or not below[0].is_file():
            raise UserError(
                "no such file, and no folder with .jsonl files", file=path, fix="Name a JSON-lines file."
            )
        found += below
    return list(dict.fromkeys(found))


def load_rows(
    paths: Iterable[Path | str] | None = None,
    *,
    traits: Collection[str] = (),
    domains: Collection[str] = (),
    split: str | None = None,
) -> list[ScenarioRow]:
    """Rows of the shipped dataset, or of these files and folders; empty selections select everything.

    Raises UserError for the first row that cannot be read, for an id that two rows have, and for an unknown name.
    """
    for names, known in (
        (traits, tuple(TRAITS)),
        (domains, tuple(DOMAINS)),
        ((split,) if split else (), SPLITS),
    ):
        for name in names:
            if name not in known:
                raise UserError(f'no scenario has "{name}".', fix=did_you_mean(name, known))
    rows: dict[str, ScenarioRow] = {}
    for path in shipped_files() if paths is None else find_files(paths):
        for number, row in parse_file(path):
            if isinstance(row, UserError):
                raise row
            if row.id in rows:
                raise UserError(
                    f"scenario {row.id} is there already",
                    file=path,
                    line=number,
                    fix="Give it another number.",
                )
            rows[row.id] = row
    return [
        row
        for row in rows.values()
        if (not traits or row.trait in traits)
        and (not domains or row.domain in domains)
        and (split is None or row.split == split)
    ]
