"""Hugging Face checkpoints in and out: `config.json`, safetensors, the tokenizer's files. Nothing is pickled.

A state is a flat mapping in Hugging Face names and order; `install` and `state_of` convert it to and from the
fused, interleaved parameters of model.py, exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from evenkeel.engines.native.config import ModelConfig
from evenkeel.engines.native.model import Layer, Transformer
from evenkeel.records.canonical import canonical_json
from evenkeel.records.errors import UserError
from evenkeel.records.files import read_json, write_bytes, write_text

State = dict[str, Tensor]

COMPANIONS = (  # small files that belong to a checkpoint and are copied as they are
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "generation_config.json",
)


def load_checkpoint(folder: Path) -> tuple[ModelConfig, State]:
    """The config and the fp32 state of a checkpoint folder. Raises UserError naming the wrong file."""
    folder = Path(folder)
    config = ModelConfig.from_dict(read_json(folder / "config.json"), folder / "config.json")
    index = folder / "model.safetensors.index.json"
    files = sorted(set(read_json(index)["weight_map"].values())) if index.exists() else ["model.safetensors"]
    state: State = {}
    for name in files:
        state.update(read_tensors(folder / name))
    return config, {name: tensor.float() for name, tensor in state.items()}


def load_model(folder: Path) -> Transformer:
    """The model of a checkpoint folder."""
    config, state = load_checkpoint(folder)
    model = Transformer(config)
    install(model, state, Path(folder))
    return model


def save_checkpoint(
    folder: Path,
    model: Transformer,
    *,
    dtype: Literal["bfloat16", "float32"] = "float32",
    tokenizer_folder: Path | None = None,
) -> None:
    """Write what `AutoModelForCausalLM.from_pretrained` loads; each file appears whole or not at all.

    `tokenizer_folder` names a checkpoint whose tokenizer and generation files come along.
    """
    folder = Path(folder)
    kind = {"bfloat16": torch.bfloat16, "float32": torch.float32}[dtype]
    state = {name: tensor.detach().to(kind).contiguous() for name, tensor in state_of(model).items()}
    architecture = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}[model.config.family]
    raw = {
        k: v
        for k, v in model.config.raw.items()
        if v is not None and k not in ("torch_dtype", "_name_or_path")
    }
    raw |= {"dtype": dtype, "architectures": [f"{architecture}ForCausalLM"]}
    write_tensors(folder / "model.safetensors", state)
    write_text(folder / "config.json", config_text(raw))
    for name in COMPANIONS if tokenizer_folder is not None else ():
        source = Path(tokenizer_folder or folder) / name
        if source.exists() and source.resolve() != (folder / name).resolve():
            write_bytes(folder / name, source.read_bytes())


def config_text(raw: Mapping[str, object]) -> str:
    """The text of `config.json`: canonical, but without a schema version (the file is Hugging Face's)."""
    return canonical_json(raw, indent=2) + "\n"


def read_tensors(path: Path) -> State:
    """The tensors of one safetensors file. Raises UserError when it is missing or damaged."""
    try:
        return load(Path(path).read_bytes())
    except FileNotFoundError:
        raise UserError("no such file", file=path, fix="A checkpoint folder must hold it.") from None
    except (SafetensorError, ValueError, KeyError) as error:
        raise UserError(f"not a whole safetensors file ({error})", file=path) from None


def write_tensors(path: Path, state: Mapping[str, Tensor]) -> None:
    """One safetensors file, written atomically; equal tensors give equal bytes."""
    write_bytes(path, save(dict(sorted(state.items())), metadata={"format": "pt"}))


def install(model: Transformer, state: Mapping[str, Tensor], source: Path | str = "checkpoint") -> None:
    """Copy a Hugging Face state into the model, in place.

    Raises UserError naming `source` and the tensor when one is missing, foreign, misshapen or not finite.
    """
    wanted = {name: tensor.shape for name, tensor in state_of(model).items()}
    given = {name: t for name, t in state.items() if not (model.head is None and name == "lm_head.weight")}
    missing, foreign = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    if missing or foreign:
        problem = (
            f"lacks {missing[0]!r}" if missing else f"holds {foreign[0]!r}, which the config has no place for"
        )
        raise UserError(
            f"the checkpoint {problem}", file=source, fix="config.json and weights must belong together."
        )
    for name, tensor in sorted(given.items()):
        if tensor.shape != wanted[name]:
            raise UserError(f"{name} is {tuple(tensor.shape)}, not {tuple(wanted[name])}", file=source)
        if not torch.isfinite(tensor).all():
            raise UserError(f"{name} holds values that are not finite", file=source)
    with torch.no_grad():
        model.embedding.copy_(given["model.embed_tokens.weight"])
        model.norm.copy_(given["model.norm.weight"])
        if model.head is not None:
            model.head.copy_(given["lm_head.weight"])
        for number, layer in enumerate(model.blocks):
            _install_layer(layer, lambda name, n=number: given[f"model.layers.{n}.{name}"])  # type: ignore[misc]


def state_of(model: Transformer) -> State:
    """The model's weights in Hugging Face names and order (views or copies of the parameters)."""
    state: State = {"model.embed_tokens.weight": model.embedding, "model.norm.weight": model.norm}
    if model.head is not None:
        state["lm_head.weight"] = model.head
    for number, layer in enumerate(model.blocks):
        state |= {f"model.layers.{number}.{name}": tensor for name, tensor in _layer_state(layer).items()}
    return {name: tensor.detach() for name, tensor in state.items()}


def _install_layer(layer: Layer, part: Callable[[str], Tensor]) -> None:
    size = layer.config.head_dim
    for kind, target in (("weight", layer.qkv), ("bias", layer.qkv_bias)):
        if target is not None:
            q, k, v = (part(f"self_attn.{name}_proj.{kind}") for name in "qkv")
            target.copy_(torch.cat((interleave(q, size), interleave(k, size), v)))
    if layer.query_norm is not None and layer.key_norm is not None:
        layer.query_norm.copy_(interleave(part("self_attn.q_norm.weight"), size))
        layer.key_norm.copy_(interleave(part("self_attn.k_norm.weight"), size))
    layer.out.copy_(part("self_attn.o_proj.weight"))
    layer.gate_up.copy_(torch.cat((part("mlp.gate_proj.weight"), part("mlp.up_proj.weight"))))
    layer.down.copy_(part("mlp.down_proj.weight"))
    layer.attention_norm.copy_(part("input_layernorm.weight"))
    layer.mlp_norm.copy_(part("post_attention_layernorm.weight"))


def _layer_state(layer: Layer) -> State:
    size, sizes = layer.config.head_dim, (layer.query_size, layer.key_size, layer.key_size)
    gate, up = layer.gate_up.chunk(2)
    state: State = {
        "self_attn.o_proj.weight": layer.out,
        "mlp.gate_proj.weight": gate,
        "mlp.up_proj.weight": up,
        "mlp.down_proj.weight": layer.down,
        "input_layernorm.weight": layer.attention_norm,
        "post_attention_layernorm.weight": layer.mlp_norm,
    }
    for kind, fused in (("weight", layer.qkv), ("bias", layer.qkv_bias)):
        if fused is not None:
            q, k, v = fused.split(sizes)
            parts = {"q": separate(q, size), "k": separate(k, size), "v": v}
            state |= {f"self_attn.{name}_proj.{kind}": tensor for name, tensor in parts.items()}
    if layer.query_norm is not None and layer.key_norm is not None:
        state["self_attn.q_norm.weight"] = separate(layer.query_norm, size)
        state["self_attn.k_norm.weight"] = separate(layer.key_norm, size)
    return state


def interleave(rows: Tensor, head_dim: int) -> Tensor:
    """Hugging Face pairs channel e with e + head_dim/2 of its head; put each pair side by side."""
    return rows.unflatten(0, (-1, 2, head_dim // 2)).transpose(1, 2).flatten(0, 2)


def separate(rows: Tensor, head_dim: int) -> Tensor:
    """The inverse of `interleave`."""
    return rows.unflatten(0, (-1, head_dim // 2, 2)).transpose(1, 2).flatten(0, 2)
