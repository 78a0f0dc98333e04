"""The native model against transformers: same logits, same files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

from evenkeel.engines.native.checkpoint import load_checkpoint, load_model, save_checkpoint
from evenkeel.engines.native.config import ModelConfig
from evenkeel.engines.native.model import Transformer
from evenkeel.records.errors import UserError

torch.set_num_threads(1)

SIZES: dict[str, int] = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
CONFIGS = {
    "llama": LlamaConfig(**SIZES, num_key_value_heads=4, tie_word_embeddings=True),
    "llama-gqa": LlamaConfig(**SIZES, num_key_value_heads=2, tie_word_embeddings=False, rope_theta=500.0),
    "qwen2": Qwen2Config(**SIZES, num_key_value_heads=2, tie_word_embeddings=True),
    "qwen3": Qwen3Config(**SIZES, num_key_value_heads=1, head_dim=16, tie_word_embeddings=False),
}


def write_peer(folder: Path, name: str, seed: int = 0) -> torch.nn.Module:
    """A random transformers model of one family, saved in `folder`; biases and norms are random too."""
    torch.manual_seed(seed)
    peer = AutoModelForCausalLM.from_config(CONFIGS[name], dtype=torch.float32).eval()
    with torch.no_grad():
        for key, parameter in peer.named_parameters():
            parameter.normal_(1.0 if "norm" in key else 0.0, 0.3 if parameter.dim() == 1 else 0.2)
    peer.save_pretrained(folder)
    return peer


def random_tokens(rows: int, length: int, seed: int = 1) -> torch.Tensor:
    return torch.randint(61, (rows, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_equal_transformers(name, tmp_path):
    peer, tokens_BT = write_peer(tmp_path, name), random_tokens(3, 17)
    with torch.no_grad():
        expected = peer(tokens_BT).logits
        found = load_model(tmp_path)(tokens_BT)
    assert expected.std() > 0.5  # a flat output would agree with anything
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", CONFIGS)
def test_saved_checkpoint_is_a_hugging_face_checkpoint(name, tmp_path):
    write_peer(tmp_path / "peer", name)
    (tmp_path / "peer" / "tokenizer.json").write_text("{}")
    model, tokens_BT = load_model(tmp_path / "peer"), random_tokens(2, 9)
    save_checkpoint(tmp_path / "ours", model, tokenizer_folder=tmp_path / "peer")
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path / "ours")
    with torch.no_grad():
        torch.testing.assert_close(reloaded(tokens_BT).logits, model(tokens_BT), atol=1e-4, rtol=0)
    assert (tmp_path / "ours" / "tokenizer.json").read_text() == "{}"
    for key, tensor in load_checkpoint(tmp_path / "peer")[1].items():
        assert torch.equal(tensor, load_checkpoint(tmp_path / "ours")[1][key]), key


def test_bfloat16_halves_the_file_and_loads_as_fp32(tmp_path):
    write_peer(tmp_path / "peer", "llama")
    model = load_model(tmp_path / "peer")
    for dtype in ("float32", "bfloat16"):
        save_checkpoint(tmp_path / dtype, model, dtype=dtype)
    sizes = [(tmp_path / dtype / "model.safetensors").stat().st_size for dtype in ("float32", "bfloat16")]
    assert sizes[1] < 0.6 * sizes[0]
    state = load_checkpoint(tmp_path / "bfloat16")[1]
    assert all(tensor.dtype == torch.float32 for tensor in state.values())
    assert json.loads((tmp_path / "bfloat16" / "config.json").read_text())["dtype"] == "bfloat16"


def test_packed_documents_do_not_see_each_other(tmp_path):
    write_peer(tmp_path, "llama-gqa")
    model, first, second = load_model(tmp_path), random_tokens(1, 5, 2), random_tokens(1, 7, 3)
    packed = torch.cat((first, second), 1)
    documents = torch.tensor([[4] * 5 + [9] * 7])
    with torch.no_grad():
        logits = model(packed, documents)
        torch.testing.assert_close(logits[:, :5], model(first), atol=1e-5, rtol=0)
        torch.testing.assert_close(logits[:, 5:], model(second), atol=1e-5, rtol=0)
        needed = torch.zeros_like(packed, dtype=torch.bool)
        needed[0, [2, 8]] = True
        torch.testing.assert_close(model(packed, documents, needed), logits[needed], atol=1e-5, rtol=0)


def broken(folder: Path, how: str) -> None:
    """Damage one thing of a good checkpoint."""
    config, weights = folder / "config.json", folder / "model.safetensors"
    raw = json.loads(config.read_text())
    if how == "truncated":
        weights.write_bytes(weights.read_bytes()[:-40])
    elif how == "missing":
        weights.unlink()
    elif how == "not json":
        config.write_text("{")
    else:
        raw |= json.loads(how)
        config.write_text(json.dumps(raw))


@pytest.mark.parametrize(
    ("how", "names"),
    [
        ("truncated", "model.safetensors"),
        ("missing", "model.safetensors"),
        ("not json", "config.json"),
        ('{"model_type": "lama"}', 'Did you mean "llama"'),
        ('{"hidden_size": 64}', "model.embed_tokens.weight is (61, 32), not (61, 64)"),
        ('{"num_hidden_layers": 3}', "model.layers.2"),
        ('{"num_hidden_layers": 1}', "model.layers.1"),
        ('{"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}', "yarn"),
        ('{"attention_bias": true}', "attention_bias"),
    ],
)
def test_foreign_or_damaged_checkpoint_is_named(how, names, tmp_path):
    write_peer(tmp_path, "llama")
    broken(tmp_path, how)
    with pytest.raises(UserError) as error:
        load_model(tmp_path)
    assert names in str(error.value) and str(tmp_path) in str(error.value)


def test_fresh_model_is_fixed_by_its_seed():
    config = ModelConfig.from_dict(CONFIGS["qwen2"].to_dict())
    first, again, other = (Transformer(config).initialise(seed) for seed in (1, 1, 2))
    assert torch.equal(first.embedding, again.embedding)
    assert not torch.equal(first.embedding, other.embedding)
    assert torch.equal(first.blocks[0].qkv_bias, torch.zeros_like(first.blocks[0].qkv_bias))
