"""One update, its dead groups and its probes; the preflight; the ledger; supervised learning. On a tiny real
model.
"""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
import torch

from evenkeel.records.errors import RedLight, UserError
from evenkeel.records.types import Reply, SampleRequest, Scored, TrainSequence
from evenkeel.training.ledger import matched
from evenkeel.training.limits import LIMITS
from evenkeel.training.preflight import Check, gap_checks, limit_check, preflight, require_green
from evenkeel.training.rollout import Group, Rollout
from evenkeel.training.supervised import finetune
from evenkeel.training.update import disagreement, reference_logprobs, update
from training_tiny import (
    SOURCES,
    TinyGrader,
    TinyRenderer,
    config,
    graders,
    plan,
    scenario,
    tiny_checkpoint,
    tiny_engine,
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("base"))


def weights(engine):
    return torch.cat([p.detach().flatten() for p in engine.model.parameters()]).numpy()


def sampled_groups(engine, prompts=3, group=3):
    """Groups of real completions, without rewards."""
    scenarios = [scenario("chat", i) for i in range(prompts)]
    prompt = [TinyRenderer().prompt(s.messages) for s in scenarios]
    requests = [SampleRequest(str(i), prompt[i], 10, ("test", i), group=group) for i in range(prompts)]

    async def collect():
        return [completion async for completion in engine.sample(requests)]

    found = {(int(c.request), c.sample): c for c in asyncio.run(collect())}
    return [
        Group(
            i, scenarios[i], prompt[i], [Rollout(found[i, g], Reply("", ""), "scored") for g in range(group)]
        )
        for i in range(prompts)
    ]


def train_one_step(base, rewards, *, kl=0.0, keep=None, algorithm="dr_grpo", **changes):
    """(engine after one update on the same replies with these rewards, Update)."""
    engine, reference = tiny_engine(base), tiny_engine(base)
    finetune(reference, [TrainSequence((2, 3), (4, 5, 1))], steps=2, batch=1, learning_rate=0.02, seed=0)
    groups = sampled_groups(engine)
    for group, row in zip(groups, rewards, strict=True):
        for rollout, reward in zip(group.rollouts, row, strict=True):
            rollout.reward = reward
            rollout.status = "scored" if reward is not None else "unscorable"
    reference_PGT = reference_logprobs(groups, reference)
    kept = [group for i, group in enumerate(groups) if keep is None or i in keep]
    result = update(engine, kept, config(kl=kl, algorithm=algorithm, **changes), reference_PGT)
    return engine, result, groups


@pytest.mark.parametrize("algorithm", ["grpo", "dr_grpo", "dapo", "gspo", "cispo", "reinforce"])
def test_dead_groups_leave_the_whole_loss(base, algorithm):
    """A group whose rewards are all equal must not move the policy, not even through the KL term."""
    rewards = [[0.4, 0.4, 0.4], [0.0, 1.0, 0.5], [1.0, 0.2, 0.2]]
    all_groups, step, groups = train_one_step(base, rewards, kl=0.1, algorithm=algorithm)
    without, other, _ = train_one_step(base, rewards, kl=0.1, algorithm=algorithm, keep={1, 2})
    assert [r.advantage for r in groups[0].rollouts] == [None] * 3
    np.testing.assert_array_equal(weights(all_groups), weights(without))
    assert (step.loss, step.kl_term, step.grad_norm) == (other.loss, other.kl_term, other.grad_norm)
    assert step.kl_term > 0


def test_replies_without_a_reward_leave_the_group_and_its_mean(base):
    rewards = [[0.4, 0.4, 0.4], [0.0, 1.0, None], [1.0, None, None]]
    _, _, groups = train_one_step(base, rewards)
    assert [r.advantage for r in groups[1].rollouts] == [-0.5, 0.5, None]
    assert [r.advantage for r in groups[2].rollouts] == [None] * 3  # fewer than two left


def test_a_step_of_dead_groups_only_leaves_the_policy_alone(base):
    engine, step, _ = train_one_step(base, [[0.4] * 3, [0.0] * 3, [None] * 3], kl=0.1)
    np.testing.assert_array_equal(weights(engine), weights(tiny_engine(base)))
    assert (step.updates, step.loss, step.probe, step.grad_norm) == (0, None, None, None)


def test_minibatches_keep_groups_whole_and_take_one_update_each(base):
    rewards = [[0.1, 0.2, 0.9], [0.0, 1.0, 0.5], [1.0, 0.2, 0.2]]
    _, one, _ = train_one_step(base, rewards)
    _, three, _ = train_one_step(base, rewards, minibatches=3)
    assert (one.updates, three.updates) == (1, 3)
    assert one.extra_forward_tokens == 0 < three.extra_forward_tokens
    assert three.probe < 1e-4  # against the current weights, not the ones that sampled


def test_the_gradient_is_the_policy_gradient(base):
    """Weights of an update against autograd through the model on the same replies (REINFORCE, token mean)."""
    engine = tiny_engine(base)
    rewards = [[0.1, 0.2, 0.9], [0.0, 1.0, 0.5], [1.0, 0.2, 0.2]]
    _, step, groups = train_one_step(base, rewards, algorithm="reinforce")
    rows = [(g, r) for g in groups for r in g.rollouts]
    batch = [g.sequence(r) for g, r in rows]
    total = sum(len(row.completion) for row in batch)
    weights_BT = np.zeros((len(batch), max(len(row.completion) for row in batch)))
    for i, (_, rollout) in enumerate(rows):
        weights_BT[i, : len(batch[i].completion)] = -rollout.advantage / total
    engine.forward_backward(batch, weights_BT)
    assert engine.optim_step(1e-3)["grad_norm"] == pytest.approx(step.grad_norm, rel=1e-5)


def test_disagreement_is_red_beyond_the_limit_and_when_it_is_no_number():
    mask = np.ones((1, 2), dtype=bool)
    assert disagreement(np.zeros((1, 2)), np.full((1, 2), 5e-3), mask) == pytest.approx(5e-3)
    for value in (2e-2, np.nan):
        with pytest.raises(RedLight, match="sampler and trainer"):
            disagreement(np.zeros((1, 2)), np.full((1, 2), value), mask)


# --- preflight


def run_preflight(base, judges=None, settings=None, sources=SOURCES, **options):
    settings = settings or config()
    return preflight(
        tiny_engine(base),
        TinyRenderer(),
        plan(settings, sources=sources),
        sources,
        judges or graders(),
        settings,
        seed=0,
        **options,
    )


def find(checks, name, source):
    [check] = [c for c in checks if c.check == LIMITS[name].text and c.source == source]
    return check


def test_the_preflight_measures_every_source_and_says_what_to_expect(base):
    checks = run_preflight(base)
    for source in SOURCES:
        for name in ("truncated", "dead_groups", "unscorable", "spread_over_noise", "draws_per_scenario"):
            find(checks, name, source)
    assert find(checks, "sampler_vs_trainer", "all").light == "green"
    expected = {(c.check, c.source): c.value for c in checks if c.light == "info"}
    assert expected["draws over the run", "trait"] == 4
    assert expected["draws of trait fair", "trait"] == expected["draws of trait calm", "trait"] == 2
    assert 0 < expected["judge calls over the run", "chat"] <= expected["draws over the run", "chat"] * 6
    assert (
        expected["sampled tokens over the run", "chat"] > 0 < expected["prompt tokens over the run", "chat"]
    )
    assert checks == run_preflight(base)  # the same every time


def test_a_cap_that_truncates_is_red_and_named(base):
    check = find(run_preflight(base, settings=config(max_tokens=3)), "truncated", "chat")
    assert check.light == "red" and check.value > 0.5
    with pytest.raises(RedLight, match=r"chat: truncated replies of the base .*\n?.*max_tokens"):
        require_green([check])
    assert require_green([check], allow_red=True)[0].light == "amber"


def test_a_rubric_that_everything_meets_alike_is_red(base):
    judges = graders() | {"chat": TinyGrader(wanted="never")}
    judges["chat"].points = lambda scenario: (1.0, 0.0)
    checks = run_preflight(base, judges)
    assert (find(checks, "dead_groups", "chat").value, find(checks, "dead_groups", "chat").light) == (
        1.0,
        "red",
    )
    assert find(checks, "dead_groups", "copy").light != "red"


def test_a_judge_that_fails_is_red(base):
    checks = run_preflight(base, graders(fails_on="good"))
    assert find(checks, "unscorable", "chat").light == "red"


class NoisyGrader(TinyGrader):
    """Says something else each time."""

    async def grade(self, requests):
        rng = np.random.default_rng(self.calls)
        for request in requests:
            self.calls += 1
            yield request.id, Scored({"wanted": rng.random(), "harm": 0.0})


def test_a_grader_noisier_than_the_spread_is_not_green(base):
    quiet = find(run_preflight(base), "spread_over_noise", "chat")
    assert (quiet.value, quiet.light) == (None, "green") and "no noise" in quiet.setting
    noisy = find(run_preflight(base, graders() | {"chat": NoisyGrader()}), "spread_over_noise", "chat")
    assert noisy.light in ("amber", "red") and noisy.value < 2


def test_too_few_scenarios_for_the_run_are_red(base):
    few = SOURCES | {"chat": SOURCES["chat"][:1]}
    check = find(run_preflight(base, settings=config(steps=8), sources=few), "draws_per_scenario", "chat")
    assert check.light == "red" and check.value == 12


def test_the_table_of_limits_is_that_of_the_design():
    table = {name: (limit.amber, limit.red) for name, limit in LIMITS.items()}
    assert table == {
        "truncated": (0.05, 0.20),
        "dead_groups": (0.40, 0.80),
        "spread_over_noise": (2.0, 1.0),
        "unscorable": (0.01, 0.05),
        "draws_per_scenario": (4, 10),
        "sampler_vs_trainer": (1e-3, 1e-2),
        "persona_gap_main": (0.5, 0.3),
        "persona_gap_control": (0.1, 0.2),
    }
    lights = [limit_check("truncated", "x", value).light for value in (0.05, 0.06, 0.2, 0.21, float("nan"))]
    assert lights == ["green", "amber", "amber", "red", "red"]
    lights = [limit_check("spread_over_noise", "x", value).light for value in (3, 2, 1.5, 1, 0.9)]
    assert lights == ["green", "green", "amber", "amber", "red"]
    assert gap_checks({"chat": 0.9, "story": 0.1, "code": 0.6}, control=False)[0].light == "green"
    assert gap_checks({"chat": 0.15}, control=True)[0].light == "amber"
    assert require_green([Check("a", "b", 1.0, None, None, "info", "")])


# --- ledger


def record(**changes):
    counts = {"steps": 2, "prompts": 8, "completions": 64, "groups": 8, "cap": 48, "flops": 100.0}
    return counts | {"forward_tokens": 10} | changes


def test_matched_needs_equal_counts_and_flops_within_ten_per_cent():
    assert matched(record(), record()).verdict == "matched"
    assert matched(record(flops=110.0), record()).verdict == "matched"
    far = matched(record(flops=111.0), record())
    assert (far.verdict, far.ratio) == ("step-matched", 1.11)
    for name in ("steps", "prompts", "completions", "groups", "cap"):
        other = matched(record(**{name: 1}), record())
        assert (other.verdict, other.differs) == ("not matched", (name,))
    assert matched(record(flops=None, forward_tokens=13), record()).ratio == 1.3


# --- supervised learning

SEQUENCES = [TrainSequence((2, 4 + i % 6, 3), (4 + i % 3, 6, 1)) for i in range(10)]


def test_finetuning_lowers_the_loss_and_stops_where_asked(base):
    engine, stops = tiny_engine(base), []
    start = engine.logprobs(SEQUENCES).sum() / 30

    def at_stop(step):
        stops.append((step, engine.logprobs(SEQUENCES).sum() / 30))

    losses = finetune(
        engine,
        SEQUENCES,
        steps=20,
        batch=5,
        learning_rate=1e-2,
        seed=0,
        stops=(0, 5, 20),
        at_stop=at_stop,
    )
    assert [step for step, _ in stops] == [0, 5, 20]
    assert stops[0][1] == pytest.approx(start)
    assert start < stops[1][1] < stops[2][1]
    assert losses[-1] < 0.6 * losses[0]
    assert losses[0] == pytest.approx(-start, abs=0.3)


def test_a_dose_is_the_beginning_of_a_longer_run_and_the_seed_matters(base):
    def run(steps, seed=0, batch=4):
        engine = tiny_engine(base)
        finetune(engine, SEQUENCES, steps=steps, batch=batch, learning_rate=1e-2, seed=seed)
        return weights(engine)

    engine, seen = tiny_engine(base), {}
    finetune(
        engine,
        SEQUENCES,
        steps=6,
        batch=4,
        learning_rate=1e-2,
        seed=0,
        stops=(3,),
        at_stop=lambda step: seen.update({step: weights(engine).copy()}),
    )
    np.testing.assert_array_equal(seen[3], run(3))
    assert not np.array_equal(run(3), run(3, seed=1))
    assert not np.array_equal(run(3), run(3, batch=5))


def test_every_sequence_is_seen_once_an_epoch(base):
    class Watching:
        def __init__(self):
            self.seen = []

        def forward_backward(self, batch, weights_BT):
            self.seen += batch
            return np.zeros(weights_BT.shape)

        def optim_step(self, learning_rate):
            return {}

    engine = Watching()
    finetune(engine, SEQUENCES, steps=5, batch=4, learning_rate=1.0, seed=3)
    distinct = [SEQUENCES.index(row) for row in engine.seen]
    assert sorted(distinct[:10]) == sorted(distinct[10:]) == sorted(SEQUENCES.index(s) for s in SEQUENCES)


def test_finetuning_refuses_what_it_cannot_do(base):
    settings = {"steps": 3, "batch": 2, "learning_rate": 1e-3, "seed": 0}
    engine = tiny_engine(base)
    with pytest.raises(UserError, match="nothing to finetune"):
        finetune(engine, [], **settings)
    with pytest.raises(UserError, match="no reply tokens"):
        finetune(engine, [TrainSequence((1,), ())], **settings)
    with pytest.raises(UserError, match=r"within 0\.\.3"):
        finetune(engine, SEQUENCES, stops=(5,), **settings)
