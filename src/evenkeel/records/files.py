"""Atomic files: a reader sees the old file or the new one, never half of one, whenever the power goes.

JSON is canonical (sorted keys); rows are gzip JSON lines whose bytes depend on the rows alone (no time stamp).
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from evenkeel.records.canonical import canonical_json
from evenkeel.records.errors import UserError

SCHEMA_VERSION = 1


def write_bytes(path: Path, data: bytes) -> None:
    """Write to a temporary neighbour, flush to disk, rename over `path`."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of UTF-8 text."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Canonical JSON with indent 1 and a final newline; a mapping gets `schema_version` if it has none."""
    if isinstance(value, dict) and "schema_version" not in value:
        value = {"schema_version": SCHEMA_VERSION, **value}
    write_text(path, canonical_json(value, indent=1) + "\n")


def read_json(path: Path) -> Any:
    """The value of a JSON file. Raises UserError naming the file and line when it is missing or broken."""
    path = Path(path)
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError("no such file", file=path) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        line = getattr(error, "lineno", None)
        raise UserError(
            f"not valid JSON ({error})", file=path, line=line, fix="Delete it and run again."
        ) from None


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    """Rows as canonical JSON lines; gzip when the name ends in .gz, with no time or name in its header."""
    text = "".join(canonical_json(row) + "\n" for row in rows).encode()
    if Path(path).suffix == ".gz":
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=4, filename="", mtime=0) as stream:
            stream.write(text)
        text = buffer.getvalue()
    write_bytes(path, text)


def read_rows(path: Path) -> Iterator[Any]:
    """Rows of a `.jsonl` or `.jsonl.gz` file. Raises UserError naming the line that is broken."""
    path = Path(path)
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    except FileNotFoundError:
        raise UserError("no such file", file=path) from None
    except (OSError, EOFError, UnicodeDecodeError, gzip.BadGzipFile) as error:
        raise UserError(
            f"damaged file ({error})", file=path, fix="Delete its stage folder and run again."
        ) from None
    for number, line in enumerate(text.splitlines(), 1):
        try:
            yield json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"not valid JSON ({error})", file=path, line=number) from None
