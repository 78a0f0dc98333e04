"""From the settings of the sources to their scenarios: same settings, files and seed, same scenarios in the same order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from evenkeel.records.errors import UserError
from evenkeel.records.streams import key
from evenkeel.scenarios.scenario import Scenario
from evenkeel.scenarios.standard import aqua, gsm8k, instructions, open_ended, reasoning, rows, svamp
from evenkeel.scenarios.standard.files import Row, read_file, resolve
from evenkeel.scenarios.standard.hub import read_hub
from evenkeel.scenarios.standard.settings import SourceSettings

FROM_ROWS: Mapping[str, Callable[[SourceSettings, Sequence[Row], int], Iterator[Scenario]]] = {
    "gsm8k": gsm8k.scenarios,
    "aqua": aqua.scenarios,
    "svamp": svamp.scenarios,
    "instructions": instructions.scenarios,
    "open_ended": open_ended.scenarios,
    "rows": rows.scenarios,
}
"""Kind of source -> what makes scenarios of its rows."""


def load_standard(
    sources: Sequence[SourceSettings], *, seed: int, folder: Path | None = None
) -> dict[str, tuple[Scenario, ...]]:
    """Source -> its scenarios. `folder` is that of the study file, where relative paths start.

    A task that stands twice in a source counts once. Raises UserError for whatever cannot be read, and for a source
    without a single task.
    """
    return {one.name: load_source(one, seed=seed, folder=folder) for one in sources}


def load_source(settings: SourceSettings, *, seed: int, folder: Path | None = None) -> tuple[Scenario, ...]:
    """The scenarios of one source, in the order of its rows; with a limit, a draw by id that keeps that order."""
    if settings.kind == "reasoning_gym":
        made = reasoning.scenarios(settings, seed)
    else:
        made = FROM_ROWS[settings.kind](settings, rows_of(settings, folder), seed)
    tasks: dict[str, Scenario] = {}
    for scenario in made:
        tasks.setdefault(scenario.id, scenario)
    if not tasks:
        fix = (
            "Are there rows, and prompts that leave the form of the reply open?"
            if settings.kind == "instructions"
            else ""
        )
        raise UserError(
            f'the source "{settings.name}" has no tasks', file=settings.file or settings.hub, fix=fix
        )
    if settings.limit is None or settings.limit >= len(tasks):
        return tuple(tasks.values())
    drawn = set(sorted(tasks, key=lambda id_: key("standard", "limit", seed, id_))[: settings.limit])
    return tuple(scenario for id_, scenario in tasks.items() if id_ in drawn)


def rows_of(settings: SourceSettings, folder: Path | None) -> list[Row]:
    """Rows of the source's file or data set. Raises UserError."""
    if settings.file:
        return read_file(resolve(settings.file, folder))
    local = settings.hub.startswith((".", "/", "~"))  # a folder, not the id of a data set
    id_ = str(resolve(settings.hub, folder)) if local else settings.hub
    return read_hub(id_, config=settings.config, split=settings.split, revision=settings.revision)


def files_of(sources: Sequence[SourceSettings], folder: Path | None = None) -> list[Path]:
    """The files that the sources read: no evaluations, whatever folder they lie in."""
    return [resolve(one.file, folder) for one in sources if one.file]
