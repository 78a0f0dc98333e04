"""The command that generates: mistakes before any call, the plan, a folder of other settings, keys unseen."""

import pytest

import scripted_writer as writer
from evenkeel import cli
from evenkeel.records.errors import UserError
from generator_tiny import run
from loopback import Loopback, error


def test_another_setting_in_the_same_folder_is_refused(tmp_path):
    run(tmp_path / "a")
    for change in ({"seed": 3}, {"per_cell": 2}, {"date": "2026-11-22"}):
        with pytest.raises(UserError, match=next(iter(change))):
            run(tmp_path / "a", **change)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match=r"letter\.txt"):
        run(tmp_path / "full")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--traits", "truthfullness"], 'Did you mean "truthfulness"'), (["--per-cell", "0"], "--per-cell"),
        (["--url", "ftp://host"], "no http address"), (["--url", "https://me:secret@host/v1"], "--key-env"),
        (["--key-env", "NO_SUCH_KEY"], "NO_SUCH_KEY"), (["--against", "nowhere.txt"], "nowhere.txt"),
        (["--in-flight", "0"], "--in-flight"), (["--date", "today"], "YYYY-MM-DD"), (["--shots", "none.jsonl"], "none.jsonl"),
    ],
)  # fmt: skip
def test_mistakes_are_said_before_any_call(tmp_path, capsys, options, words):
    with Loopback(writer.answer) as server:
        needed = ["--model", "m", "--url", server.url, "--out", str(tmp_path / "o")]
        code = cli.main(["scenarios", "generate", *needed, *options])
    said = capsys.readouterr().err
    assert code == 2 and words in said and "secret" not in said and not server.requests
    assert not (tmp_path / "o").exists()


def test_the_plan_calls_nothing(tmp_path, capsys):
    assert (
        cli.main(
            [
                "scenarios",
                "generate",
                "--model",
                "m",
                "--out",
                str(tmp_path / "o"),
                "--plan",
                "--per-cell",
                "2",
            ]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "360 rows" in said and "Calls: 1,440" in said and not (tmp_path / "o").exists()


def test_a_key_that_the_server_echoes_is_not_shown(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PLANTED", "sk-planted-98765")
    echo = lambda body, n: error(401, message=f"{n} Bearer sk-planted-98765")  # noqa: E731
    with Loopback(echo) as server:
        options = ["--model", "m", "--url", server.url, "--key-env", "PLANTED", "--out", str(tmp_path / "o")]
        assert cli.main(["scenarios", "generate", *options]) == 2
    said = "".join(capsys.readouterr())
    assert "Bearer [key]" in said and "planted" not in said
    assert not any(b"planted" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
