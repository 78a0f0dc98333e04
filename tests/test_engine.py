"""The native engine: sampling and training against transformers and autograd, on tiny real models."""

from __future__ import annotations

import asyncio
from itertools import chain

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

from evenkeel.engines.native import cache, packing, sampler
from evenkeel.engines.native.checkpoint import state_of
from evenkeel.engines.native.engine import NativeEngine
from evenkeel.records.errors import UserError
from evenkeel.records.types import SampleRequest, TrainSequence

torch.set_num_threads(1)

SIZES: dict[str, int] = {
    "vocab_size": 41,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
CONFIGS = {
    "llama": LlamaConfig(**SIZES, num_key_value_heads=4, tie_word_embeddings=True),
    "qwen2": Qwen2Config(**SIZES, num_key_value_heads=2, tie_word_embeddings=True),
    "qwen3": Qwen3Config(**SIZES, num_key_value_heads=1, head_dim=16, tie_word_embeddings=False),
}
STOP = 3


@pytest.fixture(scope="module", params=CONFIGS)
def pair(request, tmp_path_factory):
    """(transformers model, folder) of one random tiny model per family."""
    folder = tmp_path_factory.mktemp(request.param)
    torch.manual_seed(5)
    peer = AutoModelForCausalLM.from_config(CONFIGS[request.param], dtype=torch.float32).eval()
    with torch.no_grad():
        for name, parameter in peer.named_parameters():
            parameter.normal_(1.0 if "norm" in name else 0.0, 0.25)
    peer.save_pretrained(folder)
    return peer, folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny Llama on disk."""
    path = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(6)
    AutoModelForCausalLM.from_config(CONFIGS["llama"], dtype=torch.float32).save_pretrained(path)
    return path


def engine_of(path, **settings) -> NativeEngine:
    return NativeEngine.from_pretrained(path, stop_tokens=(STOP,), **settings)


def prompts(count: int, seed: int = 0) -> list[tuple[int, ...]]:
    """Prompts of 1 to 9 tokens."""
    draw = np.random.default_rng(seed)
    return [tuple(draw.integers(4, 41, size=1 + (7 * n) % 9).tolist()) for n in range(count)]


def requests_of(texts, *, group=3, max_tokens=12, temperature=1.0) -> list[SampleRequest]:
    return [
        SampleRequest(f"r{n}", text, max_tokens, ("test", n), group, temperature)
        for n, text in enumerate(texts)
    ]


def by_name(completions) -> dict:
    return {(one.request, one.sample): one for one in completions}


def sequences(seed: int = 0) -> list[TrainSequence]:
    """Groups that share prompts, a prompt that starts like another, a prompt of one token; mixed lengths."""
    draw = np.random.default_rng(seed)
    shared = [(5, 6, 7, 8), (5, 6, 7, 9), (11,), (12, 13, 14, 15, 16, 17, 18)]
    return [
        TrainSequence(shared[n % 4], tuple(draw.integers(0, 41, size=1 + (5 * n) % 7).tolist()))
        for n in range(14)
    ]


def peer_logps(peer, batch) -> list[torch.Tensor]:
    """logp of every completion token by transformers, a row at a time."""
    rows = []
    for row in batch:
        tokens = torch.tensor([row.prompt + row.completion])
        logp = peer(tokens).logits[0, len(row.prompt) - 1 : -1].log_softmax(-1)
        rows.append(logp[torch.arange(len(row.completion)), torch.tensor(row.completion)])
    return rows


def test_greedy_generation_equals_transformers(pair):
    peer, path = pair
    texts = prompts(7)
    found = by_name(engine_of(path).sample_now(requests_of(texts, group=1, temperature=0.0)))
    for n, text in enumerate(texts):
        settings = {"max_new_tokens": 12, "do_sample": False, "eos_token_id": STOP, "pad_token_id": 0}
        expected = peer.generate(torch.tensor([text]), attention_mask=torch.ones(1, len(text)), **settings)
        one = found[f"r{n}", 0]
        assert one.tokens == tuple(expected[0, len(text) :].tolist())
        assert one.finish == ("stop" if one.tokens[-1] == STOP else "length")


def test_sampler_and_trainer_log_probabilities_agree(pair):
    engine = engine_of(pair[1])
    asked = requests_of(prompts(6), temperature=1.3)
    completions = engine.sample_now(asked)
    text = {request.id: request.prompt for request in asked}
    logp_BT = engine.logprobs([TrainSequence(text[one.request], one.tokens) for one in completions])
    assert {one.finish for one in completions} == {"stop", "length"}
    for row, one in zip(logp_BT, completions, strict=True):
        np.testing.assert_allclose(row[: len(one.tokens)], one.logprobs, atol=1e-5)
        assert not row[len(one.tokens) :].any()


@pytest.mark.parametrize("budget", [8, 40, 10_000])
def test_logprobs_equal_transformers(pair, budget):
    peer, path = pair
    batch = sequences()
    logp_BT = engine_of(path, max_batch_tokens=budget).logprobs(batch)
    with torch.no_grad():
        for row, expected in zip(logp_BT, peer_logps(peer, batch), strict=True):
            np.testing.assert_allclose(row[: len(expected)], expected.numpy(), atol=2e-5)


@pytest.mark.parametrize("budget", [8, 10_000])
def test_gradient_is_that_of_the_weighted_sum(pair, budget):
    """One small step of plain descent must be the one that autograd finds through transformers."""
    peer, path = pair
    batch = sequences()
    weights_BT = np.random.default_rng(1).normal(size=(len(batch), 7))
    weights_BT[2] = 0.0
    peer.zero_grad()
    rows = peer_logps(peer, batch)
    sum(
        (torch.tensor(w[: len(r)]).float() * r).sum() for w, r in zip(weights_BT, rows, strict=True)
    ).backward()
    expected = torch.sqrt(sum(p.grad.square().sum() for p in peer.parameters())).item()
    engine = engine_of(path, max_batch_tokens=budget, clip=None)
    logp_BT = engine.forward_backward(batch, weights_BT)
    np.testing.assert_allclose(logp_BT[3, : len(rows[3])], rows[3].detach().numpy(), atol=2e-5)
    assert not logp_BT[2].any()
    gradients = NativeEngine(engine.copy().model, stop_tokens=())  # a twin whose weights are our gradients
    for twin, ours in zip(gradients.model.parameters(), engine.model.parameters(), strict=True):
        twin.data.copy_(ours.grad)
    for name, gradient in state_of(gradients.model).items():
        wanted = dict(peer.named_parameters())[name].grad
        torch.testing.assert_close(gradient, wanted, atol=2e-5 * expected, rtol=1e-3)
    assert engine.optim_step(1e-3)["grad_norm"] == pytest.approx(expected, rel=1e-4)


def test_rows_without_weight_are_never_computed(folder, monkeypatch):
    seen = []
    real = packing.pack
    monkeypatch.setattr(
        "evenkeel.engines.native.trainer.pack", lambda b, rows: (seen.extend(rows), real(b, rows))[1]
    )
    batch = sequences()
    weights_BT = np.zeros((len(batch), 7))
    weights_BT[[1, 8], 0] = 1.0
    weights_BT[0, 5:] = 1.0  # beyond the end of a one-token completion: no weight at all
    engine_of(folder).forward_backward(batch, weights_BT)
    assert sorted(seen) == [1, 8]


def test_shared_prompts_are_computed_once():
    batch = [TrainSequence((1, 2, 3, 4, 5), (6, 7))] * 8
    packed = packing.pack(batch, range(8))
    assert len(packed.tokens_N) == 4 + 8 * 2


def test_a_draw_does_not_depend_on_its_company(folder):
    engine = engine_of(folder)
    asked = requests_of(prompts(9), group=4)
    together = by_name(engine.sample_now(asked))
    assert together.keys() == {(f"r{n}", g) for n in range(9) for g in range(4)}
    reversed_order = by_name(engine.sample_now(asked[::-1]))
    alone = {name: one for request in asked for name, one in by_name(engine.sample_now([request])).items()}
    small = by_name(chain.from_iterable(sampler.sample(engine.model, asked, (STOP,), 45)))
    for other in (reversed_order, alone, small):
        assert {name: one.tokens for name, one in other.items()} == {k: v.tokens for k, v in together.items()}
    assert len({one.tokens for one in together.values()}) > 30  # streams differ inside a group


def test_duplicate_prompts_share_one_prefill(folder, monkeypatch):
    engine, sizes = engine_of(folder), []
    embed = engine.model.embed
    monkeypatch.setattr(engine.model, "embed", lambda tokens: (sizes.append(len(tokens)), embed(tokens))[1])
    text = (4, 5, 6)
    found = engine.sample_now(
        [
            SampleRequest("a", text, 5, ("a",), 4),
            SampleRequest("b", text, 7, ("b",), 2),
            SampleRequest("c", (9,), 5, ("c",)),
        ]
    )
    assert sizes[0] == len(text) + 1 and len(found) == 7
    assert sizes[-1] <= 2  # finished rows leave: at the end only "b" is computed
    assert max(len(one.tokens) for one in found if one.request == "a") <= 5


@pytest.mark.parametrize("regroup", [-1.0, 9.0])
def test_regrouping_the_cache_changes_nothing(pair, regroup, monkeypatch):
    """Never regrouping and regrouping at every chance give the same completions, at many ends and group sizes."""
    engine = engine_of(pair[1])
    asked = [
        SampleRequest(f"r{n}", text, 3 + n, ("shrink", n), group=(3, 11, 1, 8)[n % 4])
        for n, text in enumerate(prompts(8))
    ]
    expected = by_name(engine.sample_now(asked))
    monkeypatch.setattr(cache, "REGROUP", regroup)
    found = by_name(engine.sample_now(asked))
    assert {name: one.tokens for name, one in found.items()} == {k: v.tokens for k, v in expected.items()}
    text = {request.id: request.prompt for request in asked}
    logp_BT = engine.logprobs([TrainSequence(text[one.request], one.tokens) for one in found.values()])
    for row, one in zip(logp_BT, found.values(), strict=True):
        np.testing.assert_allclose(row[: len(one.tokens)], one.logprobs, atol=1e-5)


def test_draws_follow_the_model(folder):
    """Chi-square of 4,000 first tokens against the model's own distribution, tempered and not."""
    engine = engine_of(folder)
    engine.model.embedding.data.mul_(6.0)  # far from uniform
    with torch.no_grad():
        logits = engine.model(torch.tensor([[7, 8, 9]]))[0, -1].double()
    for temperature in (1.0, 1.7):
        request = SampleRequest("r", (7, 8, 9), 1, ("chi", 3), group=4000, temperature=temperature)
        counts = np.bincount([one.tokens[0] for one in engine.sample_now([request])], minlength=41)
        expected = (logits / temperature).softmax(-1).numpy() * 4000
        common = expected > 5
        assert common.sum() > 20
        counts, expected = counts[common], expected[common]
        assert expected.max() > 3 * expected.mean()
        assert chisquare(counts, expected * counts.sum() / expected.sum()).pvalue > 0.001


def test_async_sample_yields_every_completion(folder):
    async def collect():
        return [one async for one in engine_of(folder).sample(requests_of(prompts(3)))]

    assert len(asyncio.run(collect())) == 9


def train(engine, steps, seed=0):
    for step in range(steps):
        weights_BT = np.random.default_rng(seed + step).normal(size=(14, 7))
        engine.forward_backward(sequences(step), weights_BT)
        metrics = engine.optim_step(1e-2)
    return metrics


def test_resume_is_bit_identical(folder, tmp_path):
    whole, first = engine_of(folder, weight_decay=0.1), engine_of(folder, weight_decay=0.1)
    train(whole, 2)
    train(first, 2)
    first.save(tmp_path / "checkpoint")
    first.save(tmp_path / "checkpoint")  # over an older one
    second = engine_of(folder, weight_decay=0.1)
    train(second, 1, seed=9)  # something to overwrite
    second.load(tmp_path / "checkpoint")
    assert train(whole, 2, seed=50) == train(second, 2, seed=50)
    for ours, theirs in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint"]
    assert not list((tmp_path / "checkpoint").glob("*.bin"))


def test_forgetting_the_optimizer_is_not_a_resume(folder, tmp_path):
    """The moments matter: without them the next step differs."""
    first, second = engine_of(folder), engine_of(folder)
    train(first, 2)
    first.save(tmp_path / "c")
    second.load(tmp_path / "c", optimizer=False)
    assert train(first, 1, seed=50)["update_norm"] != train(second, 1, seed=50)["update_norm"]


def test_load_names_what_is_wrong_and_changes_nothing(folder, tmp_path):
    engine = engine_of(folder)
    train(engine, 1)
    engine.save(tmp_path / "bare", optimizer=False)
    engine.save(tmp_path / "cut")
    optimizer_file = tmp_path / "cut" / "optimizer.safetensors"
    optimizer_file.write_bytes(optimizer_file.read_bytes()[:-8])
    AutoModelForCausalLM.from_config(CONFIGS["qwen2"]).save_pretrained(tmp_path / "foreign")
    before = [parameter.detach().clone() for parameter in engine.model.parameters()]
    for name, problem in (
        ("bare", "optimizer.safetensors"),
        ("cut", "optimizer.safetensors"),
        ("foreign", "config"),
    ):
        with pytest.raises(UserError, match=problem):
            engine.load(tmp_path / name)
    with pytest.raises(UserError, match=r"config\.json"):
        engine.load(tmp_path / "nowhere")
    assert all(torch.equal(a, b) for a, b in zip(before, engine.model.parameters(), strict=True))


def test_a_copy_stays_where_it_was(folder):
    engine = engine_of(folder)
    reference = engine.copy()
    expected = engine.logprobs(sequences())
    train(engine, 1)
    assert np.array_equal(reference.logprobs(sequences()), expected)
    assert not np.allclose(engine.logprobs(sequences()), expected)


def test_descent_lowers_the_weighted_sum_and_settings_count(folder):
    batch, weights_BT = sequences(), np.abs(np.random.default_rng(3).normal(size=(14, 7)))
    norms = {}
    for clip in (None, 0.05):
        engine = engine_of(folder, clip=clip)
        before = (engine.logprobs(batch) * weights_BT).sum()
        engine.forward_backward(batch, weights_BT)
        norms[clip] = float(torch.cat([flat.grad for flat in engine.optimizer.flat]).norm())
        metrics = engine.optim_step(1e-3)
        assert metrics["grad_norm"] == pytest.approx(norms[clip], rel=1e-5) and metrics["update_norm"] > 0
        assert (engine.logprobs(batch) * weights_BT).sum() < before
        moments = engine.optimizer.state()["matrices.exp_avg"].norm()
        assert moments < (0.006 if clip else 1e9)
    decayed, plain = engine_of(folder, weight_decay=0.5), engine_of(folder)
    for engine in (decayed, plain):
        engine.forward_backward(batch, weights_BT)
        engine.optim_step(1e-2)
    assert decayed.model.embedding.norm() < plain.model.embedding.norm()


def test_a_gradient_that_is_not_finite_is_refused(folder):
    engine = engine_of(folder)
    engine.forward_backward(sequences(), np.ones((14, 7)))
    engine.optimizer.flat[0].grad[0] = torch.nan
    with pytest.raises(UserError, match="not finite"):
        engine.optim_step(1e-3)
    with pytest.raises(ValueError, match="weights"):
        engine.forward_backward(sequences(), np.full((14, 7), np.nan))
