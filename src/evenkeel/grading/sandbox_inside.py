"""The supervisor: for each test it starts two processes, a candidate with the reply and an examiner with the test.

The candidate is started first, and only the examiner ever reads the test, so the reply's process never holds it: neither the
calls before they are made nor the values that are expected. Both shut themselves in before they run anything foreign. The
supervisor runs no code but its own; it ends them when their time is up or their files are too many, and writes the verdicts.
Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from evenkeel.grading.sandbox_candidate import be_candidate
from evenkeel.grading.sandbox_examiner import be_examiner, read_message
from evenkeel.grading.sandbox_walls import end_with_parent, prepare

DIGITS = 100_000  # longest integer that is read or written
LOOK = 0.05  # seconds between looks at the folder
ENTRY = 4096  # bytes that a file or folder counts at least
PRELOADED = ("datetime", "decimal", "fractions", "heapq", "random", "statistics", "string", "typing")

Ended = tuple[str, str] | None  # status and detail of what had to be ended


def main(root: str) -> NoReturn:
    """Read an order from standard input; its tests follow there. Write a line of JSON for each to standard output.

    `root` leaves the path again: a reply imports the standard library and nothing beside it.
    """
    end_with_parent()
    sys.path.remove(root)
    report = os.dup(1)
    os.dup2(os.open("/dev/null", os.O_RDWR), 1)
    sys.set_int_max_str_digits(DIGITS)
    order = read_message()
    try:
        for name in PRELOADED:
            if name in order["code"]:
                __import__(name)  # once here instead of once for each test
        prepare()
        for number in range(order["count"]):
            found = tried(number, order)
            _say(report, found)
            if "status" not in found or (order["stop_early"] and found["status"] != "passed"):
                break
    except BaseException as error:  # a machine out of processes or disk, a mistake of ours: no verdict
        _say(report, {"broken": f"{type(error).__name__}: {error}"})
    os._exit(0)  # there is nothing to tidy up, and Python takes its time for it


def tried(number: int, order: Mapping[str, Any]) -> dict[str, Any]:
    """The row of one test: status, detail, output; or why the sandbox is not to be had."""
    limits, folder = order["limits"], f"{order['folder']}/{number}"
    os.mkdir(folder)  # noqa: PTH102
    supervisor = os.getpid()
    (questions, ask), (answer, answers) = os.pipe(), os.pipe()
    (printed, prints), (verdict, verdicts) = os.pipe(), os.pipe()
    candidate = _started(lambda: be_candidate(order, folder, supervisor, questions, answers, prints))
    for handle in (questions, answers, prints):
        os.close(handle)
    try:
        examiner = _started(lambda: be_examiner(order, folder, supervisor, answer, ask, printed, verdicts))
        for handle in (ask, answer, printed, verdicts):
            os.close(handle)
        ended, said = _supervised(verdict, folder, limits)
    finally:
        state, seconds = _ended(candidate)
    examiner_state, _ = _ended(examiner)
    os.close(verdict)
    row = json.loads(said[-1]) if said else {"broken": "the examiner did not start"}
    if not ended and "ready" in row:  # a test that ends the process it runs in
        ended = ("refused", f"a test ended its own process ({_how(examiner_state)})")
    if not ended and row.get("status") == "gone":
        ended = _why(state, seconds, limits, row["detail"])
    if ended:
        row = {"status": ended[0], "detail": ended[1], "output": row.get("output", "")}
    return row


def _started(do: Callable[[], None]) -> int:
    process = os.fork()
    if process == 0:
        try:
            do()
        finally:
            os._exit(1)
    return process


def _supervised(verdict: int, folder: str, limits: Mapping[str, Any]) -> tuple[Ended, list[bytes]]:
    """(how it was ended if it had to be, lines of the examiner). Time runs from the line that says it is ready."""
    said, most, end = b"", limits["disk_mb"] << 20, None
    too_much = ("disk", f"more than {limits['disk_mb']} MB of files")
    while True:
        if select.select([verdict], [], [], LOOK)[0]:
            part = os.read(verdict, 1 << 16)
            if not part:
                return too_much if occupied(folder, most) else None, said.splitlines()
            end = end or time.monotonic() + limits["wall_seconds"]
            said += part
            continue
        if occupied(folder, most):
            return too_much, said.splitlines()
        if end and time.monotonic() > end:
            return ("timeout", f"{limits['wall_seconds']} s"), said.splitlines()


def occupied(folder: str, most: int) -> bool:
    """Whether files take more than so many bytes. What cannot be looked at counts as too much."""
    total, waiting = 0, [folder]
    while waiting:
        try:
            for entry in os.scandir(waiting.pop()):
                with contextlib.suppress(FileNotFoundError):  # gone meanwhile
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


def _ended(process: int) -> tuple[int, float]:
    """(exit code, seconds of processor time); negative for the signal that ended it."""
    os.kill(process, signal.SIGKILL)  # changes nothing for one that has ended
    _, state, used = os.wait4(process, 0)
    return os.waitstatus_to_exitcode(state), used.ru_utime + used.ru_stime


def _why(code: int, seconds: float, limits: Mapping[str, Any], gone: str) -> tuple[str, str]:
    """How a candidate ended that its examiner misses."""
    if code in (-signal.SIGKILL, -signal.SIGXCPU) and seconds > limits["cpu_seconds"] - 0.5:
        return "timeout", f"{limits['cpu_seconds']} s of processor time"
    if code == -signal.SIGKILL:
        return "crashed", f"the process {gone}"
    return "crashed", f"the process ended itself with {_how(code)}"


def _how(code: int) -> str:
    return f"status {code}" if code >= 0 else signal.Signals(-code).name


def _say(handle: int, row: Mapping[str, Any]) -> None:
    data = memoryview(json.dumps(row).encode() + b"\n")
    while data:
        data = data[os.write(handle, data) :]
