"""A tiny Qwen3 on text, trained in under a minute: enough for its replies to end, nothing more. For plumbing and tests.

The text is cut into sentences; a conversation is a run of sentences, turns of one to a few, the assistant's short. So the
model learns that an assistant's turn is a sentence that ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from evenkeel.engines.native.engine import NativeEngine
from evenkeel.records.errors import UserError
from evenkeel.records.streams import generator
from evenkeel.records.types import TrainSequence
from evenkeel.scenarios.dataset import load_rows
from evenkeel.training.supervised import finetune

BEGIN, END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
VOCABULARY = 1024
SHAPE: dict[str, Any] = {
    "hidden_size": 80, "intermediate_size": 224, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 20, "max_position_embeddings": 4096,
}  # fmt: skip
STEPS, BATCH, LEARNING_RATE = 220, 16, 6e-3
LONGEST = 320  # tokens of a training conversation
SHORT = (3, 9)  # words of a sentence that an assistant may say
CONVERSATIONS = 6000

_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def tiny_base(
    folder: Path, texts: Sequence[str] | None = None, *, steps: int = STEPS, conversations: int = CONVERSATIONS, seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:  # fmt: skip
    """Train and write the checkpoint: tokenizer with a chat template, safetensors. `texts` instead of the dataset's own.

    Bit for bit the same for equal arguments and one thread. Raises UserError when the texts are too few.
    """
    sentences = [sentence for text in (texts or dataset_texts()) for sentence in _sentences(text)]
    if len(sentences) < 200:
        raise UserError(
            f"{len(sentences)} sentences are too few to train on", fix="Give at least a few hundred."
        )
    tokenizer = _tokenizer(sentences)
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer), tie_word_embeddings=True, pad_token_id=tokenizer.pad_token_id, bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id, **SHAPE,
    )  # fmt: skip
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    engine = NativeEngine.from_pretrained(
        folder, stop_tokens=(tokenizer.eos_token_id,), max_batch_tokens=8192
    )
    rows = list(_conversations(tokenizer, sentences, conversations, seed))
    for start, rate in (
        (0, LEARNING_RATE),
        (steps * 2 // 3, LEARNING_RATE / 5),
    ):  # one drop instead of a schedule
        end = steps * 2 // 3 if start == 0 else steps
        told = (lambda k, start=start: progress(start + k, steps)) if progress else None
        stops = tuple(range(0, end - start + 1, 10)) if progress else ()
        finetune(
            engine, rows, steps=end - start, batch=BATCH, learning_rate=rate, seed=seed + start, stops=stops, at_stop=told
        )  # fmt: skip
    engine.save(folder, optimizer=False)
    return folder


def dataset_texts() -> list[str]:
    """What the shipped dataset's training conversations say."""
    return [turn.content for row in load_rows(split="train") for turn in row.messages]


def _sentences(text: str) -> list[str]:
    flat = " ".join(text.split())
    return [sentence for sentence in _SENTENCE.split(flat) if sentence[-1:] in ".!?"]


def _tokenizer(sentences: Sequence[str]) -> PreTrainedTokenizerFast:
    """Byte-level BPE: any text can be written, none needs an unknown token."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, BEGIN, END],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    inner.train_from_iterator(sentences, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token=END, pad_token=PAD, clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def _conversations(
    tokenizer: PreTrainedTokenizerFast, sentences: Sequence[str], count: int, seed: int
) -> Iterator[TrainSequence]:
    """Runs of sentences as turns; all tokens but the first are learnt from."""
    draw = generator("tiny base", seed)
    low, high = SHORT
    short = [sentence for sentence in sentences if low <= len(sentence.split()) <= high]
    for _ in range(count):
        messages = []
        at = int(draw.integers(len(sentences)))
        for _ in range(int(draw.integers(1, 4))):
            length = int(draw.integers(1, 7))
            messages.append({"role": "user", "content": " ".join(sentences[at : at + length])})
            messages.append({"role": "assistant", "content": short[int(draw.integers(len(short)))]})
            at += length
        tokens = tokenizer.encode(
            tokenizer.apply_chat_template(messages, tokenize=False), add_special_tokens=False
        )
        if len(tokens) <= LONGEST:
            yield TrainSequence(tuple(tokens[:1]), tuple(tokens[1:]))
