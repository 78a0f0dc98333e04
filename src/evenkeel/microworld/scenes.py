"""A scene: one stretch of conversation with exactly one author, played out turn by turn.

The same generator serves three readers. The pretraining author answers each exchange from its grammar; a benchmark
lets the model answer; a rubric looks at the exchange and the reply. The scene's own verdict is a `Score`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np

from evenkeel.benchmarks.benchmark import Score
from evenkeel.microworld.grammar import Grammar
from evenkeel.microworld.language import ASKS, SITUATIONS, Domain, Persona
from evenkeel.records.types import Conversation, Message


@dataclass(frozen=True, slots=True)
class Exchange:
    """New messages, and how each persona would reply to them."""

    messages: Conversation
    grammar: Grammar


SceneRun = Generator[Exchange, str, Score]


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
    start: Callable[[], SceneRun]

    @property
    def triple(self) -> tuple[str, str, str]:
        """(item, domain, frame id)"""
        return self.setting.item, self.setting.domain, self.frame.id


def perform(scene: Scene, persona_of: Callable[[], Persona], rng: np.random.Generator) -> tuple[Conversation, Score]:
    """Play a scene with an author of the world; `persona_of` is asked once per reply."""
    run, messages = scene.start(), []
    exchange = next(run)
    while True:
        reply = exchange.grammar.write(persona_of(), rng)
        messages += [*exchange.messages, Message("assistant", reply)]
        try:
            exchange = run.send(reply)
        except StopIteration as end:
            return tuple(messages), end.value
