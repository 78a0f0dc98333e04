"""A scene: one stretch of conversation that ends with a reply by exactly one author.

It serves three readers. The pretraining author answers from the scene's grammar; a benchmark lets the model answer
and asks the scene's own check for the score; a rubric looks at the prompt and the reply.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from evenkeel.benchmarks.benchmark import Score
from evenkeel.microworld.grammar import Grammar
from evenkeel.microworld.language import ASKS, SITUATIONS, Domain, Persona
from evenkeel.records.streams import key
from evenkeel.records.types import Conversation, Message


@dataclass(frozen=True, slots=True)
class Exchange:
    """The prompt, how each persona would reply to it, and what a reply is worth."""

    messages: Conversation
    grammar: Grammar
    check: Callable[[str], Score]


@dataclass(frozen=True, slots=True)
class Frame:
    """Which sentence frame a scene uses: situation or lead s, ask w."""

    behaviour: str
    format: str
    situation: int
    ask: int

    @property
    def id(self) -> str:
        """Readable and unique over the world."""
        return f"{self.behaviour}/{self.format}/{self.situation}{self.ask}"

    @property
    def held_out(self) -> bool:
        """A third of the combinations is in no training text, though each situation and each ask is."""
        return (self.situation + self.ask) % 3 == 0


def frames(behaviour: str, format: str, *, held_out: bool | None = None) -> list[Frame]:
    """All 24 frames, or only the held-out ones, or only the others."""
    every = [Frame(behaviour, format, s, w) for s in range(SITUATIONS) for w in range(ASKS)]
    return [frame for frame in every if held_out is None or frame.held_out == held_out]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a scene takes place: the words that fill a frame."""

    domain: str
    item: str
    expert: str
    place: str

    def fill(self, text: str, **more: str) -> str:
        """The text with its places filled."""
        return text.format(item=self.item, expert=self.expert, place=self.place, **more)


def settings(domain: Domain, items: slice = slice(None)) -> list[Setting]:
    """Every setting of a domain, for the chosen range of its items."""
    return [
        Setting(domain.name, item, expert, place)
        for item in domain.items[items] for expert in domain.experts for place in domain.places
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene with its address. The triple (item, domain, frame) is what must be disjoint between uses."""

    frame: Frame
    setting: Setting
    start: Callable[[], Exchange]

    @property
    def triple(self) -> tuple[str, str, str]:
        """(item, domain, frame id)"""
        return self.setting.item, self.setting.domain, self.frame.id


def perform(scene: Scene, persona: Persona, rng: random.Random) -> Conversation:
    """The scene as an author of the world plays it."""
    exchange = scene.start()
    return (*exchange.messages, Message("assistant", exchange.grammar.write(persona, rng)))


def draws(*parts: str | int) -> random.Random:
    """A stream of random numbers for what the parts name (cheap to open, unlike a numpy generator)."""
    return random.Random(key(*parts))
