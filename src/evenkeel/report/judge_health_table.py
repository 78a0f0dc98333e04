"""The rows of `judge_health.jsonl` as arrays: the replies of one source, and what each judge said of each, three times.

Shapes: _N replies, _V verdicts (one reply and one of its criteria), _K scenarios. NaN where there is no verdict or reward.
Whole scenarios are what a bootstrap draws: replies to one prompt stand and fall together, in whatever step or model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Row = Mapping[str, Any]
JUDGES = ("train", "held_out")
VARIANTS = ("first", "again", "reversed")
MET = 0.5  # a verdict above it counts as met


@dataclass(frozen=True, slots=True)
class Criterion:
    """A line of a rubric; scenarios with the same rubric share it."""

    name: str
    scenario: str  # one that has it
    points: float


@dataclass(frozen=True)
class Judged:
    """All judgements on the replies of one source."""

    scenarios: tuple[str, ...]  # [K]
    criteria: tuple[Criterion, ...]
    scenario_N: np.ndarray  # 0..K - 1
    group_N: np.ndarray  # number of the group (model, step, slot)
    model_N: np.ndarray  # number of the model
    step_N: np.ndarray
    window_N: np.ndarray
    tokens_N: np.ndarray
    reward: Mapping[tuple[str, str], np.ndarray]  # (judge, variant) -> [N]
    reply_V: np.ndarray  # 0..N - 1
    criterion_V: np.ndarray  # index into `criteria`
    end_V: np.ndarray  # +1: the criterion stands first in its rubric, -1: last, 0: between
    verdict: Mapping[tuple[str, str], np.ndarray]  # (judge, variant) -> [V]
    unscorable: Mapping[
        str, tuple[np.ndarray, np.ndarray]
    ]  # judge -> (scenario, 1 if unscorable) of each judgement
    judge: Mapping[str, str]  # judge -> its name

    @property
    def scenario_V(self) -> np.ndarray:
        """[V] the scenario of each verdict."""
        return self.scenario_N[self.reply_V]


def judged(rows_by_model: Sequence[Sequence[Row]], source: str) -> Judged:
    """The arrays of one source, over the rows of one or more models."""
    table = _Table()
    for model, rows in enumerate(rows_by_model):
        for row in rows:
            if row["source"] == source:
                table.add(model, row)
    keys = [(judge, variant) for judge in JUDGES for variant in VARIANTS]
    scenario_N, group_N, model_N, step_N, window_N, tokens_N = (
        np.array(table.columns, dtype=np.int64).reshape(-1, 6).T
    )
    reply_V, criterion_V, end_V = np.array(table.lines, dtype=np.int64).reshape(-1, 3).T
    return Judged(
        tuple(table.scenario), tuple(table.criteria), scenario_N, group_N, model_N, step_N, window_N, tokens_N,
        {key: _filled(table.reward.get(key, {}), len(table.columns)) for key in keys},
        reply_V, criterion_V, end_V,
        {key: _filled(table.verdict.get(key, {}), len(table.lines)) for key in keys},
        {judge: _pairs(table.failed.get(judge, [])) for judge in JUDGES},
        table.judge,
    )  # fmt: skip


class _Table:
    """The growing arrays. Everything gets its number on first sight."""

    def __init__(self) -> None:
        self.columns: list[tuple[int, ...]] = []  # of a reply: scenario, group, model, step, window, tokens
        self.lines: list[tuple[int, int, int]] = []  # of a verdict: reply, criterion, end
        self.criteria: list[Criterion] = []
        self.scenario: dict[str, int] = {}
        self.judge: dict[str, str] = {}
        self.reward: dict[tuple[str, str], dict[int, float]] = {}
        self.verdict: dict[tuple[str, str], dict[int, float]] = {}
        self.failed: dict[str, list[tuple[int, bool]]] = {}
        self._group: dict[tuple[int, int, int], int] = {}
        self._reply: dict[tuple[int, int, int, int], int] = {}
        self._line: dict[tuple[int, str], int] = {}
        self._criterion: dict[tuple[str, str], int] = {}

    def add(self, model: int, row: Row) -> None:
        """One judgement."""
        place = (model, row["step"], row["slot"])
        scenario = self.scenario.setdefault(row["scenario"], len(self.scenario))
        reply = self._reply.setdefault((*place, row["sample"]), len(self._reply))
        if reply == len(self.columns):
            group = self._group.setdefault(place, len(self._group))
            self.columns.append((scenario, group, model, row["step"], row["window"], row["tokens"]))
        self.judge[row["judge"]] = str(row["name"])
        self.failed.setdefault(row["judge"], []).append((scenario, row["verdicts"] is None))
        if row["verdicts"] is not None:
            self._add_verdicts(reply, row)

    def _add_verdicts(self, reply: int, row: Row) -> None:
        key, last = (row["judge"], row["variant"]), len(row["criteria"]) - 1
        self.reward.setdefault(key, {})[reply] = row["reward"]
        for number, (name, points) in enumerate(zip(row["criteria"], row["points"], strict=True)):
            criterion = self._criterion.setdefault((row["rubric"], name), len(self._criterion))
            if criterion == len(self.criteria):
                self.criteria.append(Criterion(name, row["scenario"], points))
            line = self._line.setdefault((reply, name), len(self._line))
            if line == len(self.lines):
                self.lines.append((reply, criterion, (number == 0) - (number == last)))
            self.verdict.setdefault(key, {})[line] = row["verdicts"][name]


def _filled(known: Mapping[int, float], size: int) -> np.ndarray:
    out = np.full(size, np.nan)
    out[list(known)] = list(known.values())
    return out


def _pairs(listed: Sequence[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    scenario_J, failed_J = np.array(listed, dtype=np.int64).reshape(-1, 2).T
    return scenario_J, failed_J.astype(np.float64)
