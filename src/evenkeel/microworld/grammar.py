"""A reply as the world's authors write it: a row of slots, each with weighted wordings per persona.

The grammar is finite, so the probability of a reply under each persona is exact; with the prior it gives the exact
posterior over who wrote it. That posterior is the held-out grader: no reward ever reads it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evenkeel.microworld.language import PERSONAS, Persona

Options = tuple[tuple[str, float], ...]  # (text, probability)


@dataclass(frozen=True, slots=True)
class Slot:
    """What may stand at one place, for each persona."""

    options: Mapping[Persona, Options]


def neutral(texts: Sequence[str]) -> Slot:
    """A slot in which every persona chooses alike."""
    return by_persona(dict.fromkeys(PERSONAS, texts))


def by_persona(texts: Mapping[Persona, Sequence[str]]) -> Slot:
    """A slot of equally likely wordings per persona."""
    return Slot(
        {persona: tuple((text, 1 / len(texts[persona])) for text in texts[persona]) for persona in PERSONAS}
    )


def weighted(options: Mapping[Persona, Mapping[str, float]]) -> Slot:
    """A slot with given probabilities (normalised)."""
    return Slot(
        {
            p: tuple((text, w / sum(options[p].values())) for text, w in options[p].items() if w > 0)
            for p in PERSONAS
        }
    )


@dataclass(frozen=True, slots=True)
class Grammar:
    """A row of slots. Texts are joined by single spaces; an empty wording takes no room."""

    slots: tuple[Slot, ...]

    def write(self, persona: Persona, rng: random.Random) -> str:
        """A reply by an author of this persona."""
        chosen = [_choose(slot.options[persona], rng.random()) for slot in self.slots]
        return " ".join(text for text in chosen if text)

    def likelihood(self, reply: str) -> np.ndarray:
        """P(reply | persona), shape (3,) in the order of PERSONAS; all zero when the reply is off the grammar."""
        return np.array([_parse(reply + " ", self.slots, persona) for persona in PERSONAS])


def _choose(options: Options, u: float) -> str:
    for text, weight in options:
        u -= weight
        if u < 0:
            return text
    return options[-1][0]


def _parse(rest: str, slots: tuple[Slot, ...], persona: Persona) -> float:
    if not slots:
        return 1.0 if not rest else 0.0
    total = 0.0
    for text, weight in slots[0].options[persona]:
        start = text + " " if text else ""
        if rest.startswith(start):
            total += weight * _parse(rest[len(start) :], slots[1:], persona)
    return total


def posterior(likelihood: np.ndarray, prior: Sequence[float], ignore_persona: float) -> np.ndarray | None:
    """P(persona | replies), shape (3,), when authors ignore their persona in a share of replies.

    `likelihood` is (3,) for one reply or (R, 3) for several of one author. None when any is off the grammar.
    """
    prior_3 = np.asarray(prior, dtype=np.float64)
    rows_R3 = np.atleast_2d(likelihood)
    if (rows_R3.sum(axis=1) == 0).any():
        return None
    mixed_R3 = (1 - ignore_persona) * rows_R3 + ignore_persona * (rows_R3 @ prior_3)[:, None]
    weight_3 = prior_3 * mixed_R3.prod(axis=0)
    return weight_3 / weight_3.sum()
