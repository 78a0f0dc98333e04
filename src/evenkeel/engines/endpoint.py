"""Chat completions of any OpenAI-compatible endpoint: hosted services, vLLM, SGLang, Ollama.

What a call can come to is typed: an `Answer`, or a `CallFailed` that says whether trying again could have helped.
Calls that can heal (timeouts, connection resets, 429, 5xx) are tried again with growing, jittered pauses; an exhausted
quota, a wrong key or an unknown model are not. The key's name travels, the key itself stays in the environment.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol
from weakref import WeakKeyDictionary

from evenkeel.engines import transport
from evenkeel.engines.limiter import Limiter
from evenkeel.engines.secrets import is_variable_name
from evenkeel.records.errors import UserError
from evenkeel.records.types import Conversation

if TYPE_CHECKING:
    from openai import AsyncOpenAI

Why = Literal[
    "timeout", "connection", "rate limit", "server error", "quota", "key", "bad request", "malformed"
]
HEALS: frozenset[Why] = frozenset({"timeout", "connection", "rate limit", "server error", "malformed"})
OUTAGE: frozenset[Why] = frozenset({"quota", "key"})  # every later call would fail alike
QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "quota_exceeded"})
CHARACTERS_PER_TOKEN = 3.0  # for reservations only: low, so that allowances are not overrun
NO_KEY = "no-key"  # the client wants some text even where the server wants none
LONGEST_DETAIL = 300  # characters of a server's words in an error


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """Where to ask, as it stands in a study file. Equal configurations share one limiter."""

    url: str  # ends with /v1 as a rule
    model: str
    key_env: str | None = None  # NAME of the environment variable that holds the key
    in_flight: int = 32
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout_s: float = 120.0  # of one attempt, counted from when it starts
    attempts: int = 5
    pause_s: float = 1.0  # before the second attempt; doubles from there
    longest_pause_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Ask:
    """One chat completion to be had."""

    messages: Conversation
    max_tokens: int
    temperature: float = 0.0
    seed: int | None = None
    schema: Mapping[str, Any] | None = None  # JSON schema for structured output
    top_logprobs: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """A token of an answer with its likeliest alternatives (text -> log-probability)."""

    text: str
    alternatives: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `refusal` is the endpoint's own field, not a reading of the text."""

    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    attempts: int
    refusal: str | None = None
    tokens: tuple[Token, ...] = field(default=())


class CallFailed(Exception):
    """No answer, after every attempt that made sense."""

    def __init__(self, why: Why, detail: str, attempts: int) -> None:
        super().__init__(f"{why} after {attempts} attempt{'s' * (attempts != 1)}: {detail}")
        self.why, self.detail, self.attempts = why, detail, attempts

    @property
    def outage(self) -> bool:
        """Whether every other call would fail too until somebody acts."""
        return self.why in OUTAGE


class Asks(Protocol):
    """Whoever answers an Ask: an endpoint, or a model in this process. Used, and left, in one event loop."""

    async def __aenter__(self) -> Any:
        """Never waits: an Asks can be used as soon as it is made."""
        ...

    async def __aexit__(self, *error: object) -> None:
        """Give back what the event loop holds."""
        ...

    async def ask(self, ask: Ask, begun: Callable[[], None] = lambda: None) -> Answer:
        """One completion. `begun` is called when the call begins, after any waiting for a place. Raises CallFailed."""
        ...


class Endpoint:
    """A client bound to the event loop that it is used in; close it there (`async with`)."""

    def __init__(self, config: EndpointConfig) -> None:
        """Raises UserError when the key's environment variable is not set."""
        self.config = config
        self._key = key_of(config)
        self._client: AsyncOpenAI | None = None
        self.calls = self.attempts = self.prompt_tokens = self.completion_tokens = 0

    async def __aenter__(self) -> Endpoint:
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def ask(self, ask: Ask, begun: Callable[[], None] = lambda: None) -> Answer:
        """One completion. `begun` is called when its first attempt begins. Raises CallFailed."""
        limiter = _limiter(self.config)
        reserved = ask.max_tokens + int(
            sum(len(message.content) for message in ask.messages) / CHARACTERS_PER_TOKEN
        )
        self.calls += 1
        for attempt in range(1, self.config.attempts + 1):
            try:
                async with limiter.place(reserved):
                    if attempt == 1:
                        begun()
                    self.attempts += 1
                    answer = await self._once(ask, attempt)
            except _Failure as failure:
                if failure.why not in HEALS or attempt == self.config.attempts:
                    raise CallFailed(failure.why, self._shown(failure.detail), attempt) from None
                await asyncio.sleep(self._pause(limiter, attempt, failure.retry_after))
                continue
            limiter.spent(reserved, answer.prompt_tokens + answer.completion_tokens)
            self.prompt_tokens += answer.prompt_tokens
            self.completion_tokens += answer.completion_tokens
            return answer
        raise AssertionError("the last attempt returns or raises")

    async def _once(self, ask: Ask, attempt: int) -> Answer:
        try:
            async with asyncio.timeout(self.config.timeout_s):
                # not `chat.completions.create`: walking the types of its arguments and building its answer takes half
                # of a call's CPU time, which judging overlapped with sampling cannot spare (benchmarks/NOTES.md)
                raw = await self._open().post(
                    "/chat/completions", body=_arguments(self.config.model, ask), cast_to=bytes
                )
        except TimeoutError:
            raise _Failure("timeout", f"nothing within {self.config.timeout_s:g} s") from None
        except Exception as error:
            raise _failure(error) from None
        return _answer(raw, attempt)

    def _pause(self, limiter: Limiter, attempt: int, retry_after: float | None) -> float:
        """Seconds before the next attempt; what the endpoint asked for holds for every caller."""
        if retry_after is not None:
            limiter.pause(min(retry_after, self.config.longest_pause_s))
            return 0.0
        longest = min(self.config.longest_pause_s, self.config.pause_s * 2 ** (attempt - 1))
        return longest * random.uniform(0.5, 1.0)

    def _open(self) -> AsyncOpenAI:
        if self._client is None:
            from openai import AsyncOpenAI  # takes half a second: only those who ask pay

            url, timeout = self.config.url, self.config.timeout_s
            self._client = AsyncOpenAI(
                api_key=self._key, base_url=url, max_retries=0, timeout=timeout,
                http_client=transport.http_client(timeout) if transport.serves(url) else None,
            )  # fmt: skip
        return self._client

    def _shown(self, text: str) -> str:
        """Servers echo headers in their errors; a key never reaches a log, not even its beginning."""
        shown = re.sub(re.escape(self._key), "[key]", text, flags=re.I) if self._key != NO_KEY else text
        return shown[:LONGEST_DETAIL]


_limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[EndpointConfig, Limiter]] = WeakKeyDictionary()


def _limiter(config: EndpointConfig) -> Limiter:
    """The limiter of an endpoint in this event loop, the same for all who ask there."""
    here = _limiters.setdefault(asyncio.get_running_loop(), {})
    if config not in here:
        here[config] = Limiter(
            in_flight=config.in_flight, requests_per_minute=config.requests_per_minute,
            tokens_per_minute=config.tokens_per_minute,
        )  # fmt: skip
    return here[config]


def key_of(config: EndpointConfig) -> str:
    """The key from the environment variable that the configuration names. Raises UserError, which never shows it."""
    if config.key_env is None:
        return NO_KEY
    if not is_variable_name(config.key_env):
        raise UserError(
            f"what is given as the name of the environment variable with the key of {config.url} is not a name",
            fix="export NAME=... before you start and give NAME; if a key stood there, change that key: it may have "
            "been recorded.",
        )
    key = os.environ.get(config.key_env, "").strip()  # `$(cat file)` brings a line break
    if not key:
        raise UserError(
            f"the environment variable {config.key_env} is not set, and the endpoint {config.url} needs a key",
            fix=f"export {config.key_env}=... before you start; the key itself never belongs in a study file.",
        )
    if not all("!" <= character <= "~" for character in key):
        raise UserError(
            f"the environment variable {config.key_env} holds blanks or letters that no key has",
            fix=f"export {config.key_env}=... once more, the key alone.",
        )
    return key


class _Failure(Exception):
    def __init__(self, why: Why, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.why, self.detail, self.retry_after = why, detail, retry_after


def _arguments(model: str, ask: Ask) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in ask.messages],
        "max_tokens": ask.max_tokens,
        "temperature": ask.temperature,
    }
    if ask.seed is not None:
        arguments["seed"] = ask.seed
    if ask.schema is not None:
        form = {"name": "verdicts", "strict": True, "schema": ask.schema}
        arguments["response_format"] = {"type": "json_schema", "json_schema": form}
    if ask.top_logprobs:
        arguments |= {"logprobs": True, "top_logprobs": ask.top_logprobs}
    return arguments


def _failure(error: Exception) -> _Failure:
    """Any exception of the client as one of the kinds above."""
    import openai

    detail = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, openai.APITimeoutError):
        return _Failure("timeout", detail)
    if isinstance(error, openai.APIConnectionError):
        return _Failure("connection", detail)
    if isinstance(error, openai.APIStatusError):
        return _status_failure(error.status_code, str(error.code or ""), detail, error.response.headers)
    if isinstance(error, (openai.APIError, ValueError)):  # a body that is no completion
        return _Failure("malformed", detail)
    raise error


def _status_failure(status: int, code: str, detail: str, headers: Mapping[str, str]) -> _Failure:
    if status in (401, 403):
        return _Failure("key", detail)
    if code in QUOTA_CODES or status == 402:
        return _Failure("quota", detail)
    if status == 429:
        return _Failure("rate limit", detail, _seconds(headers.get("retry-after")))
    if status in (408, 409) or status >= 500:
        return _Failure("server error", detail, _seconds(headers.get("retry-after")))
    return _Failure("bad request", detail)


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text)) if text is not None else None
    except ValueError:  # an HTTP date: the growing pause does as well
        return None


def _answer(raw: bytes, attempt: int) -> Answer:
    """The answer in a response's body. What is not there or not of its kind makes it malformed, all but the usage."""
    try:
        body = json.loads(raw)
        choice = body["choices"][0]
        message, logprobs = choice["message"], choice.get("logprobs") or {}
        tokens = tuple(
            Token(one["token"], {other["token"]: other["logprob"] for other in one.get("top_logprobs") or ()})
            for one in logprobs.get("content") or ()
        )
        text, refusal, finish = message.get("content"), message.get("refusal"), choice.get("finish_reason")
        usage = body.get("usage") or {}
        counts = [int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")]
        if not all(each is None or isinstance(each, str) for each in (text, refusal, finish)):
            raise TypeError("a text that is none")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _Failure("malformed", f"no completion ({type(error).__name__}): {_words(raw)}") from None
    return Answer(
        text=text or "", finish=finish or "", prompt_tokens=counts[0], completion_tokens=counts[1],
        attempts=attempt, refusal=refusal, tokens=tokens,
    )  # fmt: skip


def _words(raw: bytes) -> str:
    return " ".join(raw.decode("utf-8", "replace").split())
