"""Answers of judges on disk: one SQLite file, safe for several processes, so that no paid call is lost to a kill.

What is kept is the answer as it came, not the verdict read from it: a better reader needs no new calls. The key holds
everything that decides the answer, so a changed word of the prompt is another question.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from evenkeel.engines.endpoint import Answer, Ask, Token
from evenkeel.records.canonical import content_hash
from evenkeel.records.errors import UserError

Role = Literal["train", "eval"]
WAIT_S = 30.0  # for another process's write
TABLE = """CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, role TEXT NOT NULL, model TEXT NOT NULL, answer TEXT NOT NULL
) WITHOUT ROWID"""
STARTED = "CREATE TABLE IF NOT EXISTS started (key TEXT PRIMARY KEY, process INTEGER NOT NULL) WITHOUT ROWID"


def cache_key(role: Role, model: str, version: str, ask: Ask, sample: int) -> str:
    """Hash of all that decides an answer. `sample` numbers repeated questions (test-retest)."""
    return content_hash(
        {"role": role, "model": model, "version": version, "ask": asdict(ask), "sample": sample}
    )


class JudgeCache:
    """A file of answers. Training and evaluation never share one: their role is part of the key."""

    def __init__(self, path: Path) -> None:
        """Raises UserError when the file is not a cache."""
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(self.path, timeout=WAIT_S, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(TABLE)
            self._db.execute(STARTED)
            self._db.execute("SELECT key, role, model, answer FROM answers LIMIT 1")
        except sqlite3.DatabaseError as error:
            raise UserError(
                f"is no cache of judge's answers ({error})", file=self.path,
                fix="Name another file, or move this one away.",
            ) from None  # fmt: skip

    def get(self, key: str) -> Answer | None:
        """The kept answer of a question."""
        row = self._db.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return _read(json.loads(row[0])) if row else None

    def start(self, key: str) -> None:
        """Note that this process is about to pay for a call; `put` takes the note back."""
        self._db.execute("INSERT OR REPLACE INTO started VALUES (?, ?)", (key, os.getpid()))

    def lost(self) -> int:
        """Calls that were begun by processes that live no more and never answered: paid for, perhaps, and gone."""
        rows = self._db.execute("SELECT key, process FROM started").fetchall()
        return sum(1 for _, process in rows if process != os.getpid() and not _alive(process))

    def put(self, key: str, role: Role, model: str, answer: Answer) -> None:
        """Keep an answer; the first of two processes wins, and both then read the same."""
        self._db.execute(
            "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?)",
            (key, role, model, json.dumps(asdict(answer), ensure_ascii=False)),
        )
        self._db.execute("DELETE FROM started WHERE key = ?", (key,))

    def __len__(self) -> int:
        return int(self._db.execute("SELECT COUNT(*) FROM answers").fetchone()[0])

    def close(self) -> None:
        """Give the file back."""
        self._db.close()


def _read(plain: Mapping[str, Any]) -> Answer:
    tokens = tuple(Token(token["text"], token["alternatives"]) for token in plain["tokens"])
    return Answer(**{**plain, "tokens": tokens})


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, so alive
        return True
    return True
