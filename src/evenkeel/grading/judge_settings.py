"""A judge as it stands in a study file: `judge` gives the rewards, `held_out_judge` evaluates. No key ever stands there.

[settings.judge]
url = "http://localhost:8000/v1"
model = "Qwen/Qwen3-8B"
key_env = "JUDGE_KEY"           # the NAME of the environment variable that holds the key; leave out where none is needed
in_flight = 64

[settings.held_out_judge]
kind = "policy"                 # a frozen copy of each base judges: no address, no model
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, cast
from urllib.parse import urlsplit

from evenkeel.engines.endpoint import EndpointConfig
from evenkeel.engines.secrets import holds_key, is_variable_name
from evenkeel.grading.judge import JudgeConfig
from evenkeel.grading.judge_cache import Role
from evenkeel.records.config import Source, Where, setting

ENVIRONMENT = 'Put the key into the environment (export NAME=...) and give key_env = "NAME"; change a key that stood here.'


@dataclass(frozen=True)
class JudgeSettings:
    """One judge. What is listed in OPERATION changes no verdict, and no stage is made again for it."""

    kind: str = setting("endpoint", choices=("endpoint", "policy"))  # policy: a frozen copy of the base
    url: str = ""  # of an OpenAI-compatible endpoint, as a rule ending in /v1
    model: str = ""  # its name there
    key_env: str | None = None  # NAME of the environment variable that holds the key
    in_flight: int = setting(32, low=1, high=4096)  # calls at once, of one worker
    requests_per_minute: float | None = setting(None, low=0.01)  # of one worker
    tokens_per_minute: float | None = setting(None, low=1.0)
    timeout_s: float = setting(120.0, low=0.01)  # of one attempt
    attempts: int = setting(5, low=1, high=100)  # at calls that can heal
    form: str = setting("auto", choices=("auto", "json", "tags"))
    per_criterion: bool = False  # one call a criterion instead of one a reply
    continuous: bool = False  # the probability of "met" instead of 0 or 1; needs token log-probabilities
    max_tokens: int = setting(1200, low=16)  # of one answer
    most_calls: int | None = setting(None, low=1)  # a budget for the whole study
    pause_above: float = setting(
        0.05, low=0.0, high=1.0
    )  # share of unscorable replies above which judging stops

    def config(self, role: Role) -> JudgeConfig:
        """The judge as a run uses it; that of a policy has neither address nor model yet (`self_judge_config`)."""
        endpoint = EndpointConfig(
            self.url, self.model, key_env=self.key_env, in_flight=self.in_flight,
            requests_per_minute=self.requests_per_minute, tokens_per_minute=self.tokens_per_minute,
            timeout_s=self.timeout_s, attempts=self.attempts,
        )  # fmt: skip
        return JudgeConfig(
            endpoint, role=role, form=cast(Any, self.form), per_criterion=self.per_criterion, continuous=self.continuous,
            max_tokens=self.max_tokens, most_calls=self.most_calls, pause_above=self.pause_above,
        )  # fmt: skip


OPERATION = frozenset({
    "url", "key_env", "in_flight", "requests_per_minute", "tokens_per_minute", "timeout_s", "attempts", "most_calls",
    "pause_above",
})  # fmt: skip


def without_operation_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a judge's table that decide a verdict, defaults filled in."""
    return {
        one.name: values.get(one.name, one.default)
        for one in fields(JudgeSettings)
        if one.name not in OPERATION
    }


def require_no_secrets(source: Source) -> None:
    """Raises UserError at the line of a name or value that looks like a key, without showing it.

    To be called before anything else reads the file: other errors show the value that is wrong.
    """
    for where, text in _texts(source.data):
        if holds_key(text):
            *around, last = where
            shown = tuple(around) if holds_key(str(last)) else where
            raise source.error(
                "this looks like a key, and keys do not belong in a study file", shown, ENVIRONMENT
            )
        if where[-1] == "key_env" and not is_variable_name(text):
            raise source.error("key_env is not the name of an environment variable", where, ENVIRONMENT)


def require_possible_judges(
    judge: JudgeSettings, held_out: JudgeSettings | None, source: Source, where: Where = ("settings",)
) -> None:
    """What single values cannot show, of both tables. Raises UserError at the line of the mistake."""
    _require_possible(judge, source, (*where, "judge"))
    if held_out is None:
        return
    place = (*where, "held_out_judge")
    _require_possible(held_out, source, place)
    if (judge.kind, judge.model) == (held_out.kind, held_out.model):
        raise source.error(
            "the held-out judge is the judge that gives the rewards", (*place, "model"),
            "Name another model: only a judge that was not trained against can tell whether training has fooled the first.",
        )  # fmt: skip


def _require_possible(judge: JudgeSettings, source: Source, where: Where) -> None:
    if judge.kind == "policy":
        for name, wrong in (
            ("url", judge.url), ("model", judge.model), ("key_env", judge.key_env), ("continuous", judge.continuous),
            ("form", judge.form == "json"),
        ):  # fmt: skip
            if wrong:
                raise source.error(
                    f'{name} does not go with kind = "policy"', (*where, name), "Remove the line."
                )
        return
    for name in ("url", "model"):
        if not getattr(judge, name):
            raise source.error(f'a judge of kind "endpoint" needs the setting "{name}"', where)
    parts = urlsplit(judge.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise source.error("url is no http address", (*where, "url"), "For example http://localhost:8000/v1.")


def _texts(value: Any, where: Where = ()) -> Iterator[tuple[Where, str]]:
    """Every text of the file and every name, with its place."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield (*where, name), str(name)
            yield from _texts(each, (*where, name))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _texts(each, (*where, number))
    elif isinstance(value, str) and where:
        yield where, value
