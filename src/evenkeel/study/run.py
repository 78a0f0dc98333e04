"""The main job: a study file in, a run directory with its report out."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evenkeel.records.config import write_toml
from evenkeel.records.errors import UserError
from evenkeel.records.files import SCHEMA_VERSION, read_json, write_json, write_text
from evenkeel.records.machine import free_bytes, machine, versions
from evenkeel.study.accounts import write_accounts
from evenkeel.study.config import Study, find_study, read_study
from evenkeel.study.execute import RUN_LOCK, Timing, Watcher, execute, locked
from evenkeel.study.graph import Graph, make_graph, results_code
from evenkeel.study.materials import LOADERS, Materials, load_materials, started_in
from evenkeel.study.stages import Stage, check, is_done, with_needs
from evenkeel.study.workers import BUSY_LOCK

STUDY, VERSIONS, MACHINE, INDEX = "study.toml", "versions.json", "machine.json", "index.json"


@dataclass(frozen=True)
class Prepared:
    """A study with its materials and stages, nothing run yet."""

    study: Study
    materials: Materials
    graph: Graph


def prepare(name: str, *, quick: bool = False, seed: int | None = None) -> Prepared:
    """Read a study (a packaged name or a path) and lay out its stages.

    `seed` replaces all seeds, for development (0-99). Raises UserError for whatever is impossible.
    """
    text, file = find_study(name)
    study = read_study(text, file, quick=quick, kinds=tuple(LOADERS))
    study = replace(study, settings=started_in(study.kind, study.settings, file))
    if seed is not None:
        study = replace(study, seeds=replace(study.seeds, first=seed, plan=seed, evaluation=seed))
    materials = load_materials(study.kind, study.settings, study.evaluation.items)
    return Prepared(study, materials, make_graph(study, materials))


def default_folder(name: str, *, quick: bool) -> Path:
    """runs/NAME, or runs/NAME-quick."""
    return Path("runs") / (Path(name).stem + ("-quick" if quick else ""))


def run(prepared: Prepared, folder: Path, *, workers: int, watcher: Watcher, verify: bool = False) -> int:
    """Make everything that is not done yet; returns the number of stages made.

    Safe to kill at any moment; the same call continues. Raises UserError before any work when the folder, the
    disk or what is already there does not fit, and after a stage failed.
    """
    _require_writable(folder)
    with locked(folder):
        _require_same_study(folder, prepared.study)
        _require_same_versions(folder)
        everything = with_needs([prepared.graph.page])
        for stage in everything:
            check(folder, stage, full=verify)
        _require_space(folder, prepared)
        write_text(folder / STUDY, write_toml(prepared.study))
        _require_tools(folder, prepared, everything)
        _remove_half_written(folder)
        write_json(folder / VERSIONS, {**versions(), "code": results_code(prepared.study.kind)})
        clock = _Clock(folder)
        made = execute(
            folder,
            [stage for stage in everything if not stage.writes],
            workers=workers,
            watcher=watcher,
            record=clock.record,
        )
        link(folder, prepared.graph.index)
        write_accounts(folder)
        made += execute(folder, [prepared.graph.page], workers=1, watcher=watcher, record=clock.record)
    return made


def _require_tools(folder: Path, prepared: Prepared, stages: Sequence[Stage]) -> None:
    """A template that cannot be used or a key that is not set is found before any work, not in a worker."""
    todo = [stage for stage in stages if not is_done(folder, stage)]
    for base in sorted({stage.local["base"] for stage in todo if "base" in stage.local}):
        prepared.materials.tools(Path(base), folder)


def require_run(folder: Path) -> None:
    """Raises UserError unless the folder is a run with an index, i.e. all models are made."""
    if not (folder / INDEX).is_file():
        raise UserError(
            f"not a finished run directory: it has no {INDEX}",
            file=folder,
            fix="Run `evenkeel study STUDY --out` with this folder first.",
        )


def read_run_study(folder: Path) -> Study:
    """The resolved study of a run."""
    path = folder / STUDY
    if not path.is_file():
        raise UserError(f"it has no {STUDY}", file=folder, fix="Name a run directory.")
    return read_study(path.read_text(), str(path), kinds=tuple(LOADERS))


def unfinished(prepared: Prepared, folder: Path) -> list[Stage]:
    """Stages still to make in a folder."""
    return [stage for stage in with_needs([prepared.graph.page]) if not is_done(folder, stage)]


def link(folder: Path, index: Mapping[str, Any]) -> None:
    """index.json, and the readable names arms/BASE/ARM/SEED and scores/BASE/ARM/SEED/CONDITION."""
    write_json(folder / INDEX, dict(index))
    for model in index["models"]:
        if model["train"]:
            _symlink(folder, f"arms/{model['id']}", model["train"])
        for condition, target in model["scores"].items():
            _symlink(folder, f"scores/{model['id']}/{condition.replace(':', '_')}", target)


def _symlink(folder: Path, name: str, target: str) -> None:
    path = folder / name
    wanted = os.path.relpath(folder / target, path.parent)
    if path.is_symlink() and str(path.readlink()) == wanted:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(wanted)


def _require_writable(folder: Path) -> None:
    """The nearest existing parent must be a folder we may write to."""
    parent = folder.absolute()
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir():
        raise UserError("is a file, not a folder", file=parent, fix="Choose another folder with --out.")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UserError("cannot write there", file=parent, fix="Choose a writable folder with --out.")


def _require_same_study(folder: Path, study: Study) -> None:
    """The folder is empty or a run of this study (its settings may have changed: stages know)."""
    present = [p for p in folder.iterdir() if not p.name.startswith(".")]
    if not present:
        return
    fix = "Choose another folder with --out, or delete this one."
    if not (folder / STUDY).is_file():
        raise UserError(
            f"not a run directory: it holds {present[0].name} but no {STUDY}", file=folder, fix=fix
        )
    found = read_run_study(folder)
    if (found.title, found.label) != (study.title, study.label):
        raise UserError(
            f'holds the study "{found.title}" ({found.label}), not "{study.title}" ({study.label})',
            file=folder,
            fix=fix,
        )


def _require_same_versions(folder: Path) -> None:
    """Stages made elsewhere, or with another torch, are not mixed with new ones: bits would differ."""
    if not (folder / VERSIONS).exists():
        return
    record = read_json(folder / VERSIONS)
    if record.get("schema_version") != SCHEMA_VERSION:
        raise UserError(
            f"schema_version {record.get('schema_version')}, but this evenkeel reads {SCHEMA_VERSION}",
            file=folder / VERSIONS,
            fix="Choose another --out, or use the version of evenkeel that made this run.",
        )
    before, now = _flat(record), _flat(versions())
    changed = [f"{key} was {before.get(key)}, is {now[key]}" for key in now if before.get(key) != now[key]]
    if changed:
        raise UserError(
            "this run was started in another environment: " + "; ".join(changed),
            file=folder / VERSIONS,
            fix="Start again with another --out, or go back to the environment that started it.",
        )


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    flat = {key: value for key, value in record.items() if key not in ("libraries", "schema_version")}
    return flat | dict(record.get("libraries", {}))


def _require_space(folder: Path, prepared: Prepared) -> None:
    left = unfinished(prepared, folder)
    share = len(left) / len(with_needs([prepared.graph.page]))
    needed = int(prepared.study.budget.disk_mb * 2**20 * share)
    free = free_bytes(folder)
    if free < needed:
        raise UserError(
            f"{free / 2**20:.0f} MB free, but this study needs about {needed / 2**20:.0f} MB more",
            file=folder,
            fix="Free some space, choose another disk with --out, or lower budget.disk_mb if you know better.",
        )


def _remove_half_written(folder: Path) -> None:
    """Temporary files that a killed command left at the top of the run."""
    for path in folder.glob(".*"):
        if path.is_file() and path.name not in (RUN_LOCK, BUSY_LOCK):
            path.unlink()


class _Clock:
    """machine.json: hardware, paths, sessions, and what each stage took."""

    def __init__(self, folder: Path):
        self.path = folder / MACHINE
        self.content: dict[str, Any] = {"stages": {}, "sessions": []}
        if self.path.exists():
            self.content |= read_json(self.path)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.content["sessions"].append({"started": now, "folder": str(folder.absolute()), **machine()})
        write_json(self.path, self.content)

    def record(self, stage: Stage, timing: Timing) -> None:
        """Note what a stage took; the file is whole after every stage."""
        self.content["stages"][stage.id] = {
            "name": stage.label,
            "wall_seconds": round(timing.wall_seconds, 3),
            "cpu_seconds": round(timing.cpu_seconds, 3),
        }
        self.content["sessions"][-1]["last_stage"] = datetime.datetime.now(datetime.UTC).isoformat(
            timespec="seconds"
        )
        write_json(self.path, self.content)
