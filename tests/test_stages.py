"""Stages: complete or not there, resumed, verified, run by workers that die with their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evenkeel.records.errors import UserError
from evenkeel.records.files import read_json, write_json
from evenkeel.study.execute import execute, locked, priorities
from evenkeel.study.stages import Stage, begin, check, folder_of, is_done, with_needs

TESTS = Path(__file__).parent


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """Workers are new processes: they find the stage functions by PYTHONPATH."""
    paths = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}{paths}")


class Notes:
    """A watcher that remembers."""

    def __init__(self):
        self.names, self.moves = [], []

    def started(self, stage, worker):
        self.names.append(stage.name)

    def progress(self, stage, done, total):
        self.moves.append((stage.name, done, total))

    def finished(self, stage, timing):
        assert timing.wall_seconds >= 0


def stage(name, function="number", *, value=0, needs=(), kind="test", **options):
    inputs = {"value": value, **options.pop("inputs", {})}
    named = {needed.name: needed for needed in needs}
    return Stage(kind, name, f"stage_functions:{function}", inputs, named, **options)


def small_graph():
    one, two = stage("one", value=1), stage("two", value=2)
    total = stage("total", "total", needs=(one, two))
    return [one, two, total, stage("publish", "publish", needs=(total,), writes=("total.json",))]


def run_all(run, stages, workers=2):
    notes = Notes()
    with locked(run):
        for each in with_needs(stages):
            check(run, each)
        return execute(run, stages, workers=workers, watcher=notes), notes


def test_hash_covers_what_matters_and_nothing_else():
    one = stage("one", value=1)
    assert one.hash == stage("renamed", value=1).hash
    assert one.hash == stage("one", value=1, local={"path": "/elsewhere"}, cost=9.0).hash
    assert one.hash != stage("one", value=2).hash
    assert one.hash != stage("one", "total", value=1).hash
    assert stage("a", needs=(one,)).hash != stage("a", needs=(stage("one", value=2),)).hash


def test_runs_in_order_and_resumes_without_work(tmp_path):
    graph = small_graph()
    made, notes = run_all(tmp_path / "run", graph[-1:])
    assert made == 4 and read_json(tmp_path / "run" / "total.json")["value"] == 3
    assert notes.names.index("publish") == 3 and notes.names.index("total") == 2
    assert ("one", 1, 1) in notes.moves
    assert run_all(tmp_path / "run", graph[-1:])[0] == 0
    more = [*graph, stage("three", value=3)]
    assert run_all(tmp_path / "run", more)[0] == 1


def test_a_missing_or_changed_published_file_is_made_again(tmp_path):
    graph = small_graph()
    run_all(tmp_path, graph)
    (tmp_path / "total.json").write_text("{}")
    assert not is_done(tmp_path, graph[-1])
    assert run_all(tmp_path, graph)[0] == 1
    assert read_json(tmp_path / "total.json")["value"] == 3


def test_longest_way_to_the_end_goes_first():
    quick, slow = stage("quick", value=1, cost=1), stage("slow", value=2, cost=3)
    chain = stage("chain", "total", needs=(quick,), cost=5)
    order = priorities(with_needs([slow, chain]))
    assert order[quick.id] == 6 and order[slow.id] == 3 and order[chain.id] == 5


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "number.json").write_bytes(b"x" * 31), "SHA-256|bytes instead of"),
        (lambda folder: (folder / "number.json").unlink(), "missing from a finished stage"),
        (lambda folder: (folder / "stranger.txt").touch(), "foreign file"),
        (lambda folder: (folder / "checksums.json").write_text("{}"), "DONE does not match"),
        (lambda folder: write_json(folder / "stage.json", {"schema_version": 99}), "schema_version 99"),
        (lambda folder: write_json(folder / "stage.json", {"input_hash": "0"}), "belongs to another stage"),
    ],
)
def test_damage_is_named_before_any_work(tmp_path, damage, message):
    graph = small_graph()
    run_all(tmp_path, graph)
    folder = folder_of(tmp_path, graph[0])
    damage(folder)
    with pytest.raises(UserError, match=message) as error:
        run_all(tmp_path, [*graph, stage("never", value=9)])
    assert str(folder) in str(error.value) and error.value.fix
    assert not folder_of(tmp_path, stage("never", value=9)).exists()


def test_same_size_damage_is_found(tmp_path):
    graph = small_graph()
    run_all(tmp_path, graph)
    path = folder_of(tmp_path, graph[0]) / "number.json"
    data = bytearray(path.read_bytes())
    data[-4] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match="SHA-256"):
        run_all(tmp_path, graph)


def test_a_foreign_folder_is_not_emptied(tmp_path):
    one = stage("one", value=1)
    folder = folder_of(tmp_path, one)
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="not made by evenkeel"):
        run_all(tmp_path, [one])
    assert (folder / "thesis.txt").exists()


def test_unfinished_folder_starts_afresh_unless_resumable(tmp_path):
    for resumable in (False, True):
        one = stage("one", value=int(resumable), resumable=resumable)
        folder = begin(tmp_path, one)
        (folder / "half.txt").touch()
        (folder / ".half.txt.x1").touch()
        begin(tmp_path, one)
        assert (folder / "half.txt").exists() == resumable
        assert not (folder / ".half.txt.x1").exists()


def test_a_failing_stage_stops_cleanly(tmp_path):
    good, bad = stage("good", value=1), stage("bad", "fails")
    after = stage("after", "total", needs=(good, bad))
    with pytest.raises(UserError, match="stage test bad failed: ValueError: the cause") as error:
        run_all(tmp_path, [after])
    log = tmp_path / "logs" / f"{bad.id}.log"
    assert str(log) in error.value.fix
    assert "about to fail" in log.read_text() and "Traceback" in log.read_text()
    assert is_done(tmp_path, good) and not is_done(tmp_path, bad)


def test_a_users_mistake_inside_a_stage_keeps_its_words(tmp_path):
    with pytest.raises(UserError, match="the dose is too large\nGive less"):
        run_all(tmp_path, [stage("bad", "complains")])


def test_a_killed_worker_is_reported_and_its_stage_continues(tmp_path):
    local = {"die_at": "2", "died": str(tmp_path / "died")}
    slow = stage("slow", "count_up", local=local, resumable=True)
    run = tmp_path / "run"
    with pytest.raises(UserError, match="worker process ended with code -9"):
        run_all(run, [slow])
    assert not is_done(run, slow)
    assert run_all(run, [slow])[0] == 1
    assert read_json(folder_of(run, slow) / "number.json")["value"] == 5
    assert (folder_of(run, slow) / "lines.txt").read_text() == "0\n1\n2\n3\n4\n"


def test_workers_have_one_thread_each(tmp_path):
    one = stage("one", "environment")
    run_all(tmp_path, [one])
    assert read_json(folder_of(tmp_path, one) / "number.json")["threads"] == "1"


def test_two_commands_on_one_run_do_not_collide(tmp_path):
    with locked(tmp_path), pytest.raises(UserError, match="another evenkeel command"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_workers_die_with_a_killed_parent_and_the_next_command_waits_for_them(tmp_path):
    pid_file = tmp_path / "pid"
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from test_stages import run_all, stage\n"
        "if __name__ == '__main__':\n"
        "    run_all(Path(sys.argv[2]), [stage('sleep', 'sleep', local={'pid': sys.argv[3]})])\n"
    )
    script = tmp_path / "main.py"
    script.write_text(code)
    parent = subprocess.Popen([sys.executable, script, TESTS, tmp_path / "run", pid_file])
    deadline = time.monotonic() + 30
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    worker = int(pid_file.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    with locked(tmp_path / "run"):
        assert (
            not Path(f"/proc/{worker}").exists() or "Z" in Path(f"/proc/{worker}/stat").read_text().split()[2]
        )


def test_a_read_only_run_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write there"), locked(tmp_path / "file" / "run"):
        pass
