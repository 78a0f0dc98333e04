"""One canonical JSON text for any plain value, and its hash: equal content, equal bytes, equal name."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """Dataclasses, tuples, sets and paths as JSON types. Raises ValueError on NaN and infinities."""
    if value is None or type(value) in (str, int, bool):  # nearly everything, so first
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(item) for item in value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} has no place in a record: write null and say why")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "item"):  # numpy scalars
        return plain(value.item())
    raise TypeError(f"a record holds plain values, not {type(value).__name__}")


def canonical_json(value: Any, *, indent: int | None = None) -> str:
    """Sorted keys, no spaces (or `indent`), UTF-8 as it is: the one spelling that is hashed and stored."""
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(plain(value), sort_keys=True, ensure_ascii=False, indent=indent, separators=separators)


def content_hash(value: Any, length: int = 16) -> str:
    """First `length` hex digits of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
