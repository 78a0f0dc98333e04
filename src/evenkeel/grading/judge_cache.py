"""Answers of judges on disk, and what they cost: one SQLite file, safe for several processes, no paid call lost to a kill.

What is kept is the answer as it came, not the verdict read from it: a better reader needs no new calls. The key holds
everything that decides the answer, so a changed word of the prompt is another question. Every count is written in the
transaction of what it counts, so the totals of a run are right whenever it was killed.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from evenkeel.engines.endpoint import Answer, Ask, Token
from evenkeel.records.canonical import content_hash
from evenkeel.records.errors import UserError

Role = Literal["train", "eval"]
WAIT_S = 30.0  # for another process's write
TABLES = (
    """CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, role TEXT NOT NULL, model TEXT NOT NULL, answer TEXT NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS begun (
    key TEXT, opened TEXT, process INTEGER NOT NULL, role TEXT NOT NULL, run TEXT NOT NULL,
    PRIMARY KEY (key, opened)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS counts (
    run TEXT, role TEXT, what TEXT, amount INTEGER NOT NULL, PRIMARY KEY (run, role, what)) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY) WITHOUT ROWID",
)
BECAUSE = "unscorable: "  # begins the name of a count that belongs to one reason
_open: set[str] = set()  # caches that this process has open


@dataclass(slots=True)
class Usage:
    """What judging cost. `calls` were begun; of these some failed after every attempt, and some were lost: begun,
    paid for perhaps, and never heard of again because the run was stopped. `hits` were answered from the cache.
    """

    calls: int = 0
    hits: int = 0
    failed: int = 0
    lost: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    judged: int = 0  # replies; after a kill some of them a second time
    unscorable: int = 0
    reasons: dict[str, int] = field(default_factory=dict)  # why they were unscorable


def cache_key(role: Role, model: str, version: str, ask: Ask, sample: int) -> str:
    """Hash of all that decides an answer. `sample` numbers repeated questions (test-retest)."""
    return content_hash({"role": role, "model": model, "version": version, "ask": ask, "sample": sample})


class JudgeCache:
    """One role's view of a file of answers, from any thread. Training and evaluation never share an answer.

    `used` counts since opening; `totals` everything ever, by role, of one `run`: the label that what is counted now
    is booked under.
    """

    def __init__(self, path: Path, *, role: Role = "train", run: str = "") -> None:
        """Raises UserError when the file is not a cache."""
        self.path, self.role, self.run, self.used = Path(path), role, run, Usage()
        self._opened, self._lock = secrets.token_hex(8), threading.RLock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(
                self.path, timeout=WAIT_S, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            for table in TABLES:
                self._db.execute(table)
            self._db.execute("SELECT key, role, model, answer FROM answers LIMIT 1")
            self._db.execute("SELECT key, opened, process, role, run FROM begun LIMIT 1")
        except sqlite3.DatabaseError as error:
            raise UserError(
                f"is no cache of judge's answers ({error})", file=self.path,
                fix="Name another file, or move this one away.",
            ) from None  # fmt: skip
        _open.add(self._opened)
        self._find_lost()

    def get(self, key: str) -> Answer | None:
        """The kept answer of a question; one that is there counts as a hit."""
        kept = self._kept(key)
        if kept is not None:
            with self._writing():
                self._count(hits=1)
        return kept

    def begin(self, key: str) -> None:
        """Note that a call is about to be paid for; `put`, `fail` or `lose` take the note back."""
        with self._writing() as db:
            row = (key, self._opened, os.getpid(), self.role, self.run)
            db.execute("INSERT OR REPLACE INTO begun VALUES (?, ?, ?, ?, ?)", row)
            self._count(calls=1)

    def put(self, key: str, model: str, answer: Answer) -> Answer:
        """Keep an answer and return the one that is kept: that of the first of two processes, for both."""
        text = json.dumps(asdict(answer), ensure_ascii=True)  # a lone surrogate stays an escape
        with self._writing() as db:
            self._end(key)
            fresh = db.execute(
                "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?)", (key, self.role, model, text)
            )
            self._count(prompt_tokens=answer.prompt_tokens, completion_tokens=answer.completion_tokens)
            if fresh.rowcount:
                return answer
        kept = self._kept(key)
        assert kept is not None
        return kept

    def fail(self, key: str) -> None:
        """The call ended without an answer; it is asked again another time."""
        with self._writing():
            self._end(key)
            self._count(failed=1)

    def lose(self, key: str) -> None:
        """The call was given up while it was on its way."""
        with (
            suppress(sqlite3.ProgrammingError),
            self._writing(),
        ):  # closed already: found when it is opened again
            self._end(key)
            self._count(lost=1)

    def judged(self, reason: str | None) -> None:
        """Count a judged reply; `reason` is why it was unscorable."""
        with self._writing():
            self._count(judged=1)
            if reason is not None:
                self._count(unscorable=1, **{BECAUSE + reason: 1})

    def forget(self, keys: Iterable[str]) -> None:
        """Take answers out, so that they are asked again."""
        with self._writing() as db:
            db.executemany("DELETE FROM answers WHERE key = ?", [(key,) for key in keys])

    def knows(self, fact: str) -> bool:
        """Was this noted about an endpoint?"""
        with self._lock:
            return self._db.execute("SELECT 1 FROM facts WHERE name = ?", (fact,)).fetchone() is not None

    def note(self, fact: str) -> None:
        """Note it, for runs to come too."""
        with self._writing() as db:
            db.execute("INSERT OR IGNORE INTO facts VALUES (?)", (fact,))

    def calls(self) -> int:
        """Calls of this role that were ever begun, by whichever run: what a budget holds for."""
        question = "SELECT COALESCE(SUM(amount), 0) FROM counts WHERE role = ? AND what = 'calls'"
        with self._lock:
            return int(self._db.execute(question, (self.role,)).fetchone()[0])

    def totals(self, run: str | None = None) -> dict[str, Usage]:
        """Role -> all that was ever booked under a label, this cache's own if none is given."""
        question = "SELECT role, what, amount FROM counts WHERE run = ?"
        with self._lock:
            rows = self._db.execute(question, (self.run if run is None else run,)).fetchall()
        found: dict[str, Usage] = {}
        for role, what, amount in rows:
            _add(found.setdefault(role, Usage()), what, amount)
        return found

    def __len__(self) -> int:
        with self._lock:
            return int(self._db.execute("SELECT COUNT(*) FROM answers").fetchone()[0])

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            self._db.close()
        _open.discard(self._opened)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _kept(self, key: str) -> Answer | None:
        with self._lock:
            row = self._db.execute("SELECT answer FROM answers WHERE key = ?", (key,)).fetchone()
        return _read(json.loads(row[0])) if row else None

    def _end(self, key: str) -> None:
        self._db.execute("DELETE FROM begun WHERE key = ? AND opened = ?", (key, self._opened))

    def _count(self, **amounts: int) -> None:
        rows = [(self.run, self.role, what, amount) for what, amount in amounts.items()]
        self._db.executemany(
            "INSERT INTO counts VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET amount = amount + excluded.amount", rows
        )  # fmt: skip
        for _, _, what, amount in rows:
            _add(self.used, what, amount)

    def _find_lost(self) -> None:
        """Book what processes that live no more had begun as lost, in their own names."""
        with self._writing() as db:
            rows = db.execute("SELECT key, opened, process, role, run FROM begun").fetchall()
            for key, opened, process, role, run in rows:
                gone = opened not in _open if process == os.getpid() else not _alive(process)
                if gone:
                    db.execute("DELETE FROM begun WHERE key = ? AND opened = ?", (key, opened))
                    db.execute(
                        "INSERT INTO counts VALUES (?, ?, 'lost', 1) ON CONFLICT DO UPDATE SET amount = amount + 1",
                        (run, role),
                    )
                    self.used.lost += role == self.role


def _add(usage: Usage, what: str, amount: int) -> None:
    if what.startswith(BECAUSE):
        reason = what.removeprefix(BECAUSE)
        usage.reasons[reason] = usage.reasons.get(reason, 0) + amount
    else:
        setattr(usage, what, getattr(usage, what) + amount)


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
    with suppress(OSError):  # no /proc: believe it
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        return state not in "ZX"  # dead, and its parent has not looked yet
    return True
