"""The sandbox for unit tests: honest programs pass, wrong ones fail, and nothing gets out or talks its way to success."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from evenkeel.grading import sandbox_filter
from evenkeel.grading.collect import collect
from evenkeel.grading.grader import GradeRequest
from evenkeel.grading.sandbox import Limits, SandboxFailed, available, run_tests
from evenkeel.grading.sandbox_probe import probe_code, targets
from evenkeel.grading.unit_tests import CHECKER, UnitTests, check_unit_tests, code_of
from evenkeel.records.errors import UserError
from evenkeel.records.types import Message, Provenance, Reply, Scored, Unscorable
from evenkeel.scenarios.scenario import Scenario
from sandbox_programs import (
    BORDER,
    ESCAPES,
    FORGED,
    HONEST,
    PROGRAM,
    READING,
    SEEING,
    SETUP,
    SPOILING,
    TOO_MUCH,
    TRYING,
)  # fmt: skip

MBPP = Path(__file__).parents[2] / "shared" / "benchmarks" / "mbpp_sanitized" / "sanitized-mbpp.json"
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


# --- honest programs


@needs_sandbox
@pytest.mark.skipif(not MBPP.exists(), reason="needs ../shared/benchmarks/mbpp_sanitized")
def test_reference_programs_pass_and_mutated_ones_fail():
    rows = json.loads(MBPP.read_text())[::40]
    facts = [{"tests": row["test_list"], "setup": "\n".join(row["test_imports"])} for row in rows]
    right = [f"So:\n```python\n{row['code']}\n```" for row in rows]
    wrong = [row["code"].replace("return", "return 77,") for row in rows]

    async def all_of_them(answers):
        return await asyncio.gather(*map(check_unit_tests, answers, facts))

    assert len(rows) > 10
    assert set(asyncio.run(all_of_them(right))) == {1.0}
    assert set(asyncio.run(all_of_them(wrong))) == {0.0}


@needs_sandbox
def test_what_honest_programs_do_works_across_the_border():
    trials = tried(PROGRAM, list(HONEST.values()), SETUP)
    wrong = {name: trial for name, trial in zip(HONEST, trials, strict=True) if trial.status != "passed"}
    assert not wrong


@needs_sandbox
def test_each_test_meets_the_program_afresh():
    program = "seen = []\ndef f(x):\n    seen.append(x)\n    return len(seen)"
    assert statuses(program, ["assert f(1) == 1\nassert f(2) == 2", "assert f(3) == 1"]) == [
        "passed",
        "passed",
    ]


@needs_sandbox
def test_a_wrong_program_fails_with_a_reason():
    first, second, third = tried(
        "def f(x):\n    print('got', x)\n    return x", ["assert f(1) == 2", "assert f(1) == 1", "g()"]
    )
    assert (first.status, first.output) == ("failed", "got 1\n") and second.status == "passed"
    assert "'g' is not defined" in third.detail
    assert tried("def f(:", "assert f(1)")[0].detail.startswith("SyntaxError")


@needs_sandbox
def test_a_verdict_does_not_depend_on_the_order_of_a_set():
    program = "def f(): return ''.join({'red', 'green', 'blue', 'black', 'white', 'grey'})"
    first, second = (tried(program, "assert f() == 0, f()")[0].detail for _ in range(2))
    assert first == second != ""


@needs_sandbox
def test_stopping_early_stops_at_the_first_failure():
    assert (
        len(tried("f = int", ["assert f(1) == 1", "assert f(1) == 2", "assert f(1) == 1"], stop_early=True))
        == 2
    )


# --- ways out


@needs_sandbox
def test_a_machine_that_could_have_a_sandbox_has_one():
    assert available() is None


@needs_sandbox
def test_the_probe_finds_no_way_out_inside_and_every_way_outside(tmp_path):
    with targets() as (secret, folder, port):
        code = probe_code(secret, folder, port)
        last = "\nWAYS.pop('it can start programs')\nprint(len(ways_out()), len(WAYS))"  # it would end this process
        outside = subprocess.run(
            [sys.executable, "-c", code + last], capture_output=True, text=True, cwd=tmp_path, check=True
        )
        found, all_of_them = outside.stdout.split()[-2:]
        assert found == all_of_them and int(found) >= 9
        assert statuses(code, "assert ways_out() == []") == ["passed"]


@needs_sandbox
def test_nothing_of_ours_can_be_read(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-planted-9")
    (tmp_path / "key").write_text("sk-planted-9")
    here = Path(__file__)
    paths = [tmp_path / "key", here, here.parent, Path.home(), "/", "/etc", "/etc/passwd", "/tmp", "/var", "/usr/bin/env",
             sys.executable, "/proc", "/proc/self/environ", "/proc/1/cmdline"]  # fmt: skip
    names = ("PYTHON", "TMPDIR", "LC_", "LD_")
    tests = [
        f"found = opened({[str(path) for path in paths]})\nassert found == [], found",
        f"names = [name for name in environment() if not name.startswith({names})]\nassert names == [], names",
    ]
    assert [trial.detail for trial in tried(READING, tests)] == ["", ""]


@needs_sandbox
def test_other_files_stay_as_they_are(tmp_path):
    (tmp_path / "file").write_text("before")
    before = (tmp_path / "file").stat()
    library = Path(os.__file__).with_name("this.py")  # may be read, not more
    tests = [f"done = spoil({str(path)!r})\nassert done == [], done" for path in (tmp_path / "file", library)]
    assert [trial.detail for trial in tried(SPOILING, tests)] == ["", ""]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "before" and library.stat().st_size
    assert (tmp_path / "file").stat().st_mtime_ns == before.st_mtime_ns


@needs_sandbox
def test_one_test_does_not_see_the_files_of_another():
    program = (
        "import os\ndef keep(): open('kept', 'w').write('x')\ndef found(): return os.path.isfile('kept')\n"
    )
    look = "try:\n    open('../0/kept')\n    assert False\nexcept OSError: pass"
    program += "def look():\n    try: open('../0/kept')\n    except OSError: return False\n    return True"
    assert statuses(program, ["keep()", "assert not found() and not look()", look]) == ["passed"] * 3


@needs_sandbox
def test_no_system_call_leads_out(tmp_path):
    kinds = (socket.AF_INET, socket.AF_UNIX)
    network, local = (socket.socket(kind, socket.SOCK_DGRAM) for kind in kinds)
    with network, local:
        network.bind(("127.0.0.1", 0))
        local.bind(str(tmp_path / "unix"))
        places = {"port": network.getsockname()[1], "unix": local.getsockname(), "pid": os.getpid()}
        tests = [f"assert tried({way.format(**places)!r}) == 'stopped'" for way in ESCAPES.values()]
        trials = tried(TRYING, tests)
        wrong = {
            name: each.detail for name, each in zip(ESCAPES, trials, strict=True) if each.status != "passed"
        }
        assert not wrong
        for listener in (network, local):
            listener.settimeout(0)
            with pytest.raises(BlockingIOError):
                listener.recv(1)


# --- limits


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


# --- forged success


@needs_sandbox
@pytest.mark.parametrize("attack", FORGED)
def test_success_cannot_be_forged(attack):
    program, tests = FORGED[attack]
    assert "passed" not in statuses(program, tests)


@needs_sandbox
def test_the_next_test_cannot_be_read_ahead():
    program = (
        "import os, select\ndef waiting(): return select.select([0], [], [], 0)[0] and os.read(0, 10**6)"
    )
    assert statuses(program, ["found = waiting()\nassert found == b'', found"] * 3) == ["passed"] * 3


@needs_sandbox
def test_a_reply_calls_only_what_it_was_given():
    program = (
        BORDER
        + "def f(given):\n    try: return border.ask('call', int, '5')\n    except TypeError: return given()"
    )
    assert statuses(program, "assert f(lambda: 7) == 7") == ["passed"]


@needs_sandbox
def test_the_program_never_sees_its_test():
    """Neither its text nor the names or values in it, in any object or frame of the program's process."""
    assert statuses(SEEING, "secret = 'planted'\nassert seen('argument') == []") == ["passed"]
    [trial] = tried(
        SEEING, "assert seen('argument') == []", "planted = 'planted'"
    )  # a setup is seen: it runs there
    assert trial.status == "failed"


# --- no verdict


@needs_sandbox
@pytest.mark.parametrize("test, setup, reason", [
    ("assert f(object()) == 1", "", "cannot leave its process"),
    ("import not_there", "", "not_there"),
    ("assert (", "", "SyntaxError"),
    ("assert f(1)", "import not_there", "not_there"),
    ("assert f(1)", "1 / 0", "ZeroDivisionError"),
])  # fmt: skip
def test_a_test_that_cannot_run_here_is_no_verdict(test, setup, reason):
    [trial] = tried("def f(x): return 1", test, setup)
    assert trial.status == "refused" and reason in trial.detail
    with pytest.raises(SandboxFailed, match=reason):
        asyncio.run(check_unit_tests("def f(x): return 1", {"tests": [test], "setup": setup}))
    outcome = asyncio.run(CHECKER.check({"tests": [test], "setup": setup}, "def f(x): return 1"))
    assert isinstance(outcome, Unscorable) and reason in outcome.reason


@needs_sandbox
@pytest.mark.parametrize("program, test, setup", [
    ("import not_there", "assert f(1)", ""),
    ("def f(x): import not_there", "assert f(1)", ""),
    ("def f(x):\n    for _ in range(200): x = [x]\n    return x", "assert f(f(f(f(f(1))))) == 1", ""),
    ("Node = None", "assert f(1)", "class Node: pass\nroot = Node()"),
])  # fmt: skip
def test_a_reply_cannot_choose_to_have_no_verdict(program, test, setup):
    """It must not be able to trade its 0 for being left out."""
    [trial] = tried(program, test, setup)
    assert trial.status == "failed"


WITHOUT = """
import asyncio, ctypes, struct
from evenkeel.grading import sandbox, unit_tests
from evenkeel.records.errors import UserError
libc = ctypes.CDLL(None, use_errno=True)
code = bytes.fromhex({code!r})
buffer = ctypes.create_string_buffer(code, len(code))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.c_char_p(struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))), 0, 0) == 0
ran = "import os; os.mkdir({ran!r})"
try:
    asyncio.run(sandbox.run_tests(ran, ["pass"]))
except sandbox.SandboxFailed as failed:
    print("failed:", failed)
try:
    unit_tests.UnitTests()
except UserError as error:
    print(error)
"""


@pytest.mark.skipif(os.uname().machine not in sandbox_filter.ARCHITECTURES, reason="another processor")
@pytest.mark.parametrize("missing, number, argument", [("Landlock", 444, None), ("seccomp", None, 22)])
def test_without_walls_nothing_runs(tmp_path, missing, number, argument):
    """On a kernel without Landlock, or one without seccomp: made by a filter that lets these calls fail."""
    column, _ = sandbox_filter.ARCHITECTURES[os.uname().machine]
    prctl = {0: 157, 1: 167}[column]
    program = [(0x20, 0, 0, 0), (0x15, 0, 3 if argument else 1, number or prctl)]
    if argument:  # the second filter, not the one that this is
        program += [(0x20, 0, 0, 16), (0x15, 0, 1, argument)]
    program += [(0x06, 0, 0, 0x50000 | 38), (0x06, 0, 0, 0x7FFF0000)]
    code = b"".join(struct.pack("=HBBI", *each) for each in program)
    script = WITHOUT.format(code=code.hex(), ran=str(tmp_path / "ran"))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert "failed:" in done.stdout and "needs" not in done.stderr, done.stderr
    assert (
        missing in done.stdout and "unit tests need a sandbox" in done.stdout and "Linux 5.13" in done.stdout
    )
    assert not (tmp_path / "ran").exists()


# --- the grader


@pytest.mark.parametrize("answer, code", [
    ("def f(): pass", "def f(): pass"),
    ("So:\n```python\na = 1\n```\nor\n```python\nb = 2\n```\ndone", "b = 2\n"),
    ("```python\na = 1\n```\nprints\n```\n1\n```", "a = 1\n"),
    ("```\na = 1\n```\nand\n```text\nhello\n```", "a = 1\n"),
    ("1. Write\n   ```py\n   if a:\n       b\n   ```\n", "if a:\n    b\n"),
    ("~~~Python3 title=x\na = '''```'''\n~~~", "a = '''```'''\n"),
    ("````python\nx = '''\n```\n'''\n````", "x = '''\n```\n'''\n"),
    ("```python\r\na = 1\r\n```", "a = 1\n"),
    ("cut off:\n```python\na = 1\nb", "a = 1\nb"),
])  # fmt: skip
def test_the_program_of_a_reply_is_found(answer, code):
    assert code_of(answer) == code


def scenario(*tests):
    facts = {"check": "unit_tests", "tests": list(tests), "setup": ""}
    return Scenario("s", (Message("user", "Write f."),), (), "train", Provenance("test"), facts=facts)


@needs_sandbox
def test_the_grader_grades_many_replies_at_once_while_the_loop_goes_on():
    task = scenario("assert f(1) == 1", "assert f(2) == 4")
    replies = [
        "def f(x): return x * x",
        "def f(x): return x",
        "I cannot.",
        "",
        "while True: pass",
        "def f(x): return x ** 2",
    ]
    requests = [GradeRequest(str(n), task, Reply(text, text)) for n, text in enumerate(replies)]
    ticks = 0

    async def graded(grader, requests):
        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.ensure_future(tick())
        outcomes = await collect(grader, requests)
        ticking.cancel()
        return [outcome.verdicts["correct"] for outcome in outcomes.values()]

    assert asyncio.run(graded(UnitTests(limits=HASTY), requests)) == [1, 0, 0, 0, 0, 1]
    assert asyncio.run(graded(UnitTests(share=True), requests[:4])) == [1, 0.5, 0, 0]
    assert ticks > 5
    assert UnitTests().version != UnitTests(share=True).version != UnitTests(limits=HASTY).version


@needs_sandbox
def test_the_checker_checks_the_facts_first():
    CHECKER.require({"tests": ["assert f(1) == 2"]})
    for facts in (
        {},
        {"tests": []},
        {"tests": "assert f(1)"},
        {"tests": ["assert ("]},
        {"tests": ["f()"], "setup": "import"},
    ):
        with pytest.raises(UserError):
            CHECKER.require(facts)
    assert asyncio.run(CHECKER.check({"tests": ["assert f(1) == 2"]}, "f = lambda x: 2")) == Scored(
        {"correct": 1.0}
    )
