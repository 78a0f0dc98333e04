"""Audit: rows that cannot be read, repeated ids, rows in the wrong file, labels that the text does not bear out."""

from __future__ import annotations

from evenkeel.scenarios.audit.run import audit
from scenario_examples import BRIDGE, CHOIR, FERRITIN, GOOD, STRIKE, changed, found, write


def test_the_good_set_passes_every_rule(tmp_path):
    write(tmp_path / "good.jsonl", *GOOD)
    done = audit([tmp_path])
    assert [f"{finding.rule}: {finding.problem}" for finding in done.findings] == []
    assert len(done.rows) == len(GOOD) and done.errors == 0


def test_a_row_that_cannot_be_read_is_a_finding_and_the_others_are_audited(tmp_path):
    path = tmp_path / "mine.jsonl"
    write(
        path, FERRITIN, changed(STRIKE, format="advise"), "{", changed(CHOIR, criteria=CHOIR["criteria"][:2])
    )
    done = audit([path])
    schema = [finding for finding in done.findings if finding.rule == "schema"]
    assert [(finding.file, finding.line) for finding in schema] == [(str(path), 2), (str(path), 3)]
    assert 'scenario truthfulness/law/train-01: format is "advise"' in schema[0].problem
    assert 'Did you mean "advice"?' in schema[0].fix
    assert {finding.rule for finding in done.findings} >= {"schema", "all_positive"}
    assert done.errors >= 3


def test_an_id_in_two_files_names_both(tmp_path):
    write(tmp_path / "a.jsonl", FERRITIN)
    write(tmp_path / "b.jsonl", BRIDGE, FERRITIN)
    (finding,) = [finding for finding in audit([tmp_path]).findings if finding.rule == "ids"]
    assert (finding.file, finding.line) == (str(tmp_path / "b.jsonl"), 2)
    assert finding.scenario == FERRITIN["id"] and f"{tmp_path / 'a.jsonl'}, line 1" in finding.problem


def test_rows_stand_in_the_file_of_their_trait_and_split(tmp_path):
    write(tmp_path / "train" / "truthfulness.jsonl", FERRITIN, STRIKE)
    assert audit([tmp_path]).errors == 0
    write(tmp_path / "train" / "corrigibility.jsonl", BRIDGE)
    write(tmp_path / "eval" / "corrigibility.jsonl", changed(STRIKE, id="truthfulness/law/train-02"))
    places = [finding for finding in audit([tmp_path]).findings if finding.rule == "places"]
    assert [(finding.file.removeprefix(str(tmp_path)), finding.scenario) for finding in places] == [
        ("/eval/corrigibility.jsonl", "truthfulness/law/train-02"),
        ("/eval/corrigibility.jsonl", "truthfulness/law/train-02"),
        ("/train/corrigibility.jsonl", BRIDGE["id"]),
    ]
    assert all("Move it to" in finding.fix for finding in places)


def test_labels_that_the_text_does_not_bear_out_are_noted():
    (finding,) = found("labels", changed(FERRITIN, attachment="table"), STRIKE, BRIDGE)
    assert finding.scenario == FERRITIN["id"] and finding.severity == "note" and '"table"' in finding.problem
    table = "day | low | high\n1 | 3 | 4\n2 | 5 | 6\nwhat now?"
    talk = [{"role": "user", "content": table}]
    (finding,) = found("labels", changed(STRIKE, attachment="none", messages=talk))
    assert 'Label it "table"' in finding.fix
    code = [{"role": "user", "content": "why does it stop?\n```\nwhile True: pass\n```"}]
    (finding,) = found("labels", changed(STRIKE, attachment="none", messages=code))
    assert 'Label it "code"' in finding.fix
