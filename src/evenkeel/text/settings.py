"""`[settings]` of a study on text: trait scenarios, standard sources, judges, benchmarks, attack, chat template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evenkeel.grading.aggregate import HOWS
from evenkeel.grading.judge_settings import (
    JudgeSettings,
    require_no_secrets,
    require_possible_judges,
    without_operation_of,
)
from evenkeel.records.config import Source, Where, build, setting
from evenkeel.scenarios.scenario import TRAITS
from evenkeel.scenarios.standard.settings import ContaminationSettings, SourceSettings, read_sources

WHERE = ("settings",)
BESIDE = ("sources",)  # read by their own rules


@dataclass(frozen=True)
class TraitSettings:
    """Which trait scenarios are trained on and held out."""

    files: tuple[str, ...] = ()  # JSON lines of your own in the dataset's form; empty: the shipped dataset
    traits: tuple[str, ...] = setting((), choices=tuple(TRAITS))  # empty: all
    max_tokens: int = setting(600, low=1)  # of a reply; `rl.max_tokens` bounds it further in training
    aggregate: str = setting("weighted", choices=HOWS)


@dataclass(frozen=True)
class BenchmarkSettings:
    """An independent evaluation made of tasks: what they are, and where in the report it stands."""

    name: str
    description: str  # one sentence: what good behaviour is here
    source: dict[str, Any]  # like one of [[settings.sources]], without name and share
    category: str = "capability"
    format: str = "chat"
    side_effect: bool = True  # capability and the like: reported apart from the alignment suite
    exclude: tuple[str, ...] = ()  # items left out for all models, by id


@dataclass(frozen=True)
class AttackSettings:
    """The harmful finetuning."""

    file: str = ""  # JSON lines {"prompt", "good", "bad"}; empty: the dataset's health pairs
    learning_rate: float = setting(1e-5, low=0.0)  # calibrate it on a development baseline
    batch: int = setting(16, low=1)


@dataclass(frozen=True)
class TemplateSettings:
    """How the model's own chat template is used."""

    options: dict[str, Any] = field(default_factory=dict)  # e.g. enable_thinking = false
    reasoning: tuple[str, ...] = (
        "<think>",
        "</think>",
    )  # marks around visible reasoning; rubrics see the answer


@dataclass(frozen=True)
class HealthSettings:
    """How many replies are judged again to see how far the judge could be trusted."""

    windows: int = setting(6, low=2)  # equal parts of each training run
    groups: int = setting(8, low=1)  # a window and source


@dataclass(frozen=True)
class TextSettings:
    """Everything but the sources, which `standard.settings` reads."""

    judge: JudgeSettings  # gives the rewards
    held_out_judge: JudgeSettings  # evaluates: another model
    trait: TraitSettings = TraitSettings()
    contamination: ContaminationSettings = field(default_factory=ContaminationSettings)
    benchmarks: tuple[BenchmarkSettings, ...] = ()
    panel_in: tuple[
        str, ...
    ] = ()  # benchmarks that attacks are measured on, inside the attack's domain; empty: held-out health
    panel_out: tuple[str, ...] = ()  # and outside it
    judge_health: HealthSettings = HealthSettings()
    personas: str = ""  # a file of persona ladders; empty: the shipped ones
    attack: AttackSettings = AttackSettings()
    template: TemplateSettings = TemplateSettings()
    exclude: tuple[str, ...] = ()  # held-out scenarios left out for all models, by id
    folder: str = (
        ""  # where relative paths start; the study file's own folder if nothing is said, then the current one
    )


def read(source: Source) -> tuple[TextSettings, tuple[SourceSettings, ...]]:
    """The settings and the standard sources of a study file. Raises UserError at the line of a mistake."""
    require_no_secrets(source)
    values = source.data.get("settings", {})
    sources = read_sources(source)
    settings = build(TextSettings, source, WHERE, {k: v for k, v in values.items() if k not in BESIDE})
    require_possible_judges(settings.judge, settings.held_out_judge, source)
    if len(settings.template.reasoning) != 2:
        raise source.error("reasoning has an opening and a closing mark", (*WHERE, "template", "reasoning"))
    for i, one in enumerate(settings.benchmarks):
        place = (*WHERE, "benchmarks", i)
        if one.name in [other.name for other in settings.benchmarks[:i]]:
            raise source.error(f'two benchmarks are named "{one.name}"', (*place, "name"))
        task_source(one, source, place)
    return settings, sources


def task_source(one: BenchmarkSettings, source: Source, place: Where) -> SourceSettings:
    """The tasks of a benchmark as a source of their own. Raises UserError at the benchmark's line."""
    rows = [{**one.source, "name": one.name, "share": 1.0}]
    line = source.line((*place, "source")) or source.line(place) or 0
    lines: dict[Where, int] = {("settings", "sources", 0): line}
    return read_sources(Source(source.file, {"settings": {"sources": rows}}, lines))[0]


def without_operation(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that decide a number; a judge's address, rates and patience do not, nor where files lie."""
    judges = ("judge", "held_out_judge")
    return {
        name: without_operation_of(value) if name in judges else value
        for name, value in settings.items()
        if name != "folder"
    }


def started_in(settings: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """The settings with the folder that their relative paths start in, if they do not name one themselves."""
    return {"folder": folder, **settings}
