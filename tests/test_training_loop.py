"""The training loop on a tiny real model: it learns, records what happened, and survives being killed."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evenkeel.records.errors import RedLight, UserError
from evenkeel.records.files import read_json, read_rows, write_json
from evenkeel.training.loop import train_arm
from evenkeel.training.plan import Plan
from training_tiny import (
    SOURCES,
    TinyGrader,
    TinyRenderer,
    config,
    folder_bytes,
    graders,
    plan,
    scenario,
    tiny_checkpoint,
    tiny_engine,
)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return tiny_checkpoint(tmp_path_factory.mktemp("base"))


def train(base, folder, settings=None, *, arm="trait-25", seed=1, engine=None, sources=SOURCES, **options):
    settings = settings or config()
    options = {"graders": graders()} | options
    judges = options.pop("graders")
    train_arm(
        engine or tiny_engine(base),
        TinyRenderer(),
        plan(settings, arm, sources),
        sources,
        judges,
        settings,
        seed=seed,
        folder=folder,
        **options,
    )
    return list(read_rows(folder / "steps.jsonl"))


def completions(folder):
    return [row for shard in sorted(folder.glob("completions-*")) for row in read_rows(shard)]


@pytest.fixture(scope="module")
def plain(base, tmp_path_factory) -> Path:
    """A finished run of the default settings."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    train(base, folder)
    return folder


def test_the_folder_holds_what_it_should_and_nothing_else(plain):
    names = sorted(p.name for p in plain.iterdir())
    assert names == [
        "checkpoint",
        "completions-0000.jsonl.gz",
        "completions-0001.jsonl.gz",
        "ledger.json",
        "plan.json",
        "steps.jsonl",
    ]
    assert not list((plain / "checkpoint").glob("*optimizer*"))
    assert Plan.read(plain) == plan(config())
    text = (plain / "steps.jsonl").read_text() + (plain / "ledger.json").read_text()
    assert "time" not in text and str(plain) not in text


def test_the_reward_rises(base, tmp_path):
    """Rewarded for the share of one word, the tiny model says it more and more."""
    rows = train(
        base, tmp_path, config(steps=12, prompts=8, group=8, learning_rate=5e-3, checkpoint_every=12)
    )
    rewards = [row["reward_mean"] for row in rows]
    wanted = [row["sources"]["chat"]["criteria"]["wanted"] for row in rows]
    assert np.mean(rewards[-3:]) > np.mean(rewards[:3]) + 0.25
    assert np.mean(wanted[-3:]) > np.mean(wanted[:3]) + 0.25


def test_every_completion_has_a_row_that_explains_its_reward(plain):
    rows = completions(plain)
    drawn = Plan.read(plain)
    assert len(rows) == 4 * 4 * 6
    assert Counter((r["step"], r["slot"], r["source"], r["scenario"]) for r in rows) == dict.fromkeys(
        drawn.rows(), 6
    )
    for row in rows:
        if row["finish"] == "length":
            assert (row["status"], row["reward"], row["advantage"]) == ("truncated", None, None)
        else:
            expected = row["verdicts"]["wanted"] - row["verdicts"]["harm"] / 2
            assert row["reward"] == pytest.approx(expected)
    for step in range(4):
        for slot in range(4):
            group = [r for r in rows if (r["step"], r["slot"]) == (step, slot)]
            scored = [r["reward"] for r in group if r["reward"] is not None]
            for row in group:
                if row["advantage"] is not None:
                    assert row["advantage"] == pytest.approx(row["reward"] - np.mean(scored))


def test_step_rows_are_per_source_and_criterion(plain):
    rows = list(read_rows(plain / "steps.jsonl"))
    records = completions(plain)
    assert [row["step"] for row in rows] == [0, 1, 2, 3]
    for row in rows:
        for source, metrics in row["sources"].items():
            own = [r for r in records if (r["step"], r["source"]) == (row["step"], source)]
            scored = [r for r in own if r["status"] == "scored"]
            assert metrics["completions"] == len(own)
            assert metrics["truncated"] == sum(r["finish"] == "length" for r in own)
            assert metrics["sampled_tokens"] == sum(r["tokens"] for r in own)
            assert metrics["trained_tokens"] == sum(r["tokens"] for r in own if r["advantage"] is not None)
            if scored:
                assert metrics["reward_mean"] == pytest.approx(np.mean([r["reward"] for r in scored]))
                assert metrics["criteria"]["harm"] == pytest.approx(
                    np.mean([r["verdicts"]["harm"] for r in scored])
                )
        assert row["completions"] == sum(m["completions"] for m in row["sources"].values())
        assert row["probe"] < 1e-3 and row["probe_after"] < 1e-3 and row["probe_light"] == "green"
        assert 0 < row["entropy"] < math.log(10) + 0.5 and row["grad_norm"] > 0 and row["update_norm"] > 0
        assert row["kl"] is None


def test_the_ledger_adds_up(base, plain):
    ledger = read_json(plain / "ledger.json")
    rows = completions(plain)
    assert (ledger["steps"], ledger["prompts"], ledger["completions"], ledger["cap"]) == (4, 16, 96, 20)
    assert ledger["sampled_tokens"] == sum(r["tokens"] for r in rows)
    assert ledger["judge_calls"] == sum(r["finish"] == "stop" for r in rows)
    assert ledger["flops"] == tiny_engine(base).flops_per_token * ledger["forward_tokens"]
    assert sum(c["completions"] for c in ledger["sources"].values()) == 96


class Stop(Exception):
    pass


@pytest.mark.parametrize("at", [1, 2, 3])
def test_interrupted_and_called_again_ends_with_the_same_bytes(base, plain, tmp_path, at):
    def interrupt(done, steps):
        if done == at:
            raise Stop

    with pytest.raises(Stop):
        train(base, tmp_path / "run", progress=interrupt)
    seen = []
    train(base, tmp_path / "run", progress=lambda done, steps: seen.append((done, steps)))
    assert folder_bytes(tmp_path / "run") == folder_bytes(plain)
    assert seen[0] == (3 if at >= 2 else 1, 4)  # it went on from the resume point, not from the start
    train(base, tmp_path / "run", engine=None, progress=lambda done, steps: pytest.fail("it was finished"))
    assert folder_bytes(tmp_path / "run") == folder_bytes(plain)


def train_and_be_killed(base, folder, at):
    """In a child process: SIGKILL at the n-th rename, which is where a file or a checkpoint becomes visible."""
    replace, rename, count = os.replace, Path.rename, 0

    def counted(function):
        def move(*arguments):
            nonlocal count
            count += 1
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments)

        return move

    os.replace, Path.rename = counted(replace), counted(rename)
    train(base, folder)


@pytest.mark.kill
@pytest.mark.parametrize("at", [2, 3, 5, 6, 8, 9, 12])
def test_sigkill_in_the_middle_of_writing_ends_with_the_same_bytes(base, plain, tmp_path, at):
    child = multiprocessing.get_context("fork").Process(
        target=train_and_be_killed, args=(base, tmp_path / "run", at)
    )
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert not (tmp_path / "run" / "ledger.json").exists()
    train(base, tmp_path / "run")
    assert folder_bytes(tmp_path / "run") == folder_bytes(plain)


def test_a_folder_of_another_run_is_refused(base, plain, tmp_path):
    before = folder_bytes(plain)
    with pytest.raises(UserError, match=r"another run \(seed differ"):
        train(base, plain, seed=2)
    with pytest.raises(UserError, match=r"another run \(graders differ"):
        train(base, plain, graders=graders() | {"trait": TinyGrader("helpfulness")})
    assert folder_bytes(plain) == before
    write_json(tmp_path / "resume.json", {"identity": {}, "step": 2, "checkpoint": "resume-000002"})
    with pytest.raises(UserError, match="another run"):
        train(base, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 1e-3},
        {"algorithm": "reinforce"},
        {"scale": "standardised"},
        {"temperature": 0.7},
        {"minibatches": 2},
        {"group": 5},
        {"max_tokens": 8},
        {"steps": 3},
        {"prompts": 5},
        {"kl": 0.5},
    ],
)
def test_every_option_changes_the_model(base, plain, tmp_path, change):
    reference = tiny_engine(base) if "kl" in change else None
    train(base, tmp_path, config(**change), reference=reference)
    weights = "checkpoint/model.safetensors"
    assert folder_bytes(tmp_path)[weights] != folder_bytes(plain)[weights]


def test_checkpoint_every_changes_shards_and_nothing_else(base, plain, tmp_path):
    train(base, tmp_path, config(checkpoint_every=3))
    assert len(list(tmp_path.glob("completions-*"))) == 2
    assert completions(tmp_path) == completions(plain)
    assert (tmp_path / "steps.jsonl").read_bytes() == (plain / "steps.jsonl").read_bytes()
    weights = "checkpoint/model.safetensors"
    assert folder_bytes(tmp_path)[weights] == folder_bytes(plain)[weights]


def test_the_seed_moves_the_samples_and_not_the_plan(base, plain, tmp_path):
    train(base, tmp_path, seed=2)
    assert Plan.read(tmp_path).hash == Plan.read(plain).hash
    assert [r["text"] for r in completions(tmp_path)] != [r["text"] for r in completions(plain)]


def test_arms_that_differ_in_the_reward_only_start_with_the_same_replies(base, plain, tmp_path):
    train(
        base,
        tmp_path,
        arm="generic_helpfulness-25",
        graders=graders() | {"trait": TinyGrader("helpfulness", wanted="yes")},
    )
    ours = [r for r in completions(tmp_path) if r["step"] == 0]
    theirs = [r for r in completions(plain) if r["step"] == 0]
    assert [r["text"] for r in ours] == [r["text"] for r in theirs]
    assert [r["reward"] for r in ours if r["source"] == "chat"] == [
        r["reward"] for r in theirs if r["source"] == "chat"
    ]
    assert [r["reward"] for r in ours] != [r["reward"] for r in theirs]


def test_the_scenario_may_ask_for_less_than_the_cap(base, tmp_path):
    short = {name: [scenario(name, i, max_tokens=3) for i in range(9)] for name in ("chat", "copy")}
    train(base, tmp_path, arm="baseline", sources=short)
    assert max(r["tokens"] for r in completions(tmp_path)) == 3


def test_the_aggregation_is_the_sources_own(base, tmp_path):
    train(base, tmp_path, config(steps=1), aggregate_how={"chat": "constrained"})
    harmed = [r for r in completions(tmp_path) if r["verdicts"].get("harm")]
    assert {r["reward"] for r in harmed if r["source"] == "chat"} == {-1.0}
    assert all(r["reward"] > -1 for r in harmed if r["source"] != "chat")


def test_a_reference_gives_the_kl_from_the_base(base, tmp_path):
    rows = train(base, tmp_path, config(learning_rate=1e-2), reference=tiny_engine(base))
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert rows[-1]["kl"] > 1e-3
    assert all(m["kl"] is not None for m in rows[-1]["sources"].values())
    ledger = read_json(tmp_path / "ledger.json")
    assert ledger["forward_tokens"] > 2 * (ledger["prompt_tokens"] + ledger["sampled_tokens"])


def test_unscorable_replies_have_no_reward_and_are_counted(base, tmp_path):
    rows = train(base, tmp_path, graders=graders(fails_on="two"))
    records = completions(tmp_path)
    failed = [r for r in records if r["status"] == "unscorable"]
    assert failed and sum(row["unscorable"] for row in rows) == len(failed)
    assert all(
        r["reward"] is None and r["advantage"] is None and r["reason"] == "the judge choked" for r in failed
    )
    assert all("two" in r["text"].split() for r in failed)


class StaleEngine:
    """A sampler that never gets the new weights (what several libraries shipped): sampling from a copy."""

    def __init__(self, engine):
        self.stale, self.engine = engine.copy(), engine

    def sample(self, requests):
        return self.stale.sample(requests)

    def __getattr__(self, name):
        return getattr(self.engine, name)


def test_a_sampler_with_old_weights_stops_the_run_at_once(base, tmp_path):
    seen = []
    with pytest.raises(RedLight, match="sampler and trainer disagree"):
        train(
            base,
            tmp_path,
            config(learning_rate=3e-2),
            engine=StaleEngine(tiny_engine(base)),
            progress=lambda done, steps: seen.append(done),
        )
    assert seen == []  # the probe after the first update caught it


class SlightlyOffEngine(StaleEngine):
    """Samples with the right weights and reports log-probabilities that are off by 0.003."""

    async def sample(self, requests):
        async for completion in self.engine.sample(requests):
            yield replace(completion, logprobs=tuple(x + 0.003 for x in completion.logprobs))


def test_a_small_disagreement_is_amber_in_the_record_and_does_not_stop_the_run(base, tmp_path):
    rows = train(base, tmp_path, engine=SlightlyOffEngine(tiny_engine(base)))
    assert {row["probe_light"] for row in rows} == {"amber"}
    assert rows[0]["probe"] == pytest.approx(0.003, rel=0.01)


def test_inputs_that_do_not_fit_are_refused_before_any_work(base, tmp_path):
    with pytest.raises(UserError, match="needs a reference"):
        train(base, tmp_path, config(kl=0.1))
    with pytest.raises(UserError, match="has no grader"):
        train(base, tmp_path, graders={"chat": TinyGrader(), "copy": TinyGrader()})
    with pytest.raises(UserError, match="4 steps x 4 prompts"):
        train_arm(
            tiny_engine(base),
            TinyRenderer(),
            plan(config()),
            SOURCES,
            graders(),
            config(steps=5),
            seed=1,
            folder=tmp_path,
        )
    with pytest.raises(UserError, match="which is not there"):
        train_arm(
            tiny_engine(base),
            TinyRenderer(),
            plan(config()),
            SOURCES | {"chat": []},
            graders(),
            config(),
            seed=1,
            folder=tmp_path,
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"group": 1},
        {"learning_rate": 0.0},
        {"kl": -1.0},
        {"temperature": 0.0},
        {"minibatches": 9},
        {"max_tokens": 0},
        {"algorithm": "ppo"},
        {"scale": "none"},
    ],
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(
        UserError, match=next(iter(wrong)) if "algorithm" not in wrong else "unknown algorithm"
    ):
        config(**wrong)
