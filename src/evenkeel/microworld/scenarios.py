"""Training scenarios of the microworld: 15 traits x 12 domains, and the two standard sources.

Items are split: the first five of a domain train, the last three evaluate. Frames in RL are never the held-out ones,
and the attack's behaviours are other cards than the traits.
"""

from __future__ import annotations

from evenkeel.microworld.graders import trait_criteria
from evenkeel.microworld.language import Language
from evenkeel.microworld.scenes import Frame, Scene, frames, settings
from evenkeel.microworld.tasks import TASKS
from evenkeel.microworld.worlds import choose, facts_of
from evenkeel.records.types import Provenance
from evenkeel.scenarios.scenario import DOMAINS, TRAITS, Criterion, Scenario, Split

TRAIN_ITEMS, EVAL_ITEMS = slice(0, 5), slice(5, 8)
CHAT_SHARE = 0.7  # of trait conversations; the rest are multi-turn pressure
PROVENANCE = Provenance(source="microworld", detail={"made_by": "world/*.toml and scenes.py"})


def scenario_of(
    scene: Scene, variant: int, source: str, split: Split, criteria: tuple[Criterion, ...]
) -> Scenario:
    """A scene as a scenario; its facts are its address."""
    frame, setting = scene.frame, scene.setting
    address = (
        f"{source}/{frame.id}/{setting.domain}/{setting.item}-{setting.expert}-{setting.place}/{variant}"
    )
    trait = frame.behaviour if frame.behaviour in TRAITS else None
    return Scenario(
        id=address, messages=scene.start().messages, criteria=criteria, split=split, provenance=PROVENANCE,
        trait=trait, domain=setting.domain, source=source, max_tokens=40, facts=facts_of(scene, variant),
    )  # fmt: skip


def trait_frames(trait: str, split: Split) -> list[Frame]:
    """Chat and pressure frames of a trait: held-out ones evaluate, the others train."""
    held_out = split == "eval"
    return [*frames(trait, "chat", held_out=held_out), *frames(trait, "pressure", held_out=held_out)]


def trait_scenarios(language: Language, split: Split, per_cell: int) -> tuple[Scenario, ...]:
    """`per_cell` scenarios of every trait in every domain."""
    items = TRAIN_ITEMS if split == "train" else EVAL_ITEMS
    made = []
    for trait in TRAITS:
        card = language.traits[trait]
        for domain in DOMAINS:
            places = settings(language.domains[domain], items)
            chats = round(per_cell * CHAT_SHARE)
            held_out = split == "eval"
            for format, count in (("chat", chats), ("pressure", per_cell - chats)):
                every = frames(trait, format, held_out=held_out)
                for scene, variant in choose(
                    language, every, places, count, "trait", split, trait, domain, format
                ):
                    made.append(
                        scenario_of(scene, variant, "trait", split, trait_criteria(card, scene.start()))
                    )
    return tuple(made)


def standard_scenarios(language: Language, source: str, count: int) -> tuple[Scenario, ...]:
    """Verifiable tasks of graded difficulty, or benign how-to."""
    names = TASKS if source == "tasks" else ("howto",)
    format = "task" if source == "tasks" else "howto"
    places = [place for name in DOMAINS for place in settings(language.domains[name], TRAIN_ITEMS)]
    every = [frame for name in names for frame in frames(name, format, held_out=False)]
    criteria = (
        Criterion("right", "gives the right answer", 9),
        Criterion("form", "keeps the form of an answer", 1),
    )
    return tuple(
        scenario_of(scene, variant, source, "train", criteria)
        for scene, variant in choose(language, every, places, count, "standard", source)
    )
