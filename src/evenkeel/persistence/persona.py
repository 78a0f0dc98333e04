"""Persona prompts as an attack: a system message, in graded strengths, that asks the model to be somebody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from evenkeel.records.errors import UserError
from evenkeel.records.types import Conversation, Message


@dataclass(frozen=True, slots=True)
class PersonaLadder:
    """One persona in rising strength. Harmful ladders test persistence, helpful ones that steering works."""

    name: str  # e.g. "harmful_medical"
    kind: Literal["harmful", "helpful"]
    prompts: tuple[str, ...]  # prompts[s - 1] is strength s
    joint: str = " "  # between the persona and a system message that was there already

    def condition(self, strength: int) -> str:
        """The id of this rung, e.g. "persona:harmful_medical:2"; it is the prefix id of the protocol."""
        self.prompt(strength)
        return f"persona:{self.name}:{strength}"

    def prompt(self, strength: int) -> str:
        """The persona's text. Raises UserError when the ladder has no such rung."""
        if not 1 <= strength <= len(self.prompts):
            raise UserError(
                f'persona ladder "{self.name}" has no strength {strength}',
                fix=f"Strengths are 1 to {len(self.prompts)}; without a persona the condition is `bare`.",
            )
        return self.prompts[strength - 1]


def prefix(ladder: PersonaLadder, strength: int) -> Callable[[Conversation], Conversation]:
    """A change of conversations for `driver.evaluate`: the persona leads, any system message follows it."""
    persona = ladder.prompt(strength)

    def with_persona(messages: Conversation) -> Conversation:
        if messages and messages[0].role == "system":
            return (Message("system", persona + ladder.joint + messages[0].content), *messages[1:])
        return (Message("system", persona), *messages)

    return with_persona
