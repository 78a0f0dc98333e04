"""Errors that a person can act on: what is wrong, where, and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class UserError(Exception):
    """Bad input. The text names the file, the line or field, and the fix; the CLI prints it without a traceback."""

    def __init__(
        self, problem: str, *, file: Path | str | None = None, line: int | None = None, fix: str = ""
    ):
        where = "" if file is None else f"{file}" + (f", line {line}" if line else "") + ": "
        super().__init__(where + problem + (f"\n{fix}" if fix else ""))
        self.problem, self.file, self.line, self.fix = problem, file, line, fix


class RedLight(UserError):
    """A preflight check is red: the run refuses to start and names the setting to change."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`Did you mean "health"? Known: ...` for an unknown name."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    hint = f'Did you mean "{close[0]}"? ' if close else ""
    return f"{hint}Known: {', '.join(names)}"
