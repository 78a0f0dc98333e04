"""`evenkeel judge ...`: is this judge fit to give rewards?"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evenkeel.grading.gold import GoldItem
    from evenkeel.grading.qualify import Qualification, Share

EXAMPLE = """example, a judge served on this machine:
  evenkeel judge check --url http://localhost:8000/v1 --model Qwen/Qwen3-8B --benchmarks ../benchmarks --limit 100
example, a hosted one, with its key in the environment:
  evenkeel judge check --url https://api.openai.com/v1 --model NAME --key-env OPENAI_API_KEY"""


def add(command: argparse.ArgumentParser) -> None:
    """Give the `judge` command its sub-commands."""
    command.description = __doc__
    commands = command.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser(
        "check", help="accuracy on gold verdicts, noise, and attacks, before a study trusts a judge", epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    check.add_argument("--url", required=True, help="base URL of an OpenAI-compatible endpoint, with /v1")
    check.add_argument("--model", required=True, help="the model's name there")
    check.add_argument("--key-env", help="NAME of the environment variable that holds the key")
    check.add_argument("--benchmarks", type=Path, help="folder with llmbar, openai_rbr_gold and humanebench")
    check.add_argument("--limit", type=int, help="at most so many items of each set")
    check.add_argument("--in-flight", type=int, default=16, help="calls at once (default 16)")
    check.add_argument(
        "--per-criterion", action="store_true", help="one call a criterion instead of one a reply"
    )
    check.add_argument(
        "--cache", type=Path, default=Path("judge-check.sqlite"), help="where answers are kept"
    )
    check.add_argument("--json", action="store_true", help="print everything as JSON")
    check.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    from evenkeel.engines.endpoint import EndpointConfig  # imports stay out of `evenkeel --help`
    from evenkeel.grading.gold import gold_items
    from evenkeel.grading.judge import JudgeConfig
    from evenkeel.grading.qualify import qualify

    endpoint = EndpointConfig(
        arguments.url, arguments.model, key_env=arguments.key_env, in_flight=arguments.in_flight
    )
    config = JudgeConfig(endpoint, role="eval", per_criterion=arguments.per_criterion, pause_above=0.5)
    items = _limited(gold_items(arguments.benchmarks), arguments.limit)
    print(f"{len(items)} replies to judge, and some of them again", file=sys.stderr)
    found = asyncio.run(qualify(config, arguments.cache, items))
    print(json.dumps(asdict(found), indent=1) if arguments.json else "\n".join(_lines(found)))
    return 0


def _limited(items: list[GoldItem], limit: int | None) -> list[GoldItem]:
    """The first items of each set, whole pairs."""
    if limit is None:
        return items
    taken: dict[str, dict[str, None]] = {}
    for item in items:
        taken.setdefault(item.set, {}).setdefault(item.pair or item.id)
    kept = {name: set(list(keys)[:limit]) for name, keys in taken.items()}
    return [item for item in items if (item.pair or item.id) in kept[item.set]]


def _lines(found: Qualification) -> list[str]:
    lines = [f"{'gold set':28} {'verdicts right':>24} {'pairs right':>24} {'unscorable':>11}"]
    for row in found.sets:
        lines.append(f"{row.name:28} {_shown(row.verdicts):>24} {_shown(row.pairs):>24} {row.unscorable:11}")
    lines += ["", f"verdicts that change when asked again: {_shown(found.changed_on_retest)}"]
    lines += [
        f"says met of what is met: {_shown(found.yes_when_met)}, of what is not: {_shown(found.yes_when_not)}"
    ]
    lines += ["verdicts turned in the reply's favour by an attack:"]
    lines += [f"  {name:26} {_shown(share):>24}" for name, share in found.raised_by.items()]
    if found.unfit:
        lines += ["", f"NOT FIT to give rewards: {found.unfit}."]
    return lines


def _shown(share: Share) -> str:
    if share.value is None or share.interval is None:
        return "-"
    low, high = share.interval
    return f"{share.value:.0%} [{low:.0%}, {high:.0%}] of {share.trials}"
