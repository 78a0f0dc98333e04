"""Who watches a run: bars on a terminal, a line per finished stage otherwise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from evenkeel.study.execute import Timing, Watcher
from evenkeel.study.stages import Stage


class Lines:
    """One plain line per finished stage: for logs and pipes."""

    def __init__(self, total: int, console: Console):
        self.total, self.console = total, console
        self.finished_count = 0
        self.start = time.monotonic()

    def started(self, stage: Stage, worker: int) -> None:
        """Nothing: a stage's line comes when it is done."""

    def progress(self, stage: Stage, done: int, total: int) -> None:
        """Nothing: lines are for whole stages."""

    def finished(self, stage: Stage, timing: Timing) -> None:
        """`[ 3/41] 12 s  train world-0/trait-5/1000 (9.1 s)`."""
        self.finished_count += 1
        width = len(str(self.total))
        self.console.print(
            f"[{self.finished_count:{width}}/{self.total}] {time.monotonic() - self.start:5.0f} s  "
            f"{stage.label} ({timing.wall_seconds:.1f} s)",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


class Bars:
    """One bar for the study and one for each stage at work."""

    def __init__(self, total: int, progress: Progress):
        self.bars = progress
        self.all = progress.add_task("study", total=total)
        self.current: dict[str, TaskID] = {}

    def started(self, stage: Stage, worker: int) -> None:
        """A new bar."""
        self.current[stage.id] = self.bars.add_task(f"  {stage.label}", total=None)

    def progress(self, stage: Stage, done: int, total: int) -> None:
        """Move the stage's bar."""
        self.bars.update(self.current[stage.id], completed=done, total=total)

    def finished(self, stage: Stage, timing: Timing) -> None:
        """Its bar goes, the study's moves."""
        self.bars.remove_task(self.current.pop(stage.id))
        self.bars.advance(self.all)


@contextmanager
def watching(total: int, console: Console) -> Iterator[Watcher]:
    """The watcher that fits the console."""
    if not console.is_terminal:
        yield Lines(total, console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bars(total, progress)
