"""`evenkeel scenarios generate`: its options, its plan, its end."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from urllib.parse import urlsplit

from evenkeel.engines.endpoint import EndpointConfig, key_of
from evenkeel.records.errors import UserError
from evenkeel.scenarios.scenario import DOMAINS, TRAITS

EXAMPLES = """examples:
  evenkeel scenarios generate --model M --out mine --per-cell 2 --plan
  evenkeel scenarios generate --url https://host/v1 --key-env MY_KEY --model M --out mine --per-cell 2
  evenkeel scenarios generate --url http://127.0.0.1:8000/v1 --model M --out mine --traits truthfulness --domains health law

The key stays in the environment: --key-env takes its NAME. A run can be killed at any moment; the same command goes on
and pays for no answered call again. OUT holds scenarios.jsonl, report.json (reasons for rejections), run.json and the answers."""


def add(command: argparse.ArgumentParser) -> None:
    """Options of `generate`."""
    command.description = (
        "Scenarios with rubric and reply pair, written by a language model behind an OpenAI-compatible endpoint, exactly "
        "N for each trait and domain, each held to the audit's rules. Exit code 1 when slots stay empty."
    )
    command.epilog = EXAMPLES
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    endpoint_options(command)
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of this run")
    command.add_argument("--traits", nargs="+", default=list(TRAITS), metavar="T", help="default: all 15")
    command.add_argument("--domains", nargs="+", default=list(DOMAINS), metavar="D", help="default: all 12")
    command.add_argument(
        "--per-cell", type=int, default=1, metavar="N", help="rows for each trait and domain (1)"
    )
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of everything that is drawn (0)")
    command.add_argument("--draws", type=int, default=8, metavar="N", help="tries of a row, at most (8)")
    command.add_argument(
        "--first",
        type=int,
        default=None,
        metavar="N",
        help="number of a cell's first row (101, above the shipped ones)",
    )
    command.add_argument("--max-tokens", type=int, default=6000, metavar="N", help="of one answer (6000)")
    command.add_argument(
        "--date", default="", metavar="YYYY-MM-DD", help="in the provenance (the day the run begins)"
    )
    _paths(command, "--against", "texts with which a row shares no 13 words in a row: files or folders")
    _paths(command, "--shots", "rows to show as examples (the shipped training split)")
    _paths(
        command,
        "--beside",
        "rows written earlier, from which new ones keep their distance, as from the shipped ones",
    )
    command.add_argument(
        "--price-in", type=float, metavar="P", help="price of a million tokens in, to show the cost"
    )
    command.add_argument("--price-out", type=float, metavar="P", help="price of a million tokens out")
    command.add_argument("--plan", action="store_true", help="print quotas and expected calls; call nothing")
    command.set_defaults(run=_run)


def endpoint_options(command: argparse.ArgumentParser) -> None:
    """Where the model is and how fast it may be asked."""
    command.add_argument("--url", metavar="URL", help="of the endpoint, as a rule ending in /v1")
    command.add_argument("--model", required=True, metavar="M", help="name of the model there")
    command.add_argument(
        "--key-env", metavar="NAME", help="NAME of the environment variable that holds the key"
    )
    command.add_argument("--in-flight", type=int, default=16, metavar="N", help="calls at once (16)")
    command.add_argument("--requests-per-minute", type=float, metavar="N")
    command.add_argument("--tokens-per-minute", type=float, metavar="N")
    command.add_argument(
        "--timeout", type=float, default=300.0, metavar="S", help="seconds for one attempt (300)"
    )


def endpoint(
    options: argparse.Namespace, url: str | None, model: str, key_env: str | None, option: str = "--url"
) -> EndpointConfig:
    """The endpoint of a command's options. Raises UserError before anything is called."""
    if not url:
        raise UserError(
            f"{option} is missing", fix="Give the endpoint's address, for example https://host/v1."
        )
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"{option} is no http address", fix="For example https://host/v1.")
    if parts.username or parts.password:
        raise UserError(
            f"{option} holds a name or password", fix="Put the key into the environment: --key-env NAME."
        )
    for name, value in (
        ("in-flight", options.in_flight), ("requests-per-minute", options.requests_per_minute),
        ("tokens-per-minute", options.tokens_per_minute), ("timeout", options.timeout),
    ):  # fmt: skip
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise UserError(f"--{name} is {value:g}", fix="Give a number above 0.")
    config = EndpointConfig(
        url, model, key_env, in_flight=options.in_flight, timeout_s=options.timeout,
        requests_per_minute=options.requests_per_minute, tokens_per_minute=options.tokens_per_minute,
    )  # fmt: skip
    key_of(config)
    return config


def _paths(command: argparse.ArgumentParser, name: str, help: str) -> None:
    command.add_argument(name, type=Path, nargs="+", action="extend", default=[], metavar="PATH", help=help)


def _run(options: argparse.Namespace) -> int:
    from rich.console import Console

    from evenkeel.scenarios.generator.progress import closing, say, watching
    from evenkeel.scenarios.generator.run import generate
    from evenkeel.scenarios.generator.settings import FIRST, ROWS_FILE, Settings, given

    console = Console()
    settings = Settings(
        options.model, tuple(options.traits), tuple(options.domains), options.per_cell, options.seed, options.draws,
        FIRST if options.first is None else options.first, options.max_tokens, options.date, tuple(options.against),
        tuple(options.shots), tuple(options.beside),
    )  # fmt: skip
    rows = given(settings)
    if options.plan:
        from evenkeel.scenarios.generator.outline import outline

        for line in outline(settings, rows):
            say(console, line)
        return 0
    config = endpoint(options, options.url, options.model, options.key_env)
    if rows.note:
        say(console, rows.note)
    with watching(len(settings.slots), console) as watcher:
        run = generate(settings, config, options.out, watcher)
    for line in closing(run, options.price_in, options.price_out):
        say(console, line)
    say(
        console, f"Rows: {options.out / ROWS_FILE} (next: evenkeel scenarios audit {options.out / ROWS_FILE})"
    )
    return 1 if run.short else 0
