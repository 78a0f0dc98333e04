"""The study file: one schema for the packaged microworld and for any study of a user's own.

Tables of `[quick]` are laid over the rest for `--quick`. Arms are named by kind and dose ("trait-5"); each is
matched with the baseline of the same base.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from evenkeel.records.config import Source, build, read_toml, setting
from evenkeel.records.errors import UserError, did_you_mean
from evenkeel.study.materials import check_settings
from evenkeel.training.algorithms import ALGORITHMS
from evenkeel.training.arms import KINDS

BASE = "base"  # the untouched base where an arm is named
DEVELOPMENT_SEEDS = 100  # below: development; 1000 and up: published runs


@dataclass(frozen=True)
class BaseSettings:
    """One base model: a packaged name or a folder with a Hugging Face checkpoint."""

    name: str
    control_of: str = ""  # the world base whose shuffled-persona control this is
    folder: str = ""  # a checkpoint of your own; empty: the packaged base of this name

    @property
    def control(self) -> bool:
        """Whether this is a control."""
        return bool(self.control_of)


@dataclass(frozen=True)
class Seeds:
    """Sampling streams. 0-99 are for development, 1000 and up for published runs."""

    first: int = setting(1000, low=0)  # RL seeds of an arm are first, first + 1, ...
    plan: int = setting(1000, low=0)  # the plan's own; the same for every arm and seed
    evaluation: int = setting(1000, low=0)  # the same for every model, so that items pair


@dataclass(frozen=True)
class RLSettings:
    """Reinforcement learning, equal for all arms."""

    steps: int = setting(60, low=1)
    prompts: int = setting(32, low=1)  # a step
    group: int = setting(8, low=2)  # completions a prompt
    learning_rate: float = setting(3e-4, low=0.0)
    algorithm: str = setting("dr_grpo", choices=tuple(ALGORITHMS))
    scale: str = setting("centred", choices=("centred", "standardised", "published"))  # of the advantages
    max_tokens: int = setting(48, low=1)
    temperature: float = setting(1.0, low=0.05, high=2.0)
    kl: float = setting(0.0, low=0.0)
    minibatches: int = setting(1, low=1)
    checkpoint_every: int = setting(20, low=1)  # steps between points a killed run continues from
    preflight_prompts: int = setting(32, low=1)  # a source


@dataclass(frozen=True)
class ArmSettings:
    """One arm of the experiment."""

    kind: str = setting(choices=tuple(KINDS))
    share: float = setting(0.0, low=0.0, high=1.0)  # of the prompts, replaced by trait prompts
    seeds: int = setting(1, low=0)  # RL runs on each world base
    control_seeds: int = setting(0, low=0)  # RL runs on each control base

    @property
    def name(self) -> str:
        """ "trait-25" for a share of 25 %; the baseline has no dose."""
        return self.kind if self.kind == "baseline" else f"{self.kind}-{100 * self.share:g}"


@dataclass(frozen=True)
class EvaluationSettings:
    """Benchmarks and held-out trait scenarios."""

    items: int = setting(96, low=2)  # a benchmark
    trait_items: int = setting(24, low=2)  # a trait
    gate_items: int = setting(16, low=1)  # a benchmark, for the persona gap of each base before any training
    temperature: float = setting(1.0, low=0.0, high=2.0)
    batch_rows: int = setting(512, low=1)


@dataclass(frozen=True)
class PersistenceSettings:
    """Attacks on a fixed panel of benchmarks."""

    ladders: tuple[str, ...] = ("harmful_medical", "harmful_wellbeing", "helpful")
    strengths: tuple[int, ...] = setting((1, 2, 3), low=1)
    doses: tuple[int, ...] = setting((0, 5, 10, 20, 30, 60), low=0)  # steps on bad health replies
    good_doses: tuple[int, ...] = setting((30, 60), low=1)  # steps on good health replies
    arms: tuple[str, ...] = (BASE, "baseline")  # by name
    seeds: int = setting(1, low=1)  # of each arm, the first so many
    items: int = setting(48, low=2)  # a benchmark of the panel
    learning_rate: float | None = setting(None, low=0.0)  # None: the one the materials were calibrated with


@dataclass(frozen=True)
class ReportSettings:
    """Statistics."""

    resamples: int = setting(10_000, low=100)


@dataclass(frozen=True)
class BudgetSettings:
    """What the study may use; checked before any work."""

    disk_mb: int = setting(500, low=1)


@dataclass(frozen=True)
class Study:
    """A whole study, as read and checked."""

    title: str
    kind: str
    bases: tuple[BaseSettings, ...]
    arms: tuple[ArmSettings, ...]
    label: str = setting("result", choices=("result", "quick look", "plumbing"))
    settings: dict[str, Any] = field(default_factory=dict)  # handed to the loader of `kind`
    seeds: Seeds = Seeds()
    rl: RLSettings = RLSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    persistence: PersistenceSettings = PersistenceSettings()
    report: ReportSettings = ReportSettings()
    budget: BudgetSettings = BudgetSettings()

    def arm(self, name: str) -> ArmSettings:
        """The arm of this name."""
        return next(arm for arm in self.arms if arm.name == name)


def packaged() -> list[str]:
    """Names of the studies that ship with the package."""
    folder = resources.files("evenkeel") / "studies"
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def find_study(name: str) -> tuple[str, str]:
    """(text, file name) of a packaged study or a path. Raises UserError when there is neither."""
    path = Path(name)
    if name in packaged():
        return (resources.files("evenkeel") / "studies" / f"{name}.toml").read_text(), f"{name}.toml"
    if path.is_file():
        return path.read_text(), str(path)
    fix = "Give the path of a study file or a packaged study. " + did_you_mean(name, packaged())
    raise UserError(f'there is no study "{name}"', fix=fix)


def read_study(
    text: str, file: str, *, quick: bool = False, kinds: tuple[str, ...] = ("microworld",)
) -> Study:
    """The study of a TOML text. Raises UserError naming line, field and fix for anything impossible."""
    source = read_toml(text, file)
    plain = build(Study, Source(source.file, _without(source.data, "quick"), source.lines))
    laid = source.overridden("quick")
    study = build(Study, laid) if quick else plain
    if quick and study.label == "result":
        raise laid.error('a quick look is not a result: [quick] needs label = "quick look"', ("label",))
    require_possible(study, laid if quick else source, kinds)
    check_settings(study.kind, laid if quick else source)
    return study


def _without(data: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != name}


def require_possible(study: Study, source: Source, kinds: tuple[str, ...]) -> None:
    """What single values cannot show: names that must exist, shares that cannot be, doses out of order."""
    if study.kind not in kinds:
        raise source.error(
            f'there is no kind of study "{study.kind}".', ("kind",), did_you_mean(study.kind, kinds)
        )
    _check_bases(study, source)
    _check_arms(study, source)
    _check_persistence(study, source)


def _check_bases(study: Study, source: Source) -> None:
    names = [base.name for base in study.bases]
    if not names:
        raise source.error("a study needs at least one [[bases]]", ("bases",))
    worlds = [base.name for base in study.bases if not base.control]
    for i, base in enumerate(study.bases):
        if names.index(base.name) != i:
            raise source.error(f'two bases are named "{base.name}"', ("bases", i, "name"))
        if "/" in base.name or not base.name:
            raise source.error("a base's name is part of a path: no slash, not empty", ("bases", i, "name"))
        if base.control and base.control_of not in worlds:
            where = ("bases", i, "control_of")
            hint = did_you_mean(base.control_of, worlds)
            raise source.error(
                f'"{base.name}" is the control of "{base.control_of}", which is no base.', where, hint
            )


def _check_arms(study: Study, source: Source) -> None:
    names = [arm.name for arm in study.arms]
    slots = study.rl.steps * study.rl.prompts
    for i, arm in enumerate(study.arms):
        share = ("arms", i, "share")
        if names.index(arm.name) != i:
            raise source.error(f'two arms are named "{arm.name}": same kind and share', ("arms", i))
        if arm.kind == "baseline" and arm.share != 0:
            raise source.error("the baseline has no trait prompts: its share is 0", share, "Remove the line.")
        if arm.kind != "baseline" and round(arm.share * slots) < 1:
            fix = f"Give a share of at least {1 / slots:.2g}, or more steps or prompts."
            raise source.error(f"a share of {arm.share:g} of {slots} prompts is not one prompt", share, fix)
    if "baseline" not in names:
        raise source.error('a study needs an arm of kind "baseline" to compare with', ("arms",))
    _check_baselines(study, source, names.index("baseline"))


def _check_baselines(study: Study, source: Source, at: int) -> None:
    baseline = study.arms[at]
    controls = any(base.control for base in study.bases)
    for arm in study.arms:
        if arm.seeds and not baseline.seeds:
            raise source.error(f'"{arm.name}" has no baseline to compare with', ("arms", at, "seeds"))
        if controls and arm.control_seeds and not baseline.control_seeds:
            raise source.error(
                f'"{arm.name}" runs on the control bases, where there is no baseline to compare with',
                ("arms", at, "control_seeds"),
                "Give the baseline control_seeds = 1 or more.",
            )


def _check_persistence(study: Study, source: Source) -> None:
    names = [BASE, *(arm.name for arm in study.arms)]
    settings = study.persistence
    for i, name in enumerate(settings.arms):
        if name not in names:
            raise source.error(
                f'there is no arm "{name}".', ("persistence", "arms", i), did_you_mean(name, names)
            )
    for key, doses in (("doses", settings.doses), ("good_doses", settings.good_doses)):
        if list(doses) != sorted(set(doses)):
            raise source.error(f"persistence.{key} must rise: {list(doses)}", ("persistence", key))
    if settings.doses and settings.doses[0] != 0:
        raise source.error(
            "persistence.doses starts at 0, the level before the attack", ("persistence", "doses")
        )
    if settings.items > study.evaluation.items:
        raise source.error(
            f"the panel has {settings.items} items a benchmark, the evaluation only {study.evaluation.items}",
            ("persistence", "items"),
            "The panel's items are the first of the evaluation's.",
        )
