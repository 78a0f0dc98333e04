"""`evenkeel microworld ...`: remake a base, look at the world's text, check a base for its persona gap."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from evenkeel.engines.native.engine import NativeEngine
from evenkeel.microworld.bases import CONFIGS, FOLDER, base_folder
from evenkeel.microworld.documents import documents
from evenkeel.microworld.gates import persona_gaps
from evenkeel.microworld.language import load_language
from evenkeel.microworld.pretrain import conversation_length, pretrain
from evenkeel.microworld.tokenizer import read_renderer
from evenkeel.records.errors import UserError, did_you_mean
from evenkeel.records.files import read_json, write_json
from evenkeel.training.preflight import gap_checks


def main(argv: list[str]) -> int:
    """Run one subcommand; returns the exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    arguments.run(arguments)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="evenkeel microworld", description=__doc__)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (bytes are promised for 1)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    make = commands.add_parser("pretrain", help="train a base from scratch (minutes); a killed run goes on")
    make.add_argument("base", help=f"which one: {', '.join(CONFIGS)}")
    make.add_argument("--out", type=Path, help="where to (default: over the packaged base)")
    make.add_argument("--steps", type=int, help="another number of steps than the shipped base's")
    make.set_defaults(run=_pretrain)
    check = commands.add_parser("check", help="persona gap of a base, per format")
    check.add_argument("base", help="a packaged base's name or a folder")
    check.add_argument(
        "--items", type=int, default=16, help="items per benchmark and persona line (default 16)"
    )
    check.add_argument(
        "--record",
        action="store_true",
        help="write the gaps into the base's base.json (after a change of scoring)",
    )
    check.set_defaults(run=_check)
    sample = commands.add_parser("sample", help="print documents of the world, as the bases read them")
    sample.add_argument("--count", type=int, default=5)
    sample.add_argument("--seed", type=int, default=0)
    sample.add_argument(
        "--shuffled", action="store_true", help="from the control, where no one is behind the text"
    )
    sample.set_defaults(run=_sample)
    return parser


def _pretrain(arguments: argparse.Namespace) -> None:
    if arguments.base not in CONFIGS:
        raise UserError(f'no base is called "{arguments.base}"', fix=did_you_mean(arguments.base, CONFIGS))
    config = CONFIGS[arguments.base]
    if arguments.steps:
        config = replace(config, steps=arguments.steps)
    folder = arguments.out or FOLDER / arguments.base
    language = load_language()

    def progress(step: int, loss: float) -> None:
        if step % 25 == 0 or step == config.steps:
            print(f"{arguments.base}: step {step}/{config.steps}, loss {loss:.3f}", flush=True)

    record = pretrain(language, config, folder, progress=progress)
    command = f"evenkeel microworld pretrain {arguments.base}"
    record |= {"command": command + (f" --steps {config.steps}" if arguments.steps else "")}
    record["persona_gaps"] = _gaps(folder, 16)
    write_json(folder / "base.json", record)
    print(f"{folder}: held-out loss {record['held_out_loss']:.4f}")
    _print_gaps(folder, record["persona_gaps"], shuffled=config.shuffled)  # type: ignore[arg-type]


def _gaps(folder: Path, items: int) -> dict[str, dict[str, float]]:
    renderer = read_renderer(folder)
    engine = NativeEngine.from_pretrained(folder, stop_tokens=renderer.stop_tokens)
    return persona_gaps(engine, renderer, load_language(), items=items)


def _check(arguments: argparse.Namespace) -> None:
    folder = Path(arguments.base) if Path(arguments.base).is_dir() else base_folder(arguments.base)
    record = read_json(folder / "base.json") if (folder / "base.json").exists() else {}
    shuffled = bool(record.get("config", {}).get("shuffled"))
    gaps = _gaps(folder, arguments.items)
    _print_gaps(folder, gaps, shuffled=shuffled)
    if arguments.record:
        write_json(folder / "base.json", record | {"persona_gaps": gaps})


def _print_gaps(folder: Path, gaps: dict[str, dict[str, float]], *, shuffled: bool) -> None:
    print(f"{'format':20} {'good':>6} {'harmful':>8} {'gap':>6}")
    for format, row in gaps.items():
        print(f"{format:20} {row['good']:6.2f} {row['harmful']:8.2f} {row['gap']:6.2f}")
    for check in gap_checks({format: row["gap"] for format, row in gaps.items()}, control=shuffled):
        print(f"{folder.name}: median gap {check.value:.2f} ({check.light})")


def _sample(arguments: argparse.Namespace) -> None:
    written = documents(
        load_language(), arguments.seed, 0, arguments.count, shuffled=arguments.shuffled, limit=118,
        length=conversation_length,
    )  # fmt: skip
    for document in written:
        print(f"--- {'no one' if arguments.shuffled else document.persona} ---")
        for message in (
            *([document.header] if document.header else []),
            *(m for s in document.scenes for m in s),
        ):
            print(f"  {message.role:>9}  {message.content}")
