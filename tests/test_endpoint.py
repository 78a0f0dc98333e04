"""The endpoint client against a real server that answers well, slowly, wrongly and not at all."""

import asyncio
import time

import pytest

from evenkeel.engines import transport
from evenkeel.engines.endpoint import Answer, Ask, CallFailed, Endpoint, EndpointConfig
from evenkeel.engines.limiter import Limiter, Rate
from evenkeel.records.errors import UserError
from evenkeel.records.types import Message
from loopback import Loopback, Response, completion, error

BOTH_TRANSPORTS = pytest.mark.parametrize("nearby", [True, False])
ASK = Ask((Message("user", "how are you"),), max_tokens=20)


def config(server: Loopback, **changes) -> EndpointConfig:
    fast = {"timeout_s": 5.0, "pause_s": 0.01, "attempts": 3}
    return EndpointConfig(server.url, "loopback", **(fast | changes))


def ask(server: Loopback, count: int = 1, **changes) -> list[Answer | CallFailed]:
    async def run():
        async with Endpoint(config(server, **changes)) as endpoint:
            return await asyncio.gather(*(endpoint.ask(ASK) for _ in range(count)), return_exceptions=True)

    return asyncio.run(run())


def in_turn(*responses: Response):
    """The first requests get these responses in order, later ones the last."""
    return lambda body, number: responses[min(number, len(responses)) - 1]


def test_an_answer_carries_text_tokens_and_finish():
    logprobs = {
        "content": [
            {"token": "fine", "logprob": -0.1, "bytes": None, "top_logprobs": [
                {"token": "fine", "logprob": -0.1, "bytes": None}, {"token": "bad", "logprob": -2.4, "bytes": None}]}
        ]
    }  # fmt: skip
    with Loopback(lambda body, n: completion("fine", finish="length", logprobs=logprobs)) as server:
        [answer] = ask(server)
    assert (answer.text, answer.finish, answer.prompt_tokens, answer.completion_tokens) == (
        "fine",
        "length",
        7,
        1,
    )
    assert answer.tokens[0].alternatives == {"fine": -0.1, "bad": -2.4}
    assert server.requests[0][1]["messages"] == [{"role": "user", "content": "how are you"}]


@BOTH_TRANSPORTS
@pytest.mark.parametrize(
    "bad",
    [
        error(500), error(503), error(429), error(408), Response(reset=True), Response(abort=True),
        Response(b'{"choices": [', 200),
        Response(b"[]"), Response({"choices": [{"message": {"content": 5}}]}), Response({"choices": "x"}),
        Response(b"<html>busy</html>"), Response({"choices": []}), completion("cut").__class__(b"", truncate=0),
    ],
)  # fmt: skip
def test_what_can_heal_is_tried_again(bad, nearby, monkeypatch):
    monkeypatch.setattr(transport, "serves", lambda url: nearby)
    with Loopback(in_turn(bad, completion("fine"))) as server:
        [answer] = ask(server)
    assert isinstance(answer, Answer), answer
    assert (answer.text, answer.attempts, len(server.requests)) == ("fine", 2, 2)


@pytest.mark.parametrize(
    ("bad", "why", "outage"),
    [
        (error(401), "key", True), (error(403), "key", True), (error(429, "insufficient_quota"), "quota", True),
        (error(402), "quota", True), (error(400), "bad request", False), (error(404, "model_not_found"), "bad request", False),
    ],
)  # fmt: skip
def test_what_cannot_heal_is_not(bad, why, outage):
    with Loopback(in_turn(bad)) as server:
        [failed] = ask(server)
    assert isinstance(failed, CallFailed)
    assert (failed.why, failed.outage, failed.attempts, len(server.requests)) == (why, outage, 1, 1)


@BOTH_TRANSPORTS
@pytest.mark.parametrize("how", [{}, {"chunked": True}, {"close": True}, {"chunked": True, "close": True}])
def test_every_way_to_send_a_body(how, nearby, monkeypatch):
    monkeypatch.setattr(transport, "serves", lambda url: nearby)
    long = "word " * 40_000  # more than one read
    with Loopback(lambda body, n: Response(completion(long).body, **how)) as server:
        answers = ask(server, 6, in_flight=2)
    assert [answer.text for answer in answers] == [long] * 6
    assert server.all_connections == (6 if "close" in how else 2)


def test_a_connection_that_the_server_closed_while_idle_is_not_used_again():
    async def run(server):
        async with Endpoint(config(server, attempts=1)) as endpoint:
            first = await endpoint.ask(ASK)
            server.hang_up()
            while server.connections:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            return first, await endpoint.ask(ASK)

    with Loopback(lambda body, n: completion("fine")) as server:
        first, second = asyncio.run(run(server))
    assert first.text == second.text == "fine" and server.all_connections == 2


def test_a_call_that_is_given_up_does_not_answer_the_next():
    async def run(server):
        async with Endpoint(config(server, in_flight=1)) as endpoint:
            slow = asyncio.create_task(endpoint.ask(ASK))
            while not server.requests:
                await asyncio.sleep(0.01)
            slow.cancel()
            return await endpoint.ask(ASK)

    with Loopback(lambda body, n: Response(completion(f"answer {n}").body, delay=0.1 * (n == 1))) as server:
        assert asyncio.run(run(server)).text == "answer 2"


def test_only_plain_addresses_without_a_proxy_get_the_quick_transport(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert transport.serves("http://localhost:8000/v1") and not transport.serves("https://host/v1")
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    assert not transport.serves("http://host/v1")
    monkeypatch.setenv("no_proxy", "localhost")
    assert transport.serves("http://localhost:8000/v1") and not transport.serves("http://host/v1")


def test_attempts_end():
    with Loopback(in_turn(error(500, message="overloaded"))) as server:
        [failed] = ask(server)
    assert (failed.why, failed.attempts, len(server.requests)) == ("server error", 3, 3)
    assert "overloaded" in str(failed)


def test_retry_after_is_kept_for_every_caller():
    with Loopback(in_turn(error(429, Retry_After="0.6"), completion("fine"))) as server:
        start = time.monotonic()
        answers = ask(server, 3, in_flight=1)
    assert all(isinstance(answer, Answer) for answer in answers)
    assert time.monotonic() - start >= 0.6


def test_the_deadline_starts_with_the_call_and_not_with_the_wait():
    with Loopback(lambda body, n: Response(completion("fine").body, delay=0.3)) as server:
        answers = ask(
            server, 5, in_flight=1, timeout_s=1.0
        )  # 1.5 s in all: the last waits longer than its deadline
        assert all(isinstance(answer, Answer) for answer in answers)
        [failed] = ask(server, timeout_s=0.1, attempts=2)
    assert (failed.why, failed.attempts) == ("timeout", 2)


def test_no_more_calls_are_in_flight_than_allowed():
    with Loopback(lambda body, n: Response(completion("fine").body, delay=0.05)) as server:
        ask(server, 12, in_flight=4)
    assert server.most_open == 4


def test_requests_a_minute_are_kept():
    with Loopback(lambda body, n: completion("fine")) as server:
        start = time.monotonic()
        ask(server, 14, requests_per_minute=120)  # a burst of 12, then two a second
        assert time.monotonic() - start >= 0.4


def test_the_key_is_sent_and_never_shown(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-planted-1234")
    echo = lambda body, n: error(400, message="bad header: Bearer sk-planted-1234")  # noqa: E731
    with Loopback(echo) as server:
        [failed] = ask(server, key_env="SOME_KEY")
    assert server.requests[0][0]["authorization"] == "bearer sk-planted-1234"
    assert "planted" not in str(failed) and "[key]" in str(failed)
    assert "planted" not in repr(failed) and "planted" not in repr(config(server, key_env="SOME_KEY"))


def test_no_part_of_a_key_is_shown_where_a_long_error_is_cut(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-planted-0123456789abcdefghij")
    with Loopback(
        lambda body, n: error(400, message=f"{'x' * (170 + 3 * n)} sk-planted-0123456789abcdefghij")
    ) as server:
        shown = [str(failed) for failed in ask(server, 40, key_env="SOME_KEY", in_flight=1)]
    assert not any("sk-pl" in text for text in shown)
    assert any(text.endswith("[key]") or "[ke" in text for text in shown)  # some were cut there


def test_a_missing_key_is_named_before_any_call(monkeypatch):
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(UserError, match="SOME_KEY"):
        Endpoint(EndpointConfig("http://127.0.0.1:1/v1", "m", key_env="SOME_KEY"))


def test_a_rate_spreads_what_exceeds_its_burst():
    now = [100.0]
    rate = Rate(60, burst=0.1, clock=lambda: now[0])  # one a second, six at once
    waits = [rate.reserve(1) for _ in range(9)]
    assert waits == pytest.approx([0, 0, 0, 0, 0, 0, 0, 1, 2])
    now[0] += 100  # an idle minute saves no more than the burst
    assert [rate.reserve(1) for _ in range(8)] == pytest.approx([0, 0, 0, 0, 0, 0, 0, 1])
    rate.give_back(2)
    assert rate.reserve(1) == pytest.approx(0)


def test_impossible_limits_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        Limiter(in_flight=0)
    with pytest.raises(ValueError, match="nothing through"):
        Rate(0)
