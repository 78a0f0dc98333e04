"""Rollouts against `transformers.generate`: the same random model, the same prompts, CPU-seconds.

    python benchmarks/rollout.py [--pairs 7] [--rows 32 512]

Groups of 8 share a prompt of 32 to 48 tokens; replies have at most 32 tokens and end either never or at about
4 % of tokens. The peer gets the batch left-padded in one call, plain sampling (no top-k), fp32, inference mode.
Each case is `pairs` interleaved pairs after one warm call of each.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

import peers
from evenkeel.engines.native.engine import NativeEngine
from evenkeel.records.types import SampleRequest

GROUP, REPLY, SEED = 8, 32, 0


def case(rows: int, stop_rate: float, pairs: int) -> dict:
    """One comparison."""
    config = peers.microworld_size()
    model = peers.random_model(config, SEED, stop_rate)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        engine = NativeEngine.from_pretrained(Path(folder), stop_tokens=(peers.STOP,))
    prompts = peers.random_prompts(rows // GROUP, 32, 48, config.vocab_size, SEED)
    requests = [SampleRequest(str(n), p, REPLY, ("rollout", n), GROUP) for n, p in enumerate(prompts)]
    width = max(map(len, prompts))
    padded = [(peers.PAD,) * (width - len(p)) + p for p in prompts for _ in range(GROUP)]
    tokens_BT = torch.tensor(padded)
    seen_BT = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts for _ in range(GROUP)])
    lengths: dict[str, list[float]] = {"peer": [], "ours": []}

    def peer() -> None:
        with torch.inference_mode():
            out = model.generate(
                tokens_BT, attention_mask=seen_BT, max_new_tokens=REPLY, do_sample=True, top_k=0, top_p=1.0
            )
        replies = out[:, width:]
        lengths["peer"].append(float((replies != peers.PAD).sum()) / rows)

    def ours() -> None:
        completions = engine.sample_now(requests)
        lengths["ours"].append(sum(len(one.tokens) for one in completions) / rows)

    peer(), ours()
    measured = [(peers.timed(peer), peers.timed(ours)) for _ in range(pairs)]
    result = peers.summary([pair[0] for pair in measured], [pair[1] for pair in measured])
    tokens = {f"{side}_mean_reply_tokens": round(sum(n) / len(n), 1) for side, n in lengths.items()}
    return (
        result | tokens | {"ours_tokens_per_cpu_s": round(lengths["ours"][-1] * rows / result["ours_cpu_s"])}
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--rows", type=int, nargs="+", default=[32, 512])
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cases: dict[str, dict] = {}
    for rows in arguments.rows:
        for name, stop_rate in (("replies of 32 tokens", 0.0), ("replies that stop", 0.04)):
            cases[f"{rows} rows, {name}"] = result = case(rows, stop_rate, arguments.pairs)
            print(f"{rows} rows, {name}: {result['ratio']}x", flush=True)
    peers.report("rollout", cases, min(one["ratio"] for one in cases.values()), {"weights and prompts": SEED})


if __name__ == "__main__":
    main()
