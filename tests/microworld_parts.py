"""The microworld's language, its renderer and the acts of its cards, for the tests of the microworld."""

from __future__ import annotations

from evenkeel.microworld.language import PERSONAS, load_language
from evenkeel.microworld.tokenizer import WordRenderer, vocabulary

LANGUAGE = load_language()
RENDERER = WordRenderer(vocabulary(LANGUAGE))


def acts(cards):
    return [(p, act) for card in cards for p in PERSONAS for act in card.acts[p]]
