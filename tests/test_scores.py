"""Scores on disk and the protocols that guard comparisons."""

from __future__ import annotations

import dataclasses
import gzip
import json

import pytest

from driver_tiny import WordRenderer, suite, tiny_checkpoint, tiny_engine
from evenkeel.benchmarks.benchmark import ScoreRow
from evenkeel.benchmarks.driver import evaluate
from evenkeel.benchmarks.protocol import Protocol, protocol_of, require_same_protocol
from evenkeel.benchmarks.scores import ROWS, SUMMARY, read_scores, summarise, write_scores
from evenkeel.records.errors import UserError
from evenkeel.records.types import Message


def row(reply: str = "ok", **changes) -> ScoreRow:
    fields = {
        "benchmark": "b",
        "item": "i",
        "frame": "f",
        "domain": None,
        "held_out": False,
        "score": 0.5,
        "good": False,
        "harmful": False,
        "refused": False,
        "truncated": False,
        "tokens": 3,
        "extra": {},
        "messages": (Message("user", "q"), Message("assistant", reply)),
    }
    return ScoreRow(**{**fields, **changes})


def protocols():
    return {benchmark.name: protocol_of(benchmark, renderer="words-1") for benchmark in suite()}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    engine = tiny_engine(tiny_checkpoint(tmp_path_factory.mktemp("tiny")))
    return evaluate(engine, WordRenderer(), suite(), seed=1)


def test_summary_numbers():
    summary = summarise(
        [
            row("a", score=1.0, good=True, extra={"off_grammar": 0.2}),
            row("b", score=1.0, good=True, truncated=True, extra={"off_grammar": 0.4}),
            row("b", score=0.0, harmful=True),
            row("c", score=0.1, refused=True),
        ]
    )
    assert summary == {
        "n": 4,
        "score": 0.525,
        "good_share": 2 / 3,
        "good_rate": 0.5,
        "harmful_rate": 0.25,
        "truncated": 0.25,
        "refused": 0.25,
        "off_grammar": pytest.approx(0.3),
        "distinct": 0.75,
        "tokens": 12,
    }


def test_numbers_without_a_case_are_none_not_zero():
    summary = summarise([row(), row()])
    assert summary["good_share"] is None and summary["off_grammar"] is None and summary["harmful_rate"] == 0.0
    with pytest.raises(ValueError):
        summarise([])


def test_what_is_written_is_read_and_equal_runs_are_equal_bytes(tmp_path, rows):
    for name in ("one", "two"):
        write_scores(tmp_path / name, suite(), rows, protocols())
    for file in (ROWS, SUMMARY):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    scores = read_scores(tmp_path / "one")
    assert list(scores.rows) == rows and scores.protocols == protocols()
    assert len(scores.of("tool")) == 7 and scores.benchmarks["tool"]["n"] == 7


def test_the_summary_has_what_a_report_needs(tmp_path, rows):
    write_scores(tmp_path, suite(), rows, protocols())
    summary = json.loads((tmp_path / SUMMARY).read_text())
    assert set(summary["protocols"]) == {"single", "pressure", "tool"}
    numbers = summary["benchmarks"]["single"]
    assert numbers["category"] == "test" and numbers["side_effect"] is False
    assert set(numbers) >= {"n", "score", "good_share", "harmful_rate", "truncated", "refused", "tokens"}


def test_missing_or_shuffled_rows_are_not_written(tmp_path, rows):
    for wrong in (rows[:-1], rows[::-1]):
        with pytest.raises(ValueError, match="in order"):
            write_scores(tmp_path, suite(), wrong, protocols())
    with pytest.raises(ValueError, match="protocol"):
        write_scores(tmp_path, suite(), rows, {})
    assert list(tmp_path.iterdir()) == []


def test_damage_is_named(tmp_path, rows):
    def written():
        write_scores(tmp_path, suite(), rows, protocols())
        return tmp_path / ROWS, tmp_path / SUMMARY

    path, _ = written()
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=ROWS):
        read_scores(tmp_path)
    lines = gzip.decompress(written()[0].read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(lines[:-1])))
    with pytest.raises(UserError, match="do not belong together"):
        read_scores(tmp_path)
    path.write_bytes(gzip.compress(lines[0] + b'{"other": 1}\n'))
    with pytest.raises(UserError, match="line 2"):
        read_scores(tmp_path)
    _, summary = written()
    record = json.loads(summary.read_text())
    record["protocol_fields"]["tool"]["max_tokens"] = 99
    summary.write_text(json.dumps(record))
    with pytest.raises(UserError, match="do not belong to their fields"):
        read_scores(tmp_path)
    summary.write_text("{}")
    with pytest.raises(UserError, match="not a summary"):
        read_scores(tmp_path)


def test_each_part_of_a_protocol_changes_its_hash():
    benchmark = suite()[0]
    base = protocol_of(benchmark, renderer="words-1")
    others = [
        protocol_of(benchmark, renderer="words-2"),
        protocol_of(benchmark, renderer="words-1", temperature=0.0),
        protocol_of(benchmark, renderer="words-1", prefix="persona:harmful_medical:1"),
        protocol_of(benchmark, renderer="words-1", judge="posterior-1"),
        *(
            protocol_of(dataclasses.replace(benchmark, **change), renderer="words-1")
            for change in (
                {"name": "x"},
                {"version": "2"},
                {"max_tokens": 7},
                {"items": benchmark.items[:-1]},
            )
        ),
    ]
    changed = [dataclasses.replace(item, frame="other") for item in benchmark.items]
    others.append(protocol_of(dataclasses.replace(benchmark, items=changed), renderer="words-1"))
    assert len({base.hash, *(other.hash for other in others)}) == len(others) + 1
    assert protocol_of(suite()[0], renderer="words-1").hash == base.hash


def test_different_protocols_are_not_compared_and_the_difference_is_named():
    base = protocol_of(suite()[0], renderer="words-1")
    require_same_protocol(base, dataclasses.replace(base))
    longer = dataclasses.replace(base, max_tokens=99, version="2")
    with pytest.raises(UserError) as caught:
        require_same_protocol(base, longer)
    assert "max_tokens 6 against 99" in str(caught.value) and "version '1' against '2'" in str(caught.value)
    persona = dataclasses.replace(base, prefix="persona:harmful_medical:1")
    require_same_protocol(base, persona, apart_from=("prefix",))
    with pytest.raises(UserError, match="prefix"):
        require_same_protocol(base, persona)


def test_every_field_of_a_protocol_is_compared():
    base = protocol_of(suite()[0], renderer="words-1")
    for field in dataclasses.fields(Protocol):
        with pytest.raises(UserError, match=field.name):
            require_same_protocol(base, dataclasses.replace(base, **{field.name: "changed"}))
