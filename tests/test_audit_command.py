"""`evenkeel scenarios`: what is printed, exit codes, JSON, the page, and the thresholds that the data card repeats."""

from __future__ import annotations

import json

import pytest

from evenkeel import cli
from evenkeel.scenarios import dataset
from evenkeel.scenarios.audit.limits import LIMITS, Limit, limit_rows
from evenkeel.scenarios.audit.run import audit
from evenkeel.scenarios.audit.summary import SHOWN, summary
from scenario_examples import BRIDGE, FERRITIN, GOOD, PROOF, changed, write

DUPLICATE = changed(PROOF, messages=BRIDGE["messages"])


def run(capsys, *arguments):
    code = cli.main(["scenarios", *map(str, arguments)])
    return code, capsys.readouterr()


def test_a_clean_file_passes_with_exit_code_0(tmp_path, capsys):
    write(tmp_path / "mine.jsonl", *GOOD)
    code, said = run(capsys, "audit", tmp_path / "mine.jsonl")
    assert code == 0 and "The audit passed: no errors, no notes." in said.out
    assert "6 scenarios in 1 file" in said.out and "By trait" in said.out


def test_an_error_is_printed_with_file_line_scenario_and_fix_and_exit_code_1(tmp_path, capsys):
    path = tmp_path / "mine.jsonl"
    write(path, BRIDGE, DUPLICATE)
    code, said = run(capsys, "audit", path)
    assert code == 1 and "The audit failed: 2 errors" in said.out
    assert f"error [near_prompts] {path}, line 2: {PROOF['id']}" in said.out
    assert LIMITS["near_prompts"].fix in said.out


def test_notes_alone_pass(tmp_path, capsys):
    write(tmp_path / "mine.jsonl", changed(FERRITIN, attachment="table"))
    code, said = run(capsys, "audit", tmp_path)
    assert code == 0 and "no errors, 1 note" in said.out and "note [labels]" in said.out


def test_every_limit_is_printed_with_what_was_measured(tmp_path, capsys):
    write(tmp_path / "mine.jsonl", *GOOD)
    _, said = run(capsys, "audit", tmp_path)
    lines = {line.split()[0]: line for line in said.out.splitlines() if line.strip()}
    for rule, what, allowed in limit_rows():
        assert what in lines[rule] and allowed in lines[rule], rule
    assert "33.3 % (too few to judge)" in lines["several_turns"]


def test_json_has_everything(tmp_path, capsys):
    path = tmp_path / "mine.jsonl"
    write(path, BRIDGE, DUPLICATE)
    code, said = run(capsys, "audit", path, "--json")
    found = json.loads(said.out)
    assert code == 1 and found["passed"] is False and found["errors"] == 2 and found["scenarios"] == 2
    assert {"rule", "severity", "file", "line", "scenario", "problem", "fix"} <= set(found["findings"][0])
    assert found["limits"]["near_prompts"]["high"] == 0.3
    assert any(measure["rule"] == "several_turns" for measure in found["measures"])


def test_whole_asks_for_the_shipped_counts(tmp_path, capsys):
    write(tmp_path / "mine.jsonl", *GOOD)
    code, said = run(capsys, "audit", tmp_path, "--whole", "--json")
    rules = [finding["rule"] for finding in json.loads(said.out)["findings"]]
    assert code == 1 and rules.count("eval_per_cell") == 180


def test_against_takes_several_paths_and_one_that_is_missing_is_exit_code_2(tmp_path, capsys):
    write(tmp_path / "mine.jsonl", *GOOD)
    for name, record in (("a", FERRITIN), ("b", BRIDGE)):
        (tmp_path / f"{name}.txt").write_text(record["good_reply"]["text"])
    code, said = run(
        capsys,
        "audit",
        tmp_path / "mine.jsonl",
        "--against",
        tmp_path / "a.txt",
        "--against",
        tmp_path / "b.txt",
    )
    assert code == 1 and said.out.count("error [overlap]") == 2
    code, said = run(capsys, "audit", tmp_path, "--against", tmp_path / "c.txt")
    assert code == 2 and "no such file or folder" in said.err


def test_the_page_of_an_audit_shows_the_findings(tmp_path, capsys):
    write(tmp_path / "mine.jsonl", BRIDGE, DUPLICATE)
    assert run(capsys, "audit", tmp_path, "--page", tmp_path / "page.html")[0] == 1
    assert "near_prompts" in (tmp_path / "page.html").read_text()


def test_browse_writes_a_page(tmp_path, capsys):
    write(tmp_path / "mine.jsonl", *GOOD)
    code, said = run(capsys, "browse", tmp_path / "mine.jsonl", "--out", tmp_path / "page.html")
    assert code == 0 and "6 scenarios" in said.out
    assert BRIDGE["title"] in (tmp_path / "page.html").read_text()
    assert run(capsys, "browse", tmp_path / "nothing", "--out", tmp_path / "page.html")[0] == 2


def test_the_shipped_dataset_is_the_default_and_is_held_to_its_plan(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(dataset, "FOLDER", tmp_path)
    assert run(capsys, "audit")[0] == 2
    write(tmp_path / "train" / "truthfulness.jsonl", FERRITIN)
    code, said = run(capsys, "audit")
    assert code == 1 and f"version {dataset.VERSION}" in said.out and "eval_per_cell" in said.out
    assert f"{SHOWN} more" not in said.out and "--json prints them all" in said.out


def test_help_teaches(capsys):
    for arguments in ([], ["audit"], ["browse"]):
        with pytest.raises(SystemExit) as end:
            cli.main(["scenarios", *arguments, "--help"])
        assert end.value.code == 0
    out = capsys.readouterr().out
    assert "evenkeel scenarios audit mine.jsonl --json" in out and "13 words in a row" in out


def test_findings_are_in_order_errors_first(tmp_path):
    write(tmp_path / "a.jsonl", changed(FERRITIN, attachment="table"))
    write(tmp_path / "b.jsonl", BRIDGE, DUPLICATE)
    done = audit([tmp_path])
    assert [finding.severity for finding in done.findings] == ["error", "error", "note"]
    assert summary(done) == summary(audit([tmp_path]))


@pytest.mark.parametrize(
    ("limit", "inside", "outside", "allowed"),
    [
        (Limit("x", "", low=0.4, share=True), 0.4, 0.399, "at least 40 %"),
        (Limit("x", "", high=0.3, below=True), 0.299, 0.3, "under 0.30"),
        (Limit("x", "", high=3), 3, 4, "at most 3"),
        (Limit("x", "", low=4, high=4), 4, 5, "exactly 4"),
        (Limit("x", "", low=3, high=6), 6, 2, "3 to 6"),
        (Limit("x", "", high=0), 0, 1, "none"),
    ],
)
def test_limits_in_words(limit, inside, outside, allowed):
    assert limit.holds(inside) and not limit.holds(outside) and limit.allowed() == allowed


def test_the_data_card_states_every_limit():
    card = (dataset.FOLDER / "README.md").read_text()
    missing = [
        rule for rule, what, allowed in limit_rows() if f"| `{rule}` | {what} | {allowed} |" not in card
    ]
    assert missing == []
