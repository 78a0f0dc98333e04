"""The native engine: one policy in one process, sampled and trained with the same fp32 weights."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np

from evenkeel.engines.interface import Engine
from evenkeel.engines.native import sampler, trainer
from evenkeel.engines.native.checkpoint import (
    install,
    load_checkpoint,
    read_tensors,
    save_checkpoint,
    state_of,
    write_tensors,
)
from evenkeel.engines.native.config import ModelConfig
from evenkeel.engines.native.model import Transformer
from evenkeel.records.errors import UserError
from evenkeel.records.types import Completion, SampleRequest, TrainSequence

OPTIMIZER_FILE = "optimizer.safetensors"
CACHE_BYTES = 2**28  # keys and values while sampling


class NativeEngine(Engine):
    """Implements `Engine` on CPU for Llama, Qwen2 and Qwen3 checkpoints."""

    def __init__(
        self,
        model: Transformer,
        *,
        stop_tokens: tuple[int, ...],
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.95),
        clip: float | None = 1.0,
        max_batch_tokens: int = 2048,
        tokenizer_folder: Path | None = None,
    ) -> None:
        """`max_batch_tokens` bounds a training micro-batch (prompts shared by rows count once).

        `tokenizer_folder` is the checkpoint whose tokenizer files `save` copies.
        """
        self.model = model
        self.stop_tokens, self.max_batch_tokens, self.tokenizer_folder = (
            stop_tokens,
            max_batch_tokens,
            tokenizer_folder,
        )
        self._settings = {"weight_decay": weight_decay, "betas": betas, "clip": clip}
        self.optimizer = trainer.Optimizer(model, weight_decay=weight_decay, betas=betas, clip=clip)

    @classmethod
    def from_pretrained(
        cls,
        folder: Path,
        *,
        stop_tokens: tuple[int, ...],
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.95),
        clip: float | None = 1.0,
        max_batch_tokens: int = 2048,
    ) -> NativeEngine:
        """The engine of a Hugging Face checkpoint folder, with a fresh optimizer."""
        config, state = load_checkpoint(Path(folder))
        model = Transformer(config)
        install(model, state, folder)
        return cls(
            model,
            stop_tokens=stop_tokens,
            weight_decay=weight_decay,
            betas=betas,
            clip=clip,
            max_batch_tokens=max_batch_tokens,
            tokenizer_folder=Path(folder),
        )

    @property
    def config(self) -> ModelConfig:
        return self.model.config

    @property
    def parameters_count(self) -> int:
        """Number of weights (a tied output matrix counts once)."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def flops_per_token(self) -> int:
        """Forward pass, attention scores left out: 2 x (matrices + output matrix). Backward: twice that."""
        return 2 * (self.config.matrix_parameters + self.config.vocabulary * self.config.width)

    async def sample(self, requests: Sequence[SampleRequest]) -> AsyncIterator[Completion]:
        """Completions of all requests, in batches of like length; see sampler.py."""
        for completion in self.sample_now(requests):
            yield completion

    def sample_now(self, requests: Sequence[SampleRequest]) -> list[Completion]:
        """`sample` without the event loop: all completions at once."""
        batches = sampler.sample(self.model, requests, self.stop_tokens, self.cache_tokens)
        return [completion for batch in batches for completion in batch]

    @property
    def cache_tokens(self) -> int:
        """How many tokens' keys and values sampling may hold at once."""
        config = self.config
        return CACHE_BYTES // (2 * 4 * config.layers * config.kv_heads * config.head_dim)

    def logprobs(self, batch: Sequence[TrainSequence]) -> np.ndarray:
        """See `Engine.logprobs`."""
        return trainer.logprobs(self.model, batch, self.max_batch_tokens)

    def forward_backward(self, batch: Sequence[TrainSequence], weights_BT: np.ndarray) -> np.ndarray:
        """See `Engine.forward_backward`; rows whose weights are all zero are not computed and return 0."""
        return trainer.forward_backward(self.model, batch, weights_BT, self.max_batch_tokens)

    def optim_step(self, learning_rate: float) -> dict[str, float]:
        """See `Engine.optim_step`. `grad_norm` is taken before clipping."""
        return self.optimizer.step(learning_rate)

    def copy(self) -> NativeEngine:
        """An independent engine with these weights and settings and a fresh optimizer."""
        model = Transformer(self.config)
        install(model, state_of(self.model))
        return NativeEngine(
            model,
            stop_tokens=self.stop_tokens,
            max_batch_tokens=self.max_batch_tokens,
            tokenizer_folder=self.tokenizer_folder,
            **self._settings,  # type: ignore[arg-type]
        )

    def save(self, folder: Path, *, optimizer: bool = True) -> None:
        """Write the checkpoint beside `folder`, then put it in its place, whole."""
        folder = Path(folder)
        fresh, previous = (folder.with_name(f".{folder.name}.{kind}") for kind in ("new", "old"))
        shutil.rmtree(fresh, ignore_errors=True)
        save_checkpoint(fresh, self.model, dtype="float32", tokenizer_folder=self.tokenizer_folder)
        if optimizer:
            write_tensors(fresh / OPTIMIZER_FILE, self.optimizer.state())
        if folder.exists():
            shutil.rmtree(previous, ignore_errors=True)
            folder.rename(previous)
        fresh.rename(folder)
        shutil.rmtree(previous, ignore_errors=True)

    def load(self, folder: Path, *, optimizer: bool = True) -> None:
        """Weights, and with `optimizer` its state, in place; the accumulated gradient is forgotten.

        Raises UserError naming the file that is missing, damaged or foreign; nothing has changed then.
        """
        folder = Path(folder)
        previous = folder.with_name(f".{folder.name}.old")
        if not folder.exists() and previous.exists():  # killed between the two renames of `save`
            previous.rename(folder)
        config, state = load_checkpoint(folder)
        if config != self.config:
            raise UserError(
                "is another model's", file=folder / "config.json", fix=f"This engine runs {self.config}."
            )
        moments = read_tensors(folder / OPTIMIZER_FILE) if optimizer else None
        if moments is not None:
            self.optimizer.check(moments, folder / OPTIMIZER_FILE)
        install(self.model, state, folder)
        if moments is not None:
            self.optimizer.restore(moments)
        self.optimizer.zero()
