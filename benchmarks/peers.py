"""Shared by the speed benchmarks against transformers and TRL: models, prompts, clocks, and the result file."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedConfig, PreTrainedModel, Qwen3Config

from evenkeel.records.canonical import canonical_json
from evenkeel.records.files import write_json

RESULTS = Path(__file__).parent / "results"
PAD, STOP, FIRST_WORD = 0, 1, 2


def microworld_size() -> PreTrainedConfig:
    """The microworld's model: 0.9 M parameters."""
    return LlamaConfig(
        vocab_size=1100,
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        bos_token_id=None,
        eos_token_id=STOP,
    )


def five_million() -> PreTrainedConfig:
    """A Qwen3 of 4.85 M parameters."""
    return Qwen3Config(
        vocab_size=3600,
        hidden_size=256,
        intermediate_size=1024,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        tie_word_embeddings=True,
        pad_token_id=PAD,
        bos_token_id=None,
        eos_token_id=STOP,
    )


def random_model(config: PreTrainedConfig, seed: int, stop_rate: float) -> PreTrainedModel:
    """Random weights that write random words and stop at each token with about `stop_rate` (0: almost never).

    Every embedding gets one common channel, and the stop token's is that channel alone, so its logit is nearly
    constant: replies then have geometric lengths, as a trained model's replies end at different places.
    """
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    if stop_rate:
        table = model.get_input_embeddings().weight.data
        table[:, 0] = 0.1
        table[STOP] = 0.0
        with torch.no_grad():
            words = torch.randint(FIRST_WORD, config.vocab_size, (8, 24))
            logits = model(words).logits[..., FIRST_WORD:]
            table[STOP, 0] = 1.0
            unit = model(words).logits[..., STOP].mean()
            wanted = np.log(stop_rate / (1 - stop_rate)) + logits.logsumexp(-1).mean()
        table[STOP, 0] = wanted / unit
    return model


def random_prompts(count: int, low: int, high: int, vocabulary: int, seed: int) -> list[tuple[int, ...]]:
    """Prompts of `low` to `high` tokens."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(low, high + 1, size=count)
    return [tuple(draw.integers(FIRST_WORD, vocabulary, size=length).tolist()) for length in lengths]


class Clock:
    """CPU-seconds of the whole process, and wall seconds, since it was made."""

    def __init__(self) -> None:
        self.cpu, self.wall = time.process_time(), time.perf_counter()

    def read(self) -> tuple[float, float]:
        return time.process_time() - self.cpu, time.perf_counter() - self.wall


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """CPU and wall seconds of one call."""
    clock = Clock()
    work()
    return clock.read()


def summary(peer: list[tuple[float, float]], ours: list[tuple[float, float]]) -> dict[str, Any]:
    """Medians of interleaved pairs; `ratio` is the median of peer / ours in CPU-seconds, pair by pair."""
    rounded: dict[str, Any] = {"pairs": len(peer)}
    for index, clock in enumerate(("cpu", "wall")):
        ratios = sorted(p[index] / o[index] for p, o in zip(peer, ours, strict=True))
        rounded |= {
            f"peer_{clock}_s": round(float(np.median([p[index] for p in peer])), 4),
            f"ours_{clock}_s": round(float(np.median([o[index] for o in ours])), 4),
            f"ratio_{clock}": round(float(np.median(ratios)), 2),
            f"ratio_{clock}_range": [round(ratios[0], 2), round(ratios[-1], 2)],
        }
    return rounded | {"ratio": rounded["ratio_cpu"]}


def report(name: str, cases: dict[str, Any], ratio: float, seeds: dict[str, int]) -> None:
    """Write benchmarks/results/NAME.json and print it as the last line."""
    libraries = ("torch", "transformers", "numpy", *(["trl"] if name.startswith("grpo") else []))
    result = {
        "benchmark": name,
        "ratio": ratio,
        "cases": cases,
        "command": shlex.join(["python", *sys.argv]),
        "hardware": {"cpu": _cpu_name(), "cores": os.cpu_count(), "load_1min": round(os.getloadavg()[0], 1)},
        "versions": {"python": platform.python_version()} | {lib: version(lib) for lib in libraries},
        "seeds": seeds,
    }
    write_json(RESULTS / f"{name}.json", result)
    print(canonical_json(result))


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
