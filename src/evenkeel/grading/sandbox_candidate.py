"""The process of a reply. It answers for what the reply defined, and can do nothing else. Standard library only."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from evenkeel.grading.sandbox_border import Border
from evenkeel.grading.sandbox_remote import OPERATIONS
from evenkeel.grading.sandbox_walls import NoWalls, enclose

MOST_HANDLES = 64  # more than the processes in the sandbox ever open before they run foreign code
RESTRICTED = ("cpu_seconds", "memory_mb", "disk_mb", "open_files")


class Answering(Border):
    """The reply's end of the border."""

    def before_answer(self) -> None:
        """What was printed is printed."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:  # the reply has put something else there, or closed it
                continue


def be_candidate(
    order: Mapping[str, Any], folder: str, supervisor: int, questions: int, answers: int, printed: int
) -> None:
    """Shut every door, then serve. From the first "load" on nothing in this process can be relied on."""
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)  # the tests lie in the pipe that was here
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    close_all_but(0, 1, 2, questions, answers)
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

    border = Answering(questions, answers, {**OPERATIONS, "load": load, "global": find}, trusting=True)
    try:
        enclose(folder, {name: order["limits"][name] for name in RESTRICTED}, supervisor)
    except NoWalls as error:
        border.write(border.packed({"unavailable": str(error)}))
        return
    border.write(border.packed({"ready": True}))
    border.serve()


def close_all_but(*kept: int) -> None:
    """Close every other file descriptor."""
    for handle in set(range(MOST_HANDLES)) - set(kept):
        with contextlib.suppress(OSError):
            os.close(handle)
