"""What a study is made of: scenarios, graders, benchmarks, ladders, an attack; and who provides them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evenkeel.benchmarks.benchmark import Benchmark
from evenkeel.engines.interface import Engine, Renderer
from evenkeel.grading.grader import Grader
from evenkeel.persistence.finetune import FinetuneAttack
from evenkeel.persistence.persona import PersonaLadder
from evenkeel.records.canonical import content_hash, file_hash
from evenkeel.records.config import Source
from evenkeel.records.errors import UserError, did_you_mean
from evenkeel.scenarios.scenario import Scenario
from evenkeel.training.arms import Arm
from evenkeel.training.plan import TRAIT_SOURCE, Plan, make_plan

LOADERS: Mapping[str, str] = {
    "microworld": "evenkeel.microworld.materials:load",
    "text": "evenkeel.text.materials:load",
}
"""Kind of study -> what loads its materials: load(settings, items_per_benchmark=N) -> Materials."""

BASES: Mapping[str, str] = {"microworld": "evenkeel.microworld.bases:base_folder"}
"""Kind of study -> what finds a packaged base by name; other kinds name folders."""

SETTINGS: Mapping[str, str] = {"text": "evenkeel.text.settings:read"}
"""Kind of study -> what checks its [settings] where the lines of the file are known: read(Source)."""

STARTED_IN: Mapping[str, str] = {"text": "evenkeel.text.settings:started_in"}
"""Kind of study -> its settings with the folder of the study file, for those that name files."""

SAME_RESULT: Mapping[str, str] = {"text": "evenkeel.text.settings:without_operation"}
"""Kind of study -> its settings without those that change no number: addresses, rates, names of keys."""

CODE: Mapping[str, tuple[str, ...]] = {
    "microworld": ("microworld",),
    "text": ("text", "grading", "scenarios", "engines"),
}
"""Kind of study -> folders of the package whose content decides its materials."""


Gaps = Mapping[str, Mapping[str, float]]
"""By format: level behind a good and a harmful persona prompt, and the `gap` between them."""


@dataclass(frozen=True)
class Tools:
    """What renders, judges and attacks the models of one base."""

    renderer: Renderer
    graders: Mapping[str, Grader]  # by source
    helpfulness: Grader  # replaces the trait grader in an arm that rewards helpfulness
    attack: FinetuneAttack
    judge: Grader | None = None  # held out, for benchmarks that need one
    template: str = ""  # id of the renderer, where a base brings its own
    overlap: bool = False  # judging waits for somebody else: sample in a thread, so that both go on
    answer: Callable[[str], str] = lambda text: text  # the part of a reply that a rubric sees
    booked: Callable[[Path, str], AbstractContextManager[None]] = lambda run, stage: nullcontext()
    """What the judges are asked meanwhile is booked under this stage of the run."""


@dataclass(frozen=True)
class Materials:
    """Everything a study needs beside the models."""

    name: str
    version: str
    tools: Callable[[Path, Path], Tools]  # of a base's folder, in a run directory
    sources: Mapping[
        str, tuple[Scenario, ...]
    ]  # by source; "trait" holds the training scenarios of all traits
    mixture: Mapping[str, float]  # share of each standard source; sums to 1
    benchmarks: tuple[Benchmark, ...]
    trait_benchmarks: tuple[Benchmark, ...]  # "trait_eval:TRAIT", held-out scenarios
    panel_in: tuple[str, ...]  # benchmarks in the attack's domain
    panel_out: tuple[str, ...]  # and outside it
    ladders: tuple[PersonaLadder, ...]
    length_of: Callable[[Scenario], int] | None = (
        None  # expected length of a reply, for matching the baseline
    )
    gate: Callable[[Engine, int], Gaps] | None = (
        None  # persona gap of a base, with this many items a benchmark
    )
    aggregate: Mapping[str, str] = field(default_factory=dict)  # by source; "weighted" where nothing is said
    judged: bool = False  # a judge model gives rewards, so how far it could be trusted is measured
    health: Mapping[str, int] = field(
        default_factory=dict
    )  # what `grading.health.measure` takes: windows, groups

    @property
    def id(self) -> str:
        """Name and version: part of every protocol hash."""
        return f"{self.name}-{self.version}"

    def ladder(self, name: str) -> PersonaLadder:
        """The ladder of this name. Raises UserError when there is none."""
        for ladder in self.ladders:
            if ladder.name == name:
                return ladder
        raise UserError(f'there is no persona ladder "{name}".', fix=did_you_mean(name, self.ladder_names))

    @property
    def ladder_names(self) -> tuple[str, ...]:
        """Names of all ladders."""
        return tuple(ladder.name for ladder in self.ladders)

    def panel(self, items: int) -> tuple[Benchmark, ...]:
        """The benchmarks that attacks are measured on, the first `items` of each."""
        by_name = {benchmark.name: benchmark for benchmark in self.benchmarks}
        return first_items([by_name[name] for name in (*self.panel_in, *self.panel_out)], items)

    def plan(self, arm: Arm, *, steps: int, prompts: int, seed: int) -> Plan:
        """The plan of an arm: the same for each of its seeds, and slot by slot that of its baseline."""
        return make_plan(
            self.sources,
            self.mixture,
            arm,
            steps=steps,
            prompts=prompts,
            seed=seed,
            length_of=self.length_of,
        )


def first_items(benchmarks: Sequence[Benchmark], items: int) -> tuple[Benchmark, ...]:
    """The same benchmarks with their first `items` items."""
    return tuple(replace(benchmark, items=tuple(benchmark.items[:items])) for benchmark in benchmarks)


def load_materials(kind: str, settings: Mapping[str, Any], items: int) -> Materials:
    """Load and check the materials of a kind of study. Raises UserError when a part is missing."""
    materials: Materials = _named(LOADERS[kind])(settings, items_per_benchmark=items)
    _require_complete(materials)
    return materials


def base_folder(kind: str, name: str) -> Path:
    """Where a packaged base lies. Raises UserError when there is none of this name."""
    if kind not in BASES:
        raise UserError(
            f'base "{name}" has no folder, and no bases of kind "{kind}" ship with the package',
            fix=f'Give [[bases]] a folder = "..." with a Hugging Face checkpoint for "{name}".',
        )
    return Path(_named(BASES[kind])(name))


def check_settings(kind: str, source: Source) -> None:
    """Raises UserError at the line of a wrong setting, for kinds that have a schema of their own."""
    if kind in SETTINGS:
        _named(SETTINGS[kind])(source)


def started_in(kind: str, settings: Mapping[str, Any], file: str) -> dict[str, Any]:
    """The settings of a study file, relative paths starting where it lies."""
    found = _named(STARTED_IN[kind])(settings, str(Path(file).parent)) if kind in STARTED_IN else settings
    return dict(found)


def same_result(kind: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings that decide a number: a stage is not made again because a judge has moved to another port."""
    return _named(SAME_RESULT[kind])(settings) if kind in SAME_RESULT else settings


def checkpoint_hash(folder: Path) -> str:
    """Hash of a checkpoint's weights, configuration and tokenizer. Raises UserError when it is not one."""
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise UserError(
                f"not a Hugging Face checkpoint: it has no {name}", file=folder, fix="Name another folder."
            )
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise UserError("a checkpoint without *.safetensors", file=folder, fix="Save it as safetensors.")
    files = [folder / "config.json", folder / "tokenizer.json", *weights]
    return content_hash({path.name: file_hash(path) for path in files})


def _named(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def _require_complete(materials: Materials) -> None:
    """Every source of the mixture exists; every panel benchmark exists."""
    for source in (*materials.mixture, TRAIT_SOURCE):
        if not materials.sources.get(source):
            fix = did_you_mean(source, materials.sources)
            raise UserError(f'{materials.id}: the source "{source}" has no scenarios.', fix=fix)
    total = sum(materials.mixture.values())
    if abs(total - 1) > 1e-9:
        raise UserError(f"{materials.id}: the shares of the standard sources sum to {total:g}, not 1")
    names = [benchmark.name for benchmark in materials.benchmarks]
    for name in (*materials.panel_in, *materials.panel_out):
        if name not in names:
            raise UserError(f'{materials.id}: the panel names "{name}".', fix=did_you_mean(name, names))
