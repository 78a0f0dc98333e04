"""What a checkpoint's `config.json` says about the model, for the three families the native engine runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evenkeel.records.errors import UserError, did_you_mean

FAMILIES = ("llama", "qwen2", "qwen3")


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes of one Llama, Qwen2 or Qwen3 model; `raw` is its Hugging Face `config.json` as read."""

    family: str
    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    norm_eps: float
    rope_theta: float
    tied: bool  # the output matrix is the embedding
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def qkv_bias(self) -> bool:
        return self.family == "qwen2"

    @property
    def qk_norm(self) -> bool:
        return self.family == "qwen3"

    @property
    def matrix_parameters(self) -> int:
        """Weights that every token multiplies, the output matrix left out (2 FLOPs each, forward)."""
        attention = self.width * self.head_dim * (2 * self.heads + 2 * self.kv_heads)
        return self.layers * (attention + 3 * self.width * self.hidden)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], file: Path | str | None = None) -> ModelConfig:
        """Read a Hugging Face config (`LlamaConfig(...).to_dict()` or a `config.json`).

        Raises UserError, naming the field, for anything the native engine would compute wrongly.
        """
        _refuse_unsupported(raw, file)
        try:
            heads, width = int(raw["num_attention_heads"]), int(raw["hidden_size"])
            config = cls(
                family=raw["model_type"],
                vocabulary=int(raw["vocab_size"]),
                width=width,
                layers=int(raw["num_hidden_layers"]),
                heads=heads,
                kv_heads=int(raw.get("num_key_value_heads") or heads),
                head_dim=int(raw.get("head_dim") or width // heads),
                hidden=int(raw["intermediate_size"]),
                norm_eps=float(raw.get("rms_norm_eps", 1e-6)),
                rope_theta=_rope_theta(raw, file),
                tied=bool(raw.get("tie_word_embeddings", False)),
                raw=dict(raw),
            )
        except KeyError as error:
            raise UserError(
                f"has no {error.args[0]!r}", file=file, fix="It must be a model's config.json."
            ) from None
        except (TypeError, ValueError) as error:
            raise UserError(f"has a size that is not a number ({error})", file=file) from None
        if config.heads % config.kv_heads or config.head_dim % 2:
            raise UserError("query heads must be a multiple of key heads, and head_dim even", file=file)
        return config


def _refuse_unsupported(raw: Mapping[str, Any], file: Path | str | None) -> None:
    family = raw.get("model_type")
    if family not in FAMILIES:
        raise UserError(
            f"model_type {family!r} is not one the native engine runs",
            file=file,
            fix=did_you_mean(str(family), FAMILIES),
        )
    activation = raw.get("hidden_act", "silu")
    wrong = {
        "hidden_act": activation if activation not in ("silu", "swish") else None,
        "attention_bias": raw.get("attention_bias"),
        "mlp_bias": raw.get("mlp_bias"),
        "use_sliding_window": raw.get("use_sliding_window"),
        "quantization_config": raw.get("quantization_config"),
        "partial_rotary_factor": raw.get("partial_rotary_factor")
        if raw.get("partial_rotary_factor") != 1.0
        else None,
    }
    for name, value in wrong.items():
        if value:
            raise UserError(f"{name} = {value!r} is not supported by the native engine", file=file)


def _rope_theta(raw: Mapping[str, Any], file: Path | str | None) -> float:
    """Base of the rotary frequencies, as transformers 5 (`rope_parameters`) or 4 (`rope_theta`) writes it."""
    parameters = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    kind = parameters.get("rope_type", parameters.get("type", "default"))
    if kind not in (None, "default"):
        raise UserError(
            f"rope scaling {kind!r} is not supported by the native engine",
            file=file,
            fix="Use a checkpoint with default rotary positions.",
        )
    if parameters.get("partial_rotary_factor", 1.0) != 1.0:
        raise UserError("partial rotary positions are not supported by the native engine", file=file)
    return float(parameters.get("rope_theta") or raw.get("rope_theta") or 10000.0)
