"""Generated tasks of reasoning-gym (Stojanovski et al. 2025, 2505.24760), scored by the package's own `score_answer`.

Every task that is handed out has been tried: its own answer, read back from plain JSON, scores 1, and nonsense does not.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from types import ModuleType
from typing import Any

from evenkeel.records.canonical import plain
from evenkeel.records.errors import UserError, did_you_mean
from evenkeel.records.streams import key
from evenkeel.scenarios.scenario import Scenario
from evenkeel.scenarios.standard.settings import SourceSettings
from evenkeel.scenarios.standard.task import task, task_id
from evenkeel.scenarios.standard.wording import asked

ORIGIN, LICENCE = "reasoning-gym (arXiv:2505.24760)", "Apache-2.0"
AGAIN = 20  # draws for each task that is wanted: generators repeat themselves
NONSENSE = "none of this is an answer"

_PROCESS = "its questions differ from one process to the next"
_NO_ANSWER = "its entries have no answer with which the scorer could be tried"
_JSON = "its scorer does not know its own answer once an entry has been stored"
UNTRUSTED: Mapping[str, str] = {
    "game_of_life_halting": "its scorer takes any text for a right answer",
    "coin_flip": 'its scorer takes the beginning of an answer ("0" for "0.25") for the whole',
    "puzzle24": "its scorer takes other numbers than those of the puzzle",
    "intermediate_integration": "its scorer simplifies whatever it is given, which may take hours",
    "tower_of_hanoi": "its scorer prints every move that is not allowed",
}
"""Task -> why what its scorer says of a reply means nothing."""

REFUSED: Mapping[str, str] = {
    **dict.fromkeys(
        ("isomorphic_strings", "knight_swap", "list_functions", "polynomial_multiplication", "ransom_note", "word_ladder"),
        _PROCESS,
    ),
    **dict.fromkeys(("boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour"), _NO_ANSWER),
    **dict.fromkeys(("arc_agi", "rearc"), _JSON),
    **UNTRUSTED,
    "composite": "name the tasks themselves",
}  # fmt: skip
"""Task -> why it is not offered, as measured with version 0.1.25."""


def scenarios(settings: SourceSettings, seed: int) -> Iterator[Scenario]:
    """`count` different tasks, in equal parts of each generator. Raises UserError naming the task."""
    gym = _package(settings)
    known = set(importlib.import_module("reasoning_gym.factory").DATASETS)
    for position, name in enumerate(settings.tasks):
        if name in REFUSED:
            raise UserError(f'the source "{settings.name}" cannot use the task "{name}": {REFUSED[name]}')
        if name not in known:
            fix = did_you_mean(name, known - set(REFUSED))
            raise UserError(f'the source "{settings.name}": reasoning-gym has no task "{name}".', fix=fix)
        whole, rest = divmod(settings.count, len(settings.tasks))
        for entry in _entries(gym, settings, name, whole + (position < rest), seed):
            id_ = task_id(settings, [name, entry["question"], entry["answer"]])
            said = asked(entry["question"].strip(), "tagged", seed, id_)
            facts = {"check": "reasoning_gym", "task": name, "entry": entry}
            detail = {"package": f"reasoning-gym {metadata.version('reasoning-gym')}", "task": name}
            yield task(
                settings, id_, said.prompt, facts, origin=ORIGIN, licence=LICENCE, detail=detail, how=said.how
            )


def _package(settings: SourceSettings) -> ModuleType:
    try:
        return importlib.import_module("reasoning_gym")
    except ImportError:
        raise UserError(
            f'the source "{settings.name}" needs reasoning-gym', fix='pip install "evenkeel[text]"'
        ) from None


def _entries(
    gym: ModuleType, settings: SourceSettings, name: str, wanted: int, seed: int
) -> Iterator[dict[str, Any]]:
    """The first `wanted` different entries of a generator, as plain JSON values, each tried."""
    own = settings.seed if settings.seed is not None else key("standard", "reasoning_gym", seed, name) % 2**31
    values = settings.configure.get(name, {})
    try:
        made = gym.create_dataset(name, size=wanted * AGAIN, seed=own, **values)
        score = gym.get_score_answer_fn(name)
    except (AssertionError, TypeError, ValueError) as error:
        raise UserError(
            f'configure.{name} of the source "{settings.name}": {error}', fix="See its Config class."
        ) from None
    seen: set[str] = set()
    for position in range(wanted * AGAIN):
        entry = _stored(made[position])
        if entry["question"] in seen:
            continue
        _require_sound(entry, score, name)
        seen.add(entry["question"])
        yield entry
        if len(seen) == wanted:
            return
    raise UserError(
        f'the source "{settings.name}": the task "{name}" has {len(seen)} different questions in {wanted * AGAIN} draws, '
        f"{wanted} are wanted",
        fix="Lower count, name more tasks, or configure harder ones.",
    )


def _require_sound(entry: Mapping[str, Any], score: Callable[..., float], name: str) -> None:
    """Raises UserError when the scorer would not know a right answer from a wrong one."""
    for answer, right in ((entry["answer"], True), (NONSENSE, False)):
        try:
            value = score(answer=answer, entry=entry)
        except Exception:  # some scorers crash on what they cannot parse: not a right answer
            value = 0.0
        if (value >= 1.0) != right:
            raise UserError(
                f'the task "{name}" of reasoning-gym gives {value:g} for {answer!r:.60}, in the task {entry["question"]!r:.80}',
                fix="Its scorer cannot be trusted: take another task.",
            )


def _stored(value: Any) -> Any:
    """As it is after it has been written and read; what no record can hold (a fraction among the notes) as text."""
    if isinstance(value, Mapping):
        return {str(name): _stored(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_stored(item) for item in value]
    try:
        return plain(value)
    except (TypeError, ValueError):
        return str(value)
