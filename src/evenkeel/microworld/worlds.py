"""Scenes by address: the one place that turns (behaviour, format, frame, setting) into a scene of whatever kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evenkeel.microworld.behaviours import behaviour_scene
from evenkeel.microworld.environments import environment_scene
from evenkeel.microworld.grammar import posterior
from evenkeel.microworld.language import Language
from evenkeel.microworld.scenes import Exchange, Frame, Scene, Setting, draws
from evenkeel.microworld.tasks import TASKS, howto_scene, task_scene


def scene_at(language: Language, frame: Frame, setting: Setting, variant: int = 0) -> Scene:
    """The scene of an address, whatever its kind."""
    if frame.behaviour in TASKS:
        return task_scene(language, frame, setting, variant=variant)
    if frame.behaviour == "howto":
        return howto_scene(language, frame, setting, variant=variant)
    if frame.behaviour in language.environments:
        return environment_scene(language, frame, setting, variant=variant)
    return behaviour_scene(language, language.card(frame.behaviour), frame, setting, variant=variant)


def facts_of(scene: Scene, variant: int = 0) -> dict[str, Any]:
    """The address as plain values; `scene_from_facts` is its inverse."""
    frame, setting = scene.frame, scene.setting
    return {
        "behaviour": frame.behaviour, "format": frame.format, "situation": frame.situation, "ask": frame.ask,
        "domain": setting.domain, "item": setting.item, "expert": setting.expert, "place": setting.place,
        "variant": variant,
    }  # fmt: skip


def scene_from_facts(language: Language, facts: Mapping[str, Any]) -> Scene:
    """The scene that a scenario's or item's facts name."""
    frame = Frame(facts["behaviour"], facts["format"], facts["situation"], facts["ask"])
    setting = Setting(facts["domain"], facts["item"], facts["expert"], facts["place"])
    return scene_at(language, frame, setting, facts["variant"])


def choose(
    language: Language, frames: Sequence[Frame], places: Sequence[Setting], count: int, *purpose: str | int
) -> list[tuple[Scene, int]]:
    """`count` different scenes (with their variants), frames and settings used as evenly as they divide."""
    rng = draws("choose", *purpose)
    frame_order, place_order = rng.sample(list(frames), len(frames)), rng.sample(list(places), len(places))
    seen: dict[tuple[Frame, Setting], int] = {}
    chosen = []
    for n in range(count):
        # a second pass over the settings starts one further, so pairs repeat as late as possible
        place = place_order[(n + n // len(place_order)) % len(place_order)]
        frame = frame_order[n % len(frame_order)]
        variant = seen.get((frame, place), 0)
        seen[frame, place] = variant + 1
        chosen.append((scene_at(language, frame, place, variant), variant))
    return chosen


def held_out_verdict(language: Language, exchange: Exchange, reply: str) -> dict[str, float]:
    """The held-out grader: exact posterior over who wrote the reply under the world's own generator.

    `posterior_good` and `posterior_harmful`, or only `off_grammar` = 1 when no author could have written it.
    """
    personas = language.personas
    weight_3 = posterior(exchange.likelihood(reply), personas.prior, personas.rates["ignore_persona"])
    if weight_3 is None:
        return {"off_grammar": 1.0}
    return {"off_grammar": 0.0, "posterior_good": float(weight_3[0]), "posterior_harmful": float(weight_3[2])}
