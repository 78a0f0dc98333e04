"""Three criteria, one question and a judge of replies to it, for the tests of judging."""

import asyncio

from evenkeel.engines.endpoint import EndpointConfig
from evenkeel.grading.collect import collect
from evenkeel.grading.grader import GradeRequest
from evenkeel.grading.judge import JudgeConfig, RubricJudge
from evenkeel.grading.judge_cache import JudgeCache
from evenkeel.records.types import Message, Provenance, Reply
from evenkeel.scenarios.scenario import Criterion, Scenario
from loopback import Loopback

CRITERIA = (
    Criterion("leaf", 'mentions "tea"', 5), Criterion("vessel", 'mentions "cup"', 3), Criterion("spirit", 'mentions "rum"', -4),
)  # fmt: skip
SCENARIO = Scenario("s", (Message("user", "What shall I drink?"),), CRITERIA, "train", Provenance("test"))


def request(text: str, number: int = 0) -> GradeRequest:
    return GradeRequest(f"r{number}", SCENARIO, Reply(text, text))


def judged(server: Loopback, path, texts, *, sample: int = 0, endpoint=None, **changes):
    """(outcomes in order, usage) of these replies."""
    fast = {"timeout_s": 2.0, "attempts": 2, "pause_s": 0.01} | (endpoint or {})
    endpoint = EndpointConfig(server.url, "rule", **fast)

    async def run():
        async with RubricJudge(
            JudgeConfig(endpoint, **changes), path / "cache.sqlite", sample=sample
        ) as judge:
            outcomes = await collect(judge, [request(text, n) for n, text in enumerate(texts)])
            return list(outcomes.values()), judge.usage

    return asyncio.run(run())


def judge_until_killed(url, cache):
    """In a process of its own; here, because this module needs no torch."""

    async def run():
        async with RubricJudge(
            JudgeConfig(EndpointConfig(url, "rule", in_flight=4)), JudgeCache(cache, run="arm")
        ) as judge:
            await collect(judge, [request(f"tea {n}", n) for n in range(10)])

    asyncio.run(run())
