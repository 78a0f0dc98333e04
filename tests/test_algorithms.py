"""Objectives against independent oracles: torch autograd of the published losses, and TRL or verl where
installed.
"""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evenkeel.records.errors import UserError
from evenkeel.training.advantages import advantages, group_spread
from evenkeel.training.algorithms import ALGORITHMS, algorithm_named, k3, objective, reduction

LENGTH = 12  # the cap on reply tokens
KL = 0.3


def batch(seed=0, rows=6, width=9, drift=0.3):
    """(logp, old, reference, advantage, mask) of a batch with a dead row (the last) and replies of all
    lengths.
    """
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, width + 1, rows)
    mask = np.arange(width) < lengths[:, None]
    mask[-1] = False
    old = np.where(mask, -rng.exponential(1.0, mask.shape), 0.0)
    new = np.where(mask, np.minimum(old + rng.normal(0, drift, mask.shape), -1e-3), 0.0)
    reference = np.where(mask, old + rng.normal(0, 0.5, mask.shape), 0.0)
    return new, old, reference, rng.normal(0, 1, rows), mask


def published_loss(name, logp, old, advantage, mask):
    """Each paper's loss, sequence by sequence, in the words of the paper; gradients by autograd."""
    per_sequence, counts = [], []
    for row in range(len(mask)):
        keep = mask[row]
        if not keep.any():
            continue
        new, was, a = logp[row][keep], old[row][keep], advantage[row]
        counts.append(len(new))
        ratio = torch.exp(new - was)
        if name in ("grpo", "dr_grpo"):
            surrogate = torch.min(ratio * a, torch.clamp(ratio, 0.8, 1.2) * a)
        elif name == "dapo":
            surrogate = torch.min(ratio * a, torch.clamp(ratio, 0.8, 1.28) * a)
        elif name == "gspo":
            s = torch.exp((new - was).sum() / len(new))  # (pi / pi_old) to the power 1 / |y|
            surrogate = torch.min(s * a, torch.clamp(s, 1 - 3e-4, 1 + 4e-4) * a).expand(len(new))
        elif name == "cispo":
            surrogate = torch.clamp(ratio, max=5.0).detach() * a * new
        else:
            surrogate = a * new
        per_sequence.append(-surrogate.sum())
    total = torch.stack(per_sequence)
    if name in ("grpo", "gspo"):
        return (total / torch.tensor(counts)).mean()
    if name == "dr_grpo":
        return total.sum() / (len(counts) * LENGTH)
    return total.sum() / sum(counts)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("drift", [0.0, 1e-4, 0.3, 2.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_loss_and_derivative_are_those_of_the_paper(name, drift, seed):
    new, old, _, advantage, mask = batch(seed, drift=drift)
    logp = torch.tensor(new, requires_grad=True)
    loss = published_loss(name, logp, torch.tensor(old), torch.tensor(advantage), torch.tensor(mask))
    loss.backward()
    ours = objective(ALGORITHMS[name], new, old, advantage, mask, length=LENGTH)
    assert ours.loss == pytest.approx(loss.item(), abs=1e-12)
    np.testing.assert_allclose(ours.weights_BT, logp.grad.numpy(), atol=1e-12)
    assert not ours.weights_BT[~mask].any()


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_kl_term_adds_its_exact_derivative(name):
    new, old, reference, advantage, mask = batch(3)
    logp = torch.tensor(new, requires_grad=True)
    log_r = torch.tensor(reference) - logp
    k3_loss = torch.exp(log_r) - log_r - 1
    share = torch.tensor(reduction(mask, ALGORITHMS[name].reduce, LENGTH))
    (KL * (share * k3_loss).sum()).backward()
    plain = objective(ALGORITHMS[name], new, old, advantage, mask, length=LENGTH)
    with_kl = objective(
        ALGORITHMS[name], new, old, advantage, mask, length=LENGTH, kl=KL, reference_logp_BT=reference
    )
    np.testing.assert_allclose(with_kl.weights_BT - plain.weights_BT, logp.grad.numpy(), atol=1e-12)
    assert with_kl.loss - plain.loss == pytest.approx(KL * with_kl.kl)
    assert with_kl.kl == pytest.approx((share * k3_loss).sum().item())
    with pytest.raises(ValueError, match="reference"):
        objective(ALGORITHMS[name], new, old, advantage, mask, length=LENGTH, kl=KL)


def test_k3_averages_to_the_true_kl_and_its_slope_to_the_gradient_of_the_reverse_kl():
    """Over all outcomes of a small distribution: E[k3] = KL(p||q), E[slope x d log p] = gradient of
    KL(q||p).
    """
    logits = torch.tensor([0.3, -1.0, 0.7, 0.0], dtype=torch.float64, requires_grad=True)
    q = torch.tensor([0.1, 0.4, 0.3, 0.2], dtype=torch.float64)
    log_p = torch.log_softmax(logits, 0)
    p = log_p.exp().detach()
    value, slope = k3(log_p.detach().numpy(), q.log().numpy(), np.ones(4, dtype=bool))
    assert float((p.numpy() * value).sum()) == pytest.approx(float((p * (p / q).log()).sum()))
    (torch.tensor(p.numpy() * slope) * log_p).sum().backward()
    estimated, logits.grad = logits.grad.clone(), None
    (q * (q.log() - torch.log_softmax(logits, 0))).sum().backward()
    torch.testing.assert_close(estimated, logits.grad)


def test_clipping_is_counted_and_stops_only_the_side_that_pushes_on():
    mask = np.ones((4, 1), dtype=bool)
    old = np.full((4, 1), -1.0)
    new = old + np.log([[1.5], [1.5], [0.5], [0.5]])
    advantage = np.array([1.0, -1.0, 1.0, -1.0])
    ours = objective(ALGORITHMS["grpo"], new, old, advantage, mask, length=1)
    np.testing.assert_allclose(ours.weights_BT[:, 0] * 4, [0, 1.5, -0.5, 0])
    assert ours.clipped == 0.5


def test_reductions():
    mask = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)
    np.testing.assert_allclose(reduction(mask, "tokens", 8).sum(axis=1), [0.8, 0.2, 0])
    np.testing.assert_allclose(reduction(mask, "sequences", 8).sum(axis=1), [0.5, 0.5, 0])
    np.testing.assert_allclose(reduction(mask, "constant", 8).sum(axis=1), [4 / 16, 1 / 16, 0])
    with pytest.raises(ValueError, match="no chosen token"):
        reduction(np.zeros((2, 3), dtype=bool), "tokens", 8)
    with pytest.raises(ValueError, match="reduce over"):
        reduction(mask, "words", 8)


def test_unknown_algorithms_are_named():
    with pytest.raises(UserError, match='Did you mean "dr_grpo"'):
        algorithm_named("drgrpo")


def test_advantages_by_hand():
    rewards = np.array([[0.0, 1.0, 0.5], [0.4, 0.4, 0.4], [1.0, np.nan, 0.0], [1.0, 0.0, 0.0]])
    included = np.array([[1, 1, 1], [1, 1, 1], [1, 0, 1], [1, 0, 0]], dtype=bool)
    value, live = advantages(rewards, included)
    np.testing.assert_allclose(value, [[-0.5, 0.5, 0], [0, 0, 0], [0.5, 0, -0.5], [0, 0, 0]])
    assert live.tolist() == [[True] * 3, [False] * 3, [True, False, True], [False] * 3]
    scaled, _ = advantages(rewards, included, "standardised")
    np.testing.assert_allclose(scaled[0], [-1, 1, 0])
    np.testing.assert_allclose(scaled[2], [0.5**0.5, 0, -(0.5**0.5)])
    spread = group_spread(rewards, included)
    np.testing.assert_allclose(spread[:3], [0.5, 0, 0.5**0.5], atol=1e-15)
    assert np.isnan(spread[3])


@given(st.floats(-1, 1), st.integers(2, 64), st.sampled_from(["centred", "standardised"]))
@settings(deadline=None)
def test_equal_rewards_are_dead_whatever_their_rounding(reward, members, scale):
    """0.35 eight times over must not come out as an advantage of 7,428 (NeMo-RL PR 4161)."""
    value, live = advantages(np.full((1, members), reward), np.ones((1, members), dtype=bool), scale)
    assert not value.any() and not live.any()


def test_rewards_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        advantages(np.array([[np.nan, 1.0]]), np.ones((1, 2), dtype=bool))
    with pytest.raises(ValueError, match="centred or standardised"):
        advantages(np.zeros((1, 2)), np.ones((1, 2), dtype=bool), "scaled")


# --- oracle: TRL's own code, on a stand-in for its trainer that only hands over log-probabilities

TRL_SETTINGS = {
    "grpo": {"loss_type": "grpo"},
    "dr_grpo": {"loss_type": "dr_grpo"},
    "dapo": {"loss_type": "dapo", "epsilon_high": 0.28},
    "gspo": {
        "loss_type": "grpo",
        "importance_sampling_level": "sequence",
        "epsilon_low": 3e-4,
        "epsilon_high": 4e-4,
    },
    "cispo": {"loss_type": "cispo", "epsilon_high": 5.0},
}


def trl_loss(name, new, old, reference, advantage, mask, kl):
    """(loss, gradient by log-probability) of `GRPOTrainer._compute_loss`."""
    grpo_trainer = pytest.importorskip("trl.trainer.grpo_trainer")
    logp = torch.tensor(new, requires_grad=True)
    accelerator = SimpleNamespace(
        num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x, sync_gradients=True
    )
    settings_ = {"importance_sampling_level": "token", "epsilon_low": 0.2, "epsilon_high": 0.2}
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (logp, torch.zeros_like(logp), None),
        _metrics=defaultdict(lambda: defaultdict(list)),
        _entropy_bonus_enabled=False,
        accelerator=accelerator,
        args=SimpleNamespace(delta=None, use_bias_correction_kl=False, steps_per_generation=1),
        aux_loss_enabled=False,
        beta=kl,
        current_gradient_accumulation_steps=1,
        max_completion_length=LENGTH,
        model=SimpleNamespace(training=True),
        off_policy_mask_threshold=None,
        top_entropy_quantile=1.0,
        use_vllm=False,
        **(settings_ | TRL_SETTINGS[name]),
    )
    tokens = torch.zeros(mask.shape, dtype=torch.long)
    loss = grpo_trainer.GRPOTrainer._compute_loss(
        trainer,
        None,
        {
            "prompt_ids": tokens[:, :1],
            "prompt_mask": tokens[:, :1],
            "completion_ids": tokens,
            "completion_mask": torch.tensor(mask).double(),
            "advantages": torch.tensor(advantage),
            "old_per_token_logps": torch.tensor(old),
            "ref_per_token_logps": torch.tensor(reference),
            "num_items_in_batch": torch.tensor(float(mask.sum())),
        },
    )
    loss.backward()
    return loss.item(), logp.grad.numpy()


@pytest.mark.oracle
@pytest.mark.parametrize("kl", [0.0, KL])
@pytest.mark.parametrize("drift", [0.0, 3e-4, 0.5])
@pytest.mark.parametrize("name", TRL_SETTINGS)
def test_loss_and_derivative_are_those_of_trl(name, drift, kl):
    new, old, reference, advantage, mask = (
        array[:-1] for array in batch(5, drift=drift)
    )  # TRL counts dead rows
    loss, gradient = trl_loss(name, new, old, reference, advantage, mask, kl)
    ours = objective(
        ALGORITHMS[name], new, old, advantage, mask, length=LENGTH, kl=kl, reference_logp_BT=reference
    )
    assert ours.loss == pytest.approx(loss, abs=1e-9)
    np.testing.assert_allclose(ours.weights_BT, gradient, atol=1e-9)


@pytest.mark.oracle
def test_standardised_advantages_are_those_of_trl():
    """Its unscorable replies are NaN and leave the mean and the spread, as ours do; its floor of 1e-4 is not
    ours.
    """
    grpo_trainer = pytest.importorskip("trl.trainer.grpo_trainer")
    rewards = np.random.default_rng(0).uniform(-1, 1, (5, 8))
    rewards[0, 3] = rewards[2, 0] = rewards[2, 7] = np.nan
    tensor = torch.tensor(rewards)
    theirs = (tensor - tensor.nanmean(1, keepdim=True)) / grpo_trainer.nanstd(tensor, dim=1)[:, None]
    ours, live = advantages(rewards, ~np.isnan(rewards), "standardised")
    np.testing.assert_allclose(ours[live], theirs.numpy()[live], rtol=1e-6)  # it counts in float32
