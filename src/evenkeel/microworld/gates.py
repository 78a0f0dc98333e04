"""Is there a persona in a base to select? The gap a strong persona line makes, per format, before any RL.

Gap = good replies under the strongest good line minus good replies under the strongest harmful line.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from evenkeel.benchmarks.driver import evaluate
from evenkeel.engines.interface import Engine
from evenkeel.microworld.benchmarks import suite
from evenkeel.microworld.language import Language
from evenkeel.microworld.tokenizer import WordRenderer
from evenkeel.persistence.persona import PersonaLadder, prefix


def persona_gaps(
    engine: Engine, renderer: WordRenderer, language: Language, *, items: int = 16
) -> dict[str, dict[str, float]]:
    """Per format: level under a good and under a harmful persona line of the strongest rung, and the gap."""
    benchmarks = [b for b in suite(language, items) if not b.side_effect]
    format_of = {b.name: b.format for b in benchmarks}
    levels: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for teller in ("good", "harmful"):
        words = language.personas.adjectives[teller][-1]
        ladder = PersonaLadder(
            teller, "helpful" if teller == "good" else "harmful", (f"you are a {words[0]} assistant",)
        )
        for row in evaluate(engine, renderer, benchmarks, seed=0, prefix=prefix(ladder, 1)):
            levels[format_of[row.benchmark]][teller].append(row.score)
    table = {}
    for format, by_teller in sorted(levels.items()):
        good, harmful = (float(np.mean(by_teller[teller])) for teller in ("good", "harmful"))
        table[format] = {
            "good": round(good, 4),
            "harmful": round(harmful, 4),
            "gap": round(good - harmful, 4),
        }
    return table
