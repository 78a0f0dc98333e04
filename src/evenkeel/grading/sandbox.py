"""Runs the code of a reply against unit tests in a sandbox: no network, no files but a folder that is thrown away, limits on
time, memory, disk and processes. Where the machine cannot give that, it refuses; nothing of a reply ever runs outside.

The walls are in `sandbox_walls` (Landlock, system-call filter, resource limits); the processes inside in `sandbox_inside`,
`sandbox_candidate` and `sandbox_examiner`; what passes between them in `sandbox_border`. What it does not protect against:
docs/sandbox.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import weakref
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from evenkeel.grading.sandbox_probe import PROBE_TESTS, probe_code, targets
from evenkeel.records.errors import UserError
from evenkeel.records.machine import package_folder, usable_cores

Status = Literal["passed", "failed", "timeout", "crashed", "memory", "disk", "refused"]

_FLAGS = ("-S", "-s", "-P")  # no site packages, no folder of the caller on the path
# no key of ours; sets have one order
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "TMPDIR": "."}
_KEPT = ("LD_LIBRARY_PATH",)  # some Pythons do not start without it
_START = "import sys; sys.path.insert(0, {root!r}); from evenkeel.grading import sandbox_inside; sandbox_inside.main({root!r})"
_SPARE = 5.0  # seconds for starting and ending, beyond the time of the tests
_LINE = 1 << 24


class SandboxFailed(Exception):
    """The sandbox broke, or a test cannot be put to any reply in it. No verdict on the reply follows."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one test may use. Time is processor time; `wall_seconds` is for code that waits."""

    cpu_seconds: int = 5
    wall_seconds: float = 20.0
    memory_mb: int = 512  # address space of the reply's process
    disk_mb: int = 16
    open_files: int = 32
    output: int = 4000  # characters kept of what is printed
    total_seconds: float = 60.0  # all tests of a reply together, by the clock


@dataclass(frozen=True, slots=True)
class Trial:
    """How a reply did on one test. `refused` is no verdict: the test itself does not run here."""

    status: Status
    detail: str = ""
    output: str = ""


async def run_tests(
    code: str,
    tests: Sequence[str],
    setup: str = "",
    limits: Limits | None = None,
    *,
    stop_early: bool = False,
) -> tuple[Trial, ...]:
    """One result for each test, in order; up to the first that is not passed with `stop_early`.

    `setup` runs before the reply's code, and before each test. At most one sandbox per usable core runs at a time in an event
    loop. Raises SandboxFailed when the sandbox could not be had.
    """
    limits = limits or Limits()
    async with _slots():
        try:
            folder = tempfile.mkdtemp(prefix="evenkeel-sandbox-")
        except OSError as error:
            raise SandboxFailed(f"no folder could be made ({error})") from None
        try:
            order = {"code": code, "setup": setup, "count": len(tests), "limits": asdict(limits), "folder": folder,
                     "stop_early": stop_early}  # fmt: skip
            return await _examined(order, tests, limits)
        finally:
            await asyncio.to_thread(_discard, folder)


async def _examined(order: dict[str, Any], tests: Sequence[str], limits: Limits) -> tuple[Trial, ...]:
    command = [sys.executable, *_FLAGS, "-c", _START.format(root=str(package_folder().parent))]
    environment = {**_ENVIRONMENT, **{name: os.environ[name] for name in _KEPT if name in os.environ}}
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=STDOUT, env=environment, cwd=order["folder"], limit=_LINE,
            start_new_session=True,
        )  # fmt: skip
    except (OSError, RuntimeError) as error:  # RuntimeError: no thread to wait for it
        raise SandboxFailed(f"no process could be started ({error})") from None
    results: list[Trial] = []
    noise: list[str] = []
    writing = asyncio.ensure_future(_write(process, [order, *({"test": test} for test in tests)]))
    try:
        async with asyncio.timeout(limits.total_seconds + _SPARE):
            await _read(process, results, noise)
            await process.wait()
    except TimeoutError:
        late = Trial("timeout", f"{limits.total_seconds} s for all tests together")
        wanted = 1 if order["stop_early"] else len(tests) - len(results)
        return (*results, *([late] * wanted))
    finally:
        await _end(process, writing)
    stopped = order["stop_early"] and any(each.status != "passed" for each in results)
    if len(results) < len(tests) and not stopped:
        raise SandboxFailed(noise[-1] if noise else f"it ended with status {process.returncode}")
    return tuple(results)


async def _write(process: Process, messages: Sequence[object]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it stops reading when it stops early
        for message in messages:
            body = json.dumps(message).encode()
            process.stdin.write(len(body).to_bytes(4, "big") + body)
            await process.stdin.drain()
        process.stdin.close()


async def _read(process: Process, results: list[Trial], noise: list[str]) -> None:
    """Verdicts as they come; anything else is noise, and the last line of it the reason of a failure."""
    assert process.stdout is not None
    async for line in process.stdout:
        try:
            results.append(Trial(**json.loads(line)))
        except (ValueError, TypeError):
            text = line.decode("utf-8", "replace").strip()
            with contextlib.suppress(ValueError, AttributeError):
                text = next(iter(json.loads(text).values()))
            noise += [str(text)] if text else []


async def _end(process: Process, writing: asyncio.Future[None]) -> None:
    """Kill what is left, all of it: a candidate cannot leave the group, and dies with its examiner."""
    writing.cancel()
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
    with contextlib.suppress(asyncio.CancelledError):
        await writing


def _discard(folder: str) -> None:
    with contextlib.suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if Path(folder).exists():  # nested deeper than Python can follow
        subprocess.run(["rm", "-rf", "--", folder], check=False, stderr=subprocess.DEVNULL)


_SLOTS: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = weakref.WeakKeyDictionary()


def _slots() -> asyncio.Semaphore:
    return _SLOTS.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(usable_cores()))


@functools.cache
def available() -> str | None:
    """Why this machine has no sandbox, or None. Tried out once: a probe inside tries to get out."""
    if not sys.platform.startswith("linux"):
        return f"Landlock and seccomp are Linux's; this is {sys.platform}"
    with ThreadPoolExecutor(1) as thread:  # a loop may be running in this one
        return thread.submit(lambda: asyncio.run(_probe())).result()


async def _probe() -> str | None:
    try:
        with targets() as (secret, open_folder, port):
            results = await run_tests(probe_code(secret, open_folder, port), PROBE_TESTS)
    except (SandboxFailed, OSError) as error:
        return str(error)
    bad = [each.detail or each.status for each in results if each.status != "passed"]
    return f"a probe got out ({bad[0]})" if bad else None


def require_sandbox() -> None:
    """Raises UserError with the reason and the remedy where there is no sandbox."""
    if (reason := available()) is not None:
        raise UserError(
            f"unit tests need a sandbox, and this machine has none: {reason}.",
            fix="Needed: Linux 5.13 or later on x86-64 or arm64 with Landlock (`landlock` in /sys/kernel/security/lsm; if it is "
            "missing, put it first in the kernel's lsm= option) and seccomp. In a container, allow the landlock_* and seccomp "
            "system calls (Docker 23 and later do). Or leave unit-test tasks out of the mixture.",
        )
