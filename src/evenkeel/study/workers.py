"""Worker processes: one thread each, alive for the whole run, dead as soon as their parent is.

The parent sends a `Job` down a pipe; the worker answers with ("progress", done, total) and at the end one of
("done", wall, cpu), ("error", text) for an error of the user's, or ("failed", last line of the traceback).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TextIO

from evenkeel.records.errors import UserError
from evenkeel.study.stages import Stage, Task, begin, folder_of, seal

ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")
BUSY_LOCK = ".workers.lock"  # shared by all workers of a run: a new main process waits until it is free
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Job:
    """One stage to make in one run directory."""

    run: Path
    stage: Stage
    log: Path


class Worker:
    """A spawned process and the pipe to it."""

    def __init__(self, run: Path):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, os.getpid(), str(run)), daemon=True)
        with _one_thread():
            self.process.start()
        theirs.close()

    def send(self, job: Job) -> None:
        """Start a job; answers come through `pipe`."""
        self.pipe.send(job)

    def stop(self) -> None:
        """End the process whatever it is doing; its unfinished stage is made again next time."""
        self.pipe.close()
        self.process.kill()
        self.process.join()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Children started inside see one-thread settings from their first import on."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(pipe: Connection, parent: int, run: str) -> None:
    """The worker's life: take jobs until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    _die_with(parent)
    with (Path(run) / BUSY_LOCK).open("w") as busy:
        fcntl.flock(busy, fcntl.LOCK_SH)
        while True:
            try:
                job = pipe.recv()
            except (EOFError, OSError):
                return
            answer = perform(job, pipe)
            try:
                pipe.send(answer)
            except OSError:
                return


def _die_with(parent: int) -> None:
    """Die at once when the parent does: by the kernel's signal on Linux, by watching elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def perform(job: Job, pipe: Connection | None) -> tuple[Any, ...]:
    """Make one stage: begin, run its function with output going to the log, seal."""
    started, cpu = time.perf_counter(), time.process_time()
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("a") as log, _output_to(log):
        try:
            folder = begin(job.run, job.stage)
            _function(job.stage)(_task(job, folder, pipe))
            seal(job.run, job.stage)
        except UserError as error:
            traceback.print_exc()
            return ("error", str(error))
        except BaseException as error:  # the parent decides; the log has the whole story
            traceback.print_exc()
            return ("failed", f"{type(error).__name__}: {error}")
    return ("done", time.perf_counter() - started, time.process_time() - cpu)


def _task(job: Job, folder: Path, pipe: Connection | None) -> Task:
    last = [0.0]

    def progress(done: int, total: int) -> None:
        now = time.monotonic()
        if pipe is not None and (done == total or now - last[0] > 0.2):
            last[0] = now
            pipe.send(("progress", done, total))

    needs = {role: folder_of(job.run, stage) for role, stage in job.stage.needs.items()}
    return Task(job.run, folder, job.stage.inputs, needs, job.stage.local, progress)


def _function(stage: Stage) -> Any:
    module, _, name = stage.run.partition(":")
    return getattr(importlib.import_module(module), name)


@contextlib.contextmanager
def _output_to(log: TextIO) -> Iterator[None]:
    """Everything printed, by Python or below it, goes to the log."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        os.close(saved[0])
        os.close(saved[1])
