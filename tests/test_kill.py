"""kill -9 of the main process or a worker, in every kind of stage: the same command ends with the same bytes.

`make test` kills once per kind; `make test-kill N=10` does all of it ten times at other moments.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MOMENTS = {
    "gate": 0.5,
    "train": 0.8,
    "score": 0.3,
    "persona": 0.2,
    "attack": 0.3,
    "analysis": 3.0,
    "page": 3.0,
}
"""Kinds of stages, and up to how many seconds after its beginning the kill comes."""

COMPARED = ("results.json", "results.csv", "transcripts.json", "report.html", "index.json", "study.toml")


def start(run, log):
    command = [sys.executable, "-m", "evenkeel", "study", "nano", "--out", str(run)]
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def contents(run):
    return {name: (run / name).read_bytes() for name in COMPARED}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run nobody touched."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    with (run.parent / "log").open("w") as log:
        assert start(run, log).wait() == 0, (run.parent / "log").read_text()
    return contents(run)


def unfinished(run):
    """stage.json of every stage begun and not done -> when it was begun."""
    records = [path for path in run.glob("stages/*/stage.json") if not (path.parent / "DONE").exists()]
    return {path: path.stat().st_mtime_ns for path in records if path.exists()}


def workers_of(pid):
    """Process ids of the study's workers."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(c) for c in children if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]


def kill(main, chance):
    """SIGKILL to the main process or to one of its workers."""
    victims = [main.pid] if chance.random() < 0.5 else (workers_of(main.pid) or [main.pid])
    os.kill(chance.choice(victims), signal.SIGKILL)
    main.wait()


def run_until_killed(run, spared, chance, log):
    """Start the study; kill it at a random moment of the first stage whose kind was spared so far.

    Returns that kind, or None when the study came to its end.
    """
    old = unfinished(run)
    main = start(run, log)
    while main.poll() is None:
        begun = [
            path.parent.name.split("-")[0] for path, at in unfinished(run).items() if old.get(path) != at
        ]
        kind = next((kind for kind in begun if kind in spared), None)
        if kind is None:
            time.sleep(0.002)
            continue
        time.sleep(chance.random() * MOMENTS[kind])
        if main.poll() is None:
            kill(main, chance)
        return kind
    assert main.returncode == 0
    return None


def again(run, kinds):
    """Forget the stages of these kinds, as a user may."""
    for folder in run.glob("stages/*"):
        if folder.name.split("-")[0] in kinds:
            shutil.rmtree(folder)


@pytest.mark.kill
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", range(int(os.environ.get("EVENKEEL_KILLS", "1"))))
def test_killed_once_per_stage_and_still_the_same_bytes(number, undisturbed, tmp_path):
    chance = random.Random(number)
    run = tmp_path / "run"
    spared = set(MOMENTS)
    with (tmp_path / "log").open("w") as log:
        while spared:
            kind = run_until_killed(run, spared, chance, log)
            if kind is not None:
                spared.remove(kind)
            else:  # it went on to its end without an idle worker that was killed: do those stages again
                again(run, spared)
        assert start(run, log).wait() == 0, (tmp_path / "log").read_text()
    for name, expected in undisturbed.items():
        assert (run / name).read_bytes() == expected, f"{name} differs"
