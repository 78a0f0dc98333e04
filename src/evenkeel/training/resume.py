"""Resume points: the state of a run at a step, whole or not at all.

Order of writing: completions shard, steps.jsonl, the engine's checkpoint, then the marker `resume.json`, each
atomically. Whatever a kill leaves behind the marker is written again with the same bytes.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evenkeel.engines.interface import Engine
from evenkeel.records.errors import UserError
from evenkeel.records.files import read_json, read_rows, write_json, write_rows

MARKER, STEPS, LEDGER, FINAL = "resume.json", "steps.jsonl", "ledger.json", "checkpoint"


def finished(folder: Path, identity: dict[str, Any]) -> bool:
    """Whether the run is complete: its ledger, written last, is there. Raises UserError if it is another
    run's.
    """
    if not (folder / LEDGER).exists():
        return False
    _require_same(read_json(folder / LEDGER).get("identity"), identity, folder / LEDGER)
    return True


def restore(folder: Path, engine: Engine, identity: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """(first step to do, rows of the steps done); loads the engine's state. (0, []) for a fresh folder.

    Raises UserError when the folder holds another run's state.
    """
    if not (folder / MARKER).exists():
        return 0, []
    marker = read_json(folder / MARKER)
    _require_same(marker.get("identity"), identity, folder / MARKER)
    engine.load(folder / marker["checkpoint"], optimizer=True)
    rows = list(read_rows(folder / STEPS))[: marker["step"]]
    if len(rows) < marker["step"]:
        raise UserError("fewer rows than its marker says", file=folder / STEPS, fix="Delete the folder.")
    return marker["step"], rows


def write_point(folder: Path, engine: Engine, step: int, identity: dict[str, Any]) -> None:
    """The engine's state after `step` steps, then the marker; older states go."""
    name = f"resume-{step:06d}"
    engine.save(folder / name, optimizer=True)
    write_json(folder / MARKER, {"identity": identity, "step": step, "checkpoint": name})
    _remove_points(folder, keep=name)


def write_records(
    folder: Path, first: int, every: int, steps: Sequence[dict], completions: Sequence[dict]
) -> None:
    """All step rows so far, and the shard of the completions since step `first`."""
    write_rows(folder / f"completions-{first // every:04d}.jsonl.gz", completions)
    write_rows(folder / STEPS, steps)


def finish(folder: Path, engine: Engine, ledger: dict[str, Any], identity: dict[str, Any]) -> None:
    """The final checkpoint, the ledger as the sign of completeness, and nothing else left behind."""
    engine.save(folder / FINAL, optimizer=False)
    write_json(folder / LEDGER, {**ledger, "identity": identity})
    clean(folder)


def clean(folder: Path) -> None:
    """Remove resume points and what a kill left of half-written files."""
    (folder / MARKER).unlink(missing_ok=True)
    _remove_points(folder)
    for name in (MARKER, STEPS, LEDGER, FINAL, "plan.json", "completions-", "resume-"):
        for path in folder.glob(f".{name}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _remove_points(folder: Path, keep: str = "") -> None:
    for path in folder.glob("resume-*"):
        if path.name != keep:
            shutil.rmtree(path)


def _require_same(found: Any, wanted: dict[str, Any], file: Path) -> None:
    if found != wanted:
        found = found if isinstance(found, dict) else {}
        differs = sorted(key for key in wanted if found.get(key) != wanted[key])
        raise UserError(
            f"belongs to another run ({', '.join(differs)} differ)",
            file=file,
            fix="Train into an empty folder, or delete this one.",
        )
