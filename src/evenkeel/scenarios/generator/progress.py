"""How a run goes: a bar on a terminal, a plain line now and then otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from evenkeel.scenarios.generator.answers import Totals
from evenkeel.scenarios.generator.run import Run, Watcher

EVERY_S = 10.0  # between two plain lines
SHOWN = 8  # reasons at the end; report.json has them all


class Lines:
    """`  12/180 rows, 3 draws rejected, 61 calls, 48,210 tokens`."""

    def __init__(self, total: int, console: Console) -> None:
        self.total, self.console, self.told = total, console, 0.0

    def moved(self, accepted: int, rejected: int, totals: Totals) -> None:
        """A line, unless the last one is fresh."""
        if time.monotonic() - self.told >= EVERY_S:
            self.told = time.monotonic()
            say(self.console, f"{accepted:4}/{self.total} rows, {_rest(rejected, totals)}")


class Bar:
    """One bar: accepted rows."""

    def __init__(self, total: int, progress: Progress) -> None:
        self.progress, self.task = progress, progress.add_task("", total=total)

    def moved(self, accepted: int, rejected: int, totals: Totals) -> None:
        """Move it."""
        self.progress.update(self.task, completed=accepted, description=_rest(rejected, totals))


@contextmanager
def watching(total: int, console: Console) -> Iterator[Watcher]:
    """The watcher that fits the console."""
    if not console.is_terminal:
        yield Lines(total, console)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(total, progress)


def closing(run: Run, price_in: float | None, price_out: float | None) -> list[str]:
    """The last lines: rows, cost, repairs, reasons for rejections, what is missing."""
    totals = run.totals
    cost = totals.cost(price_in, price_out)
    lines = [
        f"{len(run.rows):,} of {len(run.settings.slots):,} rows accepted, {len(run.rejected):,} draws rejected",
        f"{totals.calls:,} calls in all ({run.paid:,} of them now), {totals.prompt_tokens:,} tokens in, "
        f"{totals.completion_tokens:,} out"
        + (f", {cost:,.2f} by the prices given" if cost is not None else ""),
    ]
    if run.repairs:
        repairs = ", ".join(f"{stage} {count}" for stage, count in sorted(run.repairs.items()))
        lines.append(f"Repairs asked for: {repairs}")
    lines += [f"  rejected {count:4}  {rule}" for rule, count in list(run.reasons.items())[:SHOWN]]
    if run.short:
        cells = ", ".join(f"{cell} {count}" for cell, count in list(run.short.items())[:SHOWN])
        lines.append(f"Missing after {run.settings.draws} draws of each slot: {cells}")
    return lines


def say(console: Console, text: str) -> None:
    """A line as it is."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _rest(rejected: int, totals: Totals) -> str:
    tokens = totals.prompt_tokens + totals.completion_tokens
    return f"{rejected} draws rejected, {totals.calls:,} calls, {tokens:,} tokens"
