"""kill -9 of the main process or a worker, in every kind of stage: the same command ends with the same bytes.

`make test` kills once per kind; `make test-kill N=10` does all of it ten times at other moments.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KINDS = ("train", "score", "persona", "attack", "analysis", "page")
COMPARED = ("results.json", "results.csv", "transcripts.json", "report.html", "index.json", "study.toml")
PATIENCE = 120.0  # seconds until a stage must have begun


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


def at_work(run, kind):
    """A stage of this kind is begun and not done."""
    folders = (run / "stages").glob(f"{kind}-*")
    return any(not (folder / "DONE").exists() for folder in folders)


def workers_of(pid):
    """Process ids of the study's workers."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(c) for c in children if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]


def kill_in(run, kind, chance, log):
    """Run until a stage of this kind is at work, and a little longer; then kill. True if it was killed."""
    main = start(run, log)
    deadline = time.monotonic() + PATIENCE
    while not at_work(run, kind):
        assert time.monotonic() < deadline, f"no stage {kind} in {PATIENCE} s"
        if main.poll() is not None:
            return False  # it was over before anyone saw it
        time.sleep(0.002)
    time.sleep(chance.random() * 0.3)
    victims = [main.pid] if chance.random() < 0.5 else (workers_of(main.pid) or [main.pid])
    os.kill(chance.choice(victims), signal.SIGKILL)
    assert main.wait() != 0 or (run / "report.html").exists()
    return True


@pytest.mark.kill
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", range(int(os.environ.get("EVENKEEL_KILLS", "1"))))
def test_killed_once_per_stage_and_still_the_same_bytes(number, undisturbed, tmp_path):
    chance = random.Random(number)
    run = tmp_path / "run"
    with (tmp_path / "log").open("w") as log:
        killed = [kind for kind in KINDS if kill_in(run, kind, chance, log)]
        assert start(run, log).wait() == 0, (tmp_path / "log").read_text()
    assert {"train", "attack"} <= set(killed), (tmp_path / "log").read_text()
    for name, expected in undisturbed.items():
        assert (run / name).read_bytes() == expected, f"{name} differs after kills in {killed}"
