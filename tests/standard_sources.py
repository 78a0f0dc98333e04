"""Sources of tasks for the tests of the standard part of a mixture: small written files, settings, loading."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evenkeel.records.config import read_toml
from evenkeel.scenarios.standard.load import load_standard
from evenkeel.scenarios.standard.settings import SourceSettings, read_sources

CORPUS = Path(__file__).parents[2] / "shared" / "benchmarks"
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the benchmark data is not beside the project")

SUMS = [
    {"question": f"Ann has {n} eggs and buys two. How many?", "answer": f"{n}+2\n#### {n + 2}"}
    for n in range(40)
]

GYM = {"kind": "reasoning_gym", "tasks": ("chain_sum", "word_sorting", "knights_knaves"), "count": 20}


def sources(text):
    return read_sources(read_toml(text, "study.toml"))


def source(**values):
    """The settings of one source."""
    values = {"name": "s", "share": 1.0, **values}
    return SourceSettings(**values)


def load(folder, seed=0, **values):
    (rows,) = load_standard([source(**values)], seed=seed, folder=folder).values()
    return rows


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.name


def prompt(scenario):
    return scenario.messages[-1].content
