"""One standard task as a scenario: its id, its provenance, its facts.

An id is SOURCE/HASH of what the task says (question, options, answer), never of where it stands: a row that is inserted,
moved or dropped renames no other, so plans, caches and records stay comparable. `provenance.detail` has the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evenkeel.records.canonical import content_hash
from evenkeel.records.types import Conversation, Message, Provenance
from evenkeel.scenarios.scenario import Scenario
from evenkeel.scenarios.standard.files import Row
from evenkeel.scenarios.standard.settings import SourceSettings


def task_id(settings: SourceSettings, content: Any) -> str:
    """SOURCE/HASH."""
    return f"{settings.name}/{content_hash(content)}"


def task(
    settings: SourceSettings,
    id_: str,
    prompt: str | Conversation,
    facts: Mapping[str, Any],
    *,
    origin: str,
    licence: str,
    detail: Mapping[str, str],
    how: str = "",
) -> Scenario:
    """A scenario of the standard part. `settings.licence` goes before `licence`, which is that of the original."""
    messages = (Message("user", prompt),) if isinstance(prompt, str) else prompt
    return Scenario(
        id=id_,
        messages=messages,
        criteria=(),  # the grader of the check has its own
        split="train",
        provenance=Provenance(origin, settings.licence.strip() or licence, dict(detail)),
        source=settings.name,
        max_tokens=settings.max_tokens,
        facts={**facts, "how": how} if how else dict(facts),
    )


def place(settings: SourceSettings, row: Row) -> dict[str, str]:
    """Where a row stands, without the folders of this machine."""
    where = {"file": Path(row.file).name} if settings.file else {"hub": settings.hub, "split": settings.split}
    more = {
        name: getattr(settings, name)
        for name in ("config", "revision")
        if settings.hub and getattr(settings, name)
    }
    return {**where, **more, "row": str(row.number)}


def origin(settings: SourceSettings) -> str:
    """The name of rows that may be anyone's: their file or data set."""
    return Path(settings.file).name if settings.file else settings.hub
