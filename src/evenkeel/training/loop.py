"""The training loop, on-policy and flat: plan -> replies -> verdicts -> rewards -> advantages -> update ->
records.

Killed anywhere and called again, `train_arm` ends with the same bytes: prompts come from the plan, samples
from streams keyed by (seed, step, slot, sample), and nothing else is random.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from evenkeel.engines.interface import Engine, Renderer
from evenkeel.grading.grader import Grader
from evenkeel.records.canonical import content_hash
from evenkeel.records.errors import UserError
from evenkeel.scenarios.scenario import Scenario
from evenkeel.training import resume
from evenkeel.training.config import RLConfig
from evenkeel.training.ledger import ledger_of
from evenkeel.training.metrics import completion_rows, step_row
from evenkeel.training.plan import Plan
from evenkeel.training.rollout import Bench, roll_out
from evenkeel.training.update import probe_after, reference_logprobs, update

__all__ = ["RLConfig", "train_arm", "train_arm_async"]


def train_arm(*arguments, **options) -> None:
    """`train_arm_async`, run to its end."""
    asyncio.run(train_arm_async(*arguments, **options))


async def train_arm_async(
    engine: Engine,
    renderer: Renderer,
    plan: Plan,
    sources: Mapping[str, Sequence[Scenario]],
    graders: Mapping[str, Grader],
    config: RLConfig,
    *,
    seed: int,
    folder: Path,
    reference: Engine | None = None,
    aggregate_how: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Train `engine` by the plan and write `folder`: plan.json, steps.jsonl, completions-*.jsonl.gz,
    checkpoint/, ledger.json. `graders` are by source, the arm's choice already made; `aggregate_how` too
    ("weighted" otherwise).

    `progress(done, steps)` is called after every step. Raises UserError on inputs that do not fit or a folder
    of another run, RedLight when sampler and trainer disagree.
    """
    folder = Path(folder)
    scenarios = _scenarios(plan, sources, graders, config, reference)
    bench = Bench(renderer, graders, aggregate_how or {})
    identity = _identity(plan, bench, config, seed, reference is not None)
    if resume.finished(folder, identity):
        resume.clean(folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    plan.write(folder)
    first, steps = resume.restore(folder, engine, identity)
    probe_prompt = renderer.prompt(scenarios[plan.at(0)[0]].messages)
    completions: list[dict] = []

    for step in range(first, config.steps):
        groups = await roll_out(
            engine,
            bench,
            [scenarios[slot] for slot in plan.at(step)],
            stream=("rollout", seed, step),
            group=config.group,
            max_tokens=config.max_tokens,
            temperature=config.temperature,
        )
        reference_PGT = reference_logprobs(groups, reference) if reference is not None else None
        result = update(engine, groups, config, reference_PGT)
        await probe_after(engine, probe_prompt, seed, result)
        steps.append(step_row(step, groups, result, reference_PGT))
        completions += completion_rows(step, groups)

        done = step + 1
        if done % config.checkpoint_every == 0 or done == config.steps:
            resume.write_records(folder, step, config.checkpoint_every, steps, completions)
            completions = []
            if done < config.steps:
                resume.write_point(folder, engine, done, identity)
        if progress is not None:
            progress(done, config.steps)

    ledger = ledger_of(
        steps,
        cap=config.max_tokens,
        flops_per_token=getattr(engine, "flops_per_token", None),
        reference=reference is not None,
    )
    resume.finish(folder, engine, ledger, identity)


def _identity(plan: Plan, bench: Bench, config: RLConfig, seed: int, reference: bool) -> dict:
    """What a folder's state must have been made from to be continued."""
    used = sorted({source for source, *_ in plan.scenarios})
    judges = {name: [bench.grader(name).name, bench.grader(name).version] for name in used}
    return {
        "plan": plan.hash,
        "config": content_hash(asdict(config)),
        "seed": seed,
        "reference": reference,
        "graders": judges,
        "aggregate": {name: bench.aggregate_how.get(name, "weighted") for name in used},
    }


def _scenarios(plan: Plan, sources, graders, config: RLConfig, reference) -> dict[tuple[str, str], Scenario]:
    """(source, id) -> scenario for the whole plan, after every check that needs no model."""
    if (plan.steps, plan.prompts) != (config.steps, config.prompts):
        raise UserError(
            f"the plan has {plan.steps} steps x {plan.prompts} prompts, the settings say "
            f"{config.steps} x {config.prompts}"
        )
    if config.kl and reference is None:
        raise UserError(f"kl = {config.kl} needs a reference policy", fix="Pass `reference`, or set kl = 0.")
    known = {(name, s.id): s for name, scenarios in sources.items() for s in scenarios}
    bench = Bench(None, graders, {})  # type: ignore[arg-type]
    for source, name, *_ in plan.scenarios:
        bench.grader(source)
        if (source, name) not in known:
            raise UserError(f'the plan draws scenario "{name}" of source "{source}", which is not there')
    return known
