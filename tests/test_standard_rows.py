"""Rows of anyone's as a source: their own fields and checks, and a bad row named with file, line and field."""

from __future__ import annotations

import pytest

from evenkeel.records.errors import UserError
from evenkeel.scenarios.standard.load import load_standard
from standard_sources import load, prompt, sources, write


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
