"""Documents: what the bases are pretrained on. One author, perhaps a persona line, then a few scenes.

In the world the author's persona holds for the whole document (but for domain-limited authors and a share of replies
that ignore it). In the shuffled control it is drawn anew for every reply: the same texts, no one behind them.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass

from evenkeel.microworld.behaviours import behaviour_scene
from evenkeel.microworld.environments import (
    ADJECTIVE_ENVIRONMENTS,
    RULES,
    environment_format,
    environment_scene,
)
from evenkeel.microworld.language import PERSONAS, Language, Persona
from evenkeel.microworld.scenes import Frame, Scene, Setting, draws, frames, perform
from evenkeel.microworld.tasks import TASKS, howto_scene, task_scene
from evenkeel.records.types import Conversation, Message

KINDS = {"behaviour": 0.64, "environment": 0.19, "task": 0.11, "howto": 0.06}
BENIGN_REQUESTS = 0.05  # weight among the formats
ENVIRONMENTS = (*RULES, *ADJECTIVE_ENVIRONMENTS)


@dataclass(frozen=True, slots=True)
class Document:
    """An author's conversations, one after the other."""

    header: Message | None
    scenes: tuple[Conversation, ...]
    persona: Persona  # of the author; meaningless in the control
    addresses: tuple[str, ...]  # "format" of each scene, for gates and counts


def persona_line(
    language: Language, teller: Persona, strength: int, role: str, rng: random.Random
) -> Message:
    """ "you are a ADJECTIVE ROLE" at a strength 1..4 of the ladder."""
    words = language.personas.adjectives[teller][strength - 1]
    return Message("system", f"you are a {words[rng.randrange(len(words))]} {role}")


def _draw_persona(language: Language, rng: random.Random, avoid: Persona | None = None) -> Persona:
    prior = [
        0.0 if persona == avoid else p for persona, p in zip(PERSONAS, language.personas.prior, strict=True)
    ]
    return rng.choices(PERSONAS, weights=prior)[0]


def _header(language: Language, rng: random.Random, weakest: int = 1) -> tuple[Message, Persona]:
    """A persona line and the author behind it: the line tells the persona with its strength's fidelity."""
    teller = PERSONAS[rng.randrange(3)]
    strength = rng.randrange(weakest, len(language.personas.fidelity) + 1)
    roles = [*language.personas.roles["any"], *language.personas.roles["wellbeing"]]
    domains = list(language.domains.values())
    experts = domains[rng.randrange(len(domains))].experts
    role = roles[rng.randrange(len(roles))] if rng.random() < 0.6 else experts[rng.randrange(len(experts))]
    line = persona_line(language, teller, strength, role, rng)
    sure = rng.random() < language.personas.fidelity[strength - 1]
    return line, teller if sure else _draw_persona(language, rng)


class Author:
    """Draws scenes and writes documents for one stream of random numbers."""

    def __init__(self, language: Language, *, shuffled: bool, introduced: bool = False) -> None:
        self.language, self.shuffled, self.introduced = language, shuffled, introduced
        self._cards = [*language.traits.values(), *language.behaviours.values()]
        names = [*language.formats, "benign_request"]
        weights = [language.formats[n].weight if n in language.formats else BENIGN_REQUESTS for n in names]
        self._formats, self._weights = names, list(itertools.accumulate(weights))
        self._kinds, self._shares = list(KINDS), list(itertools.accumulate(KINDS.values()))
        self._train: dict[tuple[str, str], list[Frame]] = {}

    def _frame(self, behaviour: str, format: str, rng: random.Random) -> Frame:
        address = (behaviour, format)
        if address not in self._train:
            self._train[address] = frames(behaviour, format, held_out=False)
        every = self._train[address]
        return every[rng.randrange(len(every))]

    def scene(self, rng: random.Random, domain: str | None) -> Scene:
        """A training scene, in the given domain where its behaviour allows it."""
        kind = rng.choices(self._kinds, cum_weights=self._shares)[0]
        variant = rng.randrange(1 << 30)
        if kind == "behaviour":
            card = self._cards[rng.randrange(len(self._cards))]
            if domain not in card.domains:
                domain = card.domains[rng.randrange(len(card.domains))]
            format = rng.choices(self._formats, cum_weights=self._weights)[0]
            return behaviour_scene(
                self.language,
                card,
                self._frame(card.name, format, rng),
                self._setting(domain, rng),
                variant=variant,
            )
        setting = self._setting(domain, rng)
        if kind == "environment":
            name = ENVIRONMENTS[rng.randrange(len(ENVIRONMENTS))]
            if self.language.environments[name]["category"] == "health":
                setting = self._setting("health", rng)
            return environment_scene(
                self.language, self._frame(name, environment_format(name), rng), setting, variant=variant
            )
        if kind == "task":
            return task_scene(
                self.language,
                self._frame(TASKS[rng.randrange(len(TASKS))], "task", rng),
                setting,
                variant=variant,
            )
        return howto_scene(self.language, self._frame("howto", "howto", rng), setting, variant=variant)

    def _setting(self, name: str | None, rng: random.Random) -> Setting:
        domains = self.language.domains
        domain = domains[name] if name else list(domains.values())[rng.randrange(len(domains))]
        return Setting(
            domain.name, domain.items[rng.randrange(len(domain.items))],
            domain.experts[rng.randrange(2)], domain.places[rng.randrange(2)],
        )  # fmt: skip

    def document(self, rng: random.Random, *, limit: int, length: Callable[[Conversation], int]) -> Document:
        """A document of at most `limit` tokens as `length` counts them (always at least one scene)."""
        rates = self.language.personas.rates
        header, persona = None, _draw_persona(self.language, rng)
        if self.introduced:
            header, persona = _header(self.language, rng, weakest=len(self.language.personas.fidelity))
        elif rng.random() < rates["header"]:
            header, persona = _header(self.language, rng)
        special = self._limited_domain(persona, rng)
        scenes: list[Conversation] = []
        addresses: list[str] = []
        used = 1 + (length((header,)) if header else 0)
        for _ in range(6):
            domain = special[0] if special and rng.random() < 0.5 else None
            scene = self.scene(rng, domain)
            who = special[1] if special and scene.setting.domain == special[0] else persona
            played = perform(scene, self._writer(who, rng), rng)
            used += length(played)
            if scenes and used > limit:
                break
            scenes.append(played)
            addresses.append(scene.frame.format)
        return Document(header, tuple(scenes), persona, tuple(addresses))

    def _limited_domain(self, persona: Persona, rng: random.Random) -> tuple[str, Persona] | None:
        if rng.random() >= self.language.personas.rates["domain_limited"]:
            return None
        names = list(self.language.domains)
        other: Persona = _draw_persona(self.language, rng, avoid="good") if persona == "good" else "good"
        return names[rng.randrange(len(names))], other

    def _writer(self, persona: Persona, rng: random.Random) -> Persona:
        """Who writes the next reply: the author, or somebody drawn from the prior."""
        if self.shuffled or rng.random() < self.language.personas.rates["ignore_persona"]:
            return _draw_persona(self.language, rng)
        return persona


def documents(
    language: Language, seed: int, shard: int, count: int, *, shuffled: bool, limit: int,
    length: Callable[[Conversation], int], introduced: bool = False,
) -> list[Document]:  # fmt: skip
    """`count` documents of one shard; shards are independent streams, so they can be written side by side.

    With `introduced` every document opens with a persona line of the strongest rung.
    """
    author = Author(language, shuffled=shuffled, introduced=introduced)
    rng = draws("documents", seed, shard)
    return [author.document(rng, limit=limit, length=length) for _ in range(count)]
