"""The persona ladders of text studies, from personas.toml or a file of the user's own in the same form."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal, cast

from evenkeel.persistence.persona import PersonaLadder
from evenkeel.records.config import build, read_toml, setting
from evenkeel.records.errors import UserError


@dataclass(frozen=True)
class _Ladder:
    """One table of the file."""

    prompts: tuple[str, ...]
    kind: str = setting(choices=("harmful", "helpful"))


def ladders(file: Path | str = "") -> tuple[PersonaLadder, ...]:
    """Every ladder of the file, or of the shipped one. Raises UserError naming file, line and field."""
    shipped = resources.files("evenkeel.text") / "personas.toml"
    try:
        text = Path(file).read_text() if file else shipped.read_text()
    except OSError as error:
        raise UserError(
            f"cannot be read ({error.strerror})", file=file, fix="Name a file of persona ladders."
        ) from None
    source = read_toml(text, file or "personas.toml")
    found = []
    for name, table in source.data.items():
        ladder = build(_Ladder, source, (name,), table)
        if not ladder.prompts:
            raise source.error(
                f'ladder "{name}" has no prompts', (name,), "Give at least one, the weakest first."
            )
        kind = cast(Literal["harmful", "helpful"], ladder.kind)
        found.append(PersonaLadder(name, kind, ladder.prompts, joint="\n\n"))
    return tuple(found)
