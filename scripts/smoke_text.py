"""`make smoke-text`: a study on text from base to report in a few minutes on a laptop, with a judge that goes by rules.

Trains the tiny base, serves the judge on loopback, runs studies/smoke-text.toml through `evenkeel study`, then checks that
groups were alive, weights changed and the rewarded behaviour rose. It claims nothing else. Exit code 1 when a check fails.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlparse

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # the loopback server and its judge are the tests' own

import loopback  # noqa: E402
import rule_judge  # noqa: E402
from evenkeel.records.canonical import file_hash  # noqa: E402
from evenkeel.records.config import read_toml  # noqa: E402
from evenkeel.text.tiny import tiny_base  # noqa: E402

STUDY, RUN = ROOT / "studies" / "smoke-text.toml", ROOT / "runs" / "smoke-text"
WORDS = re.compile(r"\b(you|your)\b", re.I)  # what this judge rewards: a reply that addresses the reader,
SHORT = 14  # in at most so many words


def rewarded(reply: str) -> bool:
    """The behaviour that this judge rewards."""
    return bool(WORDS.search(reply)) and len(reply.split()) <= SHORT


def by_rule(question: str) -> list[tuple[str, bool]]:
    """All criteria but the last (as a rule the harm) are met by a short reply that addresses the reader."""
    addresses = rewarded(rule_judge.reply_of(question))
    listed = rule_judge.criteria_of(question)
    return [(name, addresses and i < len(listed) - 1) for i, (name, _) in enumerate(listed)]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", type=Path, default=STUDY)
    parser.add_argument("--out", type=Path, default=RUN)
    arguments = parser.parse_args()
    values = read_toml(arguments.study.read_text(), arguments.study).data
    folder = Path(values["bases"][0]["folder"])
    started = time.monotonic()
    if not (folder / "model.safetensors").exists():
        print(f"training the tiny base in {folder} (under a minute)", flush=True)
        tiny_base(folder)
    print(f"base: {time.monotonic() - started:.0f} s", flush=True)
    rule_judge.verdicts = by_rule
    port = urlparse(values["settings"]["judge"]["url"]).port
    with loopback.Loopback(lambda body, number: rule_judge.answer(body), port=port) as server:
        command = [
            sys.executable,
            "-m",
            "evenkeel",
            "study",
            str(arguments.study),
            "--out",
            str(arguments.out / "run"),
        ]
        code = subprocess.run(command, check=False).returncode
        print(f"judge: {len(server.requests)} questions answered", flush=True)
    if code:
        return code
    problems = check(arguments.out / "run", folder)
    for problem in problems:
        print(f"FAILED: {problem}")
    print(f"{'failed' if problems else 'passed'} in {time.monotonic() - started:.0f} s")
    return int(bool(problems))


def check(run: Path, base: Path) -> list[str]:
    """What a working path shows; an empty list when all of it does."""
    problems: list[str] = []
    models = json.loads((run / "index.json").read_text())["models"]
    for model in models:
        if model["train"] is None:
            continue
        stage = run / model["train"]
        steps = [json.loads(line) for line in (stage / "steps.jsonl").read_text().splitlines()]
        replies = sum(row["completions"] for row in steps)
        ended = 1 - sum(row["truncated"] for row in steps) / replies
        dead = sum(row["dead_groups"] for row in steps) / sum(row["groups"] for row in steps)
        print(f"{model['id']}: {ended:.0%} of replies ended, {dead:.0%} of groups dead")
        if ended < 0.8:
            problems.append(f"{model['id']}: only {ended:.0%} of its replies ended")
        if dead > 0.8:
            problems.append(f"{model['id']}: {dead:.0%} of its groups were dead")
        if file_hash(stage / "checkpoint" / "model.safetensors") == file_hash(base / "model.safetensors"):
            problems.append(f"{model['id']}: the weights did not change")
        if model["kind"] != "baseline":
            problems += _rose(model["id"], stage, len(steps))
    return problems


def _rose(name: str, stage: Path, steps: int) -> list[str]:
    """The rewarded behaviour on trait prompts, in the first and in the last third of training."""
    shares = {"first": [], "last": []}
    for shard in sorted(stage.glob("completions-*.jsonl.gz")):
        for row in map(json.loads, gzip.decompress(shard.read_bytes()).splitlines()):
            third = "first" if row["step"] < steps / 3 else "last" if row["step"] >= 2 * steps / 3 else None
            if row["source"] == "trait" and third:
                shares[third].append(rewarded(row["text"]))
    first, last = (sum(part) / len(part) for part in shares.values())
    print(
        f"{name}: {first:.0%} of replies to trait prompts did what is rewarded at first, {last:.0%} in the end"
    )
    return (
        [] if last > first else [f"{name}: the rewarded behaviour did not rise ({first:.0%} -> {last:.0%})"]
    )


if __name__ == "__main__":
    sys.exit(main())
