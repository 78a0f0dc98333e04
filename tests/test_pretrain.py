"""Pretraining: resumable to the same bytes, a genuine checkpoint, and every shipped base as its record says."""

from __future__ import annotations

import pytest
import torch

from evenkeel.engines.native.checkpoint import load_model
from evenkeel.microworld.bases import CONFIGS, FOLDER, base_folder
from evenkeel.microworld.language import load_language
from evenkeel.microworld.muon import Muon, orthogonalise
from evenkeel.microworld.pretrain import PretrainConfig, held_out_loss, pretrain
from evenkeel.microworld.tokenizer import WordRenderer, read_renderer, vocabulary
from evenkeel.records.canonical import content_hash
from evenkeel.records.errors import UserError
from evenkeel.records.files import read_json

LANGUAGE = load_language()
TINY = PretrainConfig(
    width=16, layers=1, heads=2, hidden=32, steps=6, batch=4, introduced=3, learning_rate=1e-2
)
SHIPPED = sorted(path.name for path in FOLDER.glob("*") if (path / "model.safetensors").exists())


class Killed(Exception):
    """What a kill looks like from inside."""


def test_a_killed_pretraining_goes_on_to_the_same_bytes(tmp_path):
    losses = []
    whole = pretrain(LANGUAGE, TINY, tmp_path / "whole", progress=lambda step, loss: losses.append(loss))

    def die(step: int, loss: float) -> None:
        if step == 5:
            raise Killed

    with pytest.raises(Killed):
        pretrain(LANGUAGE, TINY, tmp_path / "killed", progress=die, snapshot_every=2)
    seen = []
    again = pretrain(
        LANGUAGE, TINY, tmp_path / "killed", progress=lambda step, loss: seen.append(step), snapshot_every=2
    )
    assert seen == [5, 6]
    assert again["held_out_loss"] == whole["held_out_loss"]
    files = [
        sorted((p.name, p.read_bytes()) for p in (tmp_path / name).iterdir()) for name in ("whole", "killed")
    ]
    assert files[0] == files[1]
    assert losses[-1] < losses[0]


def test_a_snapshot_of_another_configuration_is_not_used(tmp_path):
    def die(step: int, loss: float) -> None:
        if step == 5:
            raise Killed

    with pytest.raises(Killed):
        pretrain(LANGUAGE, TINY, tmp_path, progress=die, snapshot_every=2)
    seen = []
    other = PretrainConfig(**{**{f: getattr(TINY, f) for f in TINY.__slots__}, "seed": 1})
    pretrain(LANGUAGE, other, tmp_path, progress=lambda step, loss: seen.append(step))
    assert seen == [1, 2, 3, 4, 5, 6]


def test_every_setting_of_pretraining_changes_the_base(tmp_path):
    first = pretrain(LANGUAGE, TINY, tmp_path / "a")["held_out_loss"]
    for change in (
        {"shuffled": True},
        {"introduced": 0},
        {"second_cycle": 3},
        {"decay_from": 0.9},
        {"optimizer": "adamw"},
        {"batch": 3},
        {"limit": 60},
    ):
        config = PretrainConfig(**{**{f: getattr(TINY, f) for f in TINY.__slots__}, **change})
        assert pretrain(LANGUAGE, config, tmp_path / str(change))["held_out_loss"] != first, change


def test_orthogonalise_makes_singular_values_near_one():
    """Against the singular value decomposition: the published coefficients leave them between about .7 and 1.2."""
    matrices = torch.randn(3, 24, 40, generator=torch.Generator().manual_seed(0))
    for result in (orthogonalise(matrices), orthogonalise(matrices.mT)):
        values = torch.linalg.svdvals(result)
        assert values.min() > 0.6 and values.max() < 1.3
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    cosine = torch.nn.functional.cosine_similarity(orthogonalise(matrices).flatten(1), (u @ v).flatten(1))
    assert cosine.min() > 0.98


def test_muon_follows_torchs_own():
    """torch.optim.Muon orthogonalises in bfloat16; the directions agree to its precision."""
    start = torch.randn(12, 20, generator=torch.Generator().manual_seed(1))
    gradients = torch.randn(3, 12, 20, generator=torch.Generator().manual_seed(2))
    ours, theirs = start.clone(), torch.nn.Parameter(start.clone())
    mine = Muon([ours])
    reference = torch.optim.Muon(
        [theirs], lr=0.1, momentum=0.95, nesterov=True, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
    )
    for gradient in gradients:
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        mine.step(0.1)
        reference.step()
    change, wanted = (ours - start).flatten(), (theirs.detach() - start).flatten()
    assert torch.nn.functional.cosine_similarity(change, wanted, dim=0) > 0.99
    assert 0.95 < float(change.norm() / wanted.norm()) < 1.05


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_base_is_what_its_record_says(name):
    folder, record = base_folder(name), read_json(FOLDER / name / "base.json")
    assert (folder / "model.safetensors").stat().st_size < 2_000_000
    assert record["config_hash"] == content_hash(CONFIGS[name])
    assert record["language"] == LANGUAGE.version, "the world's files changed since this base was made"
    renderer = read_renderer(folder)
    assert renderer.words == vocabulary(LANGUAGE)
    loss = held_out_loss(load_model(folder), LANGUAGE, renderer, shuffled=CONFIGS[name].shuffled)
    assert loss == pytest.approx(record["held_out_loss"], abs=0.01)  # weights were rounded to bf16


@pytest.mark.parametrize("name", SHIPPED[:2])
def test_a_shipped_base_loads_in_transformers(name):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = base_folder(name)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokens = torch.tensor([tokenizer("<doc> <user> add 1 and 2 <end> <bot>")["input_ids"]])
    with torch.no_grad():
        theirs, ours = model(tokens).logits, load_model(folder)(tokens)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_an_unknown_base_is_named():
    with pytest.raises(UserError, match="no microworld base"):
        base_folder("wrld-0")


def test_the_renderer_and_the_tokenizer_agree_on_the_stop_token():
    assert WordRenderer(vocabulary(LANGUAGE)).stop_tokens == (6,)  # eos_token_id of the checkpoints
