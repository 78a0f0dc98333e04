"""Limits of the sandbox: memory, disk, time and output, and nothing outlives a run that is killed or cancelled."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace

import psutil

from evenkeel.grading.sandbox import Limits, run_tests
from sandbox_programs import TOO_MUCH
from sandbox_trials import HASTY, SMALL, needs_sandbox, statuses, tried


@needs_sandbox
def test_nobody_takes_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    async def all_of_them():
        limits = [HASTY if status == "timeout" else SMALL for _, status in TOO_MUCH.values()]
        runs = [
            run_tests(code, ["f()"], "", limit)
            for (code, _), limit in zip(TOO_MUCH.values(), limits, strict=True)
        ]
        return await asyncio.gather(*runs)

    found = {name: trial.status for name, [trial] in zip(TOO_MUCH, asyncio.run(all_of_them()), strict=True)}
    assert found == {name: status for name, (_, status) in TOO_MUCH.items()}
    assert not list(tmp_path.iterdir())  # thrown away, nested folders and all
    _wait_until(lambda: not inside(tmp_path))


@needs_sandbox
def test_deep_folders_are_thrown_away_too(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    program = "import os\ndef f():\n    for _ in range(1500): os.mkdir('d'); os.chdir('d')"
    assert len(tried(program, "f()", limits=Limits(disk_mb=100))) == 1
    assert not list(tmp_path.iterdir())


@needs_sandbox
def test_processor_time_is_limited_too():
    [trial] = tried("def f():\n    while True: pass", "f()", limits=Limits(cpu_seconds=1, wall_seconds=500))
    assert (trial.status, trial.detail) == ("timeout", "1 s of processor time")


def inside(folder):
    """Processes that are at work in a folder, whoever their parent is by now."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd().startswith(str(folder)) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@needs_sandbox
def test_output_is_cut_and_stops_nobody():
    [flood] = tried("def f():\n    print('x' * 10**6)\n    return 1", "assert f() == 1")
    assert flood.status == "passed" and flood.output == "x" * Limits().output
    assert statuses("def f():\n    while True: print('x' * 1000)", ["f()"], HASTY) == ["timeout"]


@needs_sandbox
def test_a_test_that_never_ends_is_ended():
    limits = replace(SMALL, wall_seconds=1)
    ignores_it = "try:\n    while True: pass\nexcept BaseException: pass"
    assert statuses("f = int", [ignores_it, "assert f(1) == 1"], limits) == ["timeout", "passed"]
    late = Limits(wall_seconds=60, total_seconds=-4.5)  # half a second for all
    assert statuses("import time\ntime.sleep(9)", ["f()", "f()"], late) == ["timeout", "timeout"]


@needs_sandbox
def test_nothing_outlives_a_killed_run(tmp_path):
    script = (
        "import asyncio, tempfile\nfrom evenkeel.grading.sandbox import Limits, run_tests\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "asyncio.run(run_tests('import time; time.sleep(99)', ['f()'], '', Limits(wall_seconds=99)))"
    )
    run = subprocess.Popen([sys.executable, "-c", script])
    _wait_until(lambda: len(inside(tmp_path)) >= 2)  # examiner and candidate
    run.send_signal(signal.SIGKILL)
    run.wait()
    _wait_until(lambda: not inside(tmp_path))
    assert not inside(tmp_path)


def _wait_until(true):
    for _ in range(400):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that")


@needs_sandbox
def test_a_cancelled_run_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    async def cancelled():
        patient = Limits(wall_seconds=99)
        running = asyncio.ensure_future(run_tests("import time; time.sleep(99)", ["f()"], "", patient))
        while len(inside(tmp_path)) < 2:
            await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.wait([running], timeout=20)
        assert running.cancelled()

    asyncio.run(cancelled())
    assert not list(tmp_path.iterdir())
    _wait_until(lambda: not inside(tmp_path))  # they were killed; dying takes them a moment
