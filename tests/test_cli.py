"""The command line: help that teaches, errors without traceback, and the nano study end to end."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from evenkeel import cli
from evenkeel.records.errors import UserError
from evenkeel.study.run import prepare


def evenkeel(*arguments, **options):
    command = [sys.executable, "-m", "evenkeel", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def nano(tmp_path_factory):
    """A finished nano run, and what the command printed."""
    run = tmp_path_factory.mktemp("nano") / "run"
    done = evenkeel("study", "nano", "--out", run)
    assert done.returncode == 0, done.stdout + done.stderr
    return run, done.stdout


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "evenkeel study microworld --quick" in out and "same bytes" in out


def test_errors_have_no_traceback_and_exit_with_2(tmp_path, capsys):
    assert cli.main(["study", "microwrld"]) == 2
    err = capsys.readouterr().err
    assert 'Did you mean "microworld"?' in err and "Traceback" not in err
    assert cli.main(["show", str(tmp_path)]) == 2
    assert "not a finished run directory" in capsys.readouterr().err


def test_nano_ends_with_a_table_and_the_reports_path(nano):
    run, out = nano
    assert f"Report: {run / 'report.html'}" in out
    assert "trait-25" in out
    assert {"results.json", "results.csv", "report.html", "machine.json", "versions.json"} <= {
        path.name for path in run.iterdir()
    }
    assert "plumbing" in (run / "results.json").read_text()


def test_the_same_command_has_nothing_left_to_do(nano):
    run, _ = nano
    before = (run / "results.json").stat().st_mtime_ns
    again = evenkeel("study", "nano", "--out", run, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["stages_made"] == 0
    assert (run / "results.json").stat().st_mtime_ns == before


def test_results_carry_no_times_and_no_paths(nano):
    run, _ = nano
    for name in ("results.json", "results.csv", "report.html", "transcripts.json"):
        assert str(run) not in (run / name).read_text()


def test_readable_names_lead_to_the_stages(nano):
    run, _ = nano
    assert (run / "arms/nano/trait-25/0/ledger.json").is_file()
    assert (run / "scores/nano/base/0/finetune_bad_0/rows.jsonl.gz").is_file()
    index = json.loads((run / "index.json").read_text())
    for model in index["models"]:
        for folder in model["scores"].values():
            assert (run / folder / "summary.json").is_file()


def test_show_reaches_any_transcript_and_record(nano):
    run, _ = nano
    models = evenkeel("show", run).stdout
    assert "nano/trait-25/0" in models
    scores = evenkeel("show", run, "nano/trait-25/0").stdout
    benchmark = scores.splitlines()[2].split()[0]
    item = evenkeel("show", run, "nano/trait-25/0", benchmark).stdout.split()[0]
    assert "[assistant]" in evenkeel("show", run, "nano/trait-25/0", benchmark, item).stdout
    assert '"step"' in evenkeel("show", run, "nano/trait-25/0", "steps").stdout
    assert evenkeel("show", run, "nano/trait-25/0", "completions", "0/0").stdout
    assert "there is no model" in evenkeel("show", run, "nano/trait-26/0").stderr


def test_compare_of_a_run_with_itself_is_zero_and_refuses_other_protocols(nano, tmp_path):
    run, _ = nano
    rows = json.loads(evenkeel("compare", run, run, "--json").stdout)
    assert rows and all(row["difference"] == 0 for row in rows)
    other = tmp_path / "other"
    shutil.copytree(run, other, symlinks=True)
    index = json.loads((other / "index.json").read_text())
    summary = other / index["models"][0]["scores"]["bare"] / "summary.json"
    summary.write_text(summary.read_text().replace('"temperature": 1.0', '"temperature": 0.5'))
    refused = evenkeel("compare", run, other)
    assert refused.returncode == 2 and "Traceback" not in refused.stderr


def test_report_writes_the_same_bytes_again(nano):
    run, _ = nano
    before = {name: (run / name).read_bytes() for name in ("results.json", "report.html")}
    assert evenkeel("report", run).returncode == 0
    assert before == {name: (run / name).read_bytes() for name in before}


def test_plan_runs_nothing(tmp_path):
    done = evenkeel("study", "nano", "--plan", "--json", "--out", tmp_path / "run")
    plan = json.loads(done.stdout)
    assert not (tmp_path / "run").exists()
    arm = next(arm for arm in plan["arms"] if arm["name"] == "trait-25")
    assert sum(arm["draws_by_source"].values()) == arm["prompts"] == 24
    assert arm["draws_by_source"]["trait"] == 6
    assert "nano-control/trait-25/0" in plan["models"]


def test_a_folder_that_is_no_run_is_refused_before_any_work(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    done = evenkeel("study", "nano", "--out", tmp_path)
    assert done.returncode == 2 and "thesis.txt" in done.stderr
    assert not (tmp_path / "stages").exists()


def test_a_run_of_another_study_is_refused(nano, tmp_path):
    run, _ = nano
    study = tmp_path / "mine.toml"
    text = (Path(cli.__file__).parent / "studies" / "nano.toml").read_text()
    study.write_text(text.replace('title = "Nano"', 'title = "Mine"'))
    done = evenkeel("study", study, "--out", run)
    assert done.returncode == 2 and 'holds the study "Nano"' in done.stderr


def test_too_little_disk_is_an_error_before_any_work(tmp_path):
    study = tmp_path / "mine.toml"
    text = (Path(cli.__file__).parent / "studies" / "nano.toml").read_text()
    study.write_text(text.replace("disk_mb = 20", "disk_mb = 2000000000"))
    done = evenkeel("study", study, "--out", tmp_path / "run")
    assert done.returncode == 2 and "MB free" in done.stderr
    assert not (tmp_path / "run" / "stages").exists()


def test_a_base_that_does_not_exist_is_an_error(tmp_path):
    text = (Path(cli.__file__).parent / "studies" / "nano.toml").read_text()
    study = tmp_path / "mine.toml"
    study.write_text(text.replace('name = "nano"\n', 'name = "nano"\nfolder = "nowhere"\n', 1))
    with pytest.raises(UserError, match="not a Hugging Face checkpoint"):
        prepare(str(study))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    done = evenkeel("study", "nano", "--out", tmp_path / "run")
    tmp_path.chmod(0o700)
    assert done.returncode == 2 and "cannot write there" in done.stderr
