"""From arrays to reported quantities: suite means with their bootstrap, pooling over bases, JSON shapes.

Shapes: _R resamples, _K frames of one benchmark, _N the run's item table, _M columns.

Nearly every number here is a mean over benchmarks of means over items of a column, or a function of a few of them.
`Resampler.suite` gives such means with their resamples; functions (log-odds, shares) are applied to both alike.
The frames of a benchmark are drawn once and the draws serve all models, conditions and bases, so pairs stay pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evenkeel.report import statistics
from evenkeel.report.analysis_read import Bench
from evenkeel.report.statistics import Interval

OVER_BASES = "bases"
OVER_ITEMS = "items only, this base"
ONE_BASE_WHY = "one base only: no interval over bases"


@dataclass(frozen=True, slots=True)
class Sampled:
    """Columns of a statistic with its resamples, and what they were computed from."""

    value_M: np.ndarray
    samples_RM: np.ndarray
    clusters: tuple[int, ...]  # frames of each benchmark
    items: int

    def column(self, value: float, sample_R: np.ndarray) -> Interval:
        """The interval of one function of the columns, given its value and its resamples."""
        return interval_of(value, sample_R, self.clusters)

    def intervals(self) -> list[Interval]:
        """An interval for each column."""
        return statistics.intervals(self.value_M, self.samples_RM, self.clusters)


def interval_of(value: float, sample_R: np.ndarray, clusters: Sequence[int]) -> Interval:
    """The interval of one resampled number."""
    return statistics.intervals(np.array([value]), sample_R[:, None], clusters)[0]


class Resampler:
    """Draws of frames, one table a benchmark, made when first needed."""

    def __init__(self, resamples: int) -> None:
        self.resamples = resamples
        self._weights: dict[tuple[str, int], np.ndarray] = {}

    def weights(self, name: str, clusters: int) -> np.ndarray:
        """[R, K] float64 draws of a benchmark's frames (kept as bytes)."""
        key = (name, clusters)
        if key not in self._weights:
            drawn_RK = statistics.cluster_weights(clusters, self.resamples, name)
            self._weights[key] = np.minimum(drawn_RK, 255).astype(np.uint8)
        return self._weights[key].astype(np.float64)

    def sums(self, bench: Bench, columns_NM: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """([K, M] sums, [K] sizes) over the items for which every column has a number."""
        values_nM = columns_NM[bench.items_N]
        kept_n = np.isfinite(values_nM).all(axis=1)
        _, frame_n = np.unique(bench.frame_N[kept_n], return_inverse=True)
        clusters = int(frame_n.max()) + 1 if len(frame_n) else 0
        sizes_K = np.bincount(frame_n, minlength=clusters).astype(np.float64)
        return statistics.cluster_sums(values_nM[kept_n], frame_n, clusters), sizes_K

    def means(self, bench: Bench, columns_NM: np.ndarray) -> Sampled | None:
        """Means of one benchmark's items; None when no item has all columns."""
        sums_KM, sizes_K = self.sums(bench, columns_NM)
        if len(sizes_K) == 0:
            return None
        weights_RK = self.weights(bench.name, len(sizes_K))
        samples_RM = (weights_RK @ sums_KM) / (weights_RK @ sizes_K)[:, None]
        return Sampled(sums_KM.sum(axis=0) / sizes_K.sum(), samples_RM, (len(sizes_K),), int(sizes_K.sum()))

    def suite(self, benchmarks: Sequence[Bench], columns_NM: np.ndarray) -> Sampled | None:
        """Mean over benchmarks of their means: benchmarks count alike and are fixed, frames are drawn in each."""
        parts = [part for bench in benchmarks if (part := self.means(bench, columns_NM)) is not None]
        if not parts:
            return None
        value_M = np.mean([part.value_M for part in parts], axis=0)
        samples_RM = np.zeros_like(parts[0].samples_RM)
        for part in parts:
            samples_RM += part.samples_RM / len(parts)
        clusters = tuple(part.clusters[0] for part in parts)
        return Sampled(value_M, samples_RM, clusters, sum(part.items for part in parts))

    def totals(self, benchmarks: Sequence[Bench], columns_NM: np.ndarray) -> Sampled | None:
        """Sums over all items of the benchmarks: for shares, which are ratios of two such sums."""
        columns = columns_NM.shape[1]
        value_M, samples_RM = np.zeros(columns), np.zeros((self.resamples, columns))
        clusters: list[int] = []
        items = 0
        for bench in benchmarks:
            sums_KM, sizes_K = self.sums(bench, columns_NM)
            if len(sizes_K) == 0:
                continue
            value_M += sums_KM.sum(axis=0)
            samples_RM += self.weights(bench.name, len(sizes_K)) @ sums_KM
            clusters.append(len(sizes_K))
            items += int(sizes_K.sum())
        if not clusters:
            return None
        return Sampled(value_M, samples_RM, tuple(clusters), items)


def missing(why: str) -> dict[str, Any]:
    """A quantity that could not be had, and why."""
    return {
        "value": None,
        "low": None,
        "high": None,
        "n": 0,
        "over": None,
        "per_base": [],
        "p": None,
        "why": why,
    }


def finite(number: float | None) -> float | None:
    """The number as a plain float, or None when it is not finite."""
    return None if number is None or not np.isfinite(number) else float(number)


def quantity(by_base: Mapping[str, tuple[Interval, int]], why: str = "not measured") -> dict[str, Any]:
    """Pool one effect per base: t interval over bases, or with a single base its items-only interval.

    `by_base` maps a base to its interval and the number of items behind it. Bases without a value are left out.
    """
    usable = {base: pair for base, pair in by_base.items() if np.isfinite(pair[0].value)}
    if not usable:
        return missing(why)
    per_base = [
        {"base": base, "value": finite(i.value), "low": finite(i.low), "high": finite(i.high), "n": items}
        for base, (i, items) in usable.items()
    ]
    if len(usable) == 1:
        interval, items = next(iter(usable.values()))
        pooled, over, n = interval, OVER_ITEMS, items
    else:
        pooled = statistics.t_interval(np.array([pair[0].value for pair in usable.values()]))
        over, n = OVER_BASES, len(usable)
    return {
        "value": finite(pooled.value),
        "low": finite(pooled.low),
        "high": finite(pooled.high),
        "n": n,
        "over": over,
        "per_base": per_base,
        "p": finite(pooled.p),
        "why": None if pooled.low is not None else "too few frames for an interval",
    }


def excludes_zero(quantity: Mapping[str, Any]) -> bool:
    """Whether the interval lies wholly on one side of 0."""
    low, high = quantity["low"], quantity["high"]
    return low is not None and high is not None and (low > 0 or high < 0)


def standard_error(quantity: Mapping[str, Any]) -> float | None:
    """The standard error that its interval implies (half width over the 97.5 % point)."""
    if quantity["low"] is None or quantity["high"] is None:
        return None
    half = (quantity["high"] - quantity["low"]) / 2
    if quantity["over"] == OVER_BASES:
        return float(half / statistics.stats.t.ppf(0.975, quantity["n"] - 1))
    return float(half / statistics.stats.norm.ppf(0.975))
