"""Open-ended prompts, judged for helpfulness; and how any row of a file becomes a prompt.

A row has its prompt in `fields.prompt`, or in "prompt", or as in self-instruct (Wang et al. 2023, 2212.10560): an
"instruction" with the input of its first instance (or "input", as in Alpaca).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast, get_args

from evenkeel.records.types import Conversation, Message, Role
from evenkeel.scenarios.scenario import Scenario
from evenkeel.scenarios.standard.files import Row
from evenkeel.scenarios.standard.settings import SourceSettings
from evenkeel.scenarios.standard.task import origin, place, task, task_id


def scenarios(settings: SourceSettings, rows: Sequence[Row], seed: int) -> Iterator[Scenario]:
    """One task a row. Raises UserError naming the row."""
    for row in rows:
        prompt = prompt_of(row, settings.fields.prompt)
        yield task(
            settings, task_id(settings, prompt), prompt, {"check": "helpfulness"},
            origin=origin(settings), licence="", detail=place(settings, row),
        )  # fmt: skip


def prompt_of(row: Row, name: str = "") -> Conversation:
    """The conversation of a row: a text, or messages with role and content that end with the user's.

    Raises UserError naming the row.
    """
    if instruction := instruction_of(row, name):
        return (Message("user", "\n\n".join(part for part in instruction if part)),)
    value = row.value(name or "prompt")
    if isinstance(value, list):
        return tuple(_messages(row, name or "prompt", value))
    return (Message("user", row.text(name or "prompt")),)


def instruction_of(row: Row, name: str = "") -> tuple[str, str] | None:
    """(instruction, input) of a row as in self-instruct, the input may be empty; None for any other row."""
    if name or "prompt" in row.data or "instruction" not in row.data:
        return None
    instances = row.data.get("instances")
    first = instances[0] if isinstance(instances, list) and instances else row.data
    given = first.get("input") if isinstance(first, Mapping) else None
    return row.text("instruction"), given.strip() if isinstance(given, str) else ""


def _messages(row: Row, name: str, turns: list[Any]) -> Iterator[Message]:
    for turn in turns:
        role, content = (turn.get("role"), turn.get("content")) if isinstance(turn, Mapping) else (None, None)
        if role not in get_args(Role) or not isinstance(content, str) or not content.strip():
            fix = 'Write [{"role": "user", "content": "..."}].'
            raise row.error(f'a message of "{name}" is {turn!r:.80}', fix)
        yield Message(cast(Role, role), content)
    if not turns or turns[-1]["role"] not in ("user", "tool"):
        raise row.error(f'the messages of "{name}" must end with the user', "Leave out the reply.")
