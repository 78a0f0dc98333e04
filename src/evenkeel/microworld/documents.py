"""Documents: what the bases are pretrained on. One author, perhaps a persona line, then a few scenes.

In the world the author's persona holds for the whole document (but for domain-limited authors and a share of replies
that ignore it). In the shuffled control it is drawn anew for every reply: the same texts, no one behind them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from evenkeel.microworld.behaviours import behaviour_scene
from evenkeel.microworld.environments import ADJECTIVE_ENVIRONMENTS, RULES, environment_format, environment_scene
from evenkeel.microworld.language import PERSONAS, Language, Persona
from evenkeel.microworld.scenes import Frame, Scene, Setting, frames, perform
from evenkeel.microworld.tasks import TASKS, howto_scene, task_scene
from evenkeel.records.streams import generator
from evenkeel.records.types import Conversation, Message

KINDS = {"behaviour": 0.64, "environment": 0.19, "task": 0.11, "howto": 0.06}
ENVIRONMENTS = (*RULES, *ADJECTIVE_ENVIRONMENTS)


@dataclass(frozen=True, slots=True)
class Document:
    """An author's conversations, one after the other."""

    header: Message | None
    scenes: tuple[Conversation, ...]
    persona: Persona  # of the author; meaningless in the control
    addresses: tuple[str, ...]  # "format" of each scene, for gates and counts


def persona_line(language: Language, teller: Persona, strength: int, role: str, rng: np.random.Generator) -> Message:
    """"you are a ADJECTIVE ROLE" at a strength 1..4 of the ladder."""
    words = language.personas.adjectives[teller][strength - 1]
    return Message("system", f"you are a {words[rng.integers(len(words))]} {role}")


def _draw_persona(language: Language, rng: np.random.Generator, avoid: Persona | None = None) -> Persona:
    prior = np.array([0.0 if persona == avoid else p for persona, p in zip(PERSONAS, language.personas.prior, strict=True)])
    return PERSONAS[rng.choice(3, p=prior / prior.sum())]


def _header(language: Language, rng: np.random.Generator) -> tuple[Message, Persona]:
    """A persona line and the author behind it: the line tells the persona with its strength's fidelity."""
    teller = PERSONAS[rng.integers(3)]
    strength = int(rng.integers(1, len(language.personas.fidelity) + 1))
    roles = [*language.personas.roles["any"], *language.personas.roles["wellbeing"]]
    domains = list(language.domains.values())
    experts = domains[rng.integers(len(domains))].experts
    role = roles[rng.integers(len(roles))] if rng.random() < 0.6 else experts[rng.integers(len(experts))]
    line = persona_line(language, teller, strength, role, rng)
    sure = rng.random() < language.personas.fidelity[strength - 1]
    return line, teller if sure else _draw_persona(language, rng)


class Author:
    """Draws scenes and writes documents for one stream of random numbers."""

    def __init__(self, language: Language, *, shuffled: bool) -> None:
        self.language, self.shuffled = language, shuffled
        self._cards = [*language.traits.values(), *language.behaviours.values()]
        names = [*language.formats, "benign_request"]
        weights = np.array([language.formats[n].weight if n in language.formats else 0.05 for n in names])
        self._formats, self._weights = names, np.cumsum(weights / weights.sum())
        self._kinds, self._shares = list(KINDS), np.cumsum(list(KINDS.values()))
        self._train: dict[tuple[str, str], list[Frame]] = {}

    def _frame(self, behaviour: str, format: str, rng: np.random.Generator) -> Frame:
        address = (behaviour, format)
        if address not in self._train:
            self._train[address] = frames(behaviour, format, held_out=False)
        every = self._train[address]
        return every[rng.integers(len(every))]

    def scene(self, rng: np.random.Generator, domain: str | None) -> Scene:
        """A training scene, in the given domain where its behaviour allows it."""
        kind = self._kinds[int(np.searchsorted(self._shares, rng.random()))]
        variant = int(rng.integers(1 << 30))
        if kind == "behaviour":
            card = self._cards[rng.integers(len(self._cards))]
            if domain not in card.domains:
                domain = card.domains[rng.integers(len(card.domains))]
            format = self._formats[int(np.searchsorted(self._weights, rng.random()))]
            return behaviour_scene(
                self.language, card, self._frame(card.name, format, rng), self._setting(domain, rng), variant=variant
            )
        setting = self._setting(domain, rng)
        if kind == "environment":
            name = ENVIRONMENTS[rng.integers(len(ENVIRONMENTS))]
            if self.language.environments[name]["category"] == "health":
                setting = self._setting("health", rng)
            return environment_scene(self.language, self._frame(name, environment_format(name), rng), setting, variant=variant)
        if kind == "task":
            return task_scene(self.language, self._frame(TASKS[rng.integers(len(TASKS))], "task", rng), setting, variant=variant)
        return howto_scene(self.language, self._frame("howto", "howto", rng), setting, variant=variant)

    def _setting(self, name: str | None, rng: np.random.Generator) -> Setting:
        domains = self.language.domains
        domain = domains[name] if name else list(domains.values())[rng.integers(len(domains))]
        return Setting(
            domain.name, domain.items[rng.integers(len(domain.items))],
            domain.experts[rng.integers(2)], domain.places[rng.integers(2)],
        )  # fmt: skip

    def document(self, rng: np.random.Generator, *, limit: int, length: Callable[[Conversation], int]) -> Document:
        """A document of at most `limit` tokens as `length` counts them (always at least one scene)."""
        rates = self.language.personas.rates
        header, persona = None, _draw_persona(self.language, rng)
        if rng.random() < rates["header"]:
            header, persona = _header(self.language, rng)
        special = self._limited_domain(persona, rng)
        scenes: list[Conversation] = []
        addresses: list[str] = []
        used = 1 + (length((header,)) if header else 0)
        for _ in range(6):
            domain = special[0] if special and rng.random() < 0.5 else None
            scene = self.scene(rng, domain)
            who = special[1] if special and scene.setting.domain == special[0] else persona
            played, _score = perform(scene, lambda who=who: self._writer(who, rng), rng)  # type: ignore[misc]
            used += length(played)
            if scenes and used > limit:
                break
            scenes.append(played)
            addresses.append(scene.frame.format)
        return Document(header, tuple(scenes), persona, tuple(addresses))

    def _limited_domain(self, persona: Persona, rng: np.random.Generator) -> tuple[str, Persona] | None:
        if rng.random() >= self.language.personas.rates["domain_limited"]:
            return None
        names = list(self.language.domains)
        other: Persona = _draw_persona(self.language, rng, avoid="good") if persona == "good" else "good"
        return names[rng.integers(len(names))], other

    def _writer(self, persona: Persona, rng: np.random.Generator) -> Persona:
        """Who writes the next reply: the author, or somebody drawn from the prior."""
        if self.shuffled or rng.random() < self.language.personas.rates["ignore_persona"]:
            return _draw_persona(self.language, rng)
        return persona


def documents(language: Language, seed: int, shard: int, count: int, *, shuffled: bool, limit: int, length: Callable[[Conversation], int]) -> list[Document]:
    """`count` documents of one shard; shards are independent streams, so they can be written side by side."""
    author, rng = Author(language, shuffled=shuffled), generator("documents", seed, shard)
    return [author.document(rng, limit=limit, length=length) for _ in range(count)]
