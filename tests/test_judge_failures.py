"""A judge that gives no verdict: unscorable replies with their reasons, the budget, outages and the pause."""

import asyncio

import pytest

from evenkeel.engines.endpoint import EndpointConfig
from evenkeel.grading.collect import collect
from evenkeel.grading.judge import JudgeConfig, JudgePaused, RubricJudge
from evenkeel.records.types import Scored, Unscorable
from judge_tiny import judged, request
from loopback import Loopback, Response, completion, error
from rule_judge import answer, question_of


def spoilt(text):
    return lambda body, n: text if isinstance(text, Response) else completion(text)


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (spoilt("I would rather not say."), "cannot be read"), (spoilt('{"verdicts": [{"id": "leaf"'), "cannot be read"),
        (spoilt('{"verdicts": [{"id": "leaf", "reason": "x", "met": "yes"}]}'), "cannot be read"),
        (spoilt(completion("{}", finish="length")), "cut off"), (spoilt(completion("", refusal="no")), "refused"),
        (spoilt(completion("", finish="content_filter")), "refused"), (spoilt(error(500)), "server error"),
        (spoilt(Response(b"{", 200)), "malformed"), (spoilt(Response(reset=True)), "connection"),
        (lambda body, n: answer(body, leave_out=1), "no verdict on a criterion: leaf"),
        (lambda body, n: answer(body, add="milk"), "not asked"),
        (lambda body, n: answer(body, add="leaf"), "two verdicts on one criterion: leaf"),
        (lambda body, n: answer(body, contradict=True), "contradicts its reason: leaf"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_unscorable_and_says_why(tmp_path, behave, reason):
    with Loopback(behave) as server:
        [outcome], usage = judged(server, tmp_path, ["tea"], form="json")
    assert isinstance(outcome, Unscorable) and reason in outcome.reason
    assert usage.unscorable == 1


def test_beyond_the_budget_replies_are_unscorable(tmp_path):
    with Loopback(lambda body, n: answer(body)) as server:
        outcomes, usage = judged(server, tmp_path, [f"tea {n}" for n in range(5)], most_calls=3)
    assert sorted(isinstance(outcome, Scored) for outcome in outcomes) == [False] * 2 + [True] * 3
    assert usage.calls == len(server.requests) == 3


def test_an_exhausted_quota_pauses_and_the_answers_so_far_are_kept(tmp_path):
    texts = [f"tea {n}" for n in range(12)]
    stops = Loopback(lambda body, n: answer(body) if n <= 7 else error(429, "insufficient_quota"))
    with stops as server, pytest.raises(JudgePaused) as caught:
        judged(server, tmp_path, texts)
    assert "7 answers are kept" in str(caught.value) and "start the same command again" in str(caught.value)
    with Loopback(lambda body, n: answer(body)) as server:
        outcomes, usage = judged(server, tmp_path, texts)
    assert (usage.hits, usage.calls, len(server.requests)) == (7, 5, 5)
    with Loopback(lambda body, n: error(500)) as server:  # a third run needs no server at all
        again, usage = judged(server, tmp_path, texts)
    assert again == outcomes and usage.hits == 12 and not server.requests


def test_too_many_unscorable_replies_pause(tmp_path):
    def behave(body, n):
        return completion("what?") if "tea 3" in question_of(body) else answer(body)

    with Loopback(behave) as server, pytest.raises(JudgePaused, match="could not be judged"):
        judged(server, tmp_path, [f"tea {n}" for n in range(60)], form="json")
    with Loopback(behave) as server:  # a rate above it is a rate that the user allowed
        outcomes, _ = judged(server, tmp_path, [f"tea {n}" for n in range(60)], form="json", pause_above=0.5)
    assert sum(isinstance(outcome, Unscorable) for outcome in outcomes) == 11


def test_what_gave_no_verdict_is_asked_for_again_after_the_pause(tmp_path):
    texts = [f"tea {n}" for n in range(60)]

    def broken(body, n):
        return completion("what?") if "tea 3" in question_of(body) else answer(body)

    with Loopback(broken) as server, pytest.raises(JudgePaused, match="are asked for again"):
        judged(server, tmp_path, texts, form="json")
    with Loopback(lambda body, n: answer(body)) as server:  # mended
        outcomes, usage = judged(server, tmp_path, texts, form="json")
    assert all(isinstance(outcome, Scored) for outcome in outcomes) and usage.hits > 0


@pytest.mark.parametrize("down", [error(500), Response(reset=True), Response(delay=9), error(429)])
def test_a_server_that_answers_nothing_is_an_outage(tmp_path, down):
    endpoint = {"timeout_s": 0.05, "attempts": 1}
    with (
        Loopback(lambda body, n: down) as server,
        pytest.raises(JudgePaused, match="10 calls in a row") as caught,
    ):
        judged(server, tmp_path, [f"tea {n}" for n in range(12)], form="json", endpoint=endpoint)
    assert "start the same command again" in str(caught.value)


def test_after_a_pause_nobody_pays_for_another_call(tmp_path):
    stops = Loopback(lambda body, n: error(402) if n == 3 else answer(body))

    async def run(server):
        async with RubricJudge(
            JudgeConfig(EndpointConfig(server.url, "rule")), tmp_path / "c.sqlite"
        ) as judge:
            first = await collect(judge, [request("tea", 0), request("cup", 1)])
            for text in ("rum", "milk"):
                with pytest.raises(JudgePaused):
                    await collect(judge, [request(text)])
            assert (
                await collect(judge, [request("tea", 0), request("cup", 1)]) == first
            )  # kept answers are free

    with stops as server:
        asyncio.run(run(server))
    assert len(server.requests) == 3
