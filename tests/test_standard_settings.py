"""Settings of the standard sources: mixtures, those of the docs too, and mistakes said at their line."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from evenkeel.records.config import build, read_toml
from evenkeel.records.errors import UserError
from evenkeel.scenarios.standard.constraint_kinds import CONSTRAINTS
from evenkeel.scenarios.standard.load import load_standard
from evenkeel.scenarios.standard.reasoning import REFUSED
from evenkeel.scenarios.standard.settings import (
    COMMON,
    KINDS,
    ContaminationSettings,
    SourceSettings,
    mixture,
    read_sources,
)
from standard_sources import needs_corpus, sources


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
