"""A tiny real model, its renderer and a few benchmarks, for the tests of driver, scores and persistence."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from evenkeel.benchmarks.benchmark import Benchmark, Item, Play, Score
from evenkeel.records.errors import UserError
from evenkeel.records.streams import key, uniforms
from evenkeel.records.types import Completion, Conversation, Message, Reply, SampleRequest, TrainSequence

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


class PlainEngine:
    """The Engine protocol written out on a transformers model, one row at a time, without any speed."""

    def __init__(self, folder: Path, stop_tokens: tuple[int, ...] = (END,)):
        self.stop_tokens = stop_tokens
        self.load(folder)

    def load(self, folder: Path, *, optimizer: bool = True) -> None:
        if not (Path(folder) / "config.json").is_file():
            raise UserError("no checkpoint here", file=folder)
        self.model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=0.0, betas=(0.9, 0.95), weight_decay=0.0
        )

    def save(self, folder: Path, *, optimizer: bool = True) -> None:
        self.model.save_pretrained(folder)

    async def sample(self, requests: Sequence[SampleRequest]) -> AsyncIterator[Completion]:
        for request in reversed(requests):  # no promised order
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
            if token in self.stop_tokens:
                return Completion(request.id, g, tuple(tokens), tuple(logprobs), "stop")
        return Completion(request.id, g, tuple(tokens), tuple(logprobs), "length")

    def _logp(self, sequence: TrainSequence) -> torch.Tensor:
        ids = torch.tensor([[*sequence.prompt, *sequence.completion]])
        logp_TV = torch.log_softmax(self.model(ids).logits[0, :-1], -1)
        logp_T = logp_TV.gather(-1, ids[0, 1:, None])[:, 0]
        return logp_T[len(sequence.prompt) - 1 :]

    def logprobs(self, batch: Sequence[TrainSequence]) -> np.ndarray:
        logp_BT = np.zeros((len(batch), max(len(row.completion) for row in batch)))
        with torch.no_grad():
            for b, sequence in enumerate(batch):
                logp_BT[b, : len(sequence.completion)] = self._logp(sequence).double().numpy()
        return logp_BT

    def forward_backward(self, batch: Sequence[TrainSequence], weights_BT: np.ndarray) -> np.ndarray:
        logp_BT = np.zeros(weights_BT.shape)
        for b, sequence in enumerate(batch):
            logp_T = self._logp(sequence)
            weights_T = torch.tensor(weights_BT[b, : len(sequence.completion)], dtype=torch.float32)
            (logp_T * weights_T).sum().backward()
            logp_BT[b, : len(sequence.completion)] = logp_T.detach().double().numpy()
        return logp_BT

    def optim_step(self, learning_rate: float) -> dict[str, float]:
        before = [parameter.detach().clone() for parameter in self.model.parameters()]
        grad_norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        self.optimizer.zero_grad()
        moved = zip(before, self.model.parameters(), strict=True)
        update = sum(float(((new.detach() - old) ** 2).sum()) for old, new in moved) ** 0.5
        return {"grad_norm": float(grad_norm), "update_norm": update}


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
