"""Judges in a study file: what they come to, what is refused, and that a key in the file is never repeated."""

from dataclasses import dataclass

import pytest

from evenkeel.engines.endpoint import EndpointConfig, key_of
from evenkeel.engines.secrets import holds_key, is_variable_name
from evenkeel.grading.judge_settings import (
    JudgeSettings,
    require_no_secrets,
    require_possible_judges,
    without_operation_of,
)
from evenkeel.records.config import build, read_toml
from evenkeel.records.errors import UserError

GOOD = """[settings.judge]
url = "http://localhost:8000/v1"
model = "Qwen/Qwen3-8B"
key_env = "JUDGE_KEY"
in_flight = 64
max_tokens = 800
per_criterion = true

[settings.held_out_judge]
kind = "policy"
"""


@dataclass(frozen=True)
class Both:
    judge: JudgeSettings
    held_out_judge: JudgeSettings | None = None


def read(text):
    source = read_toml(text, "study.toml")
    require_no_secrets(source)
    both = build(Both, source, ("settings",), source.data["settings"])
    require_possible_judges(both.judge, both.held_out_judge, source)
    return both


def test_a_table_becomes_a_judge():
    both = read(GOOD)
    config = both.judge.config("train")
    assert config.endpoint == EndpointConfig(
        "http://localhost:8000/v1", "Qwen/Qwen3-8B", "JUDGE_KEY", in_flight=64
    )
    assert (config.role, config.max_tokens, config.per_criterion, config.form) == ("train", 800, True, "auto")
    assert both.held_out_judge.config("eval").role == "eval"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('url = "localhost:8000"', "url is no http address"), ("in_flight = 0", "at least 1|between 1"),
        ('form = "yaml"', "Known: auto, json, tags"), ("pause_above = 1.5", "between 0 and 1"),
        ('moddel = "x"', 'Did you mean "model"'), ("attempts = 0", "between 1"), ("timeout_s = 0", "at least 0.01"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_at_its_line(line, says):
    name = line.split(" = ")[0]
    kept = [each for each in GOOD.splitlines() if not each.startswith(f"{name} =")]
    kept.insert(1, line)
    with pytest.raises(UserError, match=says) as caught:
        read("\n".join(kept))
    assert "study.toml, line 2" in str(caught.value)


def test_a_judge_of_kind_endpoint_needs_an_address_and_a_model():
    with pytest.raises(UserError, match='needs the setting "url"'):
        read('[settings.judge]\nmodel = "m"\n')
    with pytest.raises(UserError, match='needs the setting "model"'):
        read('[settings.judge]\nurl = "http://h/v1"\n')


def test_a_policy_has_no_address():
    with pytest.raises(UserError, match='url does not go with kind = "policy"'):
        read(GOOD + 'url = "http://localhost/v1"\n')


def test_the_judge_that_gives_rewards_is_not_held_out():
    same = GOOD.replace('kind = "policy"', 'url = "http://elsewhere/v1"\nmodel = "Qwen/Qwen3-8B"')
    with pytest.raises(UserError, match="Name another model"):
        read(same)


def test_only_what_decides_a_verdict_decides_a_stage():
    plain = without_operation_of({"url": "http://a/v1", "model": "m"})
    moved = without_operation_of(
        {"url": "http://b/v1", "model": "m", "key_env": "K", "in_flight": 2, "form": "auto"}
    )
    assert plain == moved and not {"url", "key_env", "in_flight", "pause_above"} & set(plain)
    assert without_operation_of({"url": "http://a/v1", "model": "m", "max_tokens": 99}) != plain


KEYS = (
    "sk-proj-Ab12Cd34Ef56Gh78", "sk-ant-api03-0123456789abcdef", "hf_AbCdEfGhIjKlMnOpQr", "gsk_0123456789abcdefgh",
    "AIzaSyA0123456789abcdefghijkl", "AKIAIOSFODNN7EXAMPLE", "ghp_0123456789abcdefABCDEF", "Bearer abcdef0123456789",
    "https://me:pass@host/v1", "https://host/v1?api_key=abc",
)  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "place", ["url", "model", "key_env", "form", "kind", "in_flight", "title", "list", "name"]
)
def test_a_key_anywhere_in_the_file_is_refused_and_not_repeated(key, place):
    lines = GOOD.splitlines()
    if place == "title":
        lines.insert(0, f'title = "{key}"')
    elif place == "list":
        lines.insert(0, f'titles = ["one", "{key}"]')
    elif place == "name":
        lines.insert(1, f'"{key}" = 1')
    else:
        lines = [line for line in lines if not line.startswith(f"{place} =")]
        lines.insert(1, f'{place} = "{key}"')
    with pytest.raises(UserError, match="looks like a key") as caught:
        read("\n".join(lines))
    assert key not in str(caught.value) and key[6:] not in str(caught.value)
    assert "line" in str(caught.value) and "export NAME" in str(caught.value)


RANDOM = (
    "a8f3k2l9d0s7h4j6", "AB12CD34EF56GH78", "dGhpcyBpcyBhIGtleQ", "x" * 70, "JUDGE KEY", "JUDGE-KEY",
    "QWERTZUIOPASDFGHJKLYXCVBNM",
)  # fmt: skip


@pytest.mark.parametrize("key", RANDOM)
def test_what_is_no_name_of_a_variable_is_not_repeated(key):
    with pytest.raises(UserError, match="not the name of an environment variable") as caught:
        read(GOOD.replace("JUDGE_KEY", key))
    assert key not in str(caught.value) and caught.value.line == 4
    with pytest.raises(
        UserError, match="is not a name"
    ) as caught:  # from a command line, where no file is read
        key_of(EndpointConfig("http://h/v1", "m", key_env=key))
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["OPENAI_API_KEY", "JUDGE_KEY_2", "HF_TOKEN", "my_key", "KEY", "_X", "AZURE_OPENAI_API_KEY"]
)
def test_names_of_variables_are_names(name):
    assert is_variable_name(name)


@pytest.mark.parametrize(
    "text",
    [
        "a task-oriented risk-adjusted disk-based study", "sk-learn based", "Qwen/Qwen3-30B-A3B-Instruct-2507-FP8",
        "bearer bonds",
        "http://localhost:8000/v1", "https://api.example.org/v1?version=2", "user@example.org", "key=value", "runs/2026-11-21",
    ],
)  # fmt: skip
def test_ordinary_text_is_no_key(text):
    assert not holds_key(text)
