"""Statistics of a whole suite: null of "k of N ahead", how many benchmarks there really are, structure across models.

Shapes: _S baseline seeds, _N benchmarks, _D models, _R permutations.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from evenkeel.records import streams

PERMUTATIONS = 1000
MINIMUM_SEEDS = 3
MINIMUM_MODELS = 5
MANY_PAIRS = 40  # from here on percentiles of the counts mean something
COMBINATIONS = 20_000  # of ordered pairs over bases; beyond that a fixed stride of them


@dataclass(frozen=True, slots=True)
class NullCount:
    """How many of N one baseline seed beats another on: range, mean, and the number of ordered pairs behind it."""

    low: float
    high: float
    mean: float
    pairs: int


def null_of_ahead(scores_by_base: Sequence[np.ndarray]) -> NullCount | None:
    """Null of "ahead on k of N" from all ordered pairs of baseline seeds; None with fewer than three in any base.

    `scores_by_base` holds one [S, N] array a base. Over several bases the differences of one ordered pair per base
    are averaged, as the pooled comparison averages bases. The range is that of the pairs (their 95 % points where
    there are more than 40), but never narrower than the binomial 95 % range of N independent benchmarks, which
    three pairs can miss by luck.

    Three seeds make three pairs: benchmarks that move together can leave such a range more often than one time in
    twenty (docs/statistics.md has the rates), so k of N stands beside the significant counts, never alone.
    """
    if not scores_by_base or any(len(scores_SN) < MINIMUM_SEEDS for scores_SN in scores_by_base):
        return None
    differences = [
        np.stack([scores_SN[i] - scores_SN[j] for i, j in itertools.permutations(range(len(scores_SN)), 2)])
        for scores_SN in scores_by_base
    ]
    total = math.prod(len(pairs) for pairs in differences)
    stride = max(1, total // COMBINATIONS)
    combinations = itertools.islice(itertools.product(*differences), 0, None, stride)
    counts = [int((np.sum(each, axis=0) > 0).sum()) for each in combinations]
    low, high = float(min(counts)), float(max(counts))
    if total > MANY_PAIRS:
        low, high = (float(v) for v in np.quantile(counts, [0.025, 0.975], method="inverted_cdf"))
    count = scores_by_base[0].shape[1]
    binomial = stats.binom.ppf([0.025, 0.975], count, 0.5)
    return NullCount(
        min(low, float(binomial[0])), max(high, float(binomial[1])), float(np.mean(counts)), total
    )


def effective_number(scores_DN: np.ndarray) -> tuple[float, float] | None:
    """(effective number, mean pairwise correlation) of benchmarks over models: N / (1 + (N - 1) r), r at least 0.

    The number of independent benchmarks whose mean would be as uncertain. None with fewer than five models or two
    benchmarks that vary.
    """
    varying_DN = scores_DN[:, np.std(scores_DN, axis=0) > 1e-12]
    count = varying_DN.shape[1]
    if len(scores_DN) < MINIMUM_MODELS or count < 2:
        return None
    correlation_NN = np.corrcoef(varying_DN.T)
    mean = float((correlation_NN.sum() - count) / (count * (count - 1)))
    return count / (1 + (count - 1) * max(mean, 0.0)), mean


def first_component(scores_DN: np.ndarray) -> float:
    """Share of variance on the first principal component of standardised columns."""
    centred_DN = scores_DN - scores_DN.mean(axis=0)
    scaled_DN = centred_DN / np.maximum(centred_DN.std(axis=0), 1e-12)
    values = np.linalg.svd(scaled_DN, compute_uv=False) ** 2
    return float(values[0] / values.sum())


def mean_spearman(ranks_DN: np.ndarray) -> float:
    """Mean pairwise Spearman correlation of columns, given their ranks."""
    count = ranks_DN.shape[1]
    z_DN = (ranks_DN - ranks_DN.mean(axis=0)) / np.maximum(ranks_DN.std(axis=0), 1e-12)
    # the sum over all pairs of columns is the squared norm of the row sums: no N x N matrix is needed
    total = float((z_DN.sum(axis=1) ** 2).sum()) / len(z_DN)
    return (total - count) / (count * (count - 1))


def structure(
    scores_DN: np.ndarray, group_D: np.ndarray, *stream: str | int, permutations: int = PERMUTATIONS
):
    """Mean Spearman and first component over models, each with its permutation null; None when too small.

    Scores are centred inside each group (base), and the null permutes models inside a group, each benchmark by
    itself, so that a difference between bases is no structure. Returns {name: (value, low, high, p)}.
    """
    scores_DN = scores_DN[:, np.std(scores_DN, axis=0) > 1e-12]
    if len(scores_DN) < MINIMUM_MODELS or scores_DN.shape[1] < 2:
        return None
    centred_DN = scores_DN.copy()
    groups = [np.flatnonzero(group_D == group) for group in np.unique(group_D)]
    for rows in groups:
        centred_DN[rows] -= centred_DN[rows].mean(axis=0)
    centred_DN = centred_DN[:, np.std(centred_DN, axis=0) > 1e-12]
    ranks_DN = stats.rankdata(centred_DN, axis=0)
    observed = np.array([mean_spearman(ranks_DN), first_component(centred_DN)])
    generator = streams.generator("structure", *stream)
    null_R2 = np.empty((permutations, 2))
    for r in range(permutations):
        order_DN = np.empty(centred_DN.shape, dtype=np.int64)
        for rows in groups:
            order_DN[rows] = rows[np.argsort(generator.random((len(rows), centred_DN.shape[1])), axis=0)]
        null_R2[r] = (
            mean_spearman(np.take_along_axis(ranks_DN, order_DN, axis=0)),
            first_component(np.take_along_axis(centred_DN, order_DN, axis=0)),
        )
    low_2, high_2 = np.quantile(null_R2, [0.025, 0.975], axis=0)
    p_2 = ((null_R2 >= observed - 1e-12).sum(axis=0) + 1) / (permutations + 1)
    return {
        name: (float(observed[i]), float(low_2[i]), float(high_2[i]), float(p_2[i]))
        for i, name in enumerate(("mean_spearman", "first_component"))
    }
