"""The standard part of a mixture: real files and small written ones, wordings, ids, and errors that name the place."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evenkeel.grading import choice, exact, final_number, reasoning_tasks
from evenkeel.records.config import build, read_toml
from evenkeel.records.errors import UserError
from evenkeel.records.types import Scored
from evenkeel.scenarios.standard.constraint_kinds import CONSTRAINTS
from evenkeel.scenarios.standard.files import read_file, resolve
from evenkeel.scenarios.standard.load import files_of, load_standard
from evenkeel.scenarios.standard.reasoning import REFUSED
from evenkeel.scenarios.standard.settings import (
    COMMON,
    KINDS,
    ContaminationSettings,
    SourceSettings,
    mixture,
    read_sources,
)
from evenkeel.scenarios.standard.svamp import joined
from evenkeel.scenarios.standard.wording import WORDINGS, bare_text

CORPUS = Path(__file__).parents[2] / "shared" / "benchmarks"
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the benchmark data is not beside the project")

SUMS = [
    {"question": f"Ann has {n} eggs and buys two. How many?", "answer": f"{n}+2\n#### {n + 2}"}
    for n in range(40)
]


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


# settings


def test_every_setting_belongs_to_a_kind():
    assert {name for names in KINDS.values() for name in names} | set(COMMON) == {
        f.name for f in fields(SourceSettings)
    }


def test_a_mixture_is_read_and_its_shares_are_those_of_the_plan():
    made = sources(
        '[[settings.sources]]\nname = "sums"\nkind = "gsm8k"\nshare = 0.7\nfile = "a.jsonl"\nlimit = 5\n'
        '[[settings.sources]]\nname = "mine"\nkind = "rows"\nshare = 0.3\nfile = "b.jsonl"\nlicence = "own"\n'
        'check = "exact"\nfields = { prompt = "q" }\n'
    )
    assert mixture(made) == {"sums": 0.7, "mine": 0.3}
    assert (made[0].limit, made[1].fields.prompt, made[1].fields.answer) == (5, "q", "answer")


BASE = {"name": '"s"', "kind": '"gsm8k"', "share": "1", "file": '"a.jsonl"'}


@pytest.mark.parametrize(
    ("changes", "line", "says"),
    [
        ({"kind": '"gsm8"'}, 3, 'Did you mean "gsm8k"'),
        ({"share": "0.9"}, 1, "sum to 0.9, not 1"),
        ({"name": '"trait"'}, 2, "cannot be named"),
        ({"name": '"a/b"'}, 2, "cannot be named"),
        ({"tasks": '["chain_sum"]'}, 6, 'a source of kind "gsm8k" has no setting "tasks"'),
        ({"hub": '"openai/gsm8k"'}, 1, "either a file or a hub id"),
        ({"file": None}, 1, "either a file or a hub id"),
        ({"split": '"test"'}, 6, '"split" belongs to a data set of the hub'),
        ({"kind": '"open_ended"'}, 1, 'needs the setting "licence"'),
        ({"kind": '"rows"', "licence": '"own"'}, 1, "how replies are checked, in one way"),
        ({"kind": '"reasoning_gym"', "file": None}, 1, "must name its tasks"),
        ({"kind": '"reasoning_gym"', "file": None, "tasks": '["a", "b"]', "count": "1"}, 6, "some would have none"),
        (
            {"kind": '"reasoning_gym"', "file": None, "tasks": '["ab"]', "configure": "{ abc = { x = 1 } }"},
            6,
            'configure has "abc"',
        ),
        ({"kind": '"instructions"', "licence": '"own"', "constraints": '["no_comma"]'}, 7, "punctuation:no_comma"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_study_file_is_said_at_its_line(changes, line, says):
    values = {name: value for name, value in {**BASE, **changes}.items() if value is not None}
    with pytest.raises(UserError) as caught:
        sources("[[settings.sources]]\n" + "".join(f"{name} = {value}\n" for name, value in values.items()))
    assert caught.value.line == line and says in str(caught.value)


def test_the_mixtures_of_the_docs_are_read():
    page = (Path(__file__).parents[1] / "docs" / "standard.md").read_text()
    examples = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    mixed, own = (read_toml(text, "standard.md") for text in examples)
    assert len(read_sources(mixed)) == 5 and len(read_sources(own)) == 1
    place = ("settings", "contamination")
    assert build(ContaminationSettings, mixed, place, mixed.data["settings"]["contamination"]).drop
    assert f"({len(REFUSED)} of 106" in page and f"out of {len(CONSTRAINTS)} of IFEval" in page
    for kind, names in KINDS.items():
        assert f"| `{kind}` |" in page
        assert all(f"`{name}`" in page or f"{name} = " in page for name in names)


@needs_corpus
def test_the_mixture_of_the_docs_loads():
    page = (Path(__file__).parents[1] / "docs" / "standard.md").read_text()
    made = sources(page.split("```toml\n")[1].split("```")[0])
    sizes = {
        name: len(rows)
        for name, rows in load_standard(made, seed=0, folder=Path(__file__).parents[1]).items()
    }
    assert (
        sizes["gsm8k"] == 2000 and sizes["aqua"] == 254 and sizes["puzzles"] == 300 and sizes["open"] == 252
    )
    assert sizes["instructions"] % 3 == 0 and sizes["instructions"] > 150


def test_two_sources_of_one_name_and_no_sources_are_refused():
    half = '[[settings.sources]]\nname = "s"\nkind = "gsm8k"\nshare = 0.5\nfile = "a"\n'
    with pytest.raises(UserError, match=r"line 7: two sources are named"):
        sources(half + half)
    with pytest.raises(UserError, match=r"no \[\[settings.sources\]\]"):
        sources("[settings]\n")


# what all sources have in common


def test_ids_are_of_the_content_so_that_an_inserted_row_renames_no_other(tmp_path):
    before = load(tmp_path, kind="gsm8k", file=write(tmp_path / "a.jsonl", SUMS[1:]))
    after = load(tmp_path, kind="gsm8k", file=write(tmp_path / "b.jsonl", SUMS[::-1]))
    assert {s.id: s.messages for s in before}.items() < {s.id: s.messages for s in after}.items()
    assert len({s.id for s in after}) == 40 and all(s.id.startswith("s/") for s in after)
    assert (
        before[3].provenance.detail == {"file": "a.jsonl", "row": "4"}
        and before[3].provenance.licence == "MIT"
    )


def test_same_seed_same_tasks_and_another_seed_only_words_them_otherwise(tmp_path):
    file = write(tmp_path / "a.jsonl", SUMS)
    one, same, other = (load(tmp_path, seed, kind="gsm8k", file=file) for seed in (0, 0, 1))
    assert one == same
    assert [s.id for s in one] == [s.id for s in other] and [bare_text(s) for s in one] == [
        bare_text(s) for s in other
    ]
    assert [prompt(s) for s in one] != [prompt(s) for s in other]


def test_a_task_that_stands_twice_counts_once(tmp_path):
    assert len(load(tmp_path, kind="gsm8k", file=write(tmp_path / "a.jsonl", SUMS + SUMS[:7]))) == 40


def test_a_limit_draws_from_all_rows_and_keeps_their_order(tmp_path):
    every = load(tmp_path, kind="gsm8k", file=write(tmp_path / "a.jsonl", SUMS))
    drawn = load(tmp_path, kind="gsm8k", file="a.jsonl", limit=10)
    assert len(drawn) == 10 and drawn != every[:10]
    assert [s for s in every if s in drawn] == list(drawn)
    fewer = load(tmp_path, kind="gsm8k", file=write(tmp_path / "b.jsonl", SUMS[1:]), limit=10)
    assert len({s.id for s in fewer} & {s.id for s in drawn}) >= 9
    other = load(tmp_path, 1, kind="gsm8k", file="a.jsonl", limit=10)
    assert {s.id for s in other} != {s.id for s in drawn}


@pytest.mark.parametrize("form", WORDINGS)
def test_every_wording_says_where_the_answer_goes(form):
    marks = {"tagged": "<answer>", "unit_tests": "block"}
    texts = [text for text, _ in WORDINGS[form]]
    assert 3 <= len(set(texts)) == len(texts) <= 5
    assert {before for _, before in WORDINGS[form]} == {True, False}
    for text in texts:
        assert marks[form] in text if form in marks else re.search(r'"Answer:|boxed\{\}|"####"', text)


def test_all_wordings_occur_and_the_bare_task_is_left_without_them(tmp_path):
    rows = load(tmp_path, kind="gsm8k", file=write(tmp_path / "a.jsonl", SUMS))
    assert {s.facts["how"] for s in rows} == {text for text, _ in WORDINGS["number"]}
    for scenario, row in zip(rows, SUMS, strict=True):
        assert scenario.facts["how"] in prompt(scenario)
        assert bare_text(scenario) == row["question"]


SAID = {"number": ("72", "71"), "choice": ("C", "B"), "exact": ("Lima", "Bern")}


@pytest.mark.parametrize("form", SAID)
def test_a_reply_that_does_as_it_is_asked_is_read_by_the_grader(form):
    right, wrong = SAID[form]
    checker = {"number": final_number, "choice": choice, "exact": exact}[form].CHECKER
    facts = {"check": form, "answer": right, "options": ["A", "B", "C"]}
    checker.require(facts)
    for how, _ in WORDINGS[form]:
        frame = "\\boxed{%s}" if "boxed" in how else "#### %s" if "####" in how else "Answer: %s"
        for said, verdict in ((right, 1.0), (wrong, 0.0)):
            reply = f"First I add 2 and 3, A and B.\n{frame % said}"
            assert checker.check(facts, reply) == Scored({"correct": verdict}), how


# the sources


@needs_corpus
def test_gsm8k_as_it_is():
    rows = load(None, kind="gsm8k", file=str(CORPUS / "corpus_gsm8k_train" / "train.jsonl"), max_tokens=300)
    assert len(rows) == 7473
    assert rows[0].facts == {"check": "number", "answer": "72", "how": rows[0].facts["how"]}
    assert (
        rows[0].source == "s"
        and rows[0].max_tokens == 300
        and rows[0].trait is None
        and rows[0].domain is None
    )
    assert all(re.fullmatch(r"-?\d+(\.\d+)?", s.facts["answer"]) for s in rows)
    assert not any("<<" in prompt(s) for s in rows)  # the worked solution


@needs_corpus
def test_svamp_as_it_is():
    rows = load(None, kind="svamp", file=str(CORPUS / "corpus_svamp" / "SVAMP.json"))
    assert len(rows) == 1000 and rows[0].facts["answer"] == "51"
    assert "on each pack, how much do you have to pay" in prompt(rows[0])
    assert not any(re.search(r"\w (How|What) ", bare_text(s)) for s in rows)


def test_a_body_without_a_full_stop_is_joined_as_a_person_would():
    assert joined("He ate 3.", "How many?") == "He ate 3. How many?"
    assert (
        joined("He has 5. If he eats 3.5 of them", "How many?")
        == "He has 5. If he eats 3.5 of them, how many?"
    )
    assert joined("He has 5. Then he ate 3", "How many?") == "He has 5. Then he ate 3. How many?"


@needs_corpus
@pytest.mark.parametrize("name", ["dev", "test"])
def test_aqua_as_it_is_without_its_rationales(name):
    file = CORPUS / "corpus_aqua" / f"{name}.json"
    rows = load(None, kind="aqua", file=str(file))
    raw = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(rows) == len(raw) == 254
    for scenario, row in zip(rows, raw, strict=True):
        assert scenario.facts["answer"] == row["correct"] and scenario.facts["options"] == list("ABCDE")
        assert all(option[2:].strip() in prompt(scenario) for option in row["options"])
        assert row["rationale"][:60] not in prompt(scenario)
    assert {layout for s in rows for layout in re.findall(r"\n(\(A\)|A\)|A\.) ", prompt(s))} == {
        "(A)",
        "A)",
        "A.",
    }


@needs_corpus
def test_prompts_of_self_instruct_are_open_ended_tasks():
    file = str(CORPUS / "corpus_self_instruct" / "seed_tasks.jsonl")
    rows = load(None, kind="open_ended", file=file, licence="Apache-2.0")
    assert len(rows) == 175 and {tuple(s.facts.items()) for s in rows} == {(("check", "helpfulness"),)}
    assert prompt(rows[1]) == "What is the relation between the given pairs?\n\nNight : Day :: Right : Left"
    assert rows[1].provenance.source == "seed_tasks.jsonl" and rows[1].provenance.licence == "Apache-2.0"


# generated tasks

GYM = {"kind": "reasoning_gym", "tasks": ("chain_sum", "word_sorting", "knights_knaves"), "count": 20}


def test_generated_tasks_come_in_equal_parts_and_are_all_different():
    rows = load(None, **GYM)
    assert Counter(s.facts["task"] for s in rows) == {"chain_sum": 7, "word_sorting": 7, "knights_knaves": 6}
    assert len({s.id for s in rows}) == len({s.facts["entry"]["question"] for s in rows}) == 20
    for scenario in rows:
        assert json.loads(json.dumps(scenario.facts)) == scenario.facts  # plain values
        assert bare_text(scenario) == scenario.facts["entry"]["question"].strip()
        assert scenario.provenance.detail["package"].startswith("reasoning-gym 0")


def test_the_grader_reads_what_generated_tasks_ask_for():
    assert set(reasoning_tasks.REFUSED) <= set(REFUSED)  # what cannot be graded is not offered
    rows = load(None, **GYM)
    assert {s.facts["how"] for s in rows} == {text for text, _ in WORDINGS["tagged"]}
    for scenario, other in itertools.pairwise(rows):
        reasoning_tasks.CHECKER.require(scenario.facts)
        reply = "Let me see.\n<answer>{}</answer>"
        for entry, correct in ((scenario.facts["entry"], 1.0), (other.facts["entry"], 0.0)):
            verdict = reasoning_tasks.CHECKER.check(scenario.facts, reply.format(entry["answer"]))
            assert verdict == Scored({"correct": correct})


def test_a_generator_that_repeats_itself_is_asked_again():
    few = {"chain_sum": {"max_terms": 2, "max_digits": 1}}
    assert len(load(None, kind="reasoning_gym", tasks=("chain_sum",), count=60, configure=few)) == 60


def test_generated_tasks_follow_the_seed_and_their_own_seed_goes_before():
    one, same, other = (load(None, seed, **GYM) for seed in (0, 0, 1))
    assert one == same and not {s.id for s in one} & {s.id for s in other}
    own = [source(**GYM, seed=5)]
    assert [s.id for s in load_standard(own, seed=0)["s"]] == [s.id for s in load_standard(own, seed=1)["s"]]


def test_configure_reaches_the_generator():
    hard = {"chain_sum": {"min_digits": 5, "max_digits": 5}}
    (row, *_) = load(None, kind="reasoning_gym", tasks=("chain_sum",), count=3, configure=hard)
    assert all(len(number) == 5 for number in re.findall(r"\d+", row.facts["entry"]["question"]))


def test_generated_tasks_are_the_same_in_another_process():
    code = (
        "from evenkeel.scenarios.standard.load import load_standard as l\n"
        "from evenkeel.scenarios.standard.settings import SourceSettings as S\n"
        "s = S('s', 'reasoning_gym', 1.0, tasks=('chain_sum', 'word_sorting', 'knights_knaves'), count=20)\n"
        "print([(r.id, r.messages) for r in l([s], seed=0)['s']])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str([(s.id, s.messages) for s in load(None, **GYM)])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tasks": ("chain_sums",)}, 'Did you mean "chain_sum"'),
        ({"tasks": ("word_ladder",)}, "differ from one process to the next"),
        ({"configure": {"chain_sum": {"min_digit": 2}}}, "unexpected keyword argument 'min_digit'"),
        ({"configure": {"chain_sum": {"min_digits": 9}}}, "max_digits"),
        (
            {"configure": {"chain_sum": {"max_terms": 2, "max_digits": 1}}, "count": 400},
            "different questions",
        ),
    ],
)
def test_a_task_that_cannot_be_had_is_named(changes, says):
    with pytest.raises(UserError) as caught:
        load(None, **{**GYM, "tasks": ("chain_sum",), **changes})
    assert says in str(caught.value)


def test_a_scorer_that_takes_anything_is_not_trusted(monkeypatch):
    monkeypatch.delitem(REFUSED, "game_of_life_halting")
    with pytest.raises(UserError, match="cannot be trusted"):
        load(None, **{**GYM, "tasks": ("game_of_life_halting",)})


# rows of anyone's


def mine(tmp_path, rows, **values):
    return load(tmp_path, kind="rows", licence="CC0-1.0", file=write(tmp_path / "mine.jsonl", rows), **values)


def test_rows_name_their_own_fields_and_checks(tmp_path):
    rows = [
        {"q": "2+2?", "a": 4, "how": "number"},
        {"q": "Which?", "a": 1, "o": ["tea", "rum"], "how": "choice"},
        {"q": "Which?", "a": "rum", "o": ["A) tea", "B) rum"], "how": "choice"},
        {"q": "Capital of Peru?", "a": "Lima", "how": "exact"},
        {"q": "Say hi.", "rules": [{"id": "punctuation:no_comma", "n": None}], "how": "constraints"},
        {"q": "Write f.", "t": ["assert f(1) == 2"], "how": "unit_tests"},
        {
            "q": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello?"}],
            "how": "helpfulness",
        },
    ]
    names = {
        "prompt": "q",
        "answer": "a",
        "options": "o",
        "check": "how",
        "constraints": "rules",
        "tests": "t",
    }
    text = "fields = { " + ", ".join(f'{key} = "{value}"' for key, value in names.items()) + " }"
    file = write(tmp_path / "mine.jsonl", rows)
    made = sources(
        f'[[settings.sources]]\nname = "m"\nkind = "rows"\nshare = 1\nfile = "{file}"\nlicence = "own"\n{text}\n'
    )
    tasks = load_standard(made, seed=0, folder=tmp_path)["m"]
    facts = [{name: value for name, value in s.facts.items() if name != "how"} for s in tasks]
    assert facts == [
        {"check": "number", "answer": "4"},
        {"check": "choice", "answer": "B", "options": ["A", "B"]},
        {"check": "exact", "answer": "Lima"},
        {"check": "constraints", "constraints": [{"id": "punctuation:no_comma"}]},
        {"check": "unit_tests", "tests": ["assert f(1) == 2"], "setup": ""},
        {"check": "helpfulness"},
    ]  # the two choices are one task
    assert [("how" in s.facts) for s in tasks] == [True, True, True, False, True, False]
    assert [m.role for m in tasks[-1].messages] == ["system", "user"]


def test_say_how_can_be_left_to_the_rows(tmp_path):
    rows = [{"prompt": "2+2? End with a number.", "answer": "4"}]
    (row,) = mine(tmp_path, rows, check="number", say_how=False)
    assert prompt(row) == rows[0]["prompt"] and "how" not in row.facts


@pytest.mark.parametrize(
    ("row", "check", "says"),
    [
        ({"promt": "x", "answer": "4"}, "number", 'the field "prompt" is missing.\nDid you mean "promt"'),
        ({"prompt": "x"}, "exact", 'the field "answer" is missing'),
        ({"prompt": " ", "answer": "4"}, "number", "must be a text that is not empty"),
        ({"prompt": "x", "answer": "four"}, "number", "holds no number"),
        ({"prompt": "x", "answer": "C", "options": ["1", "2"]}, "choice", "one of A, B"),
        ({"prompt": "x", "answer": "A", "options": ["1"]}, "choice", "1 options"),
        ({"prompt": "x", "answer": "A", "options": "1, 2"}, "choice", "list of texts"),
        ({"prompt": "x", "tests": []}, "unit_tests", "list of texts"),
        ({"prompt": "x", "constraints": ["no commas"]}, "constraints", "is no constraint"),
        ({"prompt": [{"role": "user"}]}, "helpfulness", "a message of"),
        ({"prompt": [{"role": "assistant", "content": "x"}]}, "helpfulness", "must end with the user"),
        ([], "exact", "an object with fields"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_with_file_line_and_field(row, check, says, tmp_path):
    good = {
        "prompt": "x",
        "answer": "A1",
        "options": ["1", "2"],
        "tests": ["t"],
        "constraints": [{"id": "a:b"}],
    }
    good["answer"] = "A" if check == "choice" else "1"
    with pytest.raises(UserError) as caught:
        mine(tmp_path, [good, row], check=check)
    assert (
        caught.value.line == 2
        and str(caught.value).startswith(str(tmp_path / "mine.jsonl"))
        and says in str(caught.value)
    )


@pytest.mark.parametrize(
    ("kind", "row", "says"),
    [
        ("gsm8k", {"question": "x", "answer": "42"}, "#### "),
        ("gsm8k", {"question": "x", "answer": "#### about 4"}, "#### "),
        ("svamp", {"Body": "x", "Question": "y", "Answer": "many"}, "must be a number"),
        ("aqua", {"question": "x", "options": ["A)1", "B)2"], "correct": "C"}, "one of A, B"),
    ],
)
def test_a_file_of_another_data_set_is_noticed(kind, row, says, tmp_path):
    with pytest.raises(UserError, match=re.escape(says)) as caught:
        load(tmp_path, kind=kind, file=write(tmp_path / "a.jsonl", [row]))
    assert caught.value.line == 1


# files and the hub


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
