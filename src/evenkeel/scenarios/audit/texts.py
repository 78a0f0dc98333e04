"""Every text in a file, whatever its kind: JSON and JSON lines, CSV and TSV, Parquet, plain text, each also as .gz.

What cannot be read is said (`Unread`), never skipped in silence.
"""

from __future__ import annotations

import csv
import gzip
import importlib
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

CELL = 1 << 27  # characters of the largest CSV cell


class Unread(Exception):
    """Why a file could not be read."""


def files_below(paths: Iterable[Path]) -> Iterator[Path]:
    """The files named and those in the folders named, in order of name; hidden ones are left out."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for below in sorted(path.rglob("*")):
            hidden = any(part.startswith(".") for part in below.relative_to(path).parts)
            if below.is_file() and not hidden:
                yield below


def texts(path: Path) -> Iterator[str]:
    """All texts of a file, one JSON string, cell or file at a time. Raises Unread."""
    try:
        data, kind = path.read_bytes(), path.suffix.lower()
        if kind == ".gz":
            data, kind = gzip.decompress(data), Path(path.stem).suffix.lower()
    except (OSError, EOFError) as error:
        raise Unread(str(error)) from None
    if kind == ".parquet":
        yield from _parquet(data)
        return
    if b"\0" in data[:8192]:
        raise Unread("a binary file of an unknown kind")
    text = data.decode("utf-8-sig", errors="replace")
    if kind == ".json":
        yield from _json(text)
    elif kind in (".jsonl", ".ndjson"):
        yield from _json_lines(text)
    elif kind in (".csv", ".tsv"):
        csv.field_size_limit(CELL)
        try:
            for row in csv.reader(io.StringIO(text, newline=""), delimiter="\t" if kind == ".tsv" else ","):
                yield from row
        except csv.Error as error:
            raise Unread(f"not valid CSV ({error})") from None
    else:
        yield text


def _json(text: str) -> Iterator[str]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:  # some .json files are JSON lines
        yield from _json_lines(text)
    else:
        yield from _strings(value)


def _json_lines(text: str) -> Iterator[str]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                value = json.loads(line)
            except json.JSONDecodeError as error:
                raise Unread(f"line {number} is not valid JSON ({error})") from None
            yield from _strings(value)


def _strings(value: Any) -> Iterator[str]:
    """Every string in a JSON value, keys of objects included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)


def _parquet(data: bytes) -> Iterator[str]:
    try:  # not a dependency: read when it is there
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise Unread("Parquet needs pyarrow: pip install pyarrow") from None
    try:
        for batch in parquet.ParquetFile(io.BytesIO(data)).iter_batches():
            yield from _strings(batch.to_pylist())
    except (OSError, ValueError) as error:
        raise Unread(str(error)) from None
