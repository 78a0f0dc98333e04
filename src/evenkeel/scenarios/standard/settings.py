"""`[[settings.sources]]` and `[settings.contamination]` of a study file: what the standard part is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evenkeel.records.config import Source, Where, build, setting
from evenkeel.records.errors import did_you_mean
from evenkeel.scenarios.standard.constraint_kinds import CONSTRAINTS

CHECKS = ("number", "choice", "exact", "constraints", "unit_tests", "helpfulness")
"""How a reply may be checked; `facts["check"]` of a task. Generated tasks have "reasoning_gym"."""

PLACE = ("settings", "sources")
FROM = ("file", "hub", "config", "split", "revision")  # where rows come from
COMMON = ("name", "kind", "share", "licence", "limit", "max_tokens")

KINDS: Mapping[str, tuple[str, ...]] = {
    "gsm8k": FROM,
    "aqua": FROM,
    "svamp": FROM,
    "reasoning_gym": ("tasks", "count", "seed", "configure"),
    "instructions": (*FROM, "fields", "constraints", "variants"),
    "open_ended": (*FROM, "fields"),
    "rows": (*FROM, "fields", "check", "say_how"),
}
"""Kind of source -> the settings it reads beside the common ones."""

NEED_LICENCE = ("instructions", "open_ended", "rows")  # whose rows may be anyone's


@dataclass(frozen=True)
class FieldSettings:
    """Which field of a row holds what."""

    prompt: str = ""  # empty: "prompt", or "instruction" with its input as in self-instruct
    answer: str = "answer"
    options: str = "options"  # of choices: a list of texts, or "A) text"
    check: str = ""  # the field that names the check; empty: the source's own `check` for all rows
    tests: str = "tests"  # of unit tests: a list of assertions
    setup: str = "setup"  # code before them; a row may lack it
    constraints: str = "constraints"  # a list of {"id": ..., parameters}


@dataclass(frozen=True)
class SourceSettings:
    """One source of the standard mixture."""

    name: str
    kind: str = setting(choices=tuple(KINDS))
    share: float = setting(low=0.0, high=1.0)  # of the standard prompts
    file: str = ""  # JSON lines, JSON or Parquet
    hub: str = ""  # or the id of a data set of the Hugging Face hub, or a folder that it can read
    config: str = ""
    split: str = "train"
    revision: str = ""  # a commit: without one the rows may change
    licence: str = ""
    limit: int | None = setting(None, low=1)  # scenarios at most, drawn from all
    max_tokens: int = setting(512, low=1)  # of a reply
    tasks: tuple[str, ...] = ()  # generators of reasoning-gym
    count: int = setting(500, low=1)  # generated tasks, in equal parts
    seed: int | None = None  # of the generators; None: the study's
    configure: dict[str, Any] = field(default_factory=dict)  # task -> what its generator takes (difficulty)
    constraints: tuple[str, ...] = setting((), choices=tuple(CONSTRAINTS))  # to draw from; empty: all
    variants: int = setting(1, low=1)  # tasks made of each prompt
    fields: FieldSettings = FieldSettings()
    check: str = setting("", choices=("", *CHECKS))
    say_how: bool = True  # add to each prompt how the answer must be given


@dataclass(frozen=True)
class ContaminationSettings:
    """What training prompts are compared with, beside the study's own benchmarks."""

    against: tuple[str, ...] = ()  # files and folders of other evaluations
    leave_out: tuple[str, ...] = ()  # files and folders among them that are no evaluations; `corpus_*` works
    drop: bool = False  # remove contaminated training prompts instead of refusing to start


def read_sources(source: Source) -> tuple[SourceSettings, ...]:
    """All `[[settings.sources]]` of a study file. Raises UserError at the line of a mistake."""
    values = source.data.get("settings", {}).get("sources", [])
    if not isinstance(values, Sequence) or not values:
        fix = "A study on text needs at least one source of standard prompts."
        raise source.error("there are no [[settings.sources]]", PLACE, fix)
    made = tuple(build(SourceSettings, source, (*PLACE, i), value) for i, value in enumerate(values))
    for i, one in enumerate(made):
        _require_possible(one, values[i], source, (*PLACE, i))
        if one.name in [other.name for other in made[:i]]:
            raise source.error(f'two sources are named "{one.name}"', (*PLACE, i, "name"))
    total = math.fsum(one.share for one in made)
    if abs(total - 1) > 1e-9:
        raise source.error(
            f"the shares of the sources sum to {total:g}, not 1",
            (*PLACE, 0),
            "They are shares of the standard prompts alone.",
        )
    return made


def mixture(sources: Sequence[SourceSettings]) -> dict[str, float]:
    """Source -> its share of the standard prompts, as `Materials.mixture` takes it."""
    return {one.name: one.share for one in sources}


def _require_possible(one: SourceSettings, given: Mapping[str, Any], source: Source, where: Where) -> None:
    """What single values cannot show."""
    if not one.name or "/" in one.name or one.name == "trait":
        fix = 'It is the first part of ids, and "trait" is the source of the traits.'
        raise source.error(f'a source cannot be named "{one.name}"', (*where, "name"), fix)
    known = (*COMMON, *KINDS[one.kind])
    for name in given:
        if name not in known:
            fix = did_you_mean(name, known)
            raise source.error(f'a source of kind "{one.kind}" has no setting "{name}".', (*where, name), fix)
    if "file" in known:
        _require_one_place(one, given, source, where)
    if one.kind in NEED_LICENCE and not one.licence.strip():
        fix = 'Say under which licence its rows come: licence = "Apache-2.0"; for texts of your own, "own".'
        raise source.error(f'the source "{one.name}" needs the setting "licence"', where, fix)
    if one.kind == "reasoning_gym":
        _require_tasks(one, source, where)
    if one.kind == "rows" and bool(one.check) == bool(one.fields.check):
        fix = f'Give check = "..." for all rows ({", ".join(CHECKS)}), or fields.check, the field that names it.'
        raise source.error(
            f'the source "{one.name}" must say how replies are checked, in one way', where, fix
        )


def _require_one_place(one: SourceSettings, given: Mapping[str, Any], source: Source, where: Where) -> None:
    if bool(one.file) == bool(one.hub):
        fix = 'Give file = "train.jsonl", or hub = "owner/name" for a data set of the Hugging Face hub.'
        raise source.error(f'the source "{one.name}" needs either a file or a hub id', where, fix)
    for name in FROM[2:]:
        if one.file and name in given:
            raise source.error(
                f'"{name}" belongs to a data set of the hub, not to a file',
                (*where, name),
                "Remove the line.",
            )


def _require_tasks(one: SourceSettings, source: Source, where: Where) -> None:
    if not one.tasks or len(set(one.tasks)) < len(one.tasks):
        fix = 'For example tasks = ["chain_sum", "knights_knaves"].'
        raise source.error(f'the source "{one.name}" must name its tasks, each once', (*where, "tasks"), fix)
    if one.count < len(one.tasks):
        raise source.error(
            f"{one.count} tasks of {len(one.tasks)} generators: some would have none", (*where, "count")
        )
    for name, values in one.configure.items():
        if name not in one.tasks or not isinstance(values, Mapping):
            fix = f"For example configure.{one.tasks[0]} = {{ ... }}. " + did_you_mean(name, one.tasks)
            raise source.error(
                f'configure has "{name}", which is no table of one of the tasks.', (*where, "configure"), fix
            )
