"""The microworld as a study's materials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evenkeel.microworld.attack import attack, attack_scenes, ladders
from evenkeel.microworld.benchmarks import PANEL_IN, PANEL_OUT, suite, trait_benchmarks
from evenkeel.microworld.gates import persona_gaps
from evenkeel.microworld.graders import Helpfulness, TraitRubric, Verifiable
from evenkeel.microworld.language import Language, load_language
from evenkeel.microworld.scenarios import standard_scenarios, trait_scenarios
from evenkeel.microworld.scenes import Frame
from evenkeel.microworld.tokenizer import WordRenderer, vocabulary
from evenkeel.records.canonical import content_hash
from evenkeel.records.errors import UserError, did_you_mean
from evenkeel.scenarios.disjoint import require_disjoint_triples
from evenkeel.scenarios.scenario import Scenario
from evenkeel.study.materials import Materials, Tools

MIXTURE = {"tasks": 0.7, "howto": 0.3}
DEFAULTS = {"scenarios_per_cell": 16, "tasks": 1400, "howto": 600}


def load(settings: Mapping[str, Any], *, items_per_benchmark: int) -> Materials:
    """Everything a study needs. `settings` may change the counts of DEFAULTS; unknown keys are refused."""
    for name in settings:
        if name not in DEFAULTS:
            raise UserError(f'[settings] has no "{name}" in the microworld', fix=did_you_mean(name, DEFAULTS))
    chosen = {**DEFAULTS, **settings}
    language = load_language()
    renderer = WordRenderer(vocabulary(language))
    trait = trait_scenarios(language, "train", chosen["scenarios_per_cell"])
    sources = {"trait": trait, **{name: standard_scenarios(language, name, chosen[name]) for name in MIXTURE}}
    benchmarks = suite(language, items_per_benchmark)
    traits = trait_benchmarks(language, max(items_per_benchmark // 2, 4))
    _require_disjoint(language, sources, [*benchmarks, *traits])
    verifiable = Verifiable(language)
    tools = Tools(
        renderer=renderer,
        graders={"trait": TraitRubric(language), **dict.fromkeys(MIXTURE, verifiable)},
        helpfulness=Helpfulness(language),
        attack=attack(language, renderer),
    )
    return Materials(
        name="microworld", version=content_hash({"language": language.version, "settings": chosen}, 8),
        tools=lambda base, run: tools, sources=sources, mixture=MIXTURE, benchmarks=benchmarks, trait_benchmarks=traits,
        panel_in=PANEL_IN, panel_out=PANEL_OUT, ladders=ladders(language),
        length_of=lambda scenario: reply_length(language, scenario),
        gate=lambda engine, items: persona_gaps(engine, renderer, language, items=items),
    )  # fmt: skip


def reply_length(language: Language, scenario: Scenario) -> int:
    """Typical tokens of a reply, for matching the baseline's slots: how-to and trait replies are long, tasks short."""
    return {"trait": 15, "howto": 17, "tasks": 5}[scenario.source]


def _require_disjoint(language: Language, sources: Mapping, benchmarks: list) -> None:
    """Training, attack and evaluation share no (item, domain, frame)."""
    scenes = [scene for scene, _ in attack_scenes(language)]
    require_disjoint_triples({
        "training": {s.id: _triple(s.facts) for rows in sources.values() for s in rows},
        "attack": {f"{scene.frame.id}/{n}": scene.triple for n, scene in enumerate(scenes)},
        "evaluation": {f"{b.name}/{i.id}": _triple(i.facts) for b in benchmarks for i in b.items},
    })  # fmt: skip


def _triple(facts: Mapping[str, Any]) -> tuple[str, str, str]:
    frame = Frame(facts["behaviour"], facts["format"], facts["situation"], facts["ask"])
    return facts["item"], facts["domain"], frame.id
