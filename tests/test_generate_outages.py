"""The generator when calls fail: slow servers, errors, refusals, outages, and a kill that costs nothing twice."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import scripted_writer as writer
from evenkeel.records.errors import UserError
from evenkeel.scenarios.generator import sampling
from evenkeel.scenarios.generator.run import Paused, generate
from evenkeel.scenarios.generator.settings import Settings
from generator_tiny import SMALL, endpoint, files, run, spoilt
from loopback import Loopback, Response, completion, error


def test_slowness_and_errors_are_outlived(tmp_path):
    trouble = [
        error(429, Retry_After="0.02"),
        error(500),
        Response(reset=True),
        Response(b"<html>"),
        error(503),
    ]
    seen = Counter()

    def behave(body, n):
        key = (body["seed"], len(body["messages"]))
        seen[key] += 1
        good = writer.answer(body)
        if seen[key] == 1 and body["seed"] % 2:
            return trouble[body["seed"] % len(trouble)]
        return Response(good.body, delay=0.03 if body["seed"] % 5 == 0 else 0)

    run(tmp_path / "bad", behave, per_cell=2)
    run(tmp_path / "good", per_cell=2)
    assert max(seen.values()) == 2
    assert files(tmp_path / "bad") == files(tmp_path / "good")


@pytest.mark.parametrize(
    "down", [error(401), error(429, "insufficient_quota"), error(404, "model_not_found"), error(500)]
)
def test_an_outage_pauses_and_the_same_command_goes_on(tmp_path, down):
    with (
        pytest.raises(Paused, match="same"),
        Loopback(lambda body, n: down if n > 9 else writer.answer(body)) as server,
    ):
        generate(Settings("writer", **SMALL), endpoint(server, attempts=2, in_flight=1), tmp_path / "a")
    assert len(server.requests) == 9 + (6 if down.status == 500 else 1)  # what is down for all is asked once
    kept = (
        sqlite3.connect(tmp_path / "a" / "answers.sqlite")
        .execute("SELECT COUNT(*) FROM answers")
        .fetchone()[0]
    )
    assert kept == 9
    _, server = run(tmp_path / "a")
    assert len(server.requests) == 16 - 9
    run(tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_an_endpoint_that_refuses_everything_is_no_empty_dataset(tmp_path):
    with pytest.raises(Paused, match="refuses every request"):
        run(tmp_path, lambda body, n: error(400, message="max_tokens is too large"), per_cell=3)
    with pytest.raises(Paused, match="answered nothing"):  # also when they are few
        run(tmp_path / "few", lambda body, n: error(400), traits=("truthfulness",), domains=("law",), draws=2)
    with sqlite3.connect(tmp_path / "answers.sqlite") as kept:
        assert kept.execute("SELECT COUNT(*) FROM answers").fetchone() == (0,)


def test_a_refused_request_costs_its_draw_only(tmp_path):
    slot = sampling.Slot(0, "truthfulness", "health", 101)
    filtered = sampling.call_seed(0, slot, 0, "pair")
    behave = spoilt(lambda b: b["seed"] == filtered, lambda b: error(400, "content_filter"))
    done, server = run(tmp_path, behave)
    assert done.reasons == {"refused by the endpoint": 1} and not done.short
    again, server = run(tmp_path, behave)
    assert not server.requests and again.reasons == done.reasons


def test_without_structured_output_the_schema_is_left_out(tmp_path):
    picky = spoilt(lambda b: "response_format" in b, lambda b: error(400, "unsupported"))
    with pytest.raises(Paused):
        run(tmp_path, lambda body, n: error(401) if n > 9 else picky(body, n), at={"in_flight": 1})
    done, server = run(tmp_path, picky, at={"in_flight": 1})
    assert not done.short and len(server.requests) == 16 - 8  # one of the nine was refused
    assert not any("response_format" in body for _, body in server.requests)  # it was noted


def test_a_model_that_writes_nothing_usable_is_stopped(tmp_path):
    with pytest.raises(UserError, match="not one row accepted: unreadable draft 4"):
        run(tmp_path, lambda body, n: completion("I would rather not."), per_cell=10)


def command(server, folder, **options):
    named = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "evenkeel", "scenarios", "generate", "--url", server.url, "--model", "writer", "--out",
            str(folder), "--traits", "truthfulness", "corrigibility", "--domains", "health", "law", "--per-cell", "3",
            "--date", "2026-11-21", "--key-env", "PLANTED", *named]  # fmt: skip


def test_kill_and_resume_end_with_the_same_bytes_and_pay_nothing_twice(tmp_path):
    planted = "sk-planted-98765"
    env = {**os.environ, "PLANTED": planted, "OMP_NUM_THREADS": "1"}
    echo = lambda body, n: Response(writer.answer(body).body, delay=0.02)  # noqa: E731
    with Loopback(
        lambda body, n: error(500, message=f"Bearer {planted}") if n == 3 else echo(body, n)
    ) as server:
        whole = subprocess.run(command(server, tmp_path / "whole"), env=env, capture_output=True, text=True)
        assert whole.returncode == 0, whole.stderr
        needed = len(server.requests) - 1
    outputs, lost, requests, kills = [whole.stdout + whole.stderr], 0, 0, 0
    with Loopback(echo) as server:
        for stop_after in (11, 24, None):
            log = (tmp_path / f"log{stop_after}").open("w+")
            process = subprocess.Popen(
                command(server, tmp_path / "cut", in_flight=3), env=env, stdout=log, stderr=log
            )
            while stop_after and len(server.requests) - requests < stop_after and process.poll() is None:
                time.sleep(0.005)
            if stop_after:
                process.send_signal(signal.SIGKILL)
                kills += process.wait() == -signal.SIGKILL
            assert stop_after or process.wait() == 0
            log.seek(0)
            outputs.append(log.read())
            requests = len(server.requests)
            with sqlite3.connect(tmp_path / "cut" / "answers.sqlite") as kept:
                answered = kept.execute("SELECT COUNT(*) FROM answers").fetchone()[0]
            lost = (
                requests - answered
            )  # begun and not yet kept when the kill came: no more than were in flight
            assert lost <= 3 * kills
    assert kills == 2 and requests == needed + lost
    assert files(tmp_path / "cut") == files(tmp_path / "whole")
    everything = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"planted" in content for content in everything)
    assert not any("planted" in text for text in outputs)
    assert "12 of 12 rows accepted" in outputs[0] and "48 calls in all (48 of them now)" in outputs[0]
    assert Path(tmp_path / "cut" / "scenarios.jsonl").read_text().count("\n") == 12
    authorised = {headers.get("authorization") for headers, _ in server.requests}
    assert authorised == {f"bearer {planted}"}  # it was sent, so its absence elsewhere means something
