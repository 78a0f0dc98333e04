"""`evenkeel scenarios ...`: look at the trait dataset, hold it, or anyone's scenarios, to its rules, and make it grow."""

from __future__ import annotations

import argparse
from pathlib import Path

from evenkeel.scenarios.generator import command as generate

EXAMPLES = """examples:
  evenkeel scenarios audit                          the shipped dataset
  evenkeel scenarios audit --against ../benchmarks  ... and its overlap with every text in a folder
  evenkeel scenarios audit mine.jsonl --json        your own rows; exit code 1 when a rule is broken
  evenkeel scenarios browse --out page.html         read them: filters, rubrics, reply pairs side by side
  evenkeel scenarios generate --url URL --model M --out mine --per-cell 2          write more with a language model
  evenkeel scenarios calibrate mine/scenarios.jsonl --url URL --model M --judge J --out kept.jsonl"""

Commands = argparse._SubParsersAction  # argparse has no public name for it


def add(command: argparse.ArgumentParser) -> Commands:
    """The subcommands of `evenkeel scenarios`; those of layers above (`calibrate` needs a judge) are added to the result."""
    command.description = __doc__
    command.epilog = EXAMPLES
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = command.add_subparsers(required=True, metavar="COMMAND")
    _audit(
        commands.add_parser("audit", help="check rows against every rule; print counts, limits and findings")
    )
    _browse(commands.add_parser("browse", help="write one HTML page to read the scenarios"))
    generate.add(commands.add_parser("generate", help="write scenarios with a language model, cell by cell"))
    return commands


def _audit(command: argparse.ArgumentParser) -> None:
    command.description = (
        "Schema and splits, counts, duplicates, overlap with other texts, openings, rubrics, reply pairs, language. "
        "Every threshold is printed with what was measured. Exit code 1 when there are errors."
    )
    _files(command)
    command.add_argument(
        "--against",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="PATH",
        help="files or folders that share no 13 words in a row with the scenarios: .json, .jsonl, .csv, .tsv, "
        ".parquet, text, each also as .gz",
    )
    command.add_argument(
        "--whole",
        action="store_true",
        help="hold FILES to the shipped dataset's counts of scenarios and reply pairs in every cell",
    )
    command.add_argument("--json", action="store_true", help="print everything as JSON")
    command.add_argument(
        "--page", type=Path, metavar="OUT.html", help="also write the page of `browse`, with the findings"
    )
    command.set_defaults(run=_run_audit)


def _browse(command: argparse.ArgumentParser) -> None:
    command.description = (
        "One page that loads nothing: conversations, rubrics with points, reply pairs side by side."
    )
    _files(command)
    command.add_argument(
        "--out", type=Path, required=True, metavar="OUT.html", help="where to write the page"
    )
    command.set_defaults(run=_run_browse)


def _files(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "files",
        type=Path,
        nargs="*",
        metavar="FILES",
        help=".jsonl files or folders of them (default: the shipped dataset)",
    )


def _run_audit(options: argparse.Namespace) -> int:
    from evenkeel.records.canonical import canonical_json
    from evenkeel.scenarios.audit.run import audit
    from evenkeel.scenarios.audit.summary import record, summary
    from evenkeel.scenarios.browse import write_page

    done = audit(options.files or None, against=options.against, whole=options.whole or None)
    print(canonical_json(record(done), indent=1) if options.json else summary(done))
    if options.page:
        write_page(options.page, [placed.row for placed in done.rows], done.findings)
    return 1 if done.errors else 0


def _run_browse(options: argparse.Namespace) -> int:
    from evenkeel.scenarios.browse import write_page
    from evenkeel.scenarios.dataset import load_rows

    rows = load_rows(options.files or None)
    write_page(options.out, rows)
    print(f"{options.out}: {len(rows):,} scenarios")
    return 0
