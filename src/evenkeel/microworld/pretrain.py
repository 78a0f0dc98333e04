"""Pretraining a base: documents of the world, next-token loss on the authors' replies, a genuine checkpoint.

The documents of step n are a stream of their own, so a killed run goes on from its last snapshot with the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch.nn import functional as F
from transformers import LlamaConfig

from evenkeel.engines.native.checkpoint import save_checkpoint
from evenkeel.engines.native.config import ModelConfig
from evenkeel.engines.native.model import Transformer
from evenkeel.microworld.documents import Document, documents
from evenkeel.microworld.language import Language
from evenkeel.microworld.muon import Muon
from evenkeel.microworld.tokenizer import WordRenderer, vocabulary, write_tokenizer
from evenkeel.records.canonical import content_hash
from evenkeel.records.files import write_bytes, write_json
from evenkeel.records.types import Conversation


@dataclass(frozen=True, slots=True)
class PretrainConfig:
    """One base. Equal configurations give equal bytes on one CPU type with one thread."""

    seed: int = 0
    shuffled: bool = False  # the control: persona resampled for every reply
    width: int = 128
    layers: int = 4
    heads: int = 4
    hidden: int = 352
    steps: int = 1700
    second_cycle: int = 1100  # step at which rate and optimizers start anew (a warm restart)
    batch: int = 48  # documents per step
    limit: int = 140  # tokens per document
    introduced: int = 550  # first steps, in which every author is introduced by a strong line
    learning_rate: float = 2e-2  # of AdamW (embedding, norms) and of Muon after its rescaling (matrices)
    second_rate: float = 1.2e-2  # the peak of the second cycle
    decay_from: float = 0.03  # share of the steps after which the rate falls linearly to 2 %
    optimizer: str = "muon"


@dataclass(frozen=True, slots=True)
class Batch:
    """Token rows, their next tokens, and where an author's reply is to be predicted."""

    tokens_BT: torch.Tensor
    next_BT: torch.Tensor
    needed_BT: torch.Tensor


def token_row(renderer: WordRenderer, document: Document) -> tuple[list[int], list[bool]]:
    """A document's tokens, and which of them an author chose (assistant words and their `<end>`)."""
    tokens, chosen = [renderer.index["<doc>"]], [False]
    turns = [document.header] if document.header else []
    for message in (*turns, *(message for scene in document.scenes for message in scene)):
        turn = renderer.turn(message.role, message.content)
        tokens += turn
        last = message.role == "assistant"
        chosen += [False, *([last] * (len(turn) - 1))]
    return tokens, chosen


def make_batches(renderer: WordRenderer, written: list[Document], rows_each: int = 16) -> list[Batch]:
    """Documents as right-padded micro-batches of like length: 16 rows stay in a core's cache (a fifth faster than 64)."""
    rows = sorted((token_row(renderer, document) for document in written), key=lambda row: len(row[0]))
    return [_pad(rows[i : i + rows_each]) for i in range(0, len(rows), rows_each)]


def _pad(rows: list[tuple[list[int], list[bool]]]) -> Batch:
    length = max(len(tokens) for tokens, _ in rows)
    tokens_BT = np.zeros((len(rows), length), dtype=np.int64)
    chosen_BT = np.zeros((len(rows), length), dtype=bool)
    for b, (row, chosen) in enumerate(rows):
        tokens_BT[b, : len(row)], chosen_BT[b, : len(row)] = row, chosen
    tokens, needed = torch.from_numpy(tokens_BT), torch.from_numpy(chosen_BT)
    return Batch(tokens[:, :-1], tokens[:, 1:], needed[:, 1:])


def conversation_length(conversation: Conversation) -> int:
    """Tokens of whole turns: the words, the role and the end."""
    return sum(len(message.content.split()) + 2 for message in conversation)


def losses(model: Transformer, batches: list[Batch]) -> Iterator[torch.Tensor]:
    """Per micro-batch, its part of the mean negative log-probability of the authors' tokens."""
    count = sum(int(batch.needed_BT.sum()) for batch in batches)
    for batch in batches:
        logits_NV = model(batch.tokens_BT, needed_BT=batch.needed_BT)
        yield F.cross_entropy(logits_NV, batch.next_BT[batch.needed_BT], reduction="sum") / count


class _Trainer:
    """Model, two optimizers (Muon inside the layers, AdamW for the rest) and the schedule."""

    def __init__(self, config: PretrainConfig, words: int) -> None:
        raw = LlamaConfig(
            vocab_size=words, hidden_size=config.width, num_hidden_layers=config.layers,
            num_attention_heads=config.heads, num_key_value_heads=config.heads, intermediate_size=config.hidden,
            max_position_embeddings=256, tie_word_embeddings=True, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=6,
            pad_token_id=0,
        ).to_dict()  # fmt: skip
        self.config = config
        self.model = Transformer(ModelConfig.from_dict(raw)).initialise(config.seed)
        matrices = [p for block in self.model.blocks for p in block.parameters() if p.dim() == 2]
        if config.optimizer != "muon":
            matrices = []
        inside = {id(parameter) for parameter in matrices}
        self.matrices = matrices
        self.rest = [p for p in self.model.parameters() if id(p) not in inside]
        self.new_optimizers()

    def new_optimizers(self) -> None:
        """Without memory of earlier steps."""
        self.muon = Muon(self.matrices)
        self.adam = torch.optim.AdamW(
            self.rest, lr=self.config.learning_rate, betas=(0.9, 0.95), weight_decay=0.0
        )

    def restart(self) -> None:
        """Begin a cycle as if from a saved base: weights as bf16 keeps them, new optimizers."""
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.copy_(parameter.bfloat16().float())
        self.new_optimizers()

    def rate(self, step: int) -> float:
        """Warm-up over 20 steps, then linear to 2 %, in each of at most two cycles."""
        config = self.config
        if step < config.second_cycle:
            start, end, peak = 0, min(config.second_cycle, config.steps), config.learning_rate
        else:
            start, end, peak = config.second_cycle, config.steps, config.second_rate
        done = (step - start) / (end - start)
        return peak * min(1.0, (step - start + 1) / 20, 0.02 + 0.98 * (1 - done) / (1 - config.decay_from))

    def step(self, number: int, batches: list[Batch]) -> float:
        """One update; returns the loss."""
        self.model.zero_grad(set_to_none=True)
        total = 0.0
        for loss in losses(self.model, batches):
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for group in self.adam.param_groups:
            group["lr"] = self.rate(number)
        self.adam.step()
        self.muon.step(self.rate(number))
        return total

    def snapshot(self, path: Path, step: int) -> None:
        """Everything a killed run needs to go on."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {
            f"muon.{'x'.join(map(str, shape))}": buffer for shape, buffer in self.muon.buffers.items()
        }
        for number, state in self.adam.state_dict()["state"].items():
            tensors |= {f"adam.{number}.{name}": value for name, value in state.items()}
        write_bytes(path, save(tensors, metadata={"step": str(step)}))
        write_json(path.with_suffix(".json"), {"step": step, "config": content_hash(self.config)})

    def restore(self, path: Path) -> None:
        """Undo `snapshot`."""
        tensors = load_file(path)
        self.model.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
        for shape, buffer in self.muon.buffers.items():
            buffer.copy_(tensors[f"muon.{'x'.join(map(str, shape))}"])
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("adam."):
                _, number, field = name.split(".")
                state.setdefault(int(number), {})[field] = value
        self.adam.load_state_dict({"state": state, "param_groups": self.adam.state_dict()["param_groups"]})


def held_out_loss(model: Transformer, language: Language, renderer: WordRenderer, *, shuffled: bool) -> float:
    """Loss on documents of a seed that no pretraining uses."""
    written = documents(language, -1, 0, 512, shuffled=shuffled, limit=118, length=conversation_length)
    with torch.no_grad():
        return sum(float(loss) for loss in losses(model, make_batches(renderer, written)))


def pretrain(
    language: Language, config: PretrainConfig, folder: Path, *, progress: Callable[[int, float], None] = lambda step, loss: None,
    snapshot_every: int = 100,
) -> dict[str, object]:  # fmt: skip
    """Train a base into `folder` (bf16 checkpoint, tokenizer, `base.json`). Goes on from a snapshot left by a kill."""
    renderer = WordRenderer(vocabulary(language))
    trainer, start, losses = _Trainer(config, len(renderer.words)), 0, []
    snapshot = folder / "snapshot.safetensors"
    if snapshot.with_suffix(".json").exists() and snapshot.exists():
        from evenkeel.records.files import read_json

        left = read_json(snapshot.with_suffix(".json"))
        if left["config"] == content_hash(config):
            trainer.restore(snapshot)
            start = left["step"]
    for step in range(start, config.steps):
        written = documents(
            language,
            config.seed,
            step,
            config.batch,
            shuffled=config.shuffled,
            limit=config.limit,
            length=conversation_length,
            introduced=step < config.introduced,
        )
        if step == config.second_cycle:
            trainer.restart()
        losses.append(trainer.step(step, make_batches(renderer, written)))
        progress(step + 1, losses[-1])
        if (step + 1) % snapshot_every == 0 and step + 1 < config.steps:
            trainer.snapshot(snapshot, step + 1)
    write_tokenizer(folder, renderer.words)
    save_checkpoint(folder, trainer.model, dtype="bfloat16")
    record = {
        "config": config, "config_hash": content_hash(config), "language": language.version,
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
        "held_out_loss": held_out_loss(trainer.model, language, renderer, shuffled=config.shuffled),
    }  # fmt: skip
    write_json(folder / "base.json", record)
    for left_over in (snapshot, snapshot.with_suffix(".json")):
        left_over.unlink(missing_ok=True)
    return record
