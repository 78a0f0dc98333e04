"""Programs tried in the sandbox, for its tests, and whether this machine could have one."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from evenkeel.grading import sandbox_filter
from evenkeel.grading.sandbox import Limits, run_tests

SMALL = Limits(cpu_seconds=10, memory_mb=200, disk_mb=4)
HASTY = replace(SMALL, wall_seconds=0.5)  # for what never ends; the rest has time enough on a busy machine


def capable():
    """Whether this machine could have a sandbox, asked in another way: a broken sandbox must fail here, not skip."""
    if not sys.platform.startswith("linux") or os.uname().machine not in sandbox_filter.ARCHITECTURES:
        return False
    landlock = ctypes.CDLL(None).syscall(444, None, ctypes.c_long(0), ctypes.c_long(1))  # its version
    return landlock > 0 and "Seccomp:" in Path("/proc/self/status").read_text()


needs_sandbox = pytest.mark.skipif(not capable(), reason="needs Linux with Landlock and seccomp")


def tried(code, tests, setup="", limits=None, **options):
    return asyncio.run(
        run_tests(code, [tests] if isinstance(tests, str) else tests, setup, limits, **options)
    )


def statuses(code, tests, limits=SMALL):
    return [trial.status for trial in tried(code, tests, limits=limits)]
