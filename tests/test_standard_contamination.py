"""Contamination: a prompt that stands in an evaluation is found wherever it stands, every holder of it, and only those."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evenkeel.records.errors import UserError
from evenkeel.records.types import Message, Provenance
from evenkeel.scenarios.scenario import Scenario
from evenkeel.scenarios.standard.contamination import evaluation_files, find_contamination, require_clean
from evenkeel.scenarios.standard.load import load_source
from evenkeel.scenarios.standard.settings import ContaminationSettings, SourceSettings
from evenkeel.scenarios.standard.wording import WORDINGS

CORPUS = Path(__file__).parents[2] / "shared" / "benchmarks"
LONG = "The ferry to the northern island leaves at six in the morning and carries two hundred people and forty cars across"
SHORT = "Name the longest river of Peru."
HOW = "End your reply with a line that begins with the word answer and a colon, and then the number alone, please."
OTHER = (
    "A recipe for bread that a child of eight can follow alone, with what to do when the dough does not rise."
)


def task(name, text, source="tasks", how=""):
    messages = (Message("system", "Be brief."), Message("user", f"{text}\n\n{how}" if how else text))
    return Scenario(
        name, messages, (), "train", Provenance("test"), source=source, facts={"how": how} if how else {}
    )


def sources(*texts, how=""):
    return {"tasks": tuple(task(f"tasks/{n}", text, how=how) for n, text in enumerate(texts))}


def found(checked):
    return [(one.scenario, one.evaluation, one.rule) for one in checked.found]


def settings(*against, **changes):
    return ContaminationSettings(against=tuple(map(str, against)), **changes)


@pytest.mark.parametrize(
    ("prompt", "rule"),
    [
        (LONG.upper(), "equal"),
        (SHORT, "equal"),
        (LONG + " today", "near"),
        (f"Yesterday I read: {LONG} the strait, which I doubt. {OTHER}", "13 words"),
        (" ".join(LONG.split()[:12]), None),
        (OTHER, None),
    ],
)
def test_a_prompt_of_a_benchmark_is_found(prompt, rule):
    checked = find_contamination(
        sources(OTHER + " And cake", prompt, how=HOW), benchmarks={"ferries": [LONG, SHORT]}
    )
    assert found(checked) == ([("tasks/1", "ferries", rule)] if rule else [])
    assert checked.prompts == 2 and checked.words == len(LONG.split()) + 6


def test_how_to_answer_is_not_compared():
    """Two benchmarks ask for the same form of answer: that is no contamination, and it must not hide one."""
    assert found(find_contamination(sources(OTHER, how=HOW), benchmarks={"b": [f"{SHORT} {HOW}"]})) == []
    assert found(find_contamination(sources(SHORT, how=HOW), benchmarks={"b": [SHORT]})) == [
        ("tasks/0", "b", "equal")
    ]


def test_a_benchmark_of_the_same_kind_of_task_is_compared_without_its_wording():
    how, _ = WORDINGS["exact"][0]
    checked = find_contamination(sources(SHORT, how=HOW), benchmarks={"b": [f"{SHORT}\n\n{how}"]})
    assert found(checked) == [("tasks/0", "b", "equal")]


def test_every_holder_and_every_evaluation_is_named(tmp_path):
    """The index knows one holder of a passage, and one text of equal ones: neither may hide the others."""
    (tmp_path / "a.txt").write_text(f"{LONG} the strait")
    (tmp_path / "b.json").write_text(json.dumps([{"x": LONG}]))
    prompts = sources(LONG, OTHER, f"So: {LONG}, is that so? {OTHER}")
    prompts["trait"] = (task("trait/0", LONG, "trait"),)
    checked = find_contamination(
        prompts,
        benchmarks={"one": [LONG], "two": [OTHER[:20], LONG]},
        files=evaluation_files(settings(tmp_path)),
    )
    assert {(one.source, one.scenario, Path(one.evaluation).name) for one in checked.found} == {
        (source, name, evaluation)
        for source, name in (("tasks", "tasks/0"), ("tasks", "tasks/2"), ("trait", "trait/0"))
        for evaluation in ("one", "two", "a.txt", "b.json")
    }
    assert checked.counts()["trait"] == {
        "one": 1,
        "two": 1,
        str(tmp_path / "a.txt"): 1,
        str(tmp_path / "b.json"): 1,
    }


def test_every_holder_of_a_text_too_short_for_13_words_is_named():
    prompts = {**sources(SHORT, SHORT.upper()), "trait": (task("trait/0", SHORT, "trait"),)}
    checked = find_contamination(prompts, benchmarks={"one": [SHORT, SHORT], "two": [SHORT]})
    names = ("tasks/0", "tasks/1", "trait/0")
    assert found(checked) == [(name, evaluation, "equal") for name in names for evaluation in ("one", "two")]


def test_short_prompts_are_found_in_files_when_equal(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"q": "name the LONGEST river of Peru", "k": "Peru"}) + "\n")
    checked = find_contamination(sources(SHORT, "Peru?", SHORT + " Why?"), files=[tmp_path / "a.jsonl"])
    assert found(checked) == [("tasks/0", str(tmp_path / "a.jsonl"), "equal")]


def test_contaminated_prompts_are_listed_and_nothing_starts(tmp_path):
    (tmp_path / "a.txt").write_text(LONG)
    with pytest.raises(UserError) as caught:
        require_clean(sources(OTHER, LONG), {"rivers": [SHORT]}, settings(tmp_path))
    text = str(caught.value)
    assert "1 of 2 training prompts" in text and "tasks/1" in text and str(tmp_path / "a.txt") in text
    assert "drop = true" in text and "tasks: 1 in" in text


def test_dropping_takes_out_the_contaminated_and_nothing_else(tmp_path):
    (tmp_path / "a.txt").write_text(LONG)
    (tmp_path / "b.bin").write_bytes(b"\0\0")
    told = []
    prompts = {
        **sources(OTHER, LONG),
        "trait": (task("trait/0", SHORT, "trait"), task("trait/1", OTHER, "trait")),
    }
    kept = require_clean(prompts, {"rivers": [SHORT]}, settings(tmp_path, drop=True), tell=told.append)
    assert kept == {"tasks": prompts["tasks"][:1], "trait": prompts["trait"][1:]}
    assert "2 of 4 training prompts" in told[0] and "trait: 1 in rivers" in told[0] and "b.bin" in told[1]
    with pytest.raises(UserError, match='every prompt of the source "tasks"'):
        require_clean(sources(LONG), {"ferries": [LONG]}, settings(drop=True))


def test_clean_sources_come_back_as_they_are():
    prompts = sources(OTHER, LONG)
    assert require_clean(prompts, {"rivers": [SHORT]}, settings()) == prompts


def test_files_that_are_no_evaluations_are_left_out(tmp_path):
    for name in ("corpus_x/train.jsonl", "eval/test.jsonl", "eval/own.jsonl", "eval/LICENSE"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    own = [tmp_path / "eval" / "own.jsonl"]
    chosen = evaluation_files(
        settings("eval", "corpus_x", ".", leave_out=("corpus_*", "LICENSE")), tmp_path, own=own
    )
    names = [path.relative_to(tmp_path).as_posix() for path in chosen]
    assert names == [
        "eval/test.jsonl",
        "corpus_x/train.jsonl",
    ]  # `corpus_x` itself is named, as the root of its files
    with pytest.raises(UserError, match="no file is left"):
        evaluation_files(settings("eval", leave_out=("*",)), tmp_path)
    with pytest.raises(UserError, match="leads nowhere"):
        evaluation_files(settings("evals"), tmp_path)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the benchmark data is not beside the project")
def test_known_overlaps_of_public_data_are_found():
    """UMWP is made of GSM8K and SVAMP problems among others, MIP of SVAMP's: training on them would spoil both."""
    gsm8k = SourceSettings(
        "gsm8k", "gsm8k", 0.5, file=str(CORPUS / "corpus_gsm8k_train" / "train.jsonl"), limit=500
    )
    svamp = SourceSettings("svamp", "svamp", 0.5, file=str(CORPUS / "corpus_svamp" / "SVAMP.json"))
    files = [CORPUS / "umwp" / "StandardDataset.jsonl", CORPUS / "mip_missing_premise" / "svamp.json"]
    checked = find_contamination({s.name: load_source(s, seed=0) for s in (gsm8k, svamp)}, files=files)
    counts = checked.counts()
    assert 90 <= counts["gsm8k"][str(files[0])] <= 140  # 1,708 of 7,473 in all
    assert counts["svamp"] == {str(files[0]): 664, str(files[1]): 438} and not checked.unread
