"""The judge's cache: what is asked once, what several processes share, and what is booked when a call is lost."""

import asyncio
import multiprocessing
import sqlite3
from contextlib import aclosing

import pytest

from evenkeel.engines.endpoint import Answer, Ask, EndpointConfig
from evenkeel.grading.collect import collect
from evenkeel.grading.judge import JudgeConfig, RubricJudge
from evenkeel.grading.judge_cache import JudgeCache, cache_key
from evenkeel.records.errors import UserError
from evenkeel.records.types import Message, Scored, Unscorable
from judge_tiny import judged, request
from loopback import Loopback, Response, completion, error
from rule_judge import answer, question_of


def test_equal_replies_cost_one_call_and_get_one_verdict(tmp_path):
    changeable = Loopback(lambda body, n: answer(body) if n == 1 else answer(body, contradict=True))
    with changeable as server:
        outcomes, usage = judged(server, tmp_path, ["tea"] * 8)
    assert len(server.requests) == 1 and (usage.calls, usage.hits) == (1, 7)
    assert outcomes == [outcomes[0]] * 8 and isinstance(outcomes[0], Scored)


def test_a_killed_run_reads_what_gave_no_verdict_from_the_cache_too(tmp_path):
    with Loopback(lambda body, n: completion("what?")) as server:
        first, _ = judged(server, tmp_path, ["tea"], form="json")
    with Loopback(lambda body, n: answer(body)) as server:
        again, usage = judged(server, tmp_path, ["tea"], form="json")
    assert again == first and isinstance(first[0], Unscorable) and usage.hits == 1 and not server.requests
    assert usage.reasons == {"the judge's answer cannot be read": 1}


def test_role_model_prompt_and_sample_are_different_questions():
    ask = Ask((Message("user", "x"),), 10)
    keys = {
        cache_key("train", "m", "1", ask, 0), cache_key("eval", "m", "1", ask, 0), cache_key("train", "n", "1", ask, 0),
        cache_key("train", "m", "2", ask, 0), cache_key("train", "m", "1", ask, 1),
        cache_key("train", "m", "1", Ask((Message("user", "y"),), 10), 0),
    }  # fmt: skip
    assert len(keys) == 6


def _fill(path, start):
    cache = JudgeCache(path)
    for n in range(start, start + 150):
        cache.begin(str(n % 200))
        cache.put(str(n % 200), "m", Answer(f"text {n % 200}", "stop", 1, 1, 1))
    cache.close()


def test_two_processes_share_a_cache(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_fill, args=(tmp_path / "c.sqlite", start)) for start in (0, 50)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    cache = JudgeCache(tmp_path / "c.sqlite")
    assert len(cache) == 200 and cache.get("77").text == "text 77"
    total = cache.totals()["train"]
    assert (total.calls, total.prompt_tokens, total.lost, total.hits) == (300, 300, 0, 1)


def test_of_two_answers_to_a_question_the_first_is_everybodys(tmp_path):
    one, other = JudgeCache(tmp_path / "c.sqlite"), JudgeCache(tmp_path / "c.sqlite")
    first, second = (Answer(text, "stop", 1, 1, 1) for text in ("first", "second"))
    for cache in (one, other):
        cache.begin("question")
    assert one.put("question", "m", first) == first == other.put("question", "m", second)


def _begin(path):
    JudgeCache(path, run="an arm").begin("never answered")


def test_calls_lost_in_a_kill_are_counted_once_and_for_all(tmp_path):
    worker = multiprocessing.get_context("spawn").Process(target=_begin, args=(tmp_path / "cache.sqlite",))
    worker.start()
    worker.join(60)
    with Loopback(lambda body, n: answer(body)) as server:
        _, usage = judged(server, tmp_path, ["tea"])
    assert usage.lost == 1
    cache = JudgeCache(tmp_path / "cache.sqlite")
    assert cache.used.lost == 0  # it was booked, where it belongs
    assert (cache.totals("an arm")["train"].lost, cache.totals()["train"].lost, cache.calls()) == (1, 0, 2)


def test_a_call_that_is_given_up_is_lost_and_one_that_fails_is_not(tmp_path):
    def behave(body, n):
        return error(500) if "tea 0" in question_of(body) else Response(answer(body).body, delay=5)

    async def run(server):
        endpoint = EndpointConfig(server.url, "rule", attempts=1)
        async with RubricJudge(JudgeConfig(endpoint, form="json"), tmp_path / "cache.sqlite") as judge:
            async with aclosing(judge.grade([request(f"tea {n}", n) for n in range(3)])) as graded:
                await anext(graded)
            return judge.usage

    with Loopback(behave) as server:
        usage = asyncio.run(run(server))
    assert (usage.calls, usage.failed, usage.lost) == (3, 1, 2)
    assert JudgeCache(tmp_path / "cache.sqlite").totals()["train"] == usage


def test_a_file_that_is_no_cache_is_named(tmp_path):
    (tmp_path / "cache.sqlite").write_text("not a database, but long enough to be looked at " * 20)
    with pytest.raises(UserError, match=r"cache\.sqlite"):
        JudgeCache(tmp_path / "cache.sqlite")
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE answers (key TEXT PRIMARY KEY, wrong TEXT)")
    other.commit()
    with pytest.raises(UserError, match=r"other\.sqlite"):
        JudgeCache(tmp_path / "other.sqlite")


def test_no_key_reaches_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-planted-9")
    with Loopback(lambda body, n: answer(body)) as server:
        endpoint = EndpointConfig(server.url, "rule", key_env="SOME_KEY")

        async def run():
            async with RubricJudge(JudgeConfig(endpoint), tmp_path / "cache.sqlite") as judge:
                return await collect(judge, [request("tea")])

        asyncio.run(run())
    assert b"planted" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
