"""Small stage functions for tests of the stage mechanism; workers import them by name."""

import os
import signal
import sys
import time
from pathlib import Path

from evenkeel.records.errors import UserError
from evenkeel.records.files import read_json, write_json


def number(task):
    """Writes its own input."""
    task.progress(1, 1)
    write_json(task.folder / "number.json", {"value": task.inputs["value"]})


def total(task):
    """Adds up what it needs, after a while."""
    time.sleep(task.inputs.get("seconds", 0))
    values = [read_json(folder / "number.json")["value"] for folder in task.needs.values()]
    write_json(task.folder / "number.json", {"value": sum(values)})


def publish(task):
    """Writes a file at the top of the run."""
    (only,) = task.needs.values()
    write_json(task.run / "total.json", read_json(only / "number.json"))


def count_up(task):
    """Continues its own file, one line a step, and is slow: for kills."""
    path = task.folder / "lines.txt"
    for step in range(len(path.read_text().split()) if path.exists() else 0, 5):
        lines = path.read_text() if path.exists() else ""
        path.write_text(lines + f"{step}\n")
        if task.local.get("die_at") == str(step) and not Path(task.local["died"]).exists():
            Path(task.local["died"]).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        task.progress(step + 1, 5)
    write_json(task.folder / "number.json", {"value": len(path.read_text().split())})


def environment(task):
    """What a worker sees."""
    write_json(task.folder / "number.json", {"value": 0, "threads": os.environ.get("OMP_NUM_THREADS")})


def fails(task):
    """A bug."""
    print("about to fail", file=sys.stderr)
    raise ValueError("the cause")


def complains(task):
    """A user's mistake found late."""
    raise UserError("the dose is too large", fix="Give less.")


def sleep(task):
    """Works until it is killed; leaves its process id."""
    Path(task.local["pid"]).write_text(str(os.getpid()))
    time.sleep(600)
