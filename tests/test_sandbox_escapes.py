"""No program leaves the sandbox: files, environment, network, system calls, and nothing runs without walls."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from evenkeel.grading import sandbox_filter
from evenkeel.grading.sandbox import available
from evenkeel.grading.sandbox_probe import probe_code, targets
from sandbox_programs import ESCAPES, READING, SPOILING, TRYING
from sandbox_trials import needs_sandbox, statuses, tried


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
