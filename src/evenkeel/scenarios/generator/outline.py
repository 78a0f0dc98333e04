"""What a run will ask for, before it asks."""

from __future__ import annotations

from collections import Counter

from evenkeel.scenarios.generator.draw import SHOTS
from evenkeel.scenarios.generator.prompts import STAGES
from evenkeel.scenarios.generator.sampling import wanted
from evenkeel.scenarios.generator.settings import Given, Settings


def outline(settings: Settings, rows: Given) -> list[str]:
    """Lines: cells and quotas, calls at best and at worst, what the first draws look like."""
    slots = settings.slots
    calls, repaired = len(STAGES), 2 * len(STAGES)
    drawn = [wanted(settings.seed, slot, 0) for slot in slots]
    cells = len(settings.traits) * len(settings.domains)
    shapes = (
        ("several turns", sum(each.assistant_turns > 0 for each in drawn)),
        ("flawed turn", sum(each.flawed_turn for each in drawn)),
        ("system message", sum(each.system for each in drawn)),
        ("attachment", sum(each.attachment != "none" for each in drawn)),
    )
    lengths = Counter(each.length for each in drawn)
    lines = [
        f"{len(slots):,} rows: {settings.per_cell} for training in each of {cells} cells "
        f"({len(settings.traits)} traits x {len(settings.domains)} domains), numbered from {settings.first}",
        *(
            f"  {trait:30} {len(settings.domains) * settings.per_cell:5} rows: "
            f"{settings.per_cell} in each of {', '.join(settings.domains)}"
            for trait in settings.traits
        ),
        f"Calls: {calls * len(slots):,} if every first draw is taken ({calls} a draw: {', '.join(STAGES)}); a repair adds "
        f"one, a rejected draw up to {repaired}; never more than {repaired * settings.draws * len(slots):,} "
        f"({settings.draws} draws a row)",
        f"Tokens of an answer: at most {settings.max_tokens:,}",
        f"Examples: {SHOTS} a draw out of {len(rows.shots):,} rows; {len(rows.others):,} rows to keep a distance from",
        "First draws: " + ", ".join(f"{name} {100 * n / len(slots):.0f} %" for name, n in shapes),
        "Lengths: " + ", ".join(f"{name} {count}" for name, count in sorted(lengths.items())),
    ]
    return lines + ([rows.note] if rows.note else [])
