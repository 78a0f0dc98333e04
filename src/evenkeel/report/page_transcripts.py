"""Transcripts by arm. Their text is passed on untouched; the template escapes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evenkeel.report.page_model import Json, dicts, level, number, words


@dataclass(frozen=True, slots=True)
class Turn:
    """One message."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation with its verdict in words."""

    title: str
    facts: str
    turns: Sequence[Turn]


@dataclass(frozen=True, slots=True)
class Group:
    """The conversations of one arm under one condition."""

    title: str
    talks: Sequence[Talk]


def groups(transcripts: Json) -> list[Group]:
    """Conversations by arm and condition, in the order of the file."""
    found: dict[str, list[Talk]] = {}
    for row in dicts(transcripts.get("transcripts")):
        condition = str(row.get("condition") or "bare")
        title = str(row.get("arm")) + ("" if condition == "bare" else f" under {condition}")
        found.setdefault(title, []).append(_talk(row))
    return [Group(title, talks) for title, talks in found.items()]


def _talk(row: Json) -> Talk:
    facts = [f"score {level(row.get('score'))}"] if number(row.get("score")) is not None else ["score null"]
    facts += [
        word for word in ("good", "harmful", "refused", "truncated", "held_out") if row.get(word) is True
    ]
    place = [words(row[key]) for key in ("category", "format", "domain") if row.get(key)]
    turns = [Turn(str(m.get("role")), str(m.get("content"))) for m in dicts(row.get("messages"))]
    return Talk(
        words(row.get("benchmark")), "; ".join([", ".join(map(words, facts)), ", ".join(place)]), turns
    )
