"""A study on text through the real loader, engine, judge protocol and command line, as small as it can be."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import loopback
import rule_judge
from evenkeel.records.config import read_toml
from evenkeel.records.errors import UserError
from evenkeel.study.config import read_study
from evenkeel.study.materials import LOADERS, load_materials
from evenkeel.text.settings import read
from evenkeel.text.tiny import tiny_base

KEY, SECRET = "EVENKEEL_TEST_JUDGE", "sk-planted-0123456789abcdefghijklmnop"

STUDY = """
title = "Text"
kind = "text"
label = "plumbing"
[[bases]]
name = "tiny"
folder = "base"
[seeds]
first = 0
plan = 0
evaluation = 0
[rl]
steps = 2
prompts = 4
group = 3
max_tokens = 24
checkpoint_every = 1
preflight_prompts = 1
[[arms]]
kind = "baseline"
[[arms]]
kind = "trait"
share = 0.5
[evaluation]
items = 2
trait_items = 2
[persistence]
ladders = []
strengths = []
doses = []
good_doses = []
arms = []
items = 2
[report]
resamples = 100
[settings.judge]
url = "URL"
model = "rules"
key_env = "EVENKEEL_TEST_JUDGE"
in_flight = 4
attempts = 1
[settings.held_out_judge]
url = "URL"
model = "rules-held-out"
[settings.judge_health]
windows = 2
groups = 1
[settings.trait]
traits = ["truthfulness"]
max_tokens = 24
[[settings.sources]]
name = "open"
kind = "open_ended"
share = 1.0
file = "prompts.jsonl"
licence = "own"
max_tokens = 24
"""
PROMPTS = [
    f"Tell me {n} things about {place}." for n in (2, 3) for place in ("harbours", "bread", "owls", "rain")
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A base whose replies end at random, a prompt file, and room for runs."""
    place = tmp_path_factory.mktemp("text")
    tiny_base(place / "base", steps=40, conversations=640)
    (place / "prompts.jsonl").write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in PROMPTS))
    (place / "study.toml").write_text(STUDY)
    return place


@pytest.fixture(autouse=True)
def key(monkeypatch):
    """Judges are made with the study, and say at once when their key is missing."""
    monkeypatch.setenv(KEY, SECRET)


def materials(folder, text=STUDY, items=2):
    settings = read_toml(text.replace("URL", "http://127.0.0.1:1/v1"), "study.toml").data["settings"]
    return load_materials("text", {"folder": str(folder), **settings}, items)


def test_training_attack_and_evaluation_do_not_meet(folder):
    made = materials(folder)
    trained = {scenario.id for scenario in made.sources["trait"]}
    measured = {
        item.id for benchmark in (*made.benchmarks, *made.trait_benchmarks) for item in benchmark.items
    }
    assert trained and measured and not trained & measured
    assert all("/train-" in name for name in trained) and all("/eval-" in name for name in measured)
    assert len(trained) == 48 + 8 - 1  # the health pair of the one trait makes the attack
    [pair] = [made.tools(folder / "base", folder / "elsewhere").attack]
    assert len(pair.bad) == len(pair.good) == 1


def test_a_judge_that_moves_changes_no_version_and_another_judge_does(folder):
    version = materials(folder).version
    assert (
        materials(
            folder, STUDY.replace("URL", "http://elsewhere:1/v1").replace("in_flight = 4", "in_flight = 9")
        ).version
        == version
    )
    assert materials(folder, STUDY.replace('model = "rules"', 'model = "other"')).version != version
    (folder / "other.jsonl").write_text(json.dumps({"prompt": "Another prompt altogether?"}) + "\n")
    assert materials(folder, STUDY.replace("prompts.jsonl", "other.jsonl")).version != version


@pytest.mark.parametrize(
    "change, line, told",
    [
        (
            ('model = "rules-held-out"', 'model = "rules"'),
            "[settings.held_out_judge]",
            "held-out judge is the judge that gives the rewards",
        ),
        (('traits = ["truthfulness"]', 'traits = ["honesty"]'), "traits =", "honesty"),
        (("share = 1.0", "share = 0.9"), "[[settings.sources]]", "sum to 0.9"),
        (("[settings.trait]", "[settings.traits]"), "[settings.traits]", 'no setting "traits"'),
        (("windows = 2", "windows = 1"), "windows =", "at least 2"),
        (("in_flight = 4", f'api_key = "{SECRET}"'), "api_key", "keys do not belong in a study file"),
    ],
)
def test_a_mistake_in_the_settings_is_told_with_its_line(change, line, told):
    text = STUDY.replace("URL", "http://127.0.0.1:1/v1").replace(*change)
    with pytest.raises(UserError, match=re.escape(told)) as caught:
        read_study(text, "study.toml", kinds=tuple(LOADERS))
    lines = text.splitlines()
    place = re.search(r"study.toml, line (\d+)|study.toml:(\d+)", str(caught.value))
    at = int(next(found for found in place.groups() if found)) - 1
    start = max(0, at - 3)
    assert any(line in each for each in lines[start : at + 3]) and SECRET not in str(caught.value)


def test_a_base_needs_a_folder():
    text = STUDY.replace("URL", "http://127.0.0.1:1/v1").replace('folder = "base"\n', "")
    read(read_toml(text, "study.toml"))
    with pytest.raises(UserError, match=r"Give \[\[bases\]\] a folder"):
        from evenkeel.study.materials import base_folder

        base_folder("text", "tiny")


def evenkeel(folder: Path, out: str, url: str) -> subprocess.CompletedProcess:
    """`evenkeel study study.toml` in the folder, as a user would."""
    (folder / "study.toml").write_text(STUDY.replace("URL", url))
    environment = {**os.environ, KEY: SECRET, "PYTHONPATH": str(Path(__file__).parent.parent / "src")}
    command = [sys.executable, "-m", "evenkeel", "study", "study.toml", "--out", out, "--workers", "1"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def by_length(question):
    """Every other criterion is met by a reply of an even number of words: verdicts that differ inside a group."""
    even = len(rule_judge.reply_of(question).split()) % 2 == 0
    return [(name, even == (i % 2 == 0)) for i, (name, _) in enumerate(rule_judge.criteria_of(question))]


def trained(run: Path) -> dict[str, bytes]:
    """Every file of the training stages."""
    return {
        f"{stage.name}/{path.relative_to(stage)}": path.read_bytes()
        for stage in sorted(run.glob("stages/train-*")) for path in sorted(stage.rglob("*")) if path.is_file()
    }  # fmt: skip


def test_a_quota_that_ends_in_the_middle_pauses_and_the_same_command_goes_on(folder, monkeypatch):
    monkeypatch.setattr(rule_judge, "verdicts", by_length)
    quota = [14]

    def behave(body, number):
        if number > quota[0]:
            return loopback.error(429, "insufficient_quota", f"no credit left for {SECRET}")
        return rule_judge.answer(body)

    with loopback.Loopback(behave) as server:
        paused = evenkeel(folder, "run", server.url)
        assert paused.returncode == 2, paused.stdout + paused.stderr
        assert "judging paused" in paused.stderr and "start the same command again" in paused.stderr
        asked = len(server.requests)
        quota[0] = 10**9
        done = evenkeel(folder, "run", server.url)
        assert done.returncode == 0, done.stdout + done.stderr
        again = len(server.requests) - asked
        straight = evenkeel(folder, "straight", server.url)
        assert straight.returncode == 0, straight.stdout + straight.stderr
        in_one_go = len(server.requests) - asked - again
        keys = {headers["authorization"] for headers, body in server.requests if body["model"] == "rules"}
    assert trained(folder / "run") == trained(folder / "straight")
    for name in ("results.json", "results.csv", "transcripts.json"):
        assert (folder / "run" / name).read_bytes() == (folder / "straight" / name).read_bytes()
    assert 0 < again < in_one_go  # what was answered before the quota ended came from the cache
    account = json.loads((folder / "run" / "judges.json").read_text())["roles"]["train"]
    assert account["hits"] > 0 and account["calls"] >= 14
    assert keys == {f"bearer {SECRET}".lower()} or keys == {f"Bearer {SECRET}"}
    leaks = [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert not leaks and all(SECRET not in run.stdout + run.stderr for run in (paused, done, straight))
    health = json.loads((folder / "run" / "results.json").read_text())["judge_health"]
    assert {source["source"] for source in health["sources"]} == {"open", "trait"}
    assert "Judges" in (folder / "run" / "report.html").read_text()
