"""The walls of the sandbox, which a process raises around itself and can never lower again (Linux, no privileges needed).

Files: Landlock. Network, processes and the rest of the kernel: the filter of system calls. Memory, time, sizes: resource limits.
Neither needs root or a namespace, so they work inside ordinary containers and on distributions that forbid unprivileged user
namespaces. Loaded inside the sandbox: standard library only.
"""

from __future__ import annotations

import ctypes
import functools
import os
import resource
import signal
import struct
import sys
from collections.abc import Mapping

from evenkeel.grading import sandbox_filter

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # landlock_create_ruleset, _add_rule, _restrict_self
_READ_FILE, _WRITE_FILE, _READ_FOLDER = 1 << 2, 1 << 1, 1 << 3
# files and folders; no links, sockets or devices
_REMOVE, _MAKE, _MOVE, _TRUNCATE = 3 << 4, 3 << 7, 1 << 13, 1 << 14
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # how many a version of Landlock knows; 16 from the fifth on

# What a Python program reads wherever it runs: shared libraries, time zones, nothing of anybody's.
_PUBLIC = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo",
           "/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")  # fmt: skip


class NoWalls(Exception):
    """This machine lacks something that the sandbox is made of; the text says what."""


_LIMITS = {  # name -> resource, unit
    "cpu_seconds": (resource.RLIMIT_CPU, 1), "memory_mb": (resource.RLIMIT_AS, 1 << 20),
    "disk_mb": (resource.RLIMIT_FSIZE, 1 << 20), "open_files": (resource.RLIMIT_NOFILE, 1),
}  # fmt: skip


def prepare() -> None:
    """What all processes to be shut in would compute alike, done once before they are started. Raises RuntimeError."""
    sandbox_filter.program()
    _readable()


def end_with_parent() -> None:
    """Have the kernel end this process when the one that started it ends."""
    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)  # PR_SET_PDEATHSIG


def enclose(folder: str, limits: Mapping[str, int], parent: int) -> None:
    """Shut this process in: no network, no other process, no files but Python's own and those of `folder`, these limits.

    `parent` is who started it, with whom it ends. Raises NoWalls.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _drop_capabilities(libc)
    end_with_parent()
    if os.getppid() != parent:
        os._exit(1)  # it was gone before we asked to go with it
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, limit in limits.items():
        kind, unit = _LIMITS[name]
        resource.setrlimit(kind, (limit * unit,) * 2)  # without capabilities nobody raises the second
    _require(libc.prctl(38, 1, 0, 0, 0) == 0, "no_new_privs")  # PR_SET_NO_NEW_PRIVS
    _landlock(libc, folder)
    try:
        sandbox_filter.install(libc)
    except (OSError, RuntimeError) as error:
        raise NoWalls(f"system calls cannot be filtered here ({error})") from None


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Root too becomes a user like any other; it could lift its limits otherwise."""
    header = struct.pack("=Ii", 0x20080522, 0)  # version 3, this process
    _require(libc.capset(ctypes.c_char_p(header), ctypes.c_char_p(bytes(24))) == 0, "dropping capabilities")


def _landlock(libc: ctypes.CDLL, folder: str) -> None:
    """From here on files open only as the rules say, whoever we are (docs.kernel.org/userspace-api/landlock.html)."""
    version = _call(libc, _CREATE, None, 0, 1)
    _require(version >= 1, "Landlock")
    handled = (1 << _RIGHTS.get(version, 16)) - 1
    rules = _call(libc, _CREATE, ctypes.c_char_p(struct.pack("=Q", handled)), 8, 0)
    _require(rules >= 0, "Landlock")
    writing = _READ_FILE | _READ_FOLDER | _WRITE_FILE | _REMOVE | _MAKE | _MOVE | _TRUNCATE
    for path in _readable():
        _allow(libc, rules, path, (_READ_FILE | _READ_FOLDER) & handled)
    _allow(libc, rules, "/dev/null", (_READ_FILE | _WRITE_FILE | _TRUNCATE) & handled)
    _allow(libc, rules, folder, writing & handled)
    _require(_call(libc, _RESTRICT, rules, 0) == 0, "Landlock")
    os.close(rules)


@functools.cache
def _readable() -> tuple[str, ...]:
    standard_library = os.path.dirname(os.__file__)  # noqa: PTH120 (pathlib costs as much as the rest together)
    beside = [  # libraries of a Python that brings its own
        f"{prefix}/lib/{name}"
        for prefix in {sys.base_prefix, sys.base_exec_prefix}
        for name in os.listdir(f"{prefix}/lib")  # noqa: PTH208
        if ".so" in name
    ]
    return (*_PUBLIC, standard_library, *(path for path in sys.path if "lib-dynload" in path), *beside)


def _allow(libc: ctypes.CDLL, rules: int, path: str, access: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not on this machine: nothing to allow
    if not os.path.isdir(path):  # noqa: PTH112
        access &= ~(_READ_FOLDER | _REMOVE | _MAKE | _MOVE)
    rule = struct.pack("=Qi", access, handle)
    _require(_call(libc, _ADD, rules, 1, ctypes.c_char_p(rule), 0) == 0, "Landlock")
    os.close(handle)


def _call(libc: ctypes.CDLL, number: int, *arguments: object) -> int:
    """A system call that the C library has no function for."""
    long = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return libc.syscall(ctypes.c_long(number), *long)


def _require(works: bool, what: str) -> None:
    if not works:
        raise NoWalls(f"{what} is not to be had here ({os.strerror(ctypes.get_errno())})")
