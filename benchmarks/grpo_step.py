"""A whole GRPO step (rollout, reward, update) against TRL's GRPOTrainer: same weights, prompts, reward, reduction.

    python benchmarks/grpo_step.py --size microworld|five-million [--threads 1] [--pairs 7]

TRL runs at its best on CPU: fp32, no checkpointing, no KL, no logging or saving, one generation and one update a
step. Inside its training loop, after each of its steps, our engine does one on the prompts that TRL just used, so
that pairs are interleaved; two warm steps are not counted. Token-mean reduction, centred advantages, clip 1.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

import peers
from evenkeel.engines.native.engine import NativeEngine
from evenkeel.records.types import SampleRequest, TrainSequence

GROUP, SEED, WARM, LEARNING_RATE = 8, 0, 2, 1e-6
SIZES = {  # config, prompts a step, shortest and longest prompt, reply tokens at most, rate of stopping
    "microworld": (peers.microworld_size, 32, 32, 48, 32, 0.04),
    "five-million": (peers.five_million, 4, 36, 36, 64, 0.0),
}


def reward(tokens: list[int] | tuple[int, ...]) -> float:
    """Share of even tokens: costs nothing, differs inside a group."""
    return sum(1 for token in tokens if token % 2 == 0) / len(tokens)


class Interleaved(TrainerCallback):
    """Times TRL's step, then runs and times ours on the same prompts."""

    def __init__(self, engine: NativeEngine, reply: int) -> None:
        self.engine, self.reply = engine, reply
        self.prompts: list[tuple[int, ...]] = []
        self.tokens: dict[str, list[float]] = {"peer": [], "ours": []}
        self.peer: list[tuple[float, float]] = []
        self.ours: list[tuple[float, float]] = []
        self.clock = peers.Clock()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.clock = peers.Clock()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.peer.append(self.clock.read())
        self.ours.append(peers.timed(lambda: self.step(state.global_step)))
        self.clock = peers.Clock()

    def step(self, number: int) -> None:
        """Our GRPO step on the prompts of TRL's."""
        requests = [
            SampleRequest(str(n), prompt, self.reply, ("rollout", number, n), GROUP)
            for n, prompt in enumerate(self.prompts)
        ]
        completions = sorted(self.engine.sample_now(requests), key=lambda one: (int(one.request), one.sample))
        rewards_PG = np.array([reward(one.tokens) for one in completions]).reshape(-1, GROUP)
        advantages_B = (rewards_PG - rewards_PG.mean(1, keepdims=True)).flatten()
        lengths_B = np.array([len(one.tokens) for one in completions])
        inside_BT = np.arange(lengths_B.max()) < lengths_B[:, None]
        batch = [TrainSequence(self.prompts[int(one.request)], one.tokens) for one in completions]
        self.engine.forward_backward(batch, -advantages_B[:, None] * inside_BT / lengths_B.sum())
        self.engine.optim_step(LEARNING_RATE)
        self.tokens["ours"].append(float(lengths_B.mean()))


def tokenizer_of(vocabulary: int) -> PreTrainedTokenizerFast:
    """One word a token: "w17" is 17."""
    words = {"[PAD]": peers.PAD, "[STOP]": peers.STOP} | {f"w{n}": n for n in range(2, vocabulary)}
    backend = Tokenizer(models.WordLevel(words, unk_token="[PAD]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", eos_token="[STOP]")


def compare(size: str, pairs: int, threads: int) -> dict[str, Any]:
    """Interleaved steps of both sides."""
    make, prompt_count, low, high, reply, stop_rate = SIZES[size]
    config = make()
    model = peers.random_model(config, SEED, stop_rate)
    steps = WARM + pairs
    prompts = peers.random_prompts(prompt_count * steps, low, high, config.vocab_size, SEED)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        engine = NativeEngine.from_pretrained(Path(folder), stop_tokens=(peers.STOP,))
        callback = Interleaved(engine, reply)

        def reward_and_note(prompts: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
            callback.prompts = [tuple(int(word[1:]) for word in text.split()) for text in prompts[::GROUP]]
            callback.tokens["peer"].append(float(np.mean([len(ids) for ids in completion_ids])))
            return [reward(ids) for ids in completion_ids]

        settings = GRPOConfig(
            output_dir=folder,
            use_cpu=True,
            bf16=False,
            fp16=False,
            gradient_checkpointing=False,
            beta=0.0,
            loss_type="dapo",
            scale_rewards="none",
            num_generations=GROUP,
            per_device_train_batch_size=prompt_count * GROUP,
            max_completion_length=reply,
            temperature=1.0,
            top_k=0,
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="constant",
            max_grad_norm=1.0,
            max_steps=steps,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            seed=SEED,
            dataloader_num_workers=0,
            dataloader_pin_memory=False,
        )
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=reward_and_note,
            args=settings,
            train_dataset=Dataset.from_dict({"prompt": [" ".join(f"w{n}" for n in p) for p in prompts]}),
            processing_class=tokenizer_of(config.vocab_size),
            callbacks=[callback],
        )
        torch.set_num_threads(threads)
        trainer.train()
    result = peers.summary(callback.peer[WARM:], callback.ours[WARM:])
    tokens = {f"{side}_mean_reply_tokens": round(float(np.mean(n)), 1) for side, n in callback.tokens.items()}
    return result | tokens | {"parameters": engine.parameters_count, "rollouts": prompt_count * GROUP}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="microworld")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    result = compare(arguments.size, arguments.pairs, arguments.threads)
    name = f"grpo_step-{arguments.size}-{arguments.threads}"
    peers.report(name, {arguments.size: result}, result["ratio"], {"weights, prompts, TRL": SEED})


if __name__ == "__main__":
    main()
