"""A stage: a function of plain inputs and earlier stages, in a folder named by their hash.

    RUN/stages/KIND-HASH/   stage.json first, then the outputs, then checksums.json, and last of all DONE

The hash covers kind, function, inputs and the hashes of the stages it needs, so a folder with DONE never has
to be made again, whoever killed whatever in between. Paths go in `local`, which is not hashed. A folder
without DONE is started afresh, or continued where the function itself can (`resumable`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from evenkeel.records.canonical import content_hash, file_hash
from evenkeel.records.errors import UserError
from evenkeel.records.files import SCHEMA_VERSION, read_json, write_json, write_text

DONE, CHECKSUMS, RECORD = "DONE", "checksums.json", "stage.json"
ALWAYS_HASHED = 64 * 2**20  # bytes; larger files are checked by size unless a full check is asked for


@dataclass(frozen=True)
class Stage:
    """One node of the graph."""

    kind: str  # first part of the folder's name, e.g. "train"
    name: str  # for people: "world-0/trait-5/1000"; not hashed
    run: str  # "module:function", called in a worker with a Task
    inputs: Mapping[str, Any] = field(default_factory=dict)  # plain values, hashed
    needs: Mapping[str, Stage] = field(default_factory=dict)  # role -> stage whose folder the function reads
    local: Mapping[str, str] = field(default_factory=dict)  # paths; never hashed
    cost: float = 1.0  # expected seconds; orders the ready stages
    resumable: bool = False  # the function continues its own half-made folder
    writes: tuple[str, ...] = ()  # files at the top of the run that this stage makes

    @cached_property
    def hash(self) -> str:
        """16 hex digits over everything that decides the outputs."""
        needs = {role: stage.hash for role, stage in self.needs.items()}
        return content_hash(
            {
                "schema": SCHEMA_VERSION,
                "kind": self.kind,
                "run": self.run,
                "inputs": self.inputs,
                "needs": needs,
            }
        )

    @property
    def id(self) -> str:
        """Name of the folder under stages/."""
        return f"{self.kind}-{self.hash}"

    @property
    def label(self) -> str:
        """For progress and messages."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Task:
    """What a stage's function gets: it writes its outputs into `folder` and nothing else (but `writes`)."""

    run: Path
    folder: Path
    inputs: Mapping[str, Any]
    needs: Mapping[str, Path]
    local: Mapping[str, str]
    progress: Callable[[int, int], None]


def with_needs(stages: Iterable[Stage]) -> list[Stage]:
    """All stages and what they need, needed ones first, each once (equal ids are one stage)."""
    seen: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if stage.id not in seen:
            for needed in stage.needs.values():
                visit(needed)
            seen[stage.id] = stage

    for stage in stages:
        visit(stage)
    return list(seen.values())


def folder_of(run: Path, stage: Stage) -> Path:
    """RUN/stages/KIND-HASH."""
    return run / "stages" / stage.id


def begin(run: Path, stage: Stage) -> Path:
    """The stage's folder with its stage.json, emptied first unless the stage continues its own work."""
    folder = folder_of(run, stage)
    if folder.exists() and not (stage.resumable and (folder / RECORD).exists()):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    (folder / CHECKSUMS).unlink(missing_ok=True)
    record = {
        "kind": stage.kind,
        "name": stage.name,
        "run": stage.run,
        "inputs": stage.inputs,
        "needs": {role: needed.id for role, needed in stage.needs.items()},
        "input_hash": stage.hash,
    }
    write_json(folder / RECORD, record)
    return folder


def seal(run: Path, stage: Stage) -> None:
    """Write checksums.json over every file, flush, and DONE last."""
    folder = folder_of(run, stage)
    remove_leftovers(folder)
    files = {}
    for path in _files(folder):
        _flush(path)
        files[path.relative_to(folder).as_posix()] = {"sha256": file_hash(path), "bytes": path.stat().st_size}
    outside = {name: file_hash(run / name) for name in stage.writes}
    write_json(folder / CHECKSUMS, {"files": files, "writes": outside})
    write_text(folder / DONE, file_hash(folder / CHECKSUMS) + "\n")
    _flush(folder)


def is_done(run: Path, stage: Stage) -> bool:
    """Whether DONE is there and the run's own files this stage makes are still those it made."""
    folder = folder_of(run, stage)
    if not (folder / DONE).exists():
        return False
    if not stage.writes:
        return True
    made = read_json(folder / CHECKSUMS)["writes"]
    return all((run / name).is_file() and file_hash(run / name) == made.get(name) for name in stage.writes)


def check(run: Path, stage: Stage, *, full: bool = False) -> None:
    """Verify what is already on disk for a stage. Raises UserError naming the file and the fix.

    A finished folder must hold exactly the files of its checksums with those bytes (files over 64 MiB: that
    size, unless `full`). An unfinished one must be ours.
    """
    folder = folder_of(run, stage)
    if not folder.exists():
        return
    again = f"Delete the folder {folder} and run the same command again: only this stage is made again."
    record = folder / RECORD
    if record.exists():
        _check_record(record, stage, again)
    elif any(not path.name.startswith(".") for path in folder.iterdir()):
        raise UserError(
            f"a folder of this name was not made by evenkeel: it has no {RECORD}", file=folder, fix=again
        )
    if (folder / DONE).exists():
        _check_files(folder, again, full)


def _check_record(record: Path, stage: Stage, again: str) -> None:
    found = read_json(record)
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != SCHEMA_VERSION:
        raise UserError(
            f"written with schema_version {version}, but this evenkeel reads {SCHEMA_VERSION}",
            file=record,
            fix="Choose another --out, or use the version of evenkeel that made this run.",
        )
    if found.get("input_hash") != stage.hash or found.get("kind") != stage.kind:
        raise UserError(
            "belongs to another stage: its input_hash is not that of its folder", file=record, fix=again
        )


def _check_files(folder: Path, again: str, full: bool) -> None:
    checksums = folder / CHECKSUMS
    if not checksums.exists() or (folder / DONE).read_text().strip() != file_hash(checksums):
        raise UserError("damaged: DONE does not match it", file=checksums, fix=again)
    known = read_json(checksums)["files"]
    present = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    for name in sorted(present.keys() - known.keys()):
        raise UserError("a foreign file in a finished stage", file=folder / name, fix="Move it elsewhere.")
    for name, expected in known.items():
        path = present.get(name)
        if path is None:
            raise UserError("missing from a finished stage", file=folder / name, fix=again)
        size = path.stat().st_size
        if size != expected["bytes"]:
            raise UserError(f"damaged: {size} bytes instead of {expected['bytes']}", file=path, fix=again)
        if (full or size <= ALWAYS_HASHED) and file_hash(path) != expected["sha256"]:
            raise UserError("damaged: its SHA-256 is not the recorded one", file=path, fix=again)


def remove_leftovers(folder: Path) -> None:
    """Temporary neighbours that a killed process left behind."""
    for path in list(folder.rglob(".*")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in (DONE, CHECKSUMS):
            yield path


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
