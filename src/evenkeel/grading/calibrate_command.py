"""`evenkeel scenarios calibrate`: a command of the scenarios that needs a judge, so it stands in this layer."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from evenkeel.records.errors import UserError
from evenkeel.scenarios.generator.command import endpoint, endpoint_options
from evenkeel.scenarios.rows import MAX_TOKENS

EXAMPLES = """example:
  evenkeel scenarios calibrate mine/scenarios.jsonl --url http://127.0.0.1:8000/v1 --model M \\
      --judge J --judge-url https://host/v1 --judge-key-env MY_KEY --out kept.jsonl

Writes kept.jsonl, kept.csv (scenario, kept, spread, noise, mean, replies, why) and two caches of paid answers; the same
command goes on after a kill and pays for no answered call again."""


def add(command: argparse.ArgumentParser) -> None:
    """Options of `calibrate`."""
    command.description = (
        "Keep the scenarios on which a model's replies earn differently, by more than the judge's own noise (each reply "
        "is judged twice), and which are neither at the ceiling nor at the floor."
    )
    command.epilog = EXAMPLES
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.add_argument(
        "files", type=Path, nargs="+", metavar="FILES", help=".jsonl files or folders of them"
    )
    endpoint_options(command)
    command.add_argument("--judge", required=True, metavar="J", help="name of the judging model")
    command.add_argument("--judge-url", metavar="URL", help="of the judge's endpoint (that of the model)")
    command.add_argument(
        "--judge-key-env",
        metavar="NAME",
        help="NAME of the variable with the judge's key (that of the model, at its url)",
    )
    command.add_argument("--samples", type=int, default=8, metavar="N", help="replies to each scenario (8)")
    command.add_argument(
        "--max-tokens",
        type=int,
        default=MAX_TOKENS,
        metavar="N",
        help=f"of a reply ({MAX_TOKENS}); longer ones are left out",
    )
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of the replies (0)")
    command.add_argument("--out", type=Path, required=True, metavar="KEPT.jsonl", help="where kept rows go")
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from rich.console import Console

    from evenkeel.grading.calibrate import beside, calibrate
    from evenkeel.grading.judge import JudgeConfig
    from evenkeel.scenarios.dataset import find_files, load_rows
    from evenkeel.scenarios.generator.progress import say

    if options.out.suffix != ".jsonl":
        raise UserError(f"--out is {options.out}", fix="Name a .jsonl file.")
    if options.out.resolve() in {path.resolve() for path in find_files(options.files)}:
        raise UserError("would be written over", file=options.out, fix="Name another --out.")
    if options.samples < 2 or options.max_tokens < 1:
        raise UserError("--samples must be 2 or more and --max-tokens 1 or more")
    rows = load_rows(options.files)
    model = endpoint(options, options.url, options.model, options.key_env)
    here = options.judge_url in (None, options.url)
    judge_key = options.judge_key_env or (options.key_env if here else None)
    judge = endpoint(options, options.judge_url or options.url, options.judge, judge_key, "--judge-url")
    console = Console()
    done = calibrate(
        rows, model, JudgeConfig(judge), options.out,
        samples=options.samples, max_tokens=options.max_tokens, seed=options.seed,
        tell=lambda line: say(console, line),
    )  # fmt: skip
    kept = sum(each.kept for each in done.table)
    say(console, f"{kept:,} of {len(done.table):,} scenarios kept")
    for why, count in Counter(each.why.split(":")[0] for each in done.table if each.why).most_common():
        say(console, f"  dropped {count:4}  {why}")
    calls, hits = (sum(getattr(usage, name) for usage in done.judged) for name in ("calls", "hits"))
    say(
        console,
        f"{done.sampled.calls:,} replies kept; {calls:,} calls of the judge now, {hits:,} from the cache",
    )
    say(console, f"Rows: {options.out}  Table: {beside(options.out, '.csv')}")
    return 0
