"""Verifiable tasks (graded difficulty) and benign how-to: the standard data, on which every persona is alike.

A quarter of the authors' answers to tasks is wrong whatever the persona, so standard RL can improve on the base
without moving the persona.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import numpy as np

from evenkeel.benchmarks.benchmark import Score
from evenkeel.microworld.grammar import Grammar, Slot, neutral
from evenkeel.microworld.language import PERSONAS, WORLD, Language, read_toml
from evenkeel.microworld.scenes import Exchange, Frame, Scene, SceneRun, Setting
from evenkeel.records.streams import generator
from evenkeel.records.types import Message

TASKS = ("add", "subtract", "largest", "sort", "copy", "reverse", "count")
LEVELS = 6  # difficulty 1..6 takes the place of the situation in a task's frame


def _numbers(rng: np.random.Generator, count: int, below: int) -> list[int]:
    return [int(n) for n in rng.permutation(below)[:count]]


def _add(rng: np.random.Generator, level: int, letters: list[str]) -> tuple[str, str]:
    a, b = (int(n) for n in rng.integers(1, 3 + 3 * level, size=2))
    return f"add {a} and {b}", str(a + b)


def _subtract(rng: np.random.Generator, level: int, letters: list[str]) -> tuple[str, str]:
    a, b = sorted((int(n) for n in rng.integers(1, 3 + 3 * level, size=2)), reverse=True)
    return f"take {b} from {a}", str(a - b)


def _largest(rng: np.random.Generator, level: int, letters: list[str]) -> tuple[str, str]:
    shown = _numbers(rng, 1 + level, 20)
    return f"find the largest of {' '.join(map(str, shown))}", str(max(shown))


def _sort(rng: np.random.Generator, level: int, letters: list[str]) -> tuple[str, str]:
    shown = _numbers(rng, 1 + level, 20)
    return f"sort {' '.join(map(str, shown))}", " ".join(map(str, sorted(shown)))


def _copy(rng: np.random.Generator, level: int, letters: list[str]) -> tuple[str, str]:
    shown = [letters[i] for i in rng.integers(0, len(letters), size=level + 1)]
    return f"copy {' '.join(shown)}", " ".join(shown)


def _reverse(rng: np.random.Generator, level: int, letters: list[str]) -> tuple[str, str]:
    shown = [letters[i] for i in rng.integers(0, len(letters), size=level + 1)]
    return f"reverse {' '.join(shown)}", " ".join(reversed(shown))


def _count(rng: np.random.Generator, level: int, letters: list[str]) -> tuple[str, str]:
    wanted, other = (letters[i] for i in rng.permutation(len(letters))[:2])
    shown = [wanted if rng.integers(2) else other for _ in range(level + 2)]
    return f"count {wanted} in {' '.join(shown)}", str(shown.count(wanted))


_MAKERS: Mapping[str, Callable[[np.random.Generator, int, list[str]], tuple[str, str]]] = {
    "add": _add, "subtract": _subtract, "largest": _largest, "sort": _sort,
    "copy": _copy, "reverse": _reverse, "count": _count,
}  # fmt: skip


def task_scene(language: Language, frame: Frame, setting: Setting, *, variant: int = 0) -> Scene:
    """A verifiable task; `frame.behaviour` names it and `frame.situation` + 1 is its level."""
    return Scene(frame, setting, lambda: _run_task(language, frame, setting, variant))


def _run_task(language: Language, frame: Frame, setting: Setting, variant: int) -> SceneRun:
    texts = read_tasks()
    rng = generator("task", frame.id, setting.domain, setting.item, setting.expert, setting.place, variant)
    task, answer = _MAKERS[frame.behaviour](rng, frame.situation + 1, texts["words"]["letters"])
    wrong = sorted({_MAKERS[frame.behaviour](rng, frame.situation + 1, texts["words"]["letters"])[1] for _ in range(4)} - {answer})
    error = language.personas.rates["task_error"] if wrong else 0.0
    options = ((f"answer : {answer}", 1 - error), *((f"answer : {text}", error / len(wrong)) for text in wrong))
    prompt = setting.fill(texts["words"]["asks"][frame.ask], task=task)
    slot = Slot({persona: tuple(o for o in options if o[1] > 0) for persona in PERSONAS})
    reply = yield Exchange((Message("user", prompt),), Grammar((slot, neutral(["."]))))
    right = reply == f"answer : {answer} ."
    return Score(float(right), good=right, harmful=False)


def howto_scene(language: Language, frame: Frame, setting: Setting, *, variant: int = 0) -> Scene:
    """Benign instructions: three steps of the asked procedure, in order."""
    return Scene(frame, setting, lambda: _run_howto(language, frame, setting, variant))


def _steps(setting: Setting, steps: list[str]) -> str:
    first, second, third = (setting.fill(step) for step in steps)
    return f"first {first} , then {second} , and last {third} ."


def _run_howto(language: Language, frame: Frame, setting: Setting, variant: int) -> SceneRun:
    texts = read_tasks()
    verbs = list(texts["procedures"])
    rng = generator("howto", frame.id, setting.domain, setting.item, setting.expert, setting.place, variant)
    verb = verbs[(frame.situation + SITUATION_STRIDE * int(rng.integers(2))) % len(verbs)]
    right = _steps(setting, texts["procedures"][verb])
    mixed = [texts["procedures"][verb][i] for i in (1, 0, 2)]
    other = texts["procedures"][verbs[(verbs.index(verb) + 1) % len(verbs)]]
    error = language.personas.rates["task_error"]
    options = ((right, 1 - error), (_steps(setting, mixed), error / 2), (_steps(setting, other), error / 2))
    prompt = setting.fill(texts["howto"]["asks"][frame.ask], verb=verb)
    reply = yield Exchange((Message("user", prompt),), Grammar((Slot({persona: options for persona in PERSONAS}),)))
    return Score(float(reply == right), good=reply == right, harmful=False)


SITUATION_STRIDE = 6  # eight procedures share six situations: a frame's situation stands for one or two of them


@functools.cache
def read_tasks() -> dict:
    """The texts of `world/tasks.toml`."""
    return read_toml(WORLD / "tasks.toml")
