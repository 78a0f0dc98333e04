"""Where rows come from: files of every kind, paths, data sets of the hub, and extras that are not installed."""

from __future__ import annotations

import gzip
import json
import re
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evenkeel.records.errors import UserError
from evenkeel.scenarios.standard.files import read_file, resolve
from evenkeel.scenarios.standard.load import files_of
from standard_sources import GYM, SUMS, load, source


def test_rows_are_the_same_from_every_kind_of_file(tmp_path):
    text = "".join(json.dumps(row) + "\n" for row in SUMS)
    (tmp_path / "a.jsonl").write_text(text)
    (tmp_path / "b.json").write_text(json.dumps(SUMS, indent=1))
    (tmp_path / "c.json").write_text(text)
    (tmp_path / "d.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    pq.write_table(pa.Table.from_pylist(SUMS), tmp_path / "e.parquet")
    made = [load(tmp_path, kind="gsm8k", file=path.name) for path in sorted(tmp_path.iterdir())]
    assert len(made) == 5 and all(
        [s.messages for s in rows] == [s.messages for s in made[0]] for rows in made
    )


@pytest.mark.parametrize(
    ("name", "data", "line", "says"),
    [
        ("a.jsonl", b'{"a": 1}\n\n{"a": \n', 3, "not valid JSON"),
        ("a.json", b'[{"a": 1},\n {"a": ]', 2, "not valid JSON"),
        ("a.parquet", b"PAR1", None, "not valid Parquet"),
        ("a.jsonl", b"\xff\xfe", None, "cannot be read"),
        ("a.jsonl.gz", b"no", None, "cannot be read"),
        ("a.xlsx", b"", None, "unknown kind"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(name, data, line, says, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=says) as caught:
        read_file(tmp_path / name)
    assert caught.value.line == line and caught.value.file == tmp_path / name


def test_a_row_of_a_parquet_file_is_named_by_number(tmp_path):
    pq.write_table(pa.Table.from_pylist([SUMS[0], {"question": "x", "answer": None}]), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r'a\.parquet: row 2: the field "answer" is missing'):
        load(tmp_path, kind="gsm8k", file="a.parquet")


def test_paths_start_at_the_study_file_or_else_at_the_working_directory(tmp_path, monkeypatch):
    study, cwd = tmp_path / "study", tmp_path / "cwd"
    for place in (study, cwd):
        place.mkdir()
        (place / "both.jsonl").touch()
    (cwd / "one.jsonl").touch()
    monkeypatch.chdir(cwd)
    assert resolve("both.jsonl", study) == study / "both.jsonl"
    assert resolve("one.jsonl", study) == resolve("one.jsonl", None) == cwd / "one.jsonl"
    assert resolve("../cwd/one.jsonl", study) == cwd / "one.jsonl"
    with pytest.raises(UserError) as caught:
        resolve("two.jsonl", study)
    assert f"{study / 'two.jsonl'} and {cwd / 'two.jsonl'}" in str(caught.value)
    assert files_of([source(kind="gsm8k", file="one.jsonl"), source(**GYM)], study) == [cwd / "one.jsonl"]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A data set as the hub's library finds it, in a cache of its own."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets.disable_progress_bars()
    (tmp_path / "sums").mkdir()
    pq.write_table(pa.Table.from_pylist(SUMS), tmp_path / "sums" / "train.parquet")
    return tmp_path


def test_a_data_set_of_the_hub_gives_what_its_file_gives(hub):
    rows = load(hub, kind="gsm8k", hub="./sums")
    assert [s.messages for s in rows] == [
        s.messages for s in load(hub, kind="gsm8k", file="sums/train.parquet")
    ]
    assert rows[2].provenance.detail == {"hub": "./sums", "split": "train", "row": "3"}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"hub": "./sums", "split": "test"}, 'Unknown split "test"'),
        ({"hub": "./sums", "config": "main"}, "main"),
        ({"hub": "nobody/nothing"}, "the network"),
        ({"hub": "./missing"}, "leads nowhere"),
    ],
)
def test_a_data_set_that_cannot_be_had_is_named(values, says, hub):
    with pytest.raises(UserError) as caught:
        load(hub, kind="gsm8k", **values)
    assert values["hub"].strip("./") in str(caught.value) and says in str(caught.value)


@pytest.mark.parametrize(
    ("module", "values", "extra"),
    [
        ("datasets", {"kind": "gsm8k", "hub": "openai/gsm8k"}, "hub"),
        ("reasoning_gym", GYM, "text"),
        ("pyarrow.parquet", {"kind": "gsm8k", "file": "a.parquet"}, "text"),
    ],
)
def test_a_missing_extra_is_named(module, values, extra, tmp_path, monkeypatch):
    (tmp_path / "a.parquet").touch()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=re.escape(f'pip install "evenkeel[{extra}]"')):
        load(tmp_path, **values)
