"""What a study will do, before it does it: arms, draws, tokens, time (`evenkeel study STUDY --plan`)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from evenkeel.records.machine import usable_cores
from evenkeel.study.config import ArmSettings, Study
from evenkeel.study.execute import priorities
from evenkeel.study.materials import Materials
from evenkeel.study.run import Prepared
from evenkeel.study.stages import with_needs
from evenkeel.training.arms import arm_named


def outline(prepared: Prepared, workers: int) -> dict[str, Any]:
    """Plain values: models, draws of each arm's plan, upper bounds of tokens, estimated seconds."""
    stages = with_needs([prepared.graph.page])
    seconds: dict[str, float] = defaultdict(float)
    for stage in stages:
        seconds[stage.kind] += stage.cost
    critical = max(priorities(stages).values())
    total = sum(seconds.values())
    study, materials = prepared.study, prepared.materials
    return {
        "title": study.title,
        "label": study.label,
        "materials": materials.id,
        "models": [model.id for model in prepared.graph.models],
        "stages": dict(Counter(stage.kind for stage in stages)),
        "arms": [_arm(study, materials, arm) for arm in study.arms],
        "benchmarks": len(materials.benchmarks),
        "panel": {"in_domain": list(materials.panel_in), "out_of_domain": list(materials.panel_out)},
        "evaluated_items": _evaluated(prepared),
        "estimated_seconds": {
            "cpu_by_kind": {kind: round(value) for kind, value in seconds.items()},
            "cpu": round(total),
            "wall": round(max(critical, total / max(1, min(workers, usable_cores())))),
        },
    }


def _arm(study: Study, materials: Materials, arm: ArmSettings) -> dict[str, Any]:
    rl = study.rl
    plan = materials.plan(arm_named(arm.name), steps=rl.steps, prompts=rl.prompts, seed=study.seeds.plan)
    draws = plan.draws()
    completions = rl.steps * rl.prompts * rl.group
    return {
        "name": arm.name,
        "seeds": arm.seeds,
        "control_seeds": arm.control_seeds,
        "plan_hash": plan.hash,
        "prompts": rl.steps * rl.prompts,
        "completions": completions,
        "sampled_tokens_at_most": completions * rl.max_tokens,
        "draws_by_source": draws["source"],
        "draws_by_trait": draws["trait"],
        "draws_by_scenario": draws["scenario"],
    }


def _evaluated(prepared: Prepared) -> int:
    """Items played in the whole study."""
    evaluation, persistence = prepared.study.evaluation, prepared.study.persistence
    materials = prepared.materials
    bare = len(materials.benchmarks) * evaluation.items
    bare += len(materials.trait_benchmarks) * evaluation.trait_items
    panel = (len(materials.panel_in) + len(materials.panel_out)) * persistence.items
    conditions = [condition for model in prepared.graph.models for condition in model.scores]
    reused = ("bare", "finetune:bad:0")  # dose 0 is taken from the bare scores
    attacks = sum(condition not in reused for condition in conditions)
    return len(prepared.graph.models) * bare + attacks * panel


def outline_text(content: Mapping[str, Any]) -> str:
    """The outline for a person."""
    lines = [f"{content['title']} ({content['label']}), materials {content['materials']}"]
    lines.append(f"{len(content['models'])} models: {', '.join(content['models'])}")
    lines.append("stages: " + ", ".join(f"{count} {kind}" for kind, count in content["stages"].items()))
    for arm in content["arms"]:
        lines += _arm_lines(arm)
    lines.append("")
    lines.append(f"{content['benchmarks']} benchmarks; {content['evaluated_items']:,} items played in all")
    panel = content["panel"]
    lines.append(f"panel: {', '.join(panel['in_domain'])} | {', '.join(panel['out_of_domain'])}")
    seconds = content["estimated_seconds"]
    lines.append(
        f"estimated time: {seconds['wall'] / 60:.1f} minutes, {seconds['cpu']} CPU-seconds ("
        + ", ".join(f"{kind} {value}" for kind, value in seconds["cpu_by_kind"].items())
        + ")"
    )
    return "\n".join(lines)


def _arm_lines(arm: Mapping[str, Any]) -> list[str]:
    by_source: dict[str, list[int]] = defaultdict(list)
    for name, count in arm["draws_by_scenario"].items():
        by_source[name.split("/", 1)[0]].append(count)
    lines = [
        "",
        f"arm {arm['name']}: {arm['seeds']} seeds a world, {arm['control_seeds']} a control; "
        f"plan {arm['plan_hash']}",
        f"  {arm['prompts']:,} prompts, {arm['completions']:,} completions, "
        f"at most {arm['sampled_tokens_at_most']:,} sampled tokens a seed",
    ]
    for source, draws in arm["draws_by_source"].items():
        counts = by_source[source]
        spread = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        percent = 100 * draws / arm["prompts"]
        lines.append(
            f"  {source}: {draws} draws ({percent:.1f} %), {spread} for each of {len(counts)} scenarios"
        )
    if arm["draws_by_trait"]:
        traits = ", ".join(f"{trait} {count}" for trait, count in arm["draws_by_trait"].items())
        lines.append(f"  by trait: {traits}")
    return lines
