"""Rows of files: JSON lines, a JSON list, Parquet; each but Parquet also as .gz. And where a relative path leads.

A row knows where it stands, so that whatever is wrong with it is said with file, line and field.
"""

from __future__ import annotations

import gzip
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenkeel.records.errors import UserError, did_you_mean

LINES = (".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class Row:
    """Fields by name, and where they come from."""

    data: Mapping[str, Any]
    file: str  # a path, or the id of a data set
    number: int  # from 1
    line: bool  # the number is a line of the file

    def error(self, problem: str, fix: str = "") -> UserError:
        """A UserError at this row."""
        if self.line:
            return UserError(problem, file=self.file, line=self.number, fix=fix)
        return UserError(f"row {self.number}: {problem}", file=self.file, fix=fix)

    def value(self, name: str) -> Any:
        """A field that must be there and not null. Raises UserError naming it and those that are there."""
        if self.data.get(name) is None:
            raise self.error(f'the field "{name}" is missing.', did_you_mean(name, self.data))
        return self.data[name]

    def text(self, name: str) -> str:
        """A field that must be a text with something in it, without blanks around it. Raises UserError."""
        value = self.value(name)
        if not isinstance(value, str) or not value.strip():
            raise self.error(f'the field "{name}" must be a text that is not empty, not {value!r}')
        return value.strip()

    def texts(self, name: str) -> list[str]:
        """A field that must be a list of such texts. Raises UserError."""
        value = self.value(name)
        if (
            not isinstance(value, list)
            or not value
            or not all(isinstance(v, str) and v.strip() for v in value)
        ):
            raise self.error(f'the field "{name}" must be a list of texts, none of them empty, not {value!r}')
        return [text.strip() for text in value]


def resolve(path: str, folder: Path | None) -> Path:
    """Where a path of a study file leads: from the file's folder, or else from the working directory.

    Raises UserError naming every place that was looked at.
    """
    tried = dict.fromkeys(
        Path(base, Path(path).expanduser()).resolve() for base in (folder or Path(), Path())
    )
    for place in tried:
        if place.exists():
            return place
    places = " and ".join(map(str, tried))
    raise UserError(
        f'"{path}" leads nowhere: looked for {places}',
        fix="Paths start at the folder of the study file, or at the working directory.",
    )


def read_file(path: Path) -> list[Row]:
    """All rows. Raises UserError naming the file, and the line where there is one."""
    try:
        data, kind = path.read_bytes(), path.suffix.lower()
        if kind == ".gz":
            data, kind = gzip.decompress(data), Path(path.stem).suffix.lower()
        if kind == ".parquet":
            return _parquet(path)
        text = data.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read ({error})", file=path) from None
    if kind in LINES:
        return _lines(text, path)
    if kind == ".json":
        return _json(text, path)
    raise UserError(
        f'rows of an unknown kind "{kind}"', file=path, fix="Known: .jsonl, .json, .parquet, .jsonl.gz"
    )


def _lines(text: str, path: Path) -> list[Row]:
    rows = []
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines: U+2028 may stand inside a text
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"not valid JSON ({error})", file=path, line=number) from None
        rows.append(_row(value, path, number, True))
    return rows


def _json(text: str, path: Path) -> list[Row]:
    """A list of objects; some .json files are JSON lines."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        if text.lstrip().startswith("["):
            raise UserError(f"not valid JSON ({error})", file=path, line=error.lineno) from None
        return _lines(text, path)
    if not isinstance(value, list):
        return [_row(value, path, 1, False)]
    return [_row(item, path, number, False) for number, item in enumerate(value, 1)]


def _parquet(path: Path) -> list[Row]:
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise UserError("Parquet needs pyarrow", file=path, fix='pip install "evenkeel[text]"') from None
    try:
        values = parquet.read_table(path).to_pylist()
    except (OSError, ValueError) as error:
        raise UserError(f"not valid Parquet ({error})", file=path) from None
    return [_row(value, path, number, False) for number, value in enumerate(values, 1)]


def _row(value: Any, path: Path, number: int, line: bool) -> Row:
    row = Row(value if isinstance(value, Mapping) else {}, str(path), number, line)
    if not isinstance(value, Mapping):
        raise row.error(f"a row is an object with fields, not {value!r:.60}")
    return row
