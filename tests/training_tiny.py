"""A tiny real model, its renderer, scenarios and graders, for the tests of training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from evenkeel.engines.native.engine import NativeEngine
from evenkeel.grading.grader import GradeRequest
from evenkeel.records.types import Completion, Message, Provenance, Reply, Scored, Unscorable
from evenkeel.scenarios.scenario import Scenario
from evenkeel.training.arms import arm_named
from evenkeel.training.config import RLConfig
from evenkeel.training.plan import make_plan

WORDS = ("<pad>", "<end>", "<user>", "<assistant>", "yes", "no", "good", "bad", "one", "two")
IDS = {word: number for number, word in enumerate(WORDS)}
END = IDS["<end>"]


class TinyRenderer:
    """One token a word."""

    stop_tokens = (END,)

    def prompt(self, messages):
        return (*(IDS[w] for m in messages for w in ("<user>", *m.content.split())), IDS["<assistant>"])

    def completion(self, text):
        return (*(IDS[word] for word in text.split()), END)

    def reply(self, completion: Completion) -> Reply:
        tokens = completion.tokens[:-1] if completion.finish == "stop" else completion.tokens
        text = " ".join(WORDS[token] for token in tokens)
        return Reply(text=text, answer=text, finish=completion.finish)


class TinyGrader:
    """Meets `wanted` by the share of its words, `harm` when a bad word is there."""

    version = "1"

    def __init__(self, name="tiny", wanted="good", fails_on: str | None = None):
        self.name, self.wanted, self.fails_on = name, wanted, fails_on
        self.calls = 0

    def criteria(self, scenario):
        return ("wanted", "harm")

    def points(self, scenario):
        return (2.0, -1.0)

    async def grade(self, requests: Sequence[GradeRequest]):
        for request in reversed(requests):  # the order of arrival is no promise
            self.calls += 1
            words = request.reply.answer.split()
            if self.fails_on in words:
                yield request.id, Unscorable("the judge choked")
            else:
                share = words.count(self.wanted) / max(len(words), 1)
                yield request.id, Scored({"wanted": share, "harm": float("bad" in words)})


def scenario(source, number, trait=None, domain=None, max_tokens=24):
    text = f"{WORDS[4 + number % 6]} {WORDS[4 + number // 6 % 6]}"
    return Scenario(
        f"{trait or source}-{domain}-{number}",
        (Message("user", text),),
        (),
        "train",
        Provenance("test"),
        trait=trait,
        domain=domain,
        source=source,
        max_tokens=max_tokens,
    )


SOURCES = {
    "trait": [
        scenario("trait", i, t, d) for t in ("fair", "calm") for d in ("health", "law") for i in range(4)
    ],
    "chat": [scenario("chat", i) for i in range(20)],
    "copy": [scenario("copy", i + 7) for i in range(20)],
}
MIXTURE = {"chat": 0.5, "copy": 0.5}


def graders(**options):
    return {source: TinyGrader(source, **options) for source in SOURCES}


def config(**changes) -> RLConfig:
    settings = {
        "steps": 4,
        "prompts": 4,
        "group": 6,
        "learning_rate": 3e-3,
        "checkpoint_every": 2,
        "max_tokens": 20,
    }
    return RLConfig(**(settings | changes))


def plan(settings: RLConfig, arm="trait-25", sources=SOURCES):
    return make_plan(sources, MIXTURE, arm_named(arm), steps=settings.steps, prompts=settings.prompts, seed=0)


def tiny_checkpoint(folder: Path, seed: int = 0) -> Path:
    """A random Llama of two layers as a Hugging Face checkpoint."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(WORDS),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=64,
            tie_word_embeddings=True,
            initializer_range=0.1,
            bos_token_id=None,
            eos_token_id=END,
            pad_token_id=0,
        )
    ).save_pretrained(folder)
    return folder


def tiny_engine(folder: Path) -> NativeEngine:
    return NativeEngine.from_pretrained(folder, stop_tokens=(END,))


def folder_bytes(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
