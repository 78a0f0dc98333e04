"""The command line: `evenkeel study`, `report`, `compare`, `show`, `scenarios`, `judge`, `microworld`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from evenkeel.grading import calibrate_command as calibrate
from evenkeel.grading import command as judge
from evenkeel.records.errors import UserError
from evenkeel.scenarios import command as scenarios

EXAMPLES = """examples:
  evenkeel study microworld                 the whole experiment, minutes on two cores
  evenkeel study microworld --quick         a look at it, not a result
  evenkeel study microworld --plan          what it will do: arms, draws, tokens, time
  evenkeel study my-study.toml --out runs/mine
  evenkeel show runs/microworld             every model, score and transcript
  evenkeel compare runs/a runs/b            the same models and protocols in two runs
  evenkeel report runs/microworld           write report.html again
  evenkeel scenarios audit my-rows.jsonl    hold trait scenarios to the dataset's rules

A study can be killed at any moment; the same command continues and ends with the same bytes."""

TABLE_WIDTH = 160  # columns; narrower consoles get the summary as lines


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(
        prog="evenkeel",
        description="Does rewarding beneficial behaviour make a model broadly beneficial, and does it stay so "
        "under pressure? Matched arms, exact dose, independent benchmarks, attacks, statistics, one report.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _study(commands.add_parser("study", help="run a study from base models to report"))
    _report(commands.add_parser("report", help="write results.json and report.html of a run again"))
    _compare(commands.add_parser("compare", help="differences between two runs, benchmark by benchmark"))
    _show(commands.add_parser("show", help="print any record or transcript of a run"))
    of_scenarios = scenarios.add(
        commands.add_parser("scenarios", help="audit, browse and grow the trait dataset, or your own rows")
    )
    calibrate.add(of_scenarios.add_parser("calibrate", help="keep the scenarios that a judge can tell apart"))
    judge.add(commands.add_parser("judge", help="check a judge model before a study trusts it"))
    world = commands.add_parser(
        "microworld",
        help="make and inspect the embedded world's bases: pretrain, check, sample",
        add_help=False,
    )
    world.add_argument("arguments", nargs=argparse.REMAINDER)
    world.set_defaults(run=_run_microworld)
    return top


def _study(command: argparse.ArgumentParser) -> None:
    command.description = "Run a study: a packaged one (microworld, microworld-full, nano) or a TOML file."
    command.add_argument("study", help="name of a packaged study or path of a study file")
    command.add_argument(
        "--quick", action="store_true", help="the study's [quick] settings: a look, not a result"
    )
    command.add_argument("--out", type=Path, metavar="DIR", help="run directory (default: runs/STUDY)")
    command.add_argument(
        "--plan", action="store_true", help="print arms, draws, tokens and time; run nothing"
    )
    command.add_argument("--json", action="store_true", help="print the outcome (or the plan) as JSON")
    command.add_argument(
        "--workers", type=int, default=2, metavar="N", help="processes of one thread (default: 2)"
    )
    command.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="replace all seeds; 0-99 are for development, 1000 and up published",
    )
    command.add_argument(
        "--verify", action="store_true", help="check files over 64 MiB by content too before continuing"
    )
    command.set_defaults(run=_run_study)


def _report(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, metavar="RUN", help="a run directory")
    command.set_defaults(run=_run_report)


def _compare(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Bare scores of the models both runs have, second minus first; protocols must be equal."
    )
    command.add_argument("one", type=Path, metavar="RUN")
    command.add_argument("two", type=Path, metavar="RUN")
    command.add_argument("--json", action="store_true", help="print rows as JSON")
    command.set_defaults(run=_run_compare)


def _show(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Without MODEL: the models. With MODEL: its scores. With BENCHMARK: its items. With ITEM: the "
        "transcript. "
        'Instead of a benchmark: "steps", "preflight" or "completions [STEP/SLOT]" of the training.'
    )
    command.add_argument("folder", type=Path, metavar="RUN", help="a run directory")
    command.add_argument("path", nargs="*", metavar="MODEL BENCHMARK ITEM")
    command.add_argument(
        "--condition", default="bare", help="e.g. persona:harmful_medical:2 or finetune:bad:30"
    )
    command.set_defaults(run=_run_show)


def _run_study(options: argparse.Namespace) -> int:
    from evenkeel.records.canonical import canonical_json
    from evenkeel.study import outline
    from evenkeel.study import run as study_run
    from evenkeel.study.progress import watching

    if options.workers < 1:
        raise UserError(
            f"--workers is {options.workers}", fix="Give at least 1; more than the cores is slower."
        )
    console = Console(stderr=options.json)
    prepared = study_run.prepare(options.study, quick=options.quick, seed=options.seed)
    if options.plan:
        content = outline.outline(prepared, options.workers)
        print(canonical_json(content, indent=1) if options.json else outline.outline_text(content))
        return 0
    folder = options.out or study_run.default_folder(options.study, quick=options.quick)
    with watching(len(study_run.unfinished(prepared, folder)), console) as watcher:
        made = study_run.run(
            prepared, folder, workers=options.workers, watcher=watcher, verify=options.verify
        )
    if options.json:
        outcome = {"run": str(folder), "stages_made": made, "report": str(folder / "report.html")}
        print(canonical_json({**outcome, "results": str(folder / "results.json")}))
    else:
        _print_summary(folder, console)
    return 0


def _print_summary(folder: Path, console: Console) -> None:
    from rich.table import Table

    from evenkeel.records.files import read_json
    from evenkeel.report.summary import summary_table
    from evenkeel.study.accounts import FILE, account_lines

    header, *rows = summary_table(read_json(folder / "results.json"))
    console.print("Differences and drops in points of 100 with 95 % intervals", markup=False)
    if console.width >= TABLE_WIDTH:
        table = Table(*header, show_lines=True)
        for row in rows:
            table.add_row(*row)
        console.print(table, markup=False)
    else:  # a table that cuts its numbers short says nothing
        for arm, *cells in rows:
            lines = [f"  {name:24} {cell}" for name, cell in zip(header[1:], cells, strict=True) if cell]
            console.print("\n".join([arm, *lines]), markup=False, highlight=False, soft_wrap=True)
    for line in account_lines(read_json(folder / FILE)["roles"]) if (folder / FILE).exists() else []:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"Report: {folder / 'report.html'}", markup=False, highlight=False, soft_wrap=True)


def _run_report(options: argparse.Namespace) -> int:
    from evenkeel.report.analysis import analyse
    from evenkeel.report.page import write_page
    from evenkeel.study.execute import locked
    from evenkeel.study.run import read_run_study, require_run

    require_run(options.folder)
    with locked(options.folder):
        analyse(options.folder, resamples=read_run_study(options.folder).report.resamples)
        write_page(options.folder)
    _print_summary(options.folder, Console())
    return 0


def _run_compare(options: argparse.Namespace) -> int:
    from evenkeel.records.canonical import canonical_json
    from evenkeel.study.compare import compare, compare_text
    from evenkeel.study.run import require_run

    for folder in (options.one, options.two):
        require_run(folder)
    rows = compare(options.one, options.two)
    print(canonical_json(rows, indent=1) if options.json else compare_text(rows))
    return 0


def _run_show(options: argparse.Namespace) -> int:
    from evenkeel.study.run import require_run
    from evenkeel.study.show import show

    require_run(options.folder)
    print(show(options.folder, options.path, options.condition))
    return 0


def _run_microworld(options: argparse.Namespace) -> int:
    import importlib

    command = importlib.import_module("evenkeel.microworld.command")
    return command.main(options.arguments) or 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 2 for an error the user can mend and 130 after Ctrl-C."""
    options = parser().parse_args(argv)
    try:
        return options.run(options)
    except UserError as error:
        print(f"evenkeel: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nevenkeel: interrupted; the same command continues where it stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # e.g. `evenkeel show RUN | head`
        sys.stderr.close()
        return 0


if __name__ == "__main__":
    sys.exit(main())
