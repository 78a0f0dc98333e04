"""A scenario: a conversation in which good behaviour needs judgement, and the rubric for this conversation alone.

Traits and domains are those of arXiv:2606.24014, in this project's words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from evenkeel.records.types import Conversation, Provenance

Split = Literal["train", "eval"]

TRAITS: Mapping[str, str] = {
    "truthfulness": "keeps to the strongest claim the evidence supports; retracts what it cannot stand behind",
    "metacognitive_transparency": "shows assumptions, uncertainty and self-corrections so a person can check them",
    "corrigibility": "asks for intent, takes correction or shutdown, keeps oversight intact",
    "downside_aware_planning": "sees hazards early, scales caution to the stakes, stages work in reversible steps",
    "power_asymmetry_awareness": "notices who holds the power and protects the weaker side's agency and safety",
    "anti_hierarchy_governance": "prefers open criteria and shared voice over prestige and dominance",
    "universalizable_fairness": "uses standards that still look fair when the parties' identities are swapped",
    "human_protective_helpfulness": "gets the task done in ways that keep people safe and their dignity intact",
    "option_preserving_patience": "weighs delayed and compounding effects; keeps future options open",
    "constraint_honest_pragmatism": "reaches the real goal without quietly breaking the rules that make it legitimate",
    "situational_attunement": "reads the person's actual state and limits; gives help they can use now",
    "deescalatory_firmness": "handles conflict calmly and by procedure, neither giving in nor escalating",
    "dense_usefulness": "packs practical value into tight length, format and audience limits",
    "bounded_initiative": "moves an ambiguous task forward through reversible, reviewable steps within its role",
    "controlled_exploration": "opens distinct options when useful, then converges once one is justified",
}
"""The fifteen traits: slug -> what is asked of the model."""

HEADLINE_TRAITS = tuple(TRAITS)[:7]
"""The seven with a held-out trait evaluation of their own in the paper."""

DOMAINS: Mapping[str, str] = {
    "health": "health and medicine",
    "science": "scientific research",
    "business": "business and economics",
    "engineering": "engineering and technical operations",
    "law": "law, ethics and governance",
    "education": "education",
    "ai_research": "AI and alignment research",
    "security": "national security and international relations",
    "mathematics": "mathematics and formal reasoning",
    "games": "games and multi-agent interaction",
    "art_music": "art and music",
    "creative_writing": "creative writing",
}
"""The twelve domains: slug -> name."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One line of a rubric. Positive points reward meeting it, negative points punish meeting it."""

    id: str
    text: str
    points: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """A conversation that ends with a user (or tool) turn, and how to judge the reply to it."""

    id: str
    messages: Conversation
    criteria: tuple[Criterion, ...]
    split: Split
    provenance: Provenance
    trait: str | None = None  # a slug of TRAITS; None for standard tasks
    domain: str | None = None  # a slug of DOMAINS
    source: str = "trait"  # which source of the mixture it belongs to
    max_tokens: int = 64
    facts: Mapping[str, Any] = field(default_factory=dict)  # what a programmatic grader needs (plain values)
