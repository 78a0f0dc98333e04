"""Rows of benchmark files, letters and generated tasks, for the tests of checked answers."""

import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "shared" / "benchmarks"
DATA = pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="the benchmark files are not beside this checkout")
LETTERS = list("ABCDE")


def lines(path):
    return [json.loads(line) for line in (BENCHMARKS / path).read_text().splitlines()]


def entries(task, size=2):
    import reasoning_gym

    data = reasoning_gym.create_dataset(task, size=size, seed=11)
    return [json.loads(json.dumps(data[index])) for index in range(size)]
