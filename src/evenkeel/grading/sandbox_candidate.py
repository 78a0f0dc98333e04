"""A candidate: the process that runs a reply, as its examiner has it, and from within. Standard library only."""

from __future__ import annotations

import io
import os
import select
import signal
import sys
import time
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from evenkeel.grading.sandbox_border import Border, Gone
from evenkeel.grading.sandbox_remote import OPERATIONS
from evenkeel.grading.sandbox_walls import NoWalls, enclose_candidate

LOOK = 0.05  # seconds between looks at a candidate's folder
ENTRY = 4096  # bytes that a file or folder counts at least
MOST_DRAINED = 64  # reads of 64 kB: printing without end must not keep the examiner


class Output(io.TextIOBase):
    """What is printed, the beginning of it."""

    def __init__(self, most: int) -> None:
        self.most, self.text = most, ""

    def write(self, text: str) -> int:
        """Keep what there is room for."""
        self.text += text[: self.most - len(self.text)]
        return len(text)


class Candidate(Border):
    """The examiner's end of the border: asks the reply, passes on what it prints, and looks after its folder."""

    def __init__(self, number: int, order: Mapping[str, Any]) -> None:
        """Start the process. The examiner must not have read the test yet. Raises NoWalls."""
        self.limits, self.folder = order["limits"], f"{order['folder']}/{number}"
        os.mkdir(self.folder)  # noqa: PTH102
        answers, answers_end = os.pipe()
        questions_end, questions = os.pipe()
        printed, printed_end = os.pipe()
        super().__init__(answers, questions, {"call": OPERATIONS["call"]}, trusting=False)
        self.printed: int | None = printed
        self.end: tuple[str, str] | None = None  # status and detail, when it is over whatever the test says
        self.gone = ""
        self.looked = time.monotonic()
        examiner = os.getpid()
        self.process = os.fork()
        if self.process == 0:
            try:
                _be_candidate(order, self.folder, examiner, questions_end, answers_end, printed_end)
            finally:
                os._exit(1)
        for handle in (answers_end, questions_end, printed_end):
            os.close(handle)
        problem = self.read().get("unavailable")  # from our own code: the reply is loaded on demand
        if problem is not None:
            raise NoWalls(problem)

    def ask(self, operation: str, /, *arguments: Any, **named: Any) -> Any:
        """As Border; that the reply's process is gone is remembered, even if the test ignores it."""
        try:
            return super().ask(operation, *arguments, **named)
        except Gone as error:
            self.gone = self.gone or str(error) or "is gone"
            raise
        finally:
            self._drain(MOST_DRAINED)

    def receive(self, most: int) -> bytes:
        """Some bytes of the answer. Meanwhile what is printed goes where the test has it, and the folder is watched."""
        while True:
            watched = [self.reading] if self.printed is None else [self.reading, self.printed]
            ready, _, _ = select.select(watched, [], [], LOOK)
            if time.monotonic() - self.looked > LOOK:
                self.looked = time.monotonic()
                if self._takes_too_much():
                    raise Gone
            self._drain(1)
            if self.reading in ready:
                return os.read(self.reading, most)

    def finish(self) -> None:
        """End the process, and find out why it ended if it did so by itself."""
        os.kill(self.process, signal.SIGKILL)  # does nothing to one that has ended
        _, state, used = os.wait4(self.process, 0)
        if not self.end and not self._takes_too_much() and self.gone:
            self.end = self._why(state, used.ru_utime + used.ru_stime)
        self._drain(MOST_DRAINED)
        for handle in (self.reading, self.writing, self.printed):
            if handle is not None:
                os.close(handle)

    def _takes_too_much(self) -> bool:
        most = self.limits["disk_mb"]
        if occupied(self.folder, most << 20):
            self.end = ("disk", f"more than {most} MB of files")
        return self.end is not None

    def _drain(self, reads: int) -> None:
        for _ in range(reads):
            if self.printed is None or not select.select([self.printed], [], [], 0)[0]:
                return
            text = os.read(self.printed, 1 << 16)
            if not text:  # closed by the reply
                os.close(self.printed)
                self.printed = None
                return
            sys.stdout.write(text.decode("utf-8", "replace"))

    def _why(self, state: int, seconds: float) -> tuple[str, str]:
        code = os.waitstatus_to_exitcode(state)
        if code >= 0:
            return "crashed", f"the process ended itself with status {code}"
        if -code in (signal.SIGKILL, signal.SIGXCPU) and seconds > self.limits["cpu_seconds"] - 0.5:
            return "timeout", f"{self.limits['cpu_seconds']} s of processor time"
        if -code == signal.SIGKILL:
            return "crashed", f"the process {self.gone}"
        return "crashed", f"the process was ended by {signal.Signals(-code).name}"


def occupied(folder: str, most: int) -> bool:
    """Whether files take more than so many bytes. What cannot be looked at counts as too much."""
    total, waiting = 0, [folder]
    while waiting:
        try:
            for entry in os.scandir(waiting.pop()):
                total += ENTRY + entry.stat(follow_symlinks=False).st_blocks * 512
                if total > most:
                    return True
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
        except FileNotFoundError:
            continue
        except OSError:
            return True
    return False


class Inner(Border):
    """The reply's end of the border."""

    def before_answer(self) -> None:
        """What was printed is printed."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                continue


def _be_candidate(
    order: Mapping[str, Any], folder: str, examiner: int, reading: int, writing: int, printed: int
) -> None:
    """Shut every door, then serve. From the first "load" on nothing in this process can be relied on."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)  # the tests lie in the pipe that was here
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    first, last = sorted((reading, writing))
    for start, stop in ((3, first), (first + 1, last), (last + 1, 4096)):
        os.closerange(start, stop)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    module = ModuleType("reply")
    sys.modules["reply"] = module  # where dataclasses look for it

    def load(part: str) -> None:
        exec(compile(order[part], f"<{part}>", "exec", dont_inherit=True), vars(module))

    def find(name: str) -> Any:
        if name.startswith("__") or name not in vars(module):
            raise NameError(name)
        return vars(module)[name]

    border = Inner(reading, writing, {**OPERATIONS, "load": load, "global": find}, trusting=True)
    try:
        enclose_candidate(folder, order["limits"], examiner)
    except NoWalls as error:
        border.write(border.packed({"unavailable": str(error)}))
        return
    border.write(border.packed({}))
    border.serve()
