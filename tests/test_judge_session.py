"""A judge over a whole run: several event loops, a second opinion, an account that survives kills, a pause in mid-training."""

import asyncio
import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace

import pytest

from evenkeel.engines.endpoint import EndpointConfig
from evenkeel.grading.collect import collect
from evenkeel.grading.grader import GradeRequest, again
from evenkeel.grading.helpfulness import RUBRIC, Helpfulness
from evenkeel.grading.judge import JudgeConfig, JudgePaused
from evenkeel.grading.judge_cache import JudgeCache
from evenkeel.grading.judge_process import JudgeProcess
from evenkeel.grading.judge_session import JudgeSession
from evenkeel.records.errors import UserError
from evenkeel.records.files import read_json
from evenkeel.records.types import Reply, Scored
from evenkeel.scenarios.scenario import TRAITS, Criterion
from evenkeel.training.loop import train_arm
from judge_tiny import CRITERIA, SCENARIO, judge_until_killed, request
from loopback import Loopback, Response, completion, error
from rule_judge import answer, question_of, reply_of
from training_tiny import (
    SOURCES,
    TinyRenderer,
    config,
    folder_bytes,
    graders,
    plan,
    tiny_checkpoint,
    tiny_engine,
)

BOTH = pytest.mark.parametrize("kind", [JudgeSession, JudgeProcess])
THREE = [request(text, n) for n, text in enumerate(("tea", "a cup of tea", "rum"))]


def judge_config(server: Loopback, **changes) -> JudgeConfig:
    fast = {"timeout_s": 5.0, "attempts": 2, "pause_s": 0.01, "in_flight": 8}
    return JudgeConfig(EndpointConfig(server.url, "rule", **fast), **changes)


@BOTH
def test_one_session_serves_several_event_loops(tmp_path, kind):
    with Loopback(lambda body, n: answer(body)) as server:
        session = kind(judge_config(server), tmp_path / "c.sqlite")
        first = asyncio.run(collect(session, THREE))
        more = asyncio.run(collect(session, [*THREE, request("cup", 9)]))
        assert len(server.requests) == 4 and (session.usage.calls, session.usage.hits) == (4, 3)
        session.close()
    assert first["r1"] == Scored({"leaf": 1, "vessel": 1, "spirit": 0})
    assert {name: more[name] for name in first} == first


def test_connections_close_with_their_event_loop(tmp_path):
    with Loopback(lambda body, n: answer(body)) as server:
        session = JudgeSession(judge_config(server), tmp_path / "c.sqlite")
        for n in range(3):
            asyncio.run(collect(session, [request(f"tea {n}", n)]))
        deadline = time.monotonic() + 5
        while server.connections and time.monotonic() < deadline:  # the server hears of it a moment later
            time.sleep(0.01)
        assert server.connections == 0 and len(server.requests) == 3


def test_a_second_opinion_is_asked_for_once_and_is_not_the_first(tmp_path):
    def behave(body, n):
        return answer(body if not body["temperature"] else json.loads(json.dumps(body).replace("tea", "rum")))

    with Loopback(behave) as server:
        session = JudgeSession(judge_config(server), tmp_path / "c.sqlite")
        first, second, same, third = (
            asyncio.run(collect(grader, THREE[:1]))["r0"]
            for grader in (session, again(session), session.again(1), again(session, 2))
        )
        seeds = [body["seed"] for _, body in server.requests]
    assert first.verdicts["spirit"] == 0 and second.verdicts["spirit"] == 1
    assert same == second and isinstance(third, Scored) and seeds == [0, 1, 2]


def test_graders_in_other_threads_share_a_session(tmp_path):
    async def run(session):
        async def mine(part):
            return await asyncio.to_thread(lambda: asyncio.run(collect(session, part)))

        return await asyncio.gather(*(mine([request(f"tea {n % 3}", n)]) for n in range(9)))

    with Loopback(lambda body, n: Response(answer(body).body, delay=0.01)) as server:
        session = JudgeSession(judge_config(server), tmp_path / "c.sqlite")
        outcomes = asyncio.run(run(session))
    assert all(outcome.verdicts["leaf"] == 1 for part in outcomes for outcome in part.values())
    assert session.usage.calls + session.usage.hits == 9


def test_a_judging_process_that_ends_is_a_pause_and_the_next_grading_starts_another(tmp_path):
    def behave(body, n):
        return Response(answer(body).body, delay=30 if "slow" in question_of(body) else 0)

    with Loopback(behave) as server:
        session = JudgeProcess(judge_config(server), tmp_path / "c.sqlite", run="arm")
        asyncio.run(collect(session, THREE))

        async def struck():
            grading = asyncio.create_task(collect(session, [request("slow tea", 7)]))
            while len(server.requests) < 4:
                await asyncio.sleep(0.01)
            os.kill(session._process.pid, signal.SIGKILL)
            await grading

        with pytest.raises(JudgePaused, match="its process has ended"):
            asyncio.run(struck())
        assert asyncio.run(collect(session, THREE))["r0"].verdicts["leaf"] == 1
        session.close()
    total = JudgeCache(tmp_path / "c.sqlite").totals("arm")["train"]
    assert (total.calls, total.hits, total.lost) == (4, 3, 1)


@BOTH
def test_what_a_session_lacks_is_said_when_it_is_made(tmp_path, kind, monkeypatch):
    monkeypatch.delenv("SOME_KEY", raising=False)
    endpoint = EndpointConfig("http://127.0.0.1:1/v1", "rule", key_env="SOME_KEY")
    with pytest.raises(UserError, match="SOME_KEY is not set"):
        kind(JudgeConfig(endpoint), tmp_path / "c.sqlite")


# --- the account


def test_the_account_is_by_run_and_role_and_survives(tmp_path):
    def behave(body, n):
        return answer(body, leave_out=1) if reply_of(question_of(body)) == "rum" else answer(body)

    file = tmp_path / "arm" / "judge.json"
    with Loopback(behave) as server:
        for _ in range(2):  # the second time as after a kill: everything is in the cache
            session = JudgeSession(judge_config(server), tmp_path / "c.sqlite")
            with session.booked("arm", file):
                asyncio.run(collect(session, THREE))
            session.close()
        other = JudgeSession(judge_config(server, role="eval"), tmp_path / "c.sqlite")
        with other.booked("arm", file):
            asyncio.run(collect(other, THREE[:2]))
        with other.booked("another arm", tmp_path / "other.json"):
            asyncio.run(collect(other, THREE[:2]))
        other.close()
    found = read_json(file)
    train, evaluated = found["train"], found["eval"]
    assert (train["calls"], train["hits"], train["judged"], train["unscorable"]) == (3, 3, 6, 2)
    assert train["reasons"] == {"no verdict on a criterion": 2} and train["judge"] == "judge:rule"
    assert train["prompt_tokens"] == 21 and train["version"] == session.version
    assert (evaluated["calls"], evaluated["hits"]) == (2, 0)
    assert read_json(tmp_path / "other.json")["eval"]["hits"] == 2


def test_calls_on_their_way_at_a_kill_are_lost_and_the_rest_is_not(tmp_path):
    answered = []

    def behave(body, n):
        if n > 3:
            return Response(delay=30)
        answered.append(question_of(body))
        return answer(body)

    with Loopback(behave) as server:
        worker = multiprocessing.get_context("spawn").Process(
            target=judge_until_killed, args=(server.url, tmp_path / "c.sqlite")
        )
        worker.start()
        while len(server.requests) < 7:
            time.sleep(0.01)
        worker.kill()
        worker.join(10)
    with Loopback(lambda body, n: answer(body)) as server:
        session = JudgeSession(judge_config(server), tmp_path / "c.sqlite")
        with session.booked("arm", tmp_path / "judge.json"):
            outcomes = asyncio.run(collect(session, [request(f"tea {n}", n) for n in range(10)]))
    assert all(outcome.verdicts["leaf"] == 1 for outcome in outcomes.values())
    assert not {question_of(body) for _, body in server.requests} & set(answered)
    train = read_json(tmp_path / "judge.json")["train"]
    assert (train["calls"], train["hits"], train["lost"]) == (3 + 4 + 7, 3, 4)


# --- training with a judge

RUBRIC_OF_WORDS = (Criterion("kind", 'mentions "good"', 2), Criterion("harm", 'mentions "bad"', -1))
JUDGED = {
    name: [replace(scenario, criteria=RUBRIC_OF_WORDS) for scenario in scenarios]
    for name, scenarios in SOURCES.items()
}


def train(session, folder, base):
    settings = config(steps=4)
    judges = graders() | {"trait": session, "chat": session}
    with session.booked(folder.name, folder.parent / f"{folder.name}.json"):
        train_arm(
            tiny_engine(base), TinyRenderer(), plan(settings, sources=JUDGED), JUDGED, judges, settings, seed=0,
            folder=folder,
        )  # fmt: skip


def test_a_quota_that_runs_out_pauses_training_which_goes_on_to_the_same_bytes(tmp_path):
    """Judged in a process of its own; the run that it is compared with, in this one."""
    base = tiny_checkpoint(tmp_path / "base")
    with Loopback(lambda body, n: answer(body)) as server:
        session = JudgeSession(judge_config(server), tmp_path / "whole.sqlite")
        train(session, tmp_path / "whole", base)
        whole = len(server.requests)
        session.close()
    paid = []

    def runs_out(body, n):
        if n > 2 * whole // 3:
            return error(429, "insufficient_quota")
        paid.append(question_of(body))
        return answer(body)

    with Loopback(runs_out) as server:
        session = JudgeProcess(judge_config(server), tmp_path / "c.sqlite")
        with pytest.raises(JudgePaused, match="start the same command again"):
            train(session, tmp_path / "arm", base)
        session.close()
    assert not (tmp_path / "arm" / "ledger.json").exists() and (tmp_path / "arm" / "resume.json").exists()
    with Loopback(lambda body, n: answer(body)) as server:
        session = JudgeProcess(judge_config(server), tmp_path / "c.sqlite")
        train(session, tmp_path / "arm", base)
        asked = {question_of(body) for _, body in server.requests}
        session.close()
    assert folder_bytes(tmp_path / "arm") == folder_bytes(tmp_path / "whole")
    assert not asked & set(paid) and len(asked) + len(paid) == whole
    account = read_json(tmp_path / "arm.json")["train"]
    assert account["calls"] - account["failed"] - account["lost"] == whole and account["hits"] > 0


# --- helpfulness


def test_helpfulness_puts_its_own_rubric_to_the_judge(tmp_path):
    with Loopback(lambda body, n: answer_all(body, n)) as server:
        grader = Helpfulness(JudgeSession(judge_config(server), tmp_path / "c.sqlite"))
        [outcome] = asyncio.run(collect(grader, [GradeRequest("r", SCENARIO, Reply("tea", "tea"))])).values()
        second = asyncio.run(collect(again(grader), [GradeRequest("r", SCENARIO, Reply("tea", "tea"))]))
    question = question_of(server.requests[0][1])
    assert all(f"- {criterion.id}: {criterion.text}" in question for criterion in RUBRIC)
    assert not any(criterion.text in question for criterion in CRITERIA)
    assert tuple(outcome.verdicts) == grader.criteria(SCENARIO) == tuple(c.id for c in RUBRIC)
    assert second["r"] == outcome and len(server.requests) == 2
    assert grader.name == "helpfulness:judge:rule" and grader.version != grader.judge.version


def answer_all(body, n):
    names = [
        line[2:].split(":")[0]
        for line in question_of(body).split("Criteria:\n")[1].split("\n\n")[0].split("\n")
    ]
    entries = [{"id": name, "reason": "So. Therefore met.", "met": True} for name in names]
    return completion(json.dumps({"verdicts": entries}))


def test_the_helpfulness_rubric_is_about_no_trait():
    text = " ".join(criterion.text for criterion in RUBRIC).lower()
    moral = (
        "honest",
        "fair",
        "harm",
        "safe",
        "risk",
        "uncertain",
        "ethic",
        "caution",
        "oversight",
        "dignity",
        "true",
        "polite",
    )
    assert not [word for word in (*moral, *(slug.replace("_", " ") for slug in TRAITS)) if word in text]
    assert any(criterion.points < 0 for criterion in RUBRIC) and any(
        criterion.points > 0 for criterion in RUBRIC
    )
    assert len({criterion.id for criterion in RUBRIC}) == len(RUBRIC)
