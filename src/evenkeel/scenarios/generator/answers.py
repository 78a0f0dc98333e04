"""Paid answers on disk, and asking through them: no call that was answered is ever paid for again.

One SQLite file; the key is the hash of all that decides an answer. What the endpoint refused as a bad request is kept
as an answer too, once it has shown that it answers others; timeouts and outages are not: they are asked again.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from evenkeel.engines.endpoint import Answer, Ask, CallFailed, Endpoint, EndpointConfig, Token
from evenkeel.records.canonical import content_hash
from evenkeel.records.errors import UserError

REFUSED_ALIKE = (
    10  # refusals in a row, without any answer between: the request's form is wrong, not its content
)
UNANSWERED = 5  # calls in a row that got no answer: the endpoint is down
TABLES = (
    "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY) WITHOUT ROWID",
)
PLAIN = "takes no schema"


class NoAnswer(Exception):
    """A call got no answer, now; the same call may get one later."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The endpoint would not take the request (a content filter, a context too long)."""

    detail: str


@dataclass(frozen=True, slots=True)
class Totals:
    """What all answers kept so far cost."""

    calls: int
    prompt_tokens: int
    completion_tokens: int

    def cost(self, price_in: float | None, price_out: float | None) -> float | None:
        """In the currency of the prices, which are per million tokens; None without prices."""
        if price_in is None and price_out is None:
            return None
        return (self.prompt_tokens * (price_in or 0.0) + self.completion_tokens * (price_out or 0.0)) / 1e6


class Answers:
    """The file of answers."""

    def __init__(self, path: Path) -> None:
        """Raises UserError when the file is not one of answers."""
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(self.path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            for table in TABLES:
                self._db.execute(table)
            rows = self._db.execute("SELECT key, answer FROM answers").fetchall()
        except sqlite3.DatabaseError as error:
            fix = "Name another folder, or move this file away."
            raise UserError(f"is no file of answers ({error})", file=self.path, fix=fix) from None
        self._kept: dict[str, Answer | Refused] = {key: _read(json.loads(text)) for key, text in rows}

    def get(self, key: str) -> Answer | Refused | None:
        """The kept answer of a call."""
        return self._kept.get(key)

    def put(self, key: str, answer: Answer | Refused) -> None:
        """Keep an answer, on disk before this returns."""
        self._kept[key] = answer
        text = json.dumps(asdict(answer), ensure_ascii=True)  # a lone surrogate stays an escape
        self._db.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, text))

    def knows(self, fact: str) -> bool:
        """Was this noted about the endpoint?"""
        return self._db.execute("SELECT 1 FROM facts WHERE name = ?", (fact,)).fetchone() is not None

    def note(self, fact: str) -> None:
        """Note it, for runs to come too."""
        self._db.execute("INSERT OR IGNORE INTO facts VALUES (?)", (fact,))

    def totals(self) -> Totals:
        """Calls and tokens of all answers kept."""
        kept = [answer for answer in self._kept.values() if isinstance(answer, Answer)]
        return Totals(len(kept), sum(a.prompt_tokens for a in kept), sum(a.completion_tokens for a in kept))

    def __len__(self) -> int:
        return len(self._kept)

    def close(self) -> None:
        """Give the file back."""
        self._db.close()


class Asker:
    """An endpoint with its answers. Use it in one event loop, inside `async with`."""

    def __init__(self, config: EndpointConfig, path: Path) -> None:
        """Raises UserError when the key is not there or the file is not one of answers."""
        self.endpoint = Endpoint(config)
        self.answers = Answers(path)
        self.plain = self.answers.knows(PLAIN)
        self.paid = 0  # calls answered by the endpoint in this session
        self.stopped = ""  # why no new work should start
        self._refused: dict[str, Refused] = {}  # since the last answer; kept when another one comes
        self._unanswered = 0

    async def __aenter__(self) -> Asker:
        await self.endpoint.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.endpoint.__aexit__(*error)
        self.answers.close()

    async def ask(self, ask: Ask) -> Answer | Refused:
        """From the file, or from the endpoint and then into the file. Raises NoAnswer."""
        plain = replace(ask, schema=None)
        for form in (plain, ask):  # whichever form was answered before
            if (kept := self.answers.get(self._key(form))) is not None:
                return kept
        if self.stopped:
            raise NoAnswer(self.stopped)
        if ask.schema is not None and not self.plain:
            answer = await self._call(ask)
            if not isinstance(answer, Refused):
                return self._keep(ask, answer)
            answer = await self._call(plain)
            if not isinstance(answer, Refused) and not self.plain:
                self.plain = True
                self.answers.note(PLAIN)
        else:
            answer = await self._call(plain)
        return self._keep(plain, answer)

    def _keep(self, ask: Ask, answer: Answer | Refused) -> Answer | Refused:
        if isinstance(answer, Refused):
            self._refused[self._key(ask)] = answer
            if len(self._refused) >= REFUSED_ALIKE:
                self.stopped = f"the endpoint refuses every request: {answer.detail}"
                raise NoAnswer(self.stopped)
            return answer
        self.paid += 1
        self.answers.put(self._key(ask), answer)
        self.settle()
        return answer

    def settle(self) -> None:
        """Keep what was refused: the endpoint answers others, so it was the content. Nothing without any answer."""
        if len(self.answers):
            for key, refused in self._refused.items():
                self.answers.put(key, refused)
            self._refused.clear()

    async def _call(self, ask: Ask) -> Answer | Refused:
        try:
            answer = await self.endpoint.ask(ask)
        except CallFailed as failed:
            if failed.why == "bad request" and not failed.detail.startswith("NotFoundError"):
                return Refused(failed.detail)
            self._unanswered += 1
            if failed.why == "bad request" or failed.outage or self._unanswered >= UNANSWERED:
                self.stopped = str(failed)  # no such model, a wrong key, no money, a server that is down
            raise NoAnswer(str(failed)) from None
        self._unanswered = 0
        return answer

    def _key(self, ask: Ask) -> str:
        return content_hash({"model": self.endpoint.config.model, "ask": asdict(ask)}, 32)


def _read(plain: Mapping[str, Any]) -> Answer | Refused:
    if "detail" in plain:
        return Refused(plain["detail"])
    tokens = tuple(Token(token["text"], token["alternatives"]) for token in plain["tokens"])
    return Answer(**{**plain, "tokens": tokens})
