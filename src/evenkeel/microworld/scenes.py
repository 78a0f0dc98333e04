"""A scene: one stretch of conversation that ends with a reply by exactly one author.

It serves three readers. The pretraining author answers from the scene's grammar; a benchmark lets the model answer
and asks the scene's own check for the score; a rubric looks at the prompt and the reply.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evenkeel.benchmarks.benchmark import Score
from evenkeel.microworld.grammar import Grammar
from evenkeel.microworld.language import ASKS, SITUATIONS, Domain, Persona
from evenkeel.records.streams import key
from evenkeel.records.types import Conversation, Message


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


@dataclass(frozen=True, slots=True)
class Exchange:
    """The prompt, how each persona would reply to it, and what a reply is worth."""

    messages: Conversation
    readings: tuple[
        Grammar, ...
    ]  # what an author of this prompt may write: one for each setting it leaves open
    check: Callable[[str], Score]
    settings: tuple[Setting, ...] = ()  # those settings, in the same order (tasks need none)

    @property
    def grammar(self) -> Grammar:
        """How the author of this scene replies."""
        return self.readings[0]

    def likelihood(self, reply: str) -> np.ndarray:
        """P(reply | prompt, persona), shape (3,); all zero when no author could have written it."""
        return likelihood(self.readings, reply)


def likelihood(readings: tuple[Grammar, ...], reply: str) -> np.ndarray:
    """P(reply | persona), shape (3,): the mean over readings, which are equally likely."""
    return sum((grammar.likelihood(reply) for grammar in readings), np.zeros(3)) / len(readings)


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


def read_as(
    compose: Callable[[Setting], tuple[Conversation, Grammar]], domain: Domain, setting: Setting
) -> tuple[Conversation, tuple[Grammar, ...], tuple[Setting, ...]]:
    """The prompt of a setting; the grammars of every setting that has this very prompt; those settings.

    A prompt seldom names both the expert and the place, and then a reply may speak of either of the domain's two.
    """
    messages, own = compose(setting)
    words = {word for message in messages for word in message.content.split()}
    experts = (setting.expert,) if setting.expert in words else domain.experts
    places = (setting.place,) if setting.place in words else domain.places
    readings, open_ones = [own], [setting]
    for other in (Setting(setting.domain, setting.item, e, p) for e in experts for p in places):
        if other == setting:
            continue
        shown, grammar = compose(other)
        if shown == messages:
            readings.append(grammar)
            open_ones.append(other)
    return messages, tuple(readings), tuple(open_ones)


def perform(scene: Scene, persona: Persona, rng: random.Random) -> Conversation:
    """The scene as an author of the world plays it."""
    exchange = scene.start()
    return (*exchange.messages, Message("assistant", exchange.grammar.write(persona, rng)))


def draws(*parts: str | int) -> random.Random:
    """A stream of random numbers for what the parts name (cheap to open, unlike a numpy generator)."""
    return random.Random(key(*parts))
