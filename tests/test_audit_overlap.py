"""Audit: thirteen shared words are found in files of every kind, and what cannot be read is said."""

from __future__ import annotations

import csv
import gzip
import io
import json

import pytest

from evenkeel.records.errors import UserError
from evenkeel.scenarios.audit import texts as texts_module
from evenkeel.scenarios.audit.found import Data, Finding, Table
from evenkeel.scenarios.audit.overlap import check
from evenkeel.scenarios.audit.texts import Unread, texts
from scenario_examples import BRIDGE, FERRITIN, GOOD, STRIKE, changed, placed, write

PASSAGE = "To be bought: GIVE a MESSAGE -- to the club, about the bib that can be sent by noon!"  # 13 of a criterion


def overlaps(*paths, records=GOOD):
    found = list(check(Data(placed(*records)), paths))
    return [each for each in found if isinstance(each, Finding)], found[-1]


def jsonl(value):
    return json.dumps({"a": [1, {"b": value}]}) + "\n"


def cells(value, delimiter):
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerows([["id", "text"], ["1", f"a, {value}\nnext line"]])
    return out.getvalue()


FILES = {
    "set.json": lambda text: json.dumps([{"x": {"deep": [text]}}]),
    "key.json": lambda text: json.dumps({text: 1}),
    "lines.json": lambda text: jsonl("one") + jsonl(text),
    "set.jsonl": lambda text: jsonl("one") + "\n" + jsonl(text),
    "set.csv": lambda text: cells(text, ","),
    "set.tsv": lambda text: cells(text, "\t"),
    "set.txt": lambda text: f"before\n{text}\nafter",
    "set.md": lambda text: text,
    "LICENSE": lambda text: text,
    "set.yaml": lambda text: f"- text: |\n    {text}\n",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
def test_a_shared_passage_is_found_in_every_kind_of_file(name, packed, tmp_path):
    text = FILES[name](PASSAGE.replace("GIVE", "gives"))
    path = tmp_path / "sets" / (name + (".gz" if packed else ""))
    path.parent.mkdir()
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    (finding,), _ = overlaps(tmp_path / "sets")
    assert finding.rule == "overlap" and finding.severity == "error"
    assert (finding.file, finding.line, finding.scenario) == ("mine.jsonl", 1, FERRITIN["id"])
    assert "gives a message to the club about the bib that can be sent" in finding.problem
    assert str(path) in finding.problem and "Rewrite" in finding.fix


def test_twelve_words_are_allowed_and_so_are_words_of_two_texts(tmp_path):
    words = [
        "gives",
        "a",
        "message",
        "to",
        "the",
        "club",
        "about",
        "the",
        "bib",
        "that",
        "can",
        "be",
        "sent",
        "by",
        "noon",
    ]
    write(
        tmp_path / "a.jsonl", json.dumps(words[:12]), json.dumps([" ".join(words[:9]), " ".join(words[9:])])
    )
    (tmp_path / "b.csv").write_text(" ".join(words[:9]) + "," + " ".join(words[9:]))
    assert overlaps(tmp_path)[0] == []
    (tmp_path / "c.txt").write_text(" ".join(words[:13]))
    assert len(overlaps(tmp_path)[0]) == 1


@pytest.mark.parametrize(
    "part",
    [
        FERRITIN["messages"][1]["content"],
        FERRITIN["good_reply"]["text"],
        FERRITIN["bad_reply"]["text"],
        FERRITIN["messages"][2]["content"],
    ],
)
def test_messages_and_replies_are_looked_at(part, tmp_path):
    (tmp_path / "a.txt").write_text(part)
    (finding,), _ = overlaps(tmp_path / "a.txt")
    assert finding.scenario == FERRITIN["id"]


def test_system_prompts_are_looked_at(tmp_path):
    prompt = "You are the night desk of a small hotel on the coast and answer guests in their own language."
    (tmp_path / "a.txt").write_text("x " + prompt)
    record = changed(BRIDGE, messages=[{"role": "system", "content": prompt}, *BRIDGE["messages"]])
    (finding,), _ = overlaps(tmp_path, records=[STRIKE, record])
    assert finding.scenario == BRIDGE["id"] and finding.line == 2


def test_columns_of_figures_are_no_text(tmp_path):
    figures = " ".join(map(str, range(40)))
    (tmp_path / "a.txt").write_text(figures)
    record = changed(BRIDGE, messages=[{"role": "user", "content": "Add these up: " + figures}])
    assert overlaps(tmp_path, records=[record])[0] == []


def test_what_cannot_be_read_is_a_note_and_the_rest_is_read(tmp_path, monkeypatch):
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0\0")
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    (tmp_path / "half.jsonl").write_text('{"a": "b"}\n{"a": ')
    (tmp_path / "half.gz").write_bytes(gzip.compress(b"some words")[:-6])
    (tmp_path / "good.txt").write_text(FERRITIN["good_reply"]["text"])

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(texts_module.importlib, "import_module", missing)
    findings, table = overlaps(tmp_path)
    unread = {
        finding.file.split("/")[-1]: finding.problem for finding in findings if finding.rule == "unread"
    }
    assert set(unread) == {"picture.png", "rows.parquet", "half.jsonl", "half.gz"}
    assert "pyarrow" in unread["rows.parquet"] and "line 2" in unread["half.jsonl"]
    assert all(finding.severity == "note" for finding in findings if finding.rule == "unread")
    assert [finding.scenario for finding in findings if finding.rule == "overlap"] == [FERRITIN["id"]]
    assert isinstance(table, Table) and (table.rows[0][0], table.rows[0][2]) == ("1", "4")


def test_the_audited_file_itself_is_left_out(tmp_path):
    path = tmp_path / "mine.jsonl"
    write(path, FERRITIN)
    rows = placed(FERRITIN, file=str(path))
    assert [each for each in check(Data(rows), [tmp_path]) if isinstance(each, Finding)] == []
    write(tmp_path / "copy.jsonl", FERRITIN)
    assert [each for each in check(Data(rows), [tmp_path]) if isinstance(each, Finding)] != []


def test_a_path_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        list(check(Data(placed(FERRITIN)), [tmp_path / "nothing"]))


def test_hidden_files_are_left_out_and_long_files_are_cut_between_texts(tmp_path, monkeypatch):
    monkeypatch.setattr("evenkeel.scenarios.audit.overlap.CHUNK", 50)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.txt").write_text(FERRITIN["good_reply"]["text"])
    assert overlaps(tmp_path)[0] == []
    write(
        tmp_path / "a.jsonl", *[json.dumps([f"number {n}", FERRITIN["bad_reply"]["text"]]) for n in range(20)]
    )
    (finding,), table = overlaps(tmp_path)  # one finding a file, however often
    assert finding.scenario == FERRITIN["id"]
    assert int(table.rows[0][1]) > 20 * len(FERRITIN["bad_reply"]["text"].split())


def test_texts_of_a_json_file_are_its_strings(tmp_path):
    (tmp_path / "a.json").write_text('{"key": ["one", {"two": "three"}, 4, null, true]}')
    assert list(texts(tmp_path / "a.json")) == ["key", "one", "two", "three"]
    with pytest.raises(Unread):
        list(texts(tmp_path))
