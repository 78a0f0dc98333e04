"""Run a graph of stages: done ones stay, ready ones go to a free worker, the longest way to the end first."""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Protocol, TextIO

from evenkeel.records.errors import UserError
from evenkeel.study.stages import Stage, folder_of, is_done, with_needs
from evenkeel.study.workers import BUSY_LOCK, Job, Worker

RUN_LOCK = ".lock"
ORPHANS_GONE = 30.0  # seconds to wait for workers of a killed run to vanish


@dataclass(frozen=True)
class Timing:
    """What one stage took; goes to machine.json only."""

    wall_seconds: float
    cpu_seconds: float


class Watcher(Protocol):
    """Who is told how the run goes (progress bars, plain lines, nobody)."""

    def started(self, stage: Stage, worker: int) -> None: ...

    def progress(self, stage: Stage, done: int, total: int) -> None: ...

    def finished(self, stage: Stage, timing: Timing) -> None: ...


@contextlib.contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold the run directory alone. Raises UserError when another command does, or it cannot be written."""
    try:
        run.mkdir(parents=True, exist_ok=True)
        handle = (run / RUN_LOCK).open("w")
        busy = (run / BUSY_LOCK).open("w")
    except OSError as error:
        raise UserError(
            f"cannot write there ({error.strerror})", file=run, fix="Choose a writable folder with --out."
        ) from None
    with handle, busy:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                "another evenkeel command is at work in this run",
                file=run,
                fix="Wait for it, or choose another --out.",
            ) from None
        _wait_for_orphans(busy, run)
        yield


def _wait_for_orphans(busy: TextIO, run: Path) -> None:
    """Workers of a killed main process hold the shared lock until they are gone."""
    deadline = time.monotonic() + ORPHANS_GONE
    while True:
        try:
            fcntl.flock(busy, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(busy, fcntl.LOCK_UN)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise UserError(
                    "workers of an earlier command are still at work in this run",
                    file=run,
                    fix="End them first.",
                ) from None
            time.sleep(0.05)


def priorities(stages: Sequence[Stage]) -> dict[str, float]:
    """Seconds from the start of each stage to the end of the longest chain that waits for it."""
    after: dict[str, float] = {stage.id: 0.0 for stage in stages}
    for stage in reversed(stages):  # needed ones stand first, so their dependants are settled before them
        for needed in stage.needs.values():
            after[needed.id] = max(after[needed.id], after[stage.id] + stage.cost)
    return {stage.id: after[stage.id] + stage.cost for stage in stages}


def execute(
    run: Path,
    stages: Sequence[Stage],
    *,
    workers: int = 2,
    watcher: Watcher,
    record: Callable[[Stage, Timing], None] = lambda stage, timing: None,
) -> int:
    """Make all stages that are not done; returns how many were made. The caller holds `locked(run)`.

    Call `stages.check` on all of them before. Raises UserError after a stage failed; what else was running is
    finished and kept.
    """
    ordered = with_needs(stages)
    done = {stage.id for stage in ordered if is_done(run, stage)}
    todo = [stage for stage in ordered if stage.id not in done]
    if todo:
        _Crew(run, list(todo), done, watcher, record).work(min(workers, len(todo)))
    return len(todo)


class _Crew:
    """The scheduling state of one run."""

    def __init__(
        self,
        run: Path,
        todo: list[Stage],
        done: set[str],
        watcher: Watcher,
        record: Callable[[Stage, Timing], None],
    ):
        self.run, self.waiting, self.done = run, todo, done
        self.watcher, self.record = watcher, record
        self.priority = priorities(with_needs(todo))
        self.running: dict[int, Stage] = {}
        self.failure: UserError | None = None

    def work(self, count: int) -> None:
        workers = [Worker(self.run) for _ in range(count)]
        try:
            while self.waiting or self.running:
                self._dispatch(workers)
                if not self.running:
                    break
                by_pipe = {workers[number].pipe: number for number in self.running}
                for pipe in wait(list(by_pipe)):
                    self._hear(workers, by_pipe[pipe])  # type: ignore[index]
        finally:
            for worker in workers:
                worker.stop()
        if self.failure is not None:
            raise self.failure

    def _dispatch(self, workers: list[Worker]) -> None:
        for number, worker in enumerate(workers):
            if self.failure is not None or number in self.running:
                continue
            ready = [s for s in self.waiting if all(needed.id in self.done for needed in s.needs.values())]
            if not ready:
                return
            stage = max(ready, key=lambda s: self.priority[s.id])
            self.waiting.remove(stage)
            self.running[number] = stage
            self.watcher.started(stage, number)
            worker.send(Job(self.run, stage, self._log(stage)))

    def _hear(self, workers: list[Worker], number: int) -> None:
        stage = self.running[number]
        try:
            kind, *rest = workers[number].pipe.recv()
        except (EOFError, OSError):
            workers[number].process.join(5)
            code = workers[number].process.exitcode
            del self.running[number]
            self._fail(
                stage, f"its worker process ended with code {code} (-9: killed, often for lack of memory)"
            )
            return
        if kind == "progress":
            self.watcher.progress(stage, *rest)
            return
        del self.running[number]
        if kind == "done":
            self.done.add(stage.id)
            timing = Timing(*rest)
            self.record(stage, timing)
            self.watcher.finished(stage, timing)
        else:
            self._fail(stage, rest[0])

    def _log(self, stage: Stage) -> Path:
        return self.run / "logs" / f"{stage.id}.log"

    def _fail(self, stage: Stage, why: str) -> None:
        if self.failure is None:
            self.failure = UserError(
                f"stage {stage.label} failed: {why}",
                fix=f"Its log is {self._log(stage)}; its folder is {folder_of(self.run, stage)}.\n"
                "All finished stages are kept: run the same command to continue.",
            )
