"""Intervals and tests for paired scores: over bases a t interval, inside a base a bootstrap of whole frames.

Shapes: _R resamples, _K clusters (frames), _M columns (models, comparisons or metrics), _N items, _B bases.
Everything enters as cluster sums (`cluster_sums`), so that a bootstrap is two matrix products per benchmark.

Left out on purpose: the percentile bootstrap over bases (three clusters cover 74 %, not 95 %) and any interval that
mixes items and bases: an item is not a replication of the training run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special, stats
from statsmodels.stats.multitest import multipletests

from evenkeel.records import streams

LEVEL = 0.95
RESAMPLES = 10_000
EXACT_CLUSTERS = 12  # up to 2**12 sign patterns are enumerated instead of drawn
TOLERANCE = 1e-12  # two statistics closer than this are the same number


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval; `n` counts what varies; `p` is two-sided against 0."""

    value: float
    low: float | None
    high: float | None
    n: int
    p: float | None = None


def t_interval(values_B: np.ndarray, level: float = LEVEL) -> Interval:
    """Student's t interval of a mean with n - 1 degrees of freedom; no interval for a single value.

    With no spread at all the interval is the point and p is 0 (or 1 when the mean is 0).
    """
    values_B = np.asarray(values_B, dtype=np.float64)
    n, mean = len(values_B), float(np.mean(values_B))
    if n < 2:
        return Interval(mean, None, None, n)
    error = float(np.std(values_B, ddof=1)) / n**0.5
    reach = float(stats.t.ppf((1 + level) / 2, n - 1)) * error
    if error < TOLERANCE:
        return Interval(mean, mean, mean, n, 1.0 if abs(mean) < TOLERANCE else 0.0)
    return Interval(mean, mean - reach, mean + reach, n, float(2 * stats.t.sf(abs(mean) / error, n - 1)))


def fieller(numerator_B: np.ndarray, denominator_B: np.ndarray, level: float = LEVEL) -> Interval:
    """Interval of the ratio of two paired means over bases (Fieller 1954); unbounded ends are None.

    Raises ValueError when the denominator's mean is 0.
    """
    y, x = np.asarray(numerator_B, float), np.asarray(denominator_B, float)
    n, ratio = len(y), float(np.mean(y) / np.mean(x)) if np.mean(x) != 0 else float("nan")
    if not np.isfinite(ratio):
        raise ValueError("the denominator of a ratio is 0")
    if n < 2:
        return Interval(ratio, None, None, n)
    t2 = float(stats.t.ppf((1 + level) / 2, n - 1)) ** 2
    cov = np.cov(np.stack([y, x])) / n
    # the set of r with (y - r x)^2 <= t^2 (v_yy - 2 r v_xy + r^2 v_xx): bounded when x is away from 0
    a = np.mean(x) ** 2 - t2 * cov[1, 1]
    b = np.mean(y) * np.mean(x) - t2 * cov[0, 1]
    c = np.mean(y) ** 2 - t2 * cov[0, 0]
    inside = b * b - a * c
    if a <= 0 or inside < 0:
        return Interval(ratio, None, None, n)
    return Interval(ratio, float((b - inside**0.5) / a), float((b + inside**0.5) / a), n)


def cluster_sums(values_NM: np.ndarray, cluster_N: np.ndarray, clusters: int) -> np.ndarray:
    """[K, M] sums of the items of each cluster."""
    values_NM = np.asarray(values_NM, dtype=np.float64)
    columns = [np.bincount(cluster_N, weights=column, minlength=clusters) for column in values_NM.T]
    return np.stack(columns, axis=1) if columns else np.zeros((clusters, 0))


def cluster_weights(clusters: int, resamples: int, *stream: str | int) -> np.ndarray:
    """[R, K] how often each cluster is drawn in a resample of as many clusters, from the named stream."""
    generator = streams.generator("bootstrap", clusters, resamples, *stream)
    draws_RK = generator.integers(0, clusters, size=(resamples, clusters), dtype=np.int32)
    draws_RK += np.arange(resamples, dtype=np.int32)[:, None] * clusters
    return (
        np.bincount(draws_RK.ravel(), minlength=resamples * clusters)
        .reshape(resamples, clusters)
        .astype(float)
    )


@lru_cache(maxsize=256)
def tail(clusters: tuple[int, ...], level: float = LEVEL) -> float:
    """The percentile to cut on each side so that few clusters do not make the interval too short.

    Expanded percentile interval (Hesterberg 2015, section 5.3.2): Phi(-sqrt(K / (K - 1)) t), t with K - 1 degrees.
    With several strata (benchmarks), `clusters` has one K each: the degrees add up, the factor is their mean.
    """
    inflation, degrees = spread_correction(clusters)
    return float(stats.norm.cdf(-inflation * stats.t.ppf((1 + level) / 2, degrees)))


@lru_cache(maxsize=256)
def spread_correction(clusters: tuple[int, ...]) -> tuple[float, int]:
    """(sqrt(K / (K - 1)), degrees of freedom) of a bootstrap over the clusters of one or more strata."""
    usable = [k for k in clusters if k > 1]
    return float(np.mean([k / (k - 1) for k in usable])) ** 0.5, sum(k - 1 for k in usable)


def intervals(
    estimate_M: np.ndarray, samples_RM: np.ndarray, clusters: Sequence[int], level: float = LEVEL
) -> list[Interval]:
    """Expanded percentile intervals of bootstrap samples, with p from t on the bootstrap's standard error.

    Columns with an undefined resample (a share of nothing) use the defined ones; with none there is no interval.
    Fewer than three clusters in all give no interval: two frames say nothing about a third.
    """
    out = []
    count = int(sum(clusters))
    enough = count >= 3 and any(k > 1 for k in clusters)
    cut = tail(tuple(clusters), level) if enough else 0.0
    for estimate, sample_R in zip(np.asarray(estimate_M), np.asarray(samples_RM).T, strict=True):
        finite_R = np.isfinite(sample_R)
        sample_R = sample_R if finite_R.all() else sample_R[finite_R]
        if not enough or len(sample_R) < 2 or not np.isfinite(estimate):
            out.append(Interval(float(estimate), None, None, count))
            continue
        low, high = percentiles(sample_R, cut)
        out.append(
            Interval(float(estimate), float(low), float(high), count, t_p(estimate, sample_R, clusters))
        )
    return out


def percentiles(sample_R: np.ndarray, cut: float) -> tuple[float, float]:
    """The `cut` and `1 - cut` quantiles, interpolated as numpy does, without its overhead (thousands are needed)."""
    place = cut * (len(sample_R) - 1)
    below = int(place)
    above = min(below + 1, len(sample_R) - 1)
    last = len(sample_R) - 1
    sorted_R = np.partition(sample_R, sorted({below, above, last - below, last - above}))
    part = place - below
    low = sorted_R[below] + part * (sorted_R[above] - sorted_R[below])
    high = sorted_R[last - below] - part * (sorted_R[last - below] - sorted_R[last - above])
    return float(low), float(high)


def t_p(estimate: float, sample_R: np.ndarray, clusters: Sequence[int]) -> float:
    """Two-sided p of estimate / bootstrap standard error against t with the clusters' degrees of freedom."""
    inflation, degrees = spread_correction(tuple(clusters))
    error = float(np.std(sample_R)) * inflation
    if error < TOLERANCE:
        return 1.0 if abs(estimate) < TOLERANCE else 0.0
    return float(2 * special.stdtr(degrees, -abs(estimate) / error))


def ratio_bootstrap(top_KM: np.ndarray, bottom_KM: np.ndarray, weights_RK: np.ndarray) -> np.ndarray:
    """[R, M] resampled ratios of summed `top` to summed `bottom`; NaN where the bottom is 0. A mean has sizes below."""
    top_RM, bottom_RM = weights_RK @ top_KM, weights_RK @ bottom_KM
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bottom_RM > 0, top_RM / bottom_RM, np.nan)


def bootstrap_means(
    values_NM: np.ndarray, cluster_N: np.ndarray, *stream: str | int, resamples: int = RESAMPLES
) -> list[Interval]:
    """Intervals of the column means of one benchmark's items, resampling whole clusters."""
    clusters = int(cluster_N.max()) + 1
    sums_KM = cluster_sums(values_NM, cluster_N, clusters)
    sizes_K1 = np.bincount(cluster_N, minlength=clusters).astype(float)[:, None]
    weights_RK = cluster_weights(clusters, resamples, *stream)
    samples_RM = ratio_bootstrap(sums_KM, np.broadcast_to(sizes_K1, sums_KM.shape), weights_RK)
    return intervals(np.asarray(values_NM, float).mean(axis=0), samples_RM, [clusters])


@lru_cache(maxsize=8)
def _signs(clusters: int, resamples: int) -> np.ndarray:
    """[R, K] of +1 and -1: all patterns for few clusters, else random ones. One table serves every benchmark."""
    if clusters <= EXACT_CLUSTERS:
        patterns = np.arange(2**clusters, dtype=np.int64)[:, None] >> np.arange(clusters)[None, :]
        return 1.0 - 2.0 * (patterns & 1)
    generator = streams.generator("sign flip", clusters, resamples)
    return 2.0 * generator.integers(0, 2, size=(resamples, clusters)) - 1.0


def sign_flip(sums_KM: np.ndarray, resamples: int = RESAMPLES) -> np.ndarray:
    """[M] two-sided p of paired differences given as cluster sums: the labels of whole clusters are swapped.

    All 2**K patterns for up to 12 clusters, else random ones with the +1 correction (Phipson & Smyth 2010).
    """
    sums_KM = np.asarray(sums_KM, dtype=np.float64)
    signs_RK = _signs(len(sums_KM), resamples)
    observed_M = np.abs(sums_KM.sum(axis=0))
    extreme_M = (np.abs(signs_RK @ sums_KM) >= observed_M - TOLERANCE).sum(axis=0)
    if len(sums_KM) <= EXACT_CLUSTERS:
        return extreme_M / len(signs_RK)
    return (extreme_M + 1) / (len(signs_RK) + 1)


def adjust(p_M: np.ndarray, method: str) -> np.ndarray:
    """Adjusted p of one family: `fdr_bh` (Benjamini-Hochberg), `fdr_by` (Benjamini-Yekutieli) or `holm`."""
    if len(p_M) == 0:
        return np.zeros(0)
    return multipletests(np.asarray(p_M, float), method=method)[1]


def smallest_effect(standard_error: float, degrees: int | None, power: float = 0.8) -> float:
    """The true effect found with this power at a two-sided 5 % level: (t_.975 + t_power) standard errors."""
    if degrees is None:
        return float(stats.norm.ppf(1 - (1 - LEVEL) / 2) + stats.norm.ppf(power)) * standard_error
    return float(stats.t.ppf(1 - (1 - LEVEL) / 2, degrees) + stats.t.ppf(power, degrees)) * standard_error
