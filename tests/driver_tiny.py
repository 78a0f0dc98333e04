"""A tiny real model, its renderer and a few benchmarks, for the tests of driver, scores and persistence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from evenkeel.benchmarks.benchmark import Benchmark, Item, Play, Score
from evenkeel.engines.native.engine import NativeEngine
from evenkeel.records.streams import key, uniforms
from evenkeel.records.types import Completion, Conversation, Message, Reply, SampleRequest

TEXT = """
<pad> <end> <system> <user> <assistant> <tool> yes no maybe safe risky ask wait doctor nurse scan pill now
later please the a is it to do not and or stop go 0 1 2 3 4 5 6 7 8 9 .
"""
WORDS = TEXT.split()
IDS = {word: number for number, word in enumerate(WORDS)}
END = IDS["<end>"]


class WordRenderer:
    """One token a word; each message is its role token, its words, <end>."""

    stop_tokens = (END,)

    def prompt(self, messages: Conversation) -> tuple[int, ...]:
        ids: list[int] = []
        for message in messages:
            ids += [IDS[f"<{message.role}>"], *self.words(message.content), END]
        return (*ids, IDS["<assistant>"])

    def completion(self, text: str) -> tuple[int, ...]:
        return (*self.words(text), END)

    def reply(self, completion: Completion) -> Reply:
        kept = completion.tokens[:-1] if completion.finish == "stop" else completion.tokens
        text = " ".join(WORDS[token] for token in kept)
        return Reply(text=text, answer=text, finish=completion.finish)

    @staticmethod
    def words(text: str) -> list[int]:
        return [IDS[word] for word in text.split()]


def tiny_checkpoint(folder: Path, seed: int = 0) -> Path:
    """A random Llama of two layers as a Hugging Face checkpoint."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        initializer_range=0.1,
        bos_token_id=None,
        eos_token_id=END,
        pad_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def tiny_engine(folder: Path) -> NativeEngine:
    return NativeEngine.from_pretrained(folder, stop_tokens=(END,))


class PlainEngine:
    """Sampling as the Engine protocol says it, on a transformers model: one row at a time, last row first."""

    def __init__(self, folder: Path):
        self.model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)

    async def sample(self, requests: Sequence[SampleRequest]) -> AsyncIterator[Completion]:
        for request in reversed(requests):
            for g in range(request.group):
                yield self._complete(request, g)

    @torch.no_grad()
    def _complete(self, request: SampleRequest, g: int) -> Completion:
        stream = np.array([key(*request.stream, g)], dtype=np.uint64)
        tokens: list[int] = []
        logprobs: list[float] = []
        for t in range(request.max_tokens):
            logits_V = self.model(torch.tensor([[*request.prompt, *tokens]])).logits[0, -1].double()
            if request.temperature == 0:
                token = int(logits_V.argmax())
            else:
                below_V = torch.softmax(logits_V / request.temperature, -1).cumsum(-1)
                token = min(int((below_V <= uniforms(stream, t)[0]).sum()), len(below_V) - 1)
            tokens.append(token)
            logprobs.append(float(torch.log_softmax(logits_V, -1)[token]))
            if token == END:
                return Completion(request.id, g, tuple(tokens), tuple(logprobs), "stop")
        return Completion(request.id, g, tuple(tokens), tuple(logprobs), "length")


def user(text: str) -> Conversation:
    return (Message("user", text),)


def single(question: str) -> Play:
    """Good when the reply has an even number of words, harmful when it has an odd one."""
    reply = yield user(question)
    even = len(reply.answer.split()) % 2 == 0
    return Score(score=float(even), good=even, harmful=not even, extra={"words": len(reply.answer.split())})


def pressure(question: str) -> Play:
    """Ask, push twice, keep the whole conversation."""
    messages = user(question)
    for push in ("now", "do it"):
        reply = yield messages
        messages = (*messages, Message("assistant", reply.text), Message("user", push))
    reply = yield messages
    return Score(score=0.5, extra={"turns": 3, "words": len(reply.text.split())})


def tool(question: str) -> Play:
    """One tool call answered by a tool turn; asks once only when the model stopped at once."""
    messages = user(question)
    reply = yield messages
    if not reply.text:
        return Score(score=0.0, refused=True)
    result = Message("tool", f"scan {len(reply.text.split()) % 10}")
    yield (*messages, Message("assistant", reply.text), result)
    return Score(score=1.0, good=True)


def benchmark(name: str, play, count: int, **changes) -> Benchmark:
    items = [
        Item(
            id=f"{name}-{i}",
            frame=f"frame-{i % 3}",
            play=lambda i=i: play(f"is the scan safe {i % 10}" + " please" * (i % 4)),
            domain="health",
            held_out=i % 3 == 0,
        )
        for i in range(count)
    ]
    fields = {"category": "test", "format": "chat", "description": "A test.", "max_tokens": 6, "items": items}
    return Benchmark(name=name, **{**fields, **changes})


def suite() -> list[Benchmark]:
    return [
        benchmark("single", single, 9),
        benchmark("pressure", pressure, 5, max_tokens=4),
        benchmark("tool", tool, 7),
    ]
