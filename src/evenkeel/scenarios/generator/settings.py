"""What decides the rows of a run. Fixed in OUT/run.json when the run begins, so that it ends as it began."""

from __future__ import annotations

import datetime
import fcntl
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evenkeel.records.canonical import content_hash, plain
from evenkeel.records.errors import UserError, did_you_mean
from evenkeel.records.files import read_json, write_json
from evenkeel.scenarios.audit.texts import files_below
from evenkeel.scenarios.dataset import FOLDER, find_files, load_rows
from evenkeel.scenarios.generator.prompts import PROMPT_HASH
from evenkeel.scenarios.generator.sampling import Slot, slots
from evenkeel.scenarios.rows import LICENCE, ScenarioRow, row_json
from evenkeel.scenarios.scenario import DOMAINS, TRAITS

RUN_FILE, ROWS_FILE, REPORT_FILE, ANSWERS_FILE, LOCK_FILE = (
    "run.json", "scenarios.jsonl", "report.json", "answers.sqlite", ".lock",
)  # fmt: skip
FIRST = 101  # number of a cell's first generated row: the shipped ones stay below
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything but the endpoint's place and pace."""

    model: str
    traits: tuple[str, ...] = tuple(TRAITS)
    domains: tuple[str, ...] = tuple(DOMAINS)
    per_cell: int = 1
    seed: int = 0
    draws: int = 8  # of a slot, at most
    first: int = FIRST
    max_tokens: int = 6000
    date: str = ""  # YYYY-MM-DD; empty: the day on which the run begins
    against: tuple[Path, ...] = ()  # texts with which 13 words in a row may not be shared
    shots: tuple[Path, ...] = ()  # files of examples; empty: the shipped training split
    beside: tuple[Path, ...] = ()  # rows from which new ones keep their distance, besides the shipped ones

    def __post_init__(self) -> None:
        """Raises UserError for what cannot be run."""
        for what, names, known in (("trait", self.traits, TRAITS), ("domain", self.domains, DOMAINS)):
            for name in names:
                if name not in known:
                    raise UserError(f'no {what} is called "{name}".', fix=did_you_mean(name, known))
            if len(set(names)) < len(names):
                raise UserError(f"a {what} is named twice", fix="Name each once.")
        for option, value, low in (
            ("per-cell", self.per_cell, 1), ("draws", self.draws, 1), ("first", self.first, 1),
            ("max-tokens", self.max_tokens, 1), ("seed", self.seed, 0),
        ):  # fmt: skip
            if value < low:
                raise UserError(f"--{option} is {value}", fix=f"Give at least {low}.")
        if self.date and not _DATE.fullmatch(self.date):
            raise UserError(f'--date is "{self.date}"', fix="Write it as YYYY-MM-DD.")
        for path in self.against:
            if not path.exists():
                raise UserError(
                    "no such file or folder", file=path, fix="--against names texts to compare with."
                )

    @property
    def slots(self) -> list[Slot]:
        """The places to fill, in order."""
        return slots(self.traits, self.domains, self.per_cell, self.first)

    def made(self) -> dict[str, Any]:
        """Provenance of the rows, without what differs by draw."""
        return {
            "source": "evenkeel scenarios generate", "writer": self.model,
            "reviewer": f"{self.model} (its own critique; nobody else has read it)", "guidelines": f"generator {PROMPT_HASH}",
            "date": self.date, "licence": LICENCE, "detail": {"model": self.model, "prompt": PROMPT_HASH},
        }  # fmt: skip


@dataclass(frozen=True)
class Given:
    """Rows that were there before the run."""

    shots: Sequence[ScenarioRow]
    others: Sequence[ScenarioRow]  # to keep a distance from
    note: str  # what is missing, in words


def given(settings: Settings) -> Given:
    """Read them. Raises UserError for a row that cannot be read, and for shots that are held out."""
    there = any(FOLDER.rglob("*.jsonl"))
    shipped = load_rows() if there else []
    if settings.shots:
        shots = load_rows(settings.shots)
        held_out = [row.id for row in shots if row.split != "train"]
        if held_out:
            fix = "Name files of the training split: what is held out must not shape training data."
            raise UserError(f"{held_out[0]} is held out for evaluation and cannot be a shot", fix=fix)
    else:
        shots = [row for row in shipped if row.split == "train"]
    others = [*shipped, *(load_rows(settings.beside) if settings.beside else [])]
    wanted = {slot.id for slot in settings.slots}
    if clash := next((row.id for row in others if row.id in wanted), None):
        fix = "Give --first a higher number."
        raise UserError(f"scenario {clash} is there already", fix=fix)
    notes = []
    if not shots:
        notes.append(
            "The shipped dataset is not there and no --shots are named: the model is asked without examples."
        )
    if not there:
        notes.append("New rows are not compared with shipped ones.")
    return Given(shots, others, " ".join(notes))


def begin(folder: Path, settings: Settings, rows: Given) -> Settings:
    """The settings of a run in this folder, dated; writes them down if it is a new one.

    Raises UserError when the folder holds something else, or a run with other settings.
    """
    path = folder / RUN_FILE
    if not path.exists():
        left = [each.name for each in folder.iterdir() if not each.name.startswith(".")]
        if left:
            fix = "Name a new folder, or one of an earlier run."
            raise UserError(f"holds {left[0]} and is no folder of generated scenarios", file=folder, fix=fix)
        dated = asdict(settings) | {"date": settings.date or datetime.date.today().isoformat()}
        write_json(path, _fixed(Settings(**dated), rows))
        return Settings(**dated)
    before = read_json(path)
    now = _fixed(Settings(**asdict(settings) | {"date": settings.date or str(before.get("date", ""))}), rows)
    for name, value in now.items():
        if before.get(name) != value:
            said = f"{name} was {_short(before.get(name))} when this run began and is {_short(value)} now"
            raise UserError(said, file=path, fix="Give what it began with, or another --out.")
    return Settings(**asdict(settings) | {"date": now["date"]})


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder. Raises UserError when another process does, or it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = (folder / LOCK_FILE).open("w")
    except OSError as error:
        raise UserError(f"cannot write there ({error.strerror})", file=folder) from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fix = "Wait for it, or choose another --out."
            raise UserError("another evenkeel command is at work there", file=folder, fix=fix) from None
        yield


def _fixed(settings: Settings, rows: Given) -> dict[str, Any]:
    """Settings and what they were read from, as run.json has them: contents as hashes, large files as sizes."""
    values: Mapping[str, Any] = plain(settings)
    return {
        **values, "prompt": PROMPT_HASH,
        "against": [[str(path), path.stat().st_size] for path in files_below(settings.against)],
        "shots": [*map(str, _files(settings.shots)), content_hash([row_json(row) for row in rows.shots])],
        "beside": [*map(str, _files(settings.beside)), content_hash([row_json(row) for row in rows.others])],
    }  # fmt: skip


def _files(paths: Sequence[Path]) -> list[Path]:
    return find_files(paths) if paths else []


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:79] + "…"
