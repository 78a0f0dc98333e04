"""What is tried before the sandbox is trusted: code that reports every way out that it found."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROBE_TESTS = (
    "assert twice([21]) == [42]",  # what should work does
    "found = ways_out()\nassert not found, ', '.join(found)",
)

_CODE = """
import os, socket

def twice(xs):
    with open("own.txt", "w") as own:
        own.write("may be written")
    return [2 * x for x in xs]

def ways_out():
    found = []
    for what, way in WAYS.items():
        try:
            way()
        except OSError:
            continue
        found.append(what)
    return found

WAYS = {{
    "it can connect": lambda: socket.create_connection(("127.0.0.1", {port}), timeout=2),
    "it can make sockets": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
    "it can read files outside its folder": lambda: open({secret!r}).read(),
    "it can overwrite files outside its folder": lambda: open({secret!r}, "a"),
    "it can make files outside its folder": lambda: open({new!r}, "w"),
    "it can list folders": lambda: os.listdir({folder!r}),
    "it can see other processes": lambda: open(f"/proc/{{os.getppid()}}/environ").read(),
    "it can start processes": lambda: os.fork() or os._exit(0),
    "it can start programs": lambda: os.execv("/bin/true", ["true"]),
    "it can signal other processes": lambda: os.kill(os.getppid(), 0),
}}
"""


def probe_code(secret: Path, folder: Path, port: int) -> str:
    """The reply of a probe that tries to reach these."""
    return _CODE.format(secret=str(secret), new=str(folder / "new.txt"), folder=str(folder), port=port)


@contextmanager
def targets() -> Iterator[tuple[Path, Path, int]]:
    """(a file, its folder, a port on loopback) that every ordinary process of this user can reach."""
    with tempfile.TemporaryDirectory(prefix="evenkeel-probe-") as name, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        folder = Path(name)
        (folder / "secret.txt").write_text("not to be read")
        yield folder / "secret.txt", folder, listener.getsockname()[1]
