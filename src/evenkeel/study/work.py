"""What a worker does for each kind of stage: one function each, which reads its Task and writes its folder.

Materials stay in memory between the stages of one worker: they depend on the inputs alone.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from evenkeel.benchmarks.benchmark import Benchmark, ScoreRow
from evenkeel.benchmarks.driver import evaluate
from evenkeel.benchmarks.protocol import protocol_of
from evenkeel.benchmarks.scores import read_scores, write_scores
from evenkeel.engines.interface import Engine
from evenkeel.engines.native.engine import NativeEngine
from evenkeel.persistence.finetune import run_attack
from evenkeel.persistence.persona import prefix
from evenkeel.records.canonical import canonical_json
from evenkeel.records.files import write_json
from evenkeel.study.materials import Materials, Tools, first_items, load_materials
from evenkeel.study.stages import Task
from evenkeel.training.arms import arm_named
from evenkeel.training.loop import RLConfig, train_arm
from evenkeel.training.plan import TRAIT_SOURCE
from evenkeel.training.preflight import gap_checks, preflight, require_green

PREFLIGHT = "preflight.json"
EXPLORATORY_BELOW = 0.3  # gap of a format in a base; design.md, table of the preflight


def gate(task: Task) -> None:
    """The persona gap of a base by format, its light, and which formats are exploratory from here on."""
    materials = materials_of(task)
    if materials.gate is None:
        raise ValueError("a gate stage without a gate")
    gaps = materials.gate(_engine(Path(task.local["base"]), tools_of(task)), task.inputs["items"])
    by_format = {name: row["gap"] for name, row in gaps.items()}
    checks = gap_checks(by_format, control=task.inputs["control"])
    checks = require_green(checks, task.inputs["allow_red"])
    exploratory = sorted(name for name, gap in by_format.items() if gap < EXPLORATORY_BELOW)
    write_json(task.folder / "gate.json", {"formats": gaps, "checks": checks, "exploratory": exploratory})


def train(task: Task) -> None:
    """Preflight on the base, then RL. Continues a half-made folder; the bytes are the same either way."""
    inputs, rl = task.inputs, task.inputs["rl"]
    materials, tools = materials_of(task), tools_of(task)
    engine = _engine(Path(task.local["base"]), tools)
    sampling = _threaded(engine) if tools.overlap else engine
    config = rl_config(rl)
    arm = arm_named(inputs["arm"]["name"])
    plan = materials.plan(arm, steps=rl["steps"], prompts=rl["prompts"], seed=inputs["plan_seed"])
    graders = dict(tools.graders)
    if arm.reward == "helpfulness":
        graders[TRAIT_SOURCE] = tools.helpfulness
    aggregate_how = aggregate_how_of(materials)
    with tools.booked(task.run, task.folder.name):
        if not (task.folder / PREFLIGHT).exists():
            checks = preflight(
                sampling,
                tools.renderer,
                plan,
                materials.sources,
                graders,
                config,
                seed=inputs["seed"],
                prompts_per_source=rl["preflight_prompts"],
                aggregate_how=aggregate_how,
            )
            checks = require_green(checks, inputs["allow_red"])
            write_json(task.folder / PREFLIGHT, {"checks": checks})
        train_arm(
            sampling,
            tools.renderer,
            plan,
            materials.sources,
            graders,
            config,
            seed=inputs["seed"],
            folder=task.folder,
            reference=engine.copy() if config.kl > 0 else None,
            aggregate_how=aggregate_how,
            progress=task.progress,
        )


def aggregate_how_of(materials: Materials) -> dict[str, str]:
    """By source, how verdicts become a reward."""
    return {source: materials.aggregate.get(source, "weighted") for source in materials.sources}


def rl_config(rl: Mapping[str, Any]) -> RLConfig:
    """The training loop's configuration from the study's [rl] table."""
    return RLConfig(**{name: value for name, value in rl.items() if name != "preflight_prompts"})


def score(task: Task) -> None:
    """All benchmarks and the held-out trait scenarios, bare or behind a persona prompt (then the panel only)."""
    inputs = task.inputs
    materials, tools = materials_of(task), tools_of(task)
    persona = inputs.get("persona")
    if persona:
        benchmarks = materials.panel(inputs["panel_items"])
        ladder = materials.ladder(persona["ladder"])
        change = prefix(ladder, persona["strength"])
        condition = ladder.condition(persona["strength"])
    else:
        benchmarks = (*materials.benchmarks, *first_items(materials.trait_benchmarks, inputs["trait_items"]))
        change, condition = None, None
    with tools.booked(task.run, task.folder.name):
        rows = evaluate(
            _engine(_model(task), tools),
            tools.renderer,
            benchmarks,
            seed=inputs["evaluation_seed"],
            prefix=change,
            temperature=inputs["temperature"],
            batch_rows=inputs["batch_rows"],
            judge=tools.judge,
            progress=task.progress,
        )
    _write(task, task.folder, benchmarks, rows, condition)


def attack(task: Task) -> None:
    """Finetune on bad (or good) health replies and measure the panel at each dose, into dose-STEPS/.

    Dose 0 is the bare score of the same items: same weights, same streams.
    """
    inputs = task.inputs
    materials, tools = materials_of(task), tools_of(task)
    benchmarks = materials.panel(inputs["panel_items"])
    doses = tuple(inputs["doses"])
    engine = _engine(_model(task), tools)
    settings: dict[str, Any] = {"steps": doses} if inputs["which"] == "bad" else {"good_steps": doses}
    if inputs["learning_rate"] is not None:
        settings["learning_rate"] = inputs["learning_rate"]

    def at_dose(steps: int) -> None:
        if steps not in doses:
            return
        if steps == 0:
            rows = _bare_rows(task.needs["bare"], benchmarks)
        else:
            rows = evaluate(
                engine,
                tools.renderer,
                benchmarks,
                seed=inputs["evaluation_seed"],
                temperature=inputs["temperature"],
                batch_rows=inputs["batch_rows"],
                judge=tools.judge,
            )
        _write(task, task.folder / f"dose-{steps}", benchmarks, rows, None)
        task.progress(doses.index(steps) + 1, len(doses))

    with tools.booked(task.run, task.folder.name):
        run_attack(engine, replace(tools.attack, **settings), inputs["which"], at_dose)


def analysis(task: Task) -> None:
    """results.json, results.csv and transcripts.json at the top of the run."""
    _call("evenkeel.report.analysis", "analyse")(task.run, resamples=task.inputs["resamples"])


def page(task: Task) -> None:
    """report.html at the top of the run."""
    _call("evenkeel.report.page", "write_page")(task.run)


def _call(module: str, name: str) -> Callable[..., Any]:
    """Loaded late: a worker that trains has no use for the charts' library."""
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function


def materials_of(task: Task) -> Materials:
    """What the study is made of; kept in memory between the stages of a worker."""
    about = task.inputs["materials"]
    settings = task.local.get("settings") or canonical_json(about["settings"])
    return _loaded(about["kind"], settings, about["items"])


def tools_of(task: Task) -> Tools:
    """What the base of this task is rendered, judged and attacked with."""
    return materials_of(task).tools(Path(task.local["base"]), task.run)


@lru_cache(maxsize=2)
def _loaded(kind: str, settings: str, items: int) -> Materials:
    _set_one_thread()
    return load_materials(kind, json.loads(settings), items)


def _set_one_thread() -> None:
    """Sums in one order: bit-identity is promised for one thread per worker."""
    if os.environ.get("OMP_NUM_THREADS") == "1":
        torch.set_num_threads(1)


def _engine(folder: Path, tools: Tools) -> NativeEngine:
    return NativeEngine.from_pretrained(folder, stop_tokens=tools.renderer.stop_tokens)


def _threaded(engine: NativeEngine) -> Engine:
    """The same engine, sampling in a thread of its own; loaded late: only studies with judges wait for anybody."""
    wrapped: Engine = _call("evenkeel.engines.threaded", "streamed")(engine)
    return wrapped


def _model(task: Task) -> Path:
    """The checkpoint under test: the arm's, or the untouched base."""
    return task.needs["train"] / "checkpoint" if "train" in task.needs else Path(task.local["base"])


def _bare_rows(folder: Path, benchmarks: Sequence[Benchmark]) -> list[ScoreRow]:
    found = {(row.benchmark, row.item): row for row in read_scores(folder).rows}
    return [found[benchmark.name, item.id] for benchmark in benchmarks for item in benchmark.items]


def _write(
    task: Task, folder: Path, benchmarks: Sequence[Benchmark], rows: Sequence[ScoreRow], condition: str | None
) -> None:
    tools = tools_of(task)
    judge = f"{tools.judge.name} {tools.judge.version}" if tools.judge else None
    protocols = {
        benchmark.name: protocol_of(
            benchmark,
            renderer=tools.template or materials_of(task).id,
            temperature=task.inputs["temperature"],
            prefix=condition,
            judge=judge if "judge" in benchmark.needs else None,
        )
        for benchmark in benchmarks
    }
    write_scores(folder, benchmarks, rows, protocols)
