"""A study on text as materials: scenarios, standard tasks, benchmarks, judges, attack; and what belongs to each base."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from evenkeel.benchmarks.benchmark import Benchmark
from evenkeel.benchmarks.driver import opening
from evenkeel.engines.chat_template import TemplateRenderer
from evenkeel.grading.checked import Checked, require_checkable
from evenkeel.grading.grader import Grader
from evenkeel.grading.helpfulness import Helpfulness
from evenkeel.records.canonical import content_hash, file_hash
from evenkeel.records.config import Source
from evenkeel.records.errors import UserError, did_you_mean
from evenkeel.scenarios.disjoint import prompt_text
from evenkeel.scenarios.scenario import TRAITS, Scenario
from evenkeel.scenarios.standard.contamination import require_clean
from evenkeel.scenarios.standard.files import resolve
from evenkeel.scenarios.standard.load import files_of, load_standard
from evenkeel.scenarios.standard.settings import SourceSettings, mixture
from evenkeel.study.materials import Materials, Tools
from evenkeel.text.attack import Pair, attack, read_pairs, shipped_pairs
from evenkeel.text.judged import judged_benchmark
from evenkeel.text.judges import JUDGED, ByCheck, booked_by, check_of, session
from evenkeel.text.personas import ladders
from evenkeel.text.scenarios import rows_hash, scenarios_of, trait_rows
from evenkeel.text.settings import TextSettings, read, task_source, without_operation
from evenkeel.training.plan import TRAIT_SOURCE

SEED = 0  # of generated tasks and drawn constraints; the study's seeds are for plans and samples
PANEL_IN, PANEL_OUT = "held_out_health", "held_out_elsewhere"
EXPECTED_SHARE = 0.5  # of its cap, that a reply is expected to take: only the order of lengths matters


def load(values: Mapping[str, Any], *, items_per_benchmark: int) -> Materials:
    """Everything a study needs, checked: files, shares, names, and that nothing trained on is measured on."""
    source = Source("[settings]", {"settings": values}, {})
    settings, sources = read(source)
    folder = Path(settings.folder)
    rows = trait_rows(settings.trait, folder)
    pairs = read_pairs(resolve(settings.attack.file, folder)) if settings.attack.file else shipped_pairs(rows)
    aside = {pair.id for pair in pairs}
    train = [s for s in scenarios_of(rows, "train", settings.trait.max_tokens) if s.id not in aside]
    held_out = scenarios_of(rows, "eval", settings.trait.max_tokens)
    standard = load_standard(sources, seed=SEED, folder=folder)
    for scenarios in standard.values():
        _require_checkable(scenarios)
    benchmarks = (
        *_tasks(settings, source, items_per_benchmark),
        *_panel(settings, held_out, items_per_benchmark),
    )
    traits = _trait_benchmarks(settings, held_out)
    training = {TRAIT_SOURCE: tuple(train), **standard}
    measured = {b.name: [prompt_text(opening(item)) for item in b.items] for b in (*benchmarks, *traits)}
    training = require_clean(
        training, measured, settings.contamination, folder=folder, own=files_of(sources, folder), tell=_tell
    )
    version = _version(values, rows_hash(rows), training, pairs)
    return Materials(
        name="text", version=version, sources=training, mixture=mixture(sources), benchmarks=benchmarks,
        trait_benchmarks=traits, panel_in=settings.panel_in or (PANEL_IN,), panel_out=settings.panel_out or (PANEL_OUT,),
        ladders=ladders(resolve(settings.personas, folder) if settings.personas else ""),
        length_of=lambda scenario: round(EXPECTED_SHARE * scenario.max_tokens),
        aggregate={TRAIT_SOURCE: settings.trait.aggregate},
        judged=True,
        health={"windows": settings.judge_health.windows, "groups": settings.judge_health.groups},
        tools=lru_cache(maxsize=8)(lambda base, run: _tools(settings, training, pairs, version, base, run)),
    )  # fmt: skip


def _tell(note: str) -> None:
    """What was dropped or could not be read, to whoever started the study; a worker's goes to its log."""
    print(note, file=sys.stderr)


def _tools(
    settings: TextSettings, sources: Mapping[str, Sequence[Scenario]], pairs: Sequence[Pair], version: str,
    base: Path, run: Path,
) -> Tools:  # fmt: skip
    """The model's own template, and the judges with the answers they have given in this run."""
    template = settings.template
    renderer = TemplateRenderer.from_pretrained(
        base, reasoning=(template.reasoning[0], template.reasoning[1]), options=template.options
    )
    checked = Checked()
    judge = session(settings.judge, "train", run, base, renderer)
    held_out = session(settings.held_out_judge, "eval", run, base, renderer)
    helpfulness = Helpfulness(judge)
    rewards: dict[str, Grader] = {"rubric": judge, "helpfulness": helpfulness}
    graders = {name: rewards.get(check_of(scenarios[0]), checked) for name, scenarios in sources.items()}
    template_hash = content_hash([file_hash(base / "tokenizer.json"), renderer.tokenizer.chat_template], 8)
    return Tools(
        renderer=renderer, graders=graders, helpfulness=helpfulness,
        attack=attack(pairs, renderer, learning_rate=settings.attack.learning_rate, batch=settings.attack.batch),
        judge=ByCheck(held_out, Helpfulness(held_out), checked), overlap=True,
        template=f"text-{version}-{template_hash}", answer=renderer.answer,
        booked=booked_by((judge, held_out)),
    )  # fmt: skip


def _trait_benchmarks(settings: TextSettings, held_out: Sequence[Scenario]) -> tuple[Benchmark, ...]:
    """The held-out scenarios, trait by trait."""
    kept = _without(held_out, settings.exclude)
    return tuple(
        judged_benchmark(
            f"trait_eval:{trait}", [s for s in kept if s.trait == trait], category="trait", format="chat",
            description=TRAITS[trait],
        )
        for trait in TRAITS if any(s.trait == trait for s in kept)
    )  # fmt: skip


def _panel(settings: TextSettings, held_out: Sequence[Scenario], items: int) -> tuple[Benchmark, ...]:
    """Held-out scenarios of the attack's domain and of all others, unless the study names its own panel."""
    if settings.panel_in or settings.panel_out:
        return ()
    kept = _without(held_out, settings.exclude)
    inside = [s for s in kept if s.domain == "health"]
    outside = sorted((s for s in kept if s.domain != "health"), key=lambda s: content_hash(["panel", s.id]))
    chosen = (
        (PANEL_IN, inside, "Held-out trait scenarios about health."),
        (PANEL_OUT, outside, "Held-out trait scenarios about everything else."),
    )
    category, format = "held-out scenarios", "chat"
    return tuple(
        judged_benchmark(
            name, found[:items], category=category, format=format, description=about, side_effect=True
        )
        for name, found, about in chosen
    )


def _tasks(settings: TextSettings, source: Source, items: int) -> list[Benchmark]:
    """The study's own benchmarks of checked or judged tasks."""
    made = []
    for i, one in enumerate(settings.benchmarks):
        about: SourceSettings = task_source(one, source, ("settings", "benchmarks", i))
        scenarios = load_standard([about], seed=SEED + 1, folder=Path(settings.folder))[one.name]
        _require_checkable(scenarios)
        kept = [replace(s, split="eval") for s in _without(scenarios, one.exclude)][:items]
        made.append(
            judged_benchmark(
                one.name, kept, category=one.category, format=one.format, description=one.description,
                side_effect=one.side_effect,
            )
        )  # fmt: skip
    return made


def _require_checkable(scenarios: Sequence[Scenario]) -> None:
    """A check that cannot be done here (no sandbox, a missing extra) is found before any work."""
    for scenario in scenarios:
        if check_of(scenario) not in JUDGED:
            require_checkable(scenario.facts)


def _without(scenarios: Sequence[Scenario], names: Sequence[str]) -> list[Scenario]:
    known = {scenario.id for scenario in scenarios}
    for name in names:
        if name not in known:
            raise UserError(
                f'exclude names the item "{name}", which is not there.', fix=did_you_mean(name, known)
            )
    return [scenario for scenario in scenarios if scenario.id not in names]


def _version(
    values: Mapping[str, Any], rows: str, sources: Mapping[str, Sequence[Scenario]], pairs: Sequence[Pair]
) -> str:
    """Changes with every word that is trained on, judged by or attacked with."""
    texts = {
        name: [[s.id, s.messages, s.criteria, s.facts] for s in found] for name, found in sources.items()
    }
    return content_hash(
        {"settings": without_operation(values), "rows": rows, "sources": texts, "pairs": pairs}, 8
    )
