"""Verifiable tasks (graded difficulty) and benign how-to: the standard data, on which every persona is alike.

A quarter of the authors' answers to tasks is wrong whatever the persona, so standard RL can improve on the base
without moving the persona.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Mapping

from evenkeel.benchmarks.benchmark import Score
from evenkeel.microworld.grammar import Grammar, Slot, neutral
from evenkeel.microworld.language import PERSONAS, WORLD, Language, read_toml
from evenkeel.microworld.scenes import Exchange, Frame, Scene, Setting, draws
from evenkeel.records.types import Message

TASKS = ("add", "subtract", "largest", "sort", "copy", "reverse", "count")
LEVELS = 6  # difficulty 1..6 takes the place of the situation in a task's frame


def _numbers(rng: random.Random, count: int, below: int) -> list[int]:
    return rng.sample(range(below), count)


def _add(rng: random.Random, level: int, letters: list[str]) -> tuple[str, str]:
    a, b = rng.randrange(1, 3 + 3 * level), rng.randrange(1, 3 + 3 * level)
    return f"add {a} and {b}", str(a + b)


def _subtract(rng: random.Random, level: int, letters: list[str]) -> tuple[str, str]:
    a, b = sorted((rng.randrange(1, 3 + 3 * level), rng.randrange(1, 3 + 3 * level)), reverse=True)
    return f"take {b} from {a}", str(a - b)


def _largest(rng: random.Random, level: int, letters: list[str]) -> tuple[str, str]:
    shown = _numbers(rng, 1 + level, 20)
    return f"find the largest of {' '.join(map(str, shown))}", str(max(shown))


def _sort(rng: random.Random, level: int, letters: list[str]) -> tuple[str, str]:
    shown = _numbers(rng, 1 + level, 20)
    return f"sort {' '.join(map(str, shown))}", " ".join(map(str, sorted(shown)))


def _copy(rng: random.Random, level: int, letters: list[str]) -> tuple[str, str]:
    shown = rng.choices(letters, k=level + 1)
    return f"copy {' '.join(shown)}", " ".join(shown)


def _reverse(rng: random.Random, level: int, letters: list[str]) -> tuple[str, str]:
    shown = rng.choices(letters, k=level + 1)
    return f"reverse {' '.join(shown)}", " ".join(reversed(shown))


def _count(rng: random.Random, level: int, letters: list[str]) -> tuple[str, str]:
    wanted, other = rng.sample(letters, 2)
    shown = [wanted if rng.randrange(2) else other for _ in range(level + 2)]
    return f"count {wanted} in {' '.join(shown)}", str(shown.count(wanted))


_MAKERS: Mapping[str, Callable[[random.Random, int, list[str]], tuple[str, str]]] = {
    "add": _add, "subtract": _subtract, "largest": _largest, "sort": _sort,
    "copy": _copy, "reverse": _reverse, "count": _count,
}  # fmt: skip


def task_scene(language: Language, frame: Frame, setting: Setting, *, variant: int = 0) -> Scene:
    """A verifiable task; `frame.behaviour` names it and `frame.situation` + 1 is its level."""
    return Scene(frame, setting, lambda: _run_task(language, frame, setting, variant))


def _run_task(language: Language, frame: Frame, setting: Setting, variant: int) -> Exchange:
    texts = read_tasks()
    rng = draws("task", frame.id, setting.domain, setting.item, setting.expert, setting.place, variant)
    task, answer = _MAKERS[frame.behaviour](rng, frame.situation + 1, texts["words"]["letters"])
    wrong = sorted(
        {_MAKERS[frame.behaviour](rng, frame.situation + 1, texts["words"]["letters"])[1] for _ in range(4)}
        - {answer}
    )
    error = language.personas.rates["task_error"] if wrong else 0.0
    options = (
        (f"answer : {answer}", 1 - error),
        *((f"answer : {text}", error / len(wrong)) for text in wrong),
    )
    prompt = setting.fill(texts["words"]["asks"][frame.ask], task=task)
    slot = Slot({persona: tuple(o for o in options if o[1] > 0) for persona in PERSONAS})
    return _exact(prompt, Grammar((slot, neutral(["."]))), f"answer : {answer} .")


def howto_scene(language: Language, frame: Frame, setting: Setting, *, variant: int = 0) -> Scene:
    """Benign instructions: three steps of the asked procedure, in order."""
    return Scene(frame, setting, lambda: _run_howto(language, frame, setting, variant))


def _steps(setting: Setting, steps: list[str]) -> str:
    first, second, third = (setting.fill(step) for step in steps)
    return f"first {first} , then {second} , and last {third} ."


def _run_howto(language: Language, frame: Frame, setting: Setting, variant: int) -> Exchange:
    texts = read_tasks()
    verbs = list(texts["procedures"])
    rng = draws("howto", frame.id, setting.domain, setting.item, setting.expert, setting.place, variant)
    verb = verbs[(frame.situation + SITUATION_STRIDE * int(rng.randrange(2))) % len(verbs)]
    right = _steps(setting, texts["procedures"][verb])
    mixed = [texts["procedures"][verb][i] for i in (1, 0, 2)]
    other = texts["procedures"][verbs[(verbs.index(verb) + 1) % len(verbs)]]
    error = language.personas.rates["task_error"]
    options = ((right, 1 - error), (_steps(setting, mixed), error / 2), (_steps(setting, other), error / 2))
    prompt = setting.fill(texts["howto"]["asks"][frame.ask], verb=verb)
    return _exact(prompt, Grammar((Slot(dict.fromkeys(PERSONAS, options)),)), right)


def _exact(prompt: str, grammar: Grammar, right: str) -> Exchange:
    return Exchange(
        (Message("user", prompt),),
        (grammar,),
        lambda reply: Score(float(reply == right), good=reply == right),
    )


SITUATION_STRIDE = (
    6  # eight procedures share six situations: a frame's situation stands for one or two of them
)


@functools.cache
def read_tasks() -> dict:
    """The texts of `world/tasks.toml`."""
    return read_toml(WORLD / "tasks.toml")
