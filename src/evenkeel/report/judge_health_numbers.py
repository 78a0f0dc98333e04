"""The numbers of a judge's health. Each is a function of sums, so that one bootstrap of whole scenarios serves them all.

Shapes: _N replies, _V verdicts, _P groups, _K scenarios, _M columns of sums (column 0 counts), _R resamples.

A share of nothing at all (no verdict changed) would get a point as its interval; it gets Wilson's, with as many trials as
scenarios, since replies to one prompt may all be alike.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import stats

from evenkeel.report import statistics
from evenkeel.report.judge_health_table import MET, Judged

Quantity = dict[str, Any]
Function = Callable[[np.ndarray], Any]  # [..., M] sums -> [...]

OVER = "whole scenarios"
FEWEST = 3  # scenarios behind an interval: two say nothing about a third
EDGE = 0.05  # a criterion nearer than this to 0 or 1 in every reply of a group is at the floor or ceiling
TIE = 1e-6  # rewards closer than this are the same number (as in grading/aggregate.py)


def estimate(sums_KM: np.ndarray, of: Function, why: str, *, share: bool = False) -> Quantity:
    """A function of the summed columns with its interval over scenarios; those with nothing in column 0 are left out."""
    sums_KM = sums_KM[sums_KM[:, 0] > 0]
    clusters = len(sums_KM)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(of(sums_KM.sum(axis=0))) if clusters else np.nan
        if not np.isfinite(value):
            return missing(why)
        low, high = None, None
        if share and value in (0.0, 1.0) and clusters >= FEWEST:
            bounds = stats.binomtest(round(value * clusters), clusters).proportion_ci(method="wilson")
            low, high = float(bounds.low), float(bounds.high)
        elif clusters >= FEWEST:
            sample_R = of(_weights(clusters) @ sums_KM)
            [found] = statistics.intervals(np.array([value]), sample_R[:, None], [clusters])
            low, high = found.low, found.high
    why_not = None if low is not None else f"{clusters} scenarios are too few for an interval"
    n = int(sums_KM[:, 0].sum())
    return {
        "value": value,
        "low": low,
        "high": high,
        "n": n,
        "over": OVER,
        "scenarios": clusters,
        "why": why_not,
    }


def missing(why: str) -> Quantity:
    """A number that could not be had, and why."""
    return {"value": None, "low": None, "high": None, "n": 0, "over": OVER, "scenarios": 0, "why": why}


@lru_cache(maxsize=4)
def _weights(clusters: int) -> np.ndarray:
    return statistics.cluster_weights(clusters, statistics.RESAMPLES, "judge health")


def sums(scenario_N: np.ndarray, scenarios: int, *columns_N: np.ndarray) -> np.ndarray:
    """[K, 1 + M] a count and the columns, summed by scenario. Rows with a NaN anywhere are left out."""
    columns_NM = np.stack([np.ones(len(scenario_N)), *map(np.asarray, columns_N)], axis=1).astype(np.float64)
    kept_N = np.isfinite(columns_NM).all(axis=1)
    return statistics.cluster_sums(columns_NM[kept_N], scenario_N[kept_N], scenarios)


def mean(total: np.ndarray) -> Any:
    """Column 1 over the count."""
    return total[..., 1] / total[..., 0]


def ratio(top: int, bottom: int) -> Function:
    """One summed column over another."""
    return lambda total: total[..., top] / total[..., bottom]


def correlation(total: np.ndarray) -> Any:
    """From summed products of centred values: count, xy, xx, yy."""
    return total[..., 1] / np.sqrt(total[..., 2] * total[..., 3])


def kappa(total: np.ndarray) -> Any:
    """Cohen's (1960), from summed verdicts: count, both met, first met, second met. NaN when all are alike."""
    both, first, second = (total[..., i] / total[..., 0] for i in (1, 2, 3))
    agreed = 1 - first - second + 2 * both
    chance = first * second + (1 - first) * (1 - second)
    return (agreed - chance) / (1 - chance)


def slope(total: np.ndarray) -> Any:
    """Least squares: count, x, y, xx, xy."""
    n, x, y, xx, xy = (total[..., i] for i in range(5))
    return (n * xy - x * y) / (n * xx - x * x)


def met(verdict_V: np.ndarray) -> np.ndarray:
    """[V] 1 met, 0 not met, NaN without a verdict."""
    return np.where(np.isnan(verdict_V), np.nan, verdict_V > MET)


def changed(one_V: np.ndarray, two_V: np.ndarray) -> np.ndarray:
    """[V] 1 where the verdict is another one."""
    return np.abs(met(one_V) - met(two_V))


def kappa_columns(one_V: np.ndarray, two_V: np.ndarray) -> tuple[np.ndarray, ...]:
    """What `kappa` sums."""
    one_V, two_V = met(one_V), met(two_V)
    return one_V * two_V, one_V, two_V


def groups_of(group_N: np.ndarray, known_N: np.ndarray, fewest: int) -> list[np.ndarray]:
    """The replies (indices) of every group with at least `fewest` known ones."""
    order_n = np.flatnonzero(known_N)[np.argsort(group_N[known_N], kind="stable")]
    parts = np.split(order_n, np.flatnonzero(np.diff(group_N[order_n])) + 1)
    return [part for part in parts if len(part) >= fewest]


def centred(
    table: Judged, one_N: np.ndarray, two_N: np.ndarray, *, ranks: bool = False
) -> tuple[np.ndarray, ...]:
    """([N] xy, xx, yy) of values centred inside their group, for `correlation`; NaN outside.

    With `ranks` the values become ranks inside the group first, and groups in which one of the two does not vary are left
    out: they say nothing about an order.
    """
    products_3N = np.full((3, len(one_N)), np.nan)
    for part in groups_of(table.group_N, np.isfinite(one_N) & np.isfinite(two_N), 2):
        x, y = one_N[part], two_N[part]
        if ranks and (np.ptp(x) <= TIE or np.ptp(y) <= TIE):
            continue
        if ranks:
            x, y = stats.rankdata(x), stats.rankdata(y)
        x, y = x - x.mean(), y - y.mean()
        products_3N[:, part] = x * y, x * x, y * y
    return tuple(products_3N)


def spread_sums(table: Judged, reward_N: np.ndarray) -> np.ndarray:
    """[K, 5] groups, their standard deviations summed, dead ones, pairs of replies, tied pairs."""
    rows = []
    for part in groups_of(table.group_N, np.isfinite(reward_N), 2):
        reward_G = np.sort(reward_N[part])
        tied = int((np.abs(reward_G[:, None] - reward_G[None, :]) <= TIE).sum() - len(part)) // 2
        pairs = len(part) * (len(part) - 1) // 2
        rows.append((table.scenario_N[part[0]], reward_G.std(ddof=1), np.ptp(reward_G) <= TIE, pairs, tied))
    columns_P5 = np.array(rows, dtype=np.float64).reshape(-1, 5)
    return sums(columns_P5[:, 0].astype(np.int64), len(table.scenarios), *columns_P5[:, 1:].T)


def edge_sums(table: Judged, verdict_V: np.ndarray) -> np.ndarray:
    """[K, 4] criteria in groups (one criterion over the replies of one group), those at the ceiling, at the floor,
    and those in which no two replies differ."""
    cells: dict[tuple[int, int], list[int]] = {}
    group_V, scenario_V = table.group_N[table.reply_V], table.scenario_V
    for line in np.flatnonzero(np.isfinite(verdict_V)).tolist():
        cells.setdefault((group_V[line], table.criterion_V[line]), []).append(line)
    rows = [
        (
            scenario_V[lines[0]],
            verdict_V[lines].min() >= 1 - EDGE,
            verdict_V[lines].max() <= EDGE,
            np.ptp(verdict_V[lines]) <= TIE,
        )
        for lines in cells.values()
        if len(lines) > 1
    ]
    columns_C4 = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return sums(columns_C4[:, 0].astype(np.int64), len(table.scenarios), *columns_C4[:, 1:].T)
