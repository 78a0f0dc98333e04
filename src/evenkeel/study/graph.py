"""From a study to its stages: per model training, bare and persona scores, attacks; then analysis and page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenkeel.records.canonical import canonical_json, content_hash, plain
from evenkeel.records.machine import code_hash, module_names
from evenkeel.study.config import BASE, ArmSettings, BaseSettings, Study
from evenkeel.study.materials import CODE, Materials, base_folder, checkpoint_hash, same_result
from evenkeel.study.stages import Stage
from evenkeel.training.arms import arm_named

# What decides a number, file by file where a folder holds other things too; a test compares it with the imports.
TRAINING = (
    "records", "engines/interface.py", "engines/native", "scenarios/scenario.py", "scenarios/disjoint.py",
    "grading/grader.py", "grading/aggregate.py", "grading/collect.py", "training", "study/work.py",
)  # fmt: skip
MEASURING = (*TRAINING, "benchmarks")
ATTACKING = (*MEASURING, "persistence")
ANALYSING = (
    "records", "report/paper.py", *module_names("report", "analysis"), *module_names("report", "statistics"),
    *module_names("report", "judge_health"),
)  # fmt: skip
REPORTING = ("records", "report")
RESULTS = ("results.json", "results.csv", "transcripts.json")

GATE_MATERIALS = 2  # items a benchmark of the materials that gates and training load: the fewest

# Seconds on one thread at microworld size, for the order of stages and for --plan; never for results.
PER_COMPLETION = 0.0025
PER_ROW = 0.0042
PER_FINETUNE_STEP = 0.12


def results_code(kind: str) -> str:
    """Hash of all code and data that decide results.json: published results are stale when it changes."""
    return code_hash((*ATTACKING, *ANALYSING, "study/materials.py", "study/graph.py", *CODE[kind]))


@dataclass(frozen=True)
class Model:
    """One model of the study and the stages that make and measure it."""

    base: BaseSettings
    arm: ArmSettings | None  # None: the untouched base
    seed: int
    train: Stage | None
    scores: Mapping[str, tuple[Stage, str]]  # condition -> (stage, folder inside it)
    judges: Stage | None = None  # how far the judge of its rewards could be trusted

    @property
    def id(self) -> str:
        """BASE/ARM/SEED."""
        return f"{self.base.name}/{self.arm.name if self.arm else BASE}/{self.seed}"


@dataclass(frozen=True)
class Graph:
    """All models, and the stages that look at them together."""

    models: tuple[Model, ...]
    analysis: Stage
    page: Stage
    index: Mapping[str, Any]  # the content of index.json

    @property
    def model_stages(self) -> list[Stage]:
        """Everything before the analysis."""
        return list(self.analysis.needs.values())


@dataclass(frozen=True)
class _Maker:
    """What the stages of one study have in common."""

    study: Study
    materials: Materials
    about: Mapping[str, Any]  # the materials' part of the inputs

    def code(self, parts: tuple[str, ...]) -> str:
        return code_hash((*parts, "study/materials.py", *CODE[self.study.kind]))

    def local(self, folder: Path) -> dict[str, str]:
        """What a stage needs and no number depends on: where the base lies, the settings with their addresses."""
        return {"base": str(folder), "settings": canonical_json(self.study.settings)}


def make_graph(study: Study, materials: Materials) -> Graph:
    """The stages of a study. Raises UserError when a base or ladder does not exist."""
    about = {
        "kind": study.kind,
        "settings": same_result(study.kind, study.settings),
        "items": study.evaluation.items,
        "version": materials.version,
    }
    maker = _Maker(study, materials, about)
    for name in study.persistence.ladders:
        materials.ladder(name)
    models: list[Model] = []
    gates: dict[str, Stage] = {}
    for base in study.bases:
        folder = Path(base.folder) if base.folder else base_folder(study.kind, base.name)
        weights = checkpoint_hash(folder)
        gate = _gate(maker, base, folder, weights)
        models.append(_model(maker, base, None, 0, folder, weights, gate))
        for arm in study.arms:
            count = arm.control_seeds if base.control else arm.seeds
            for seed in range(study.seeds.first, study.seeds.first + count):
                models.append(_model(maker, base, arm, seed, folder, weights, gate))
        if gate is not None:
            gates[base.name] = gate
    index = _index(study, models, gates) | {
        "panel_in": materials.panel_in,
        "panel_out": materials.panel_out,
        "ladders": [{"name": ladder.name, "kind": ladder.kind} for ladder in materials.ladders],
    }
    analysis = Stage(
        kind="analysis",
        name=study.title,
        run="evenkeel.study.work:analysis",
        inputs={
            "index": content_hash(index),
            "study": content_hash(study),
            "resamples": study.report.resamples,
            "code": code_hash(ANALYSING),
        },
        needs={stage.id: stage for model in models for stage in _stages_of(model)},
        cost=10.0,
        writes=RESULTS,
    )
    page = Stage(
        kind="page",
        name=study.title,
        run="evenkeel.study.work:page",
        inputs={"code": code_hash(REPORTING)},
        needs={"analysis": analysis},
        cost=5.0,
        writes=("report.html",),
    )
    return Graph(tuple(models), analysis, page, index)


def _gate(maker: _Maker, base: BaseSettings, folder: Path, weights: str) -> Stage | None:
    """Whether there is a persona in the base to select; no arm of it is trained while its light is red."""
    if maker.materials.gate is None:
        return None
    items = maker.study.evaluation.gate_items
    return Stage(
        kind="gate",
        name=base.name,
        run="evenkeel.study.work:gate",
        inputs={
            "materials": {**maker.about, "items": GATE_MATERIALS},
            "weights": weights,
            "items": items,
            "control": base.control,
            "allow_red": maker.study.label != "result",
            "code": maker.code(MEASURING),
        },
        local=maker.local(folder),
        cost=2 * len(maker.materials.benchmarks) * items * PER_ROW,
    )


def _model(
    maker: _Maker,
    base: BaseSettings,
    arm: ArmSettings | None,
    seed: int,
    folder: Path,
    weights: str,
    gate: Stage | None,
) -> Model:
    """The stages of one model: training unless it is the base, scores under every condition."""
    local = maker.local(folder)
    train = None if arm is None else _train(maker, base, arm, seed, local, weights, gate)
    name = f"{base.name}/{arm.name if arm else BASE}/{seed}"
    common = {
        "materials": maker.about,
        "code": maker.code(ATTACKING),
        "evaluation_seed": maker.study.seeds.evaluation,
        "temperature": maker.study.evaluation.temperature,
        "batch_rows": maker.study.evaluation.batch_rows,
        **({"weights": weights} if train is None else {}),
    }
    needs = {} if train is None else {"train": train}
    bare = _bare(maker, name, common, needs, local)
    scores = {"bare": (bare, "")}
    settings = maker.study.persistence
    attacked = (arm.name if arm else BASE) in settings.arms
    if attacked and seed - (0 if arm is None else maker.study.seeds.first) < settings.seeds:
        scores |= _personas(maker, name, common, needs, local)
        scores |= _attacks(maker, name, common, {**needs, "bare": bare}, local)
    return Model(base, arm, seed, train, scores, _judges(maker, name, arm, seed, train, local))


def _judges(
    maker: _Maker,
    name: str,
    arm: ArmSettings | None,
    seed: int,
    train: Stage | None,
    local: Mapping[str, str],
) -> Stage | None:
    """Replies of the first seed of every arm that a rubric rewards, where a judge model reads the rubric."""
    if not maker.materials.judged or train is None or arm is None or seed != maker.study.seeds.first:
        return None
    if arm_named(arm.name).reward != "rubric":
        return None
    inputs = {
        "materials": {**maker.about, "items": GATE_MATERIALS},
        "seed": maker.study.seeds.evaluation,
        "health": dict(maker.materials.health),
        "code": maker.code((*TRAINING, "study/judging.py")),
    }
    return Stage(
        "judges", name, "evenkeel.study.judging:judge_health", inputs, {"train": train}, local, cost=5.0
    )


def _train(
    maker: _Maker,
    base: BaseSettings,
    arm: ArmSettings,
    seed: int,
    local: Mapping[str, str],
    weights: str,
    gate: Stage | None,
) -> Stage:
    rl = maker.study.rl
    return Stage(
        kind="train",
        name=f"{base.name}/{arm.name}/{seed}",
        run="evenkeel.study.work:train",
        inputs={
            "materials": {**maker.about, "items": GATE_MATERIALS},  # benchmarks play no part
            "weights": weights,
            "arm": plain(arm_named(arm.name)),
            "seed": seed,
            "plan_seed": maker.study.seeds.plan,
            "rl": plain(rl),
            "allow_red": maker.study.label != "result",
            "code": maker.code(TRAINING),
        },
        needs={"gate": gate} if gate else {},
        local=local,
        cost=rl.steps * rl.prompts * rl.group * PER_COMPLETION,
        resumable=True,
    )


def _bare(
    maker: _Maker, name: str, common: Mapping[str, Any], needs: Mapping[str, Stage], local: Mapping[str, str]
) -> Stage:
    evaluation = maker.study.evaluation
    rows = len(maker.materials.benchmarks) * evaluation.items
    rows += len(maker.materials.trait_benchmarks) * evaluation.trait_items
    inputs = {**common, "trait_items": evaluation.trait_items}
    return Stage("score", f"{name} bare", "evenkeel.study.work:score", inputs, needs, local, rows * PER_ROW)


def _personas(
    maker: _Maker, name: str, common: Mapping[str, Any], needs: Mapping[str, Stage], local: Mapping[str, str]
) -> dict[str, tuple[Stage, str]]:
    """One stage per ladder and strength."""
    settings = maker.study.persistence
    found: dict[str, tuple[Stage, str]] = {}
    for ladder in settings.ladders:
        for strength in settings.strengths:
            condition = maker.materials.ladder(ladder).condition(strength)
            inputs = {
                **common,
                "panel_items": settings.items,
                "persona": {"ladder": ladder, "strength": strength},
            }
            cost = _panel_rows(maker) * PER_ROW
            where = "evenkeel.study.work:score"
            found[condition] = (
                Stage("persona", f"{name} {condition}", where, inputs, needs, local, cost),
                "",
            )
    return found


def _attacks(
    maker: _Maker, name: str, common: Mapping[str, Any], needs: Mapping[str, Stage], local: Mapping[str, str]
) -> dict[str, tuple[Stage, str]]:
    """One stage for the bad replies and one for the good ones, each with a folder per dose."""
    settings = maker.study.persistence
    found: dict[str, tuple[Stage, str]] = {}
    for which, doses in (("bad", settings.doses), ("good", settings.good_doses)):
        if not doses:
            continue
        inputs = {
            **common,
            "panel_items": settings.items,
            "which": which,
            "doses": list(doses),
            "learning_rate": settings.learning_rate,
        }
        cost = len(doses) * _panel_rows(maker) * PER_ROW + doses[-1] * PER_FINETUNE_STEP
        where = "evenkeel.study.work:attack"
        stage = Stage("attack", f"{name} finetune:{which}", where, inputs, needs, local, cost)
        found |= {f"finetune:{which}:{dose}": (stage, f"dose-{dose}") for dose in doses}
    return found


def _panel_rows(maker: _Maker) -> int:
    names = (*maker.materials.panel_in, *maker.materials.panel_out)
    return len(names) * maker.study.persistence.items


def _stages_of(model: Model) -> list[Stage]:
    made = [stage for stage in (model.train, model.judges) if stage]
    return made + list({stage.id: stage for stage, _ in model.scores.values()}.values())


def _index(study: Study, models: list[Model], gates: Mapping[str, Stage]) -> dict[str, Any]:
    """Who is who and where: what the analysis reads first."""
    return {
        "models": [
            {
                "id": model.id,
                "base": model.base.name,
                "arm": model.arm.name if model.arm else BASE,
                "kind": model.arm.kind if model.arm else BASE,
                "share": model.arm.share if model.arm else 0.0,
                "seed": model.seed,
                "control": model.base.control,
                "control_of": model.base.control_of or None,
                "train": f"stages/{model.train.id}" if model.train else None,
                **({"judges": f"stages/{model.judges.id}"} if model.judges else {}),
                "scores": {
                    condition: f"stages/{stage.id}" + (f"/{inside}" if inside else "")
                    for condition, (stage, inside) in model.scores.items()
                },
            }
            for model in models
        ],
        "bases": [
            {
                "name": base.name,
                "control": base.control,
                "control_of": base.control_of or None,
                "gate": f"stages/{gates[base.name].id}" if base.name in gates else None,
            }
            for base in study.bases
        ],
    }
