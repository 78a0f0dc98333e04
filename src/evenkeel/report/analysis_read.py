"""A run directory as arrays: models, benchmarks, items, and one cell of numbers per model and condition.

Rows are read once. An item is one number in the run's item table; a cell holds the items it played and, for every
field, one float32 each. Trait evaluations and everything else that is no attack count as the condition `bare`.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from evenkeel.records import files
from evenkeel.records.errors import UserError

FIELDS = (
    "score",
    "good",
    "harmful",
    "refused",
    "truncated",
    "tokens",
    "posterior_good",
    "posterior_harmful",
    "off_grammar",
)
PLAIN_FIELDS = FIELDS[:6]
EXTRA_FIELDS = FIELDS[6:]
TRAIT_PREFIX = "trait_eval:"
HEALTH_WORDS = ("health", "wellbeing", "well-being", "mental", "medical")
SCIENCE_WORDS = ("science", "scientific")


@dataclass(frozen=True, slots=True)
class Model:
    """One trained (or untouched) model of the index."""

    id: str
    base: str
    arm: str
    seed: int
    kind: str
    share: float
    control: bool
    control_of: str | None
    train: str | None
    scores: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Bench:
    """A benchmark and its items: indices into the item table, and the cluster (frame) of each."""

    name: str
    category: str
    format: str
    side_effect: bool
    description: str
    items_N: np.ndarray
    frame_N: np.ndarray  # 0..frames - 1
    frames: int
    health: bool
    science: bool

    @property
    def trait(self) -> bool:
        """Whether this is a held-out trait evaluation."""
        return self.name.startswith(TRAIT_PREFIX) or self.category == "trait"


@dataclass(slots=True)
class Cell:
    """What one model did under one condition: item indices and [F, n] numbers (NaN: not measured)."""

    items_n: np.ndarray
    values_Fn: np.ndarray
    distinct: dict[str, int] = field(default_factory=dict)  # benchmark -> different last replies


@dataclass(slots=True)
class Run:
    """Everything the analysis knows about a run."""

    folder: Path
    study: Mapping[str, Any]
    models: tuple[Model, ...]
    benchmarks: tuple[Bench, ...]
    domain_N: np.ndarray  # [N] str
    held_out_N: np.ndarray  # [N] bool
    cells: dict[tuple[str, str], Cell]  # (model id, condition)
    panel_in: tuple[str, ...]
    panel_out: tuple[str, ...]
    ladders: Mapping[str, str]  # persona ladder -> harmful | helpful
    gates: Mapping[str, Mapping[str, Any]]  # base -> its gate: persona gaps by format, exploratory formats
    _means: dict[tuple[str, str, str], np.ndarray | None] = field(default_factory=dict)

    @property
    def alignment(self) -> tuple[Bench, ...]:
        """The out-of-distribution suite: neither side effects nor trait evaluations."""
        return tuple(b for b in self.benchmarks if not b.side_effect and not b.trait)

    @property
    def side_effects(self) -> tuple[Bench, ...]:
        """Over-refusal, capability, monitorability."""
        return tuple(b for b in self.benchmarks if b.side_effect and not b.trait)

    @property
    def traits(self) -> tuple[Bench, ...]:
        """The held-out trait evaluations."""
        return tuple(b for b in self.benchmarks if b.trait)

    def bases(self, group: str) -> tuple[str, ...]:
        """Bases of `world` or `control`, in index order."""
        return tuple(dict.fromkeys(m.base for m in self.models if m.control == (group == "control")))

    def arms(self) -> tuple[tuple[str, str, float], ...]:
        """(arm, kind, share) in display order: base, baseline, then by share and name of first appearance."""
        seen = dict.fromkeys((m.arm, m.kind, m.share) for m in self.models)
        first = {"base": 0, "baseline": 1}
        return tuple(sorted(seen, key=lambda row: (first.get(row[1], 2), row[2])))

    def of(self, base: str, arm: str) -> tuple[Model, ...]:
        """All seeds of an arm in a base."""
        return tuple(m for m in self.models if m.base == base and m.arm == arm)

    def baseline_arm(self) -> str:
        """The name of the baseline arm."""
        return next((m.arm for m in self.models if m.kind == "baseline"), "baseline")

    def dense(self, model: Model, condition: str, name: str) -> np.ndarray | None:
        """[N] a field over the whole item table, NaN where not played; None when the condition was not measured."""
        cell = self.cells.get((model.id, condition))
        if cell is None:
            return None
        out_N = np.full(len(self.domain_N), np.nan)
        out_N[cell.items_n] = cell.values_Fn[FIELDS.index(name)]
        return out_N

    def bare_mean(self, base: str, arm: str, name: str) -> np.ndarray | None:
        """[N] a bare field's mean over the seeds of an arm in a base (computed once); None when no seed has it."""
        key = (base, arm, name)
        if key not in self._means:
            rows = [self.dense(model, "bare", name) for model in self.of(base, arm)]
            found = [row_N for row_N in rows if row_N is not None]
            self._means[key] = np.mean(found, axis=0) if found else None
        return self._means[key]


def attack_of(condition: str) -> tuple[str, str, int] | None:
    """("persona", ladder, strength) or ("finetune", which, steps); None for the bare model and trait evaluations."""
    parts = condition.split(":")
    if len(parts) == 3 and parts[0] in ("persona", "finetune") and parts[2].isdigit():
        return parts[0], parts[1], int(parts[2])
    return None


class _Items:
    """The growing item table: one row per (benchmark, item), with what every row must agree on."""

    def __init__(self) -> None:
        self.number: dict[tuple[str, str], int] = {}
        self.rows: list[tuple[str, str, str, bool]] = []  # benchmark, frame, domain, held_out

    def index(self, row: Mapping[str, Any]) -> int:
        """The item's number, registering it on first sight."""
        name = (row["benchmark"], row["item"])
        number = self.number.get(name)
        if number is None:
            number = self.number[name] = len(self.rows)
            self.rows.append((row["benchmark"], row["frame"], row["domain"] or "", bool(row["held_out"])))
        return number


def last_reply(row: Mapping[str, Any]) -> str:
    """The model's last words in a stored row."""
    return next((m["content"] for m in reversed(row["messages"]) if m["role"] == "assistant"), "")


def _read_cell(path: Path, items: _Items) -> Cell:
    """One score stage. Raises UserError naming the line that is no score row."""
    index: list[int] = []
    columns: list[list[float]] = []
    replies: dict[str, set[str]] = {}
    nan = float("nan")
    for number, row in enumerate(files.read_rows(path), 1):
        try:
            index.append(items.index(row))
            extra = row["extra"]
            columns.append([row[n] for n in PLAIN_FIELDS] + [extra.get(n, nan) for n in EXTRA_FIELDS])
            replies.setdefault(row["benchmark"], set()).add(last_reply(row))
        except (KeyError, TypeError, AttributeError) as error:
            fix = "Delete its stage folder and run again."
            raise UserError(f"not a score row ({error!r})", file=path, line=number, fix=fix) from None
    values_nF = np.array(columns, dtype=np.float32).reshape(len(index), len(FIELDS))
    distinct = {name: len(found) for name, found in replies.items()}
    return Cell(np.array(index, dtype=np.int64), values_nF.T.copy(), distinct)


def _merge(a: Cell, b: Cell) -> Cell:
    """Two score stages of one model that are both unattacked: the suite and the trait evaluations."""
    return Cell(
        np.concatenate([a.items_n, b.items_n]),
        np.concatenate([a.values_Fn, b.values_Fn], axis=1),
        {**a.distinct, **b.distinct},
    )


def read_run(folder: Path, progress: Callable[[str], None] | None = None) -> Run:
    """Read a run directory. Raises UserError when the index or a stage is missing or damaged."""
    folder = Path(folder)
    index = files.read_json(folder / "index.json")
    try:
        models = tuple(_model(row) for row in index["models"])
    except (KeyError, TypeError) as error:
        raise UserError(f"not an index of models ({error!r})", file=folder / "index.json") from None
    if not models:
        raise UserError("the index names no model", file=folder / "index.json", fix="Run the study first.")
    items = _Items()
    cells: dict[tuple[str, str], Cell] = {}
    about: dict[str, Mapping[str, Any]] = {row["name"]: row for row in index.get("benchmarks", [])}
    for model in models:
        for condition, stage in sorted(model.scores.items()):
            cell = _read_cell(folder / stage / "rows.jsonl.gz", items)
            key = (model.id, condition if attack_of(condition) else "bare")
            cells[key] = _merge(cells[key], cell) if key in cells else cell
            if any(name not in about for name in cell.distinct):
                summary = files.read_json(folder / stage / "summary.json")["benchmarks"]
                about.update({name: row for name, row in summary.items() if name not in about})
        if progress:
            progress(model.id)
    benchmarks = _benchmarks(items, about)
    inside, outside = _panel(index, benchmarks, cells)
    return Run(
        folder,
        read_study(folder),
        models,
        benchmarks,
        np.array([row[2] for row in items.rows], dtype=object),
        np.array([row[3] for row in items.rows], dtype=bool),
        cells,
        inside,
        outside,
        {row["name"]: row["kind"] for row in index.get("ladders", [])},
        _gates(folder, index.get("bases", [])),
    )


def _model(row: Mapping[str, Any]) -> Model:
    return Model(
        row["id"],
        row["base"],
        row["arm"],
        row["seed"],
        row["kind"],
        float(row.get("share") or 0.0),
        bool(row.get("control")),
        row.get("control_of"),
        row.get("train"),
        row.get("scores") or {},
    )


def _benchmarks(items: _Items, about: Mapping[str, Mapping[str, Any]]) -> tuple[Bench, ...]:
    """Benchmarks in the order of `about` (the study's own), then as first seen."""
    number_of: dict[str, list[int]] = {}
    for number, row in enumerate(items.rows):
        number_of.setdefault(row[0], []).append(number)
    order = [name for name in about if name in number_of] + [name for name in number_of if name not in about]
    return tuple(_bench(name, items, np.array(number_of[name]), about.get(name, {})) for name in order)


def _bench(name: str, items: _Items, numbers: np.ndarray, stated: Mapping[str, Any]) -> Bench:
    """One benchmark from its items and what the study says about it."""
    frames, frame_N = np.unique([items.rows[i][1] for i in numbers], return_inverse=True)
    category = stated.get("category", "trait" if name.startswith(TRAIT_PREFIX) else "uncategorised")
    return Bench(
        name,
        category,
        stated.get("format", "chat"),
        bool(stated.get("side_effect", False)),
        stated.get("description", ""),
        numbers,
        frame_N.astype(np.int64),
        len(frames),
        _about(category, items, numbers, HEALTH_WORDS, "health"),
        _about(category, items, numbers, SCIENCE_WORDS, "science"),
    )


def _about(category: str, items: _Items, numbers: np.ndarray, words: Sequence[str], domain: str) -> bool:
    """A benchmark is of a domain when its category says so or more than half of its items are."""
    share = np.mean([items.rows[i][2] == domain for i in numbers])
    return any(word in category.lower() for word in words) or bool(share > 0.5)


def _gates(folder: Path, bases: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
    """The gate of every base that has one."""
    stated = {row["name"]: row["gate"] for row in bases if isinstance(row, dict) and row.get("gate")}
    return {name: files.read_json(folder / stage / "gate.json") for name, stage in stated.items()}


def _panel(
    index: Mapping[str, Any], benchmarks: Sequence[Bench], cells: Mapping[tuple[str, str], Cell]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The attacked panel as the study names it, or what the attacked conditions measured, split by health."""
    attacked = {
        name for (_, condition), cell in cells.items() if condition != "bare" for name in cell.distinct
    }
    known = {b.name for b in benchmarks}
    if index.get("panel_in") or index.get("panel_out"):
        sides = (index.get("panel_in") or [], index.get("panel_out") or [])
        return tuple(n for n in sides[0] if n in known), tuple(n for n in sides[1] if n in known)
    names = [b for b in benchmarks if b.name in attacked and not b.side_effect and not b.trait]
    return tuple(b.name for b in names if b.health), tuple(b.name for b in names if not b.health)


def read_study(folder: Path) -> dict[str, Any]:
    """The resolved study configuration, `{}` when the run has none. Raises UserError when it is not TOML."""
    path = folder / "study.toml"
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"not valid TOML ({error})", file=path) from None


def read_optional(path: Path) -> Any:
    """A JSON file, or None when it is not there."""
    return files.read_json(path) if path.exists() else None


def optional_rows(path: Path) -> list[Any]:
    """The rows of a JSON lines file, or [] when it is not there. A last line cut short by a kill is left out."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines()
    try:
        return [json.loads(line) for line in lines]
    except json.JSONDecodeError:
        return [json.loads(line) for line in lines[:-1]]


def transcript_key(benchmark: str, item: str) -> str:
    """The hash by which transcripts are chosen."""
    return hashlib.sha256(f"transcript {benchmark} {item}".encode()).hexdigest()
