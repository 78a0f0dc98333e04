"""A key that is planted in the environment is found nowhere else: no file, no log, no output, no error."""

import asyncio
import logging
from pathlib import Path

import pytest

from evenkeel import cli
from evenkeel.engines.endpoint import EndpointConfig
from evenkeel.grading.collect import collect
from evenkeel.grading.judge import JudgeConfig, JudgePaused
from evenkeel.grading.judge_process import JudgeProcess
from evenkeel.grading.judge_session import JudgeSession
from evenkeel.records.errors import UserError
from judge_tiny import request
from loopback import Loopback, error
from rule_judge import answer
from test_judge_session import train
from training_tiny import tiny_checkpoint

KEY = "sk-planted-0123456789abcdefghij"
PARTS = (KEY, KEY[3:], KEY[:14], KEY.upper())


@pytest.fixture
def planted(monkeypatch, caplog):
    """The key in the environment, and the most talkative logging there is."""
    monkeypatch.setenv("JUDGE_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "httpx", "httpx2", "httpcore", "httpcore2", "asyncio", "evenkeel"):
        caplog.set_level(logging.DEBUG, logger=name)


def echo(number):
    """Errors that repeat what they were sent, as servers do."""
    told = (f"bad header Authorization: Bearer {KEY}", f"got {KEY.upper()} and {KEY.lower()} and {KEY}")
    return told[number % 2]


def judge(kind, server, path, **changes):
    endpoint = EndpointConfig(server.url, "rule", key_env="JUDGE_KEY", attempts=2, pause_s=0.01, in_flight=8)
    return kind(JudgeConfig(endpoint, **changes), path)


def assert_unseen(folder: Path, *texts: str):
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        assert not any(part.encode() in content for part in PARTS), path
    for text in texts:
        assert not any(part in text for part in PARTS)


def test_a_paused_and_a_finished_training_leave_no_key(tmp_path, planted, capfd, caplog):
    base = tiny_checkpoint(tmp_path / "base")
    bad = {3: 500, 7: 503, 11: 400}

    def behave(body, n):
        if n > 30:
            return error(401, message=echo(n))
        return error(bad[n], message=echo(n)) if n in bad else answer(body)

    with Loopback(behave) as server:
        session = judge(JudgeSession, server, tmp_path / "c.sqlite", pause_above=1.0)
        with pytest.raises(JudgePaused) as caught:
            train(session, tmp_path / "arm", base)
        assert "[key]" in str(caught.value)
        assert all(headers["authorization"] == f"bearer {KEY}".lower() for headers, _ in server.requests)
        session.close()
    assert_unseen(tmp_path, str(caught.value), repr(caught.value), repr(session.config))
    with Loopback(lambda body, n: answer(body)) as server:
        session = judge(JudgeSession, server, tmp_path / "c.sqlite", pause_above=1.0)
        train(session, tmp_path / "arm", base)
        session.close()
    assert (tmp_path / "arm" / "ledger.json").exists()
    said = capfd.readouterr()
    assert_unseen(tmp_path, said.out, said.err, caplog.text)


def test_a_judging_process_tells_no_key_either(tmp_path, planted, capfd, monkeypatch):
    monkeypatch.setenv("OPENAI_LOG", "debug")
    with Loopback(lambda body, n: error(403, message=echo(n)) if n > 3 else answer(body)) as server:
        session = judge(JudgeProcess, server, tmp_path / "c.sqlite")
        with pytest.raises(JudgePaused) as caught, session.booked("arm", tmp_path / "judge.json"):
            asyncio.run(collect(session, [request(f"tea {n}", n) for n in range(12)]))
        arguments = Path(f"/proc/{session._process.pid}/cmdline")
        assert_unseen(tmp_path, str(caught.value), arguments.read_text() if arguments.exists() else "")
        session.close()
    said = capfd.readouterr()
    assert "openai" in said.err.lower()  # it did log
    assert_unseen(tmp_path, said.out, said.err)


def test_the_check_of_a_judge_tells_no_key(tmp_path, planted, capfd):
    with Loopback(lambda body, n: error(401, message=echo(n))) as server:
        code = cli.main([
            "judge", "check", "--url", server.url, "--model", "m", "--key-env", "JUDGE_KEY", "--limit", "1",
            "--cache", str(tmp_path / "c.sqlite"),
        ])  # fmt: skip
    said = capfd.readouterr()
    assert code != 0 and "[key]" in said.err
    assert_unseen(tmp_path, said.out, said.err)


@pytest.mark.parametrize("key", [f"{KEY}\n", f"  {KEY} "])
def test_white_space_around_a_key_does_not_break_the_header(tmp_path, monkeypatch, key):
    monkeypatch.setenv("JUDGE_KEY", key)
    with Loopback(lambda body, n: answer(body)) as server:
        session = judge(JudgeSession, server, tmp_path / "c.sqlite")
        asyncio.run(collect(session, [request("tea")]))
    assert server.requests[0][0]["authorization"] == f"bearer {KEY}"


def test_a_key_that_is_none_is_refused_without_a_word_of_it(tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", f"{KEY} and a blank")
    with (
        Loopback(lambda body, n: answer(body)) as server,
        pytest.raises(UserError, match="JUDGE_KEY") as caught,
    ):
        judge(JudgeSession, server, tmp_path / "c.sqlite")
    assert not any(part in str(caught.value) for part in PARTS)
