"""How long the statistics take: 10,000 resamples for 53 benchmarks x 14 models, one core.

    OMP_NUM_THREADS=1 python benchmarks/intervals.py

For every benchmark: a bootstrap of 24 frames of 14 model means and of their 13 differences from the first, their
intervals, and sign-flip tests; then Benjamini-Hochberg over the benchmarks of each comparison. Target: under 5
seconds of CPU. The last line is JSON; `ratio` is 5 seconds over the CPU-seconds used (above 1 is inside the target).
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import json
import time

import numpy as np

from evenkeel.records import streams
from evenkeel.report import statistics

BENCHMARKS, MODELS, FRAMES, EACH, RESAMPLES, TARGET = 53, 14, 24, 4, 10_000, 5.0


def one_suite(scores_BNM: np.ndarray, cluster_N: np.ndarray) -> int:
    """Everything for one base; returns the number of significant benchmarks over all comparisons."""
    p = []
    sizes_K1 = np.bincount(cluster_N).astype(float)[:, None]
    for bench, scores_NM in enumerate(scores_BNM):
        sums_KM = statistics.cluster_sums(scores_NM, cluster_N, FRAMES)
        weights_RK = statistics.cluster_weights(FRAMES, RESAMPLES, "benchmark", bench)
        samples_RM = (weights_RK @ sums_KM) / (weights_RK @ sizes_K1)
        means_M = scores_NM.mean(axis=0)
        statistics.intervals(means_M, samples_RM, [FRAMES])
        statistics.intervals(means_M[1:] - means_M[0], samples_RM[:, 1:] - samples_RM[:, :1], [FRAMES])
        p.append(statistics.sign_flip(sums_KM[:, 1:] - sums_KM[:, :1], RESAMPLES))
    q = [statistics.adjust(each, "fdr_bh") for each in np.array(p).T]
    return int((np.array(q) < 0.05).sum())


def main() -> None:
    """Print one line a repetition and the summary."""
    chance = streams.generator("benchmark", "statistics").random((BENCHMARKS, FRAMES * EACH, MODELS))
    scores = (chance < 0.5).astype(float)
    cluster_N = np.repeat(np.arange(FRAMES), EACH)
    cpu, wall = [], []
    for repetition in range(3):
        start = (time.process_time(), time.perf_counter())
        found = one_suite(scores, cluster_N)
        cpu.append(time.process_time() - start[0])
        wall.append(time.perf_counter() - start[1])
        print(f"{repetition}: {cpu[-1]:.2f} CPU-seconds, {wall[-1]:.2f} s, {found} significant by chance")
    numbers = {
        "cpu_seconds": round(float(np.median(cpu)), 3),
        "wall_seconds": round(float(np.median(wall)), 3),
    }
    shape = {"benchmarks": BENCHMARKS, "models": MODELS, "resamples": RESAMPLES, "target_seconds": TARGET}
    print(json.dumps({**numbers, **shape, "ratio": round(TARGET / float(np.median(cpu)), 2)}))


if __name__ == "__main__":
    main()
