"""The process of a test: it runs the test with stand-ins for what the reply defined, and says how it went.

It is shut in as tightly as the reply's process, though the test is trusted. Standard library only.
"""

from __future__ import annotations

import builtins
import io
import json
import os
import re
import select
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import CodeType
from typing import Any

from evenkeel.grading.sandbox_border import Border, Gone, Refused
from evenkeel.grading.sandbox_candidate import close_all_but
from evenkeel.grading.sandbox_remote import OPERATIONS
from evenkeel.grading.sandbox_walls import NoWalls, enclose

MOST_DRAINED = 64  # reads of 64 kB: a reply that prints without end must not keep the test


def _described(function: Any, name: str) -> Any:
    """What `functools.wraps` copies."""
    if name not in ("__name__", "__doc__"):
        raise AttributeError(name)
    return getattr(function, name)


FOR_REPLIES: dict[str, Callable] = {
    "call": OPERATIONS["call"], "getattr": _described, "bool": lambda function: True, "hash": id,
    "eq": lambda one, other: one is other, "ne": lambda one, other: one is not other,
    "repr": lambda function: "<function of a test>", "str": lambda function: "<function of a test>",
}  # fmt: skip
"""What a reply may do with the functions that a test hands over."""


class Output(io.TextIOBase):
    """What is printed, the beginning of it."""

    def __init__(self, most: int) -> None:
        self.most, self.text = most, ""

    def write(self, text: str) -> int:
        """Keep what there is room for."""
        self.text += text[: self.most - len(self.text)]
        return len(text)


class Asking(Border):
    """The test's end of the border. Meanwhile what the reply prints goes where the test has its own output."""

    def __init__(self, reading: int, writing: int, printed: int) -> None:
        super().__init__(reading, writing, FOR_REPLIES, trusting=False)
        self.printed: int | None = printed
        self.gone = ""

    def ask(self, operation: str, /, *arguments: Any, **named: Any) -> Any:
        """As Border; that the reply's process is gone is remembered, even if the test ignores it."""
        try:
            return super().ask(operation, *arguments, **named)
        except Gone as error:
            self.gone = self.gone or str(error)
            raise
        finally:
            self._drain(MOST_DRAINED)

    def receive(self, most: int) -> bytes:
        """Some bytes of the answer; none at the end."""
        while True:
            watched = [self.reading] if self.printed is None else [self.reading, self.printed]
            ready, _, _ = select.select(watched, [], [])
            self._drain(1)
            if self.reading in ready:
                return os.read(self.reading, most)

    def _drain(self, reads: int) -> None:
        for _ in range(reads):
            if self.printed is None or not select.select([self.printed], [], [], 0)[0]:
                return
            text = os.read(self.printed, 1 << 16)
            if not text:  # closed by the reply
                self.printed = None
                return
            sys.stdout.write(text.decode("utf-8", "replace"))


def be_examiner(
    order: Mapping[str, Any],
    folder: str,
    supervisor: int,
    reading: int,
    writing: int,
    printed: int,
    verdicts: int,
) -> None:
    """Read the test from standard input, say that it begins, and how it ended: two lines of JSON."""
    test = read_message()["test"]
    for handle in (0, 1, 2):
        os.dup2(os.open("/dev/null", os.O_RDWR), handle)
    close_all_but(0, 1, 2, reading, writing, printed, verdicts)
    limits = order["limits"]
    border, output = Asking(reading, writing, printed), Output(limits["output"])

    def say(row: Mapping[str, Any]) -> None:
        data = memoryview(json.dumps(row).encode() + b"\n")
        while data:
            data = data[os.write(verdicts, data) :]

    try:
        twice = {"memory_mb": 2 * limits["memory_mb"], "disk_mb": limits["disk_mb"]}  # it holds every answer
        enclose(folder, twice, supervisor)
        first = border.read()
    except NoWalls as error:
        return say({"unavailable": str(error)})
    except BaseException as error:
        return say({"broken": f"{type(error).__name__}: {error}"})
    if "unavailable" in first:
        return say(first)
    say({"ready": True})
    sys.stdout = sys.stderr = output
    status, detail = _verdict(test, order["setup"], border)
    if border.gone:  # whatever a test that catches everything made of it; the supervisor knows why
        status, detail = "gone", border.gone
    say({"status": status, "detail": detail[:500], "output": output.text})


def _verdict(test: str, setup: str, border: Asking) -> tuple[str, str]:
    try:
        _run(test, setup, border)
    except Refused as error:
        return "refused", str(error)
    except MemoryError:
        return "memory", "out of memory"
    except BaseException as error:
        what = f"{type(error).__name__}: {error}"
        if isinstance(error, ImportError) and error is not border.raised:
            return "refused", f"a test does not run here ({what})"
        return "failed", what
    return "passed", ""


def _run(test: str, setup: str, border: Asking) -> None:
    """Raises what the test raises; Refused when it cannot be run, whatever the reply."""
    try:
        code = compile(test, "<test>", "exec", dont_inherit=True)
        prepared = compile(_without_classes(setup), "<setup>", "exec", dont_inherit=True)
        border.ask("load", "setup")
    except Exception as error:
        raise Refused(f"a test or its setup is no program ({type(error).__name__}: {error})") from None
    border.ask("load", "code")
    text = f"{setup}\n{test}"
    named = dict.fromkeys(name for name in _names(code) if not hasattr(builtins, name))
    found = _found(border, named, text)
    if not found:  # a task may ask for a function called `sum`; else a reply's `set` must not replace ours
        found = _found(border, dict.fromkeys(_names(code)), text)
    helping = (name for name in _names(prepared) if not hasattr(builtins, name) and name not in named)
    helped = _found(border, dict.fromkeys(helping), text)
    names = {"__name__": "tests", "__builtins__": builtins, **found, **helped}
    try:
        exec(prepared, names)
    except Exception as error:
        if error is border.raised or helped:  # the reply had a hand in it
            raise
        raise Refused(f"the setup does not run here ({type(error).__name__}: {error})") from None
    exec(code, names)


def _found(border: Asking, names: Iterable[str], text: str) -> dict[str, Any]:
    """What the reply has under these names. `math` in `math.isclose(...)` is the library's, not the reply's."""
    found = {}
    for name in names:
        if name in sys.stdlib_module_names and re.search(rf"\b{name}\.", text):
            found[name] = __import__(name)
            continue
        try:
            found[name] = border.ask("global", name)
        except NameError:
            continue
    return found


def _names(code: CodeType) -> Iterator[str]:
    """Every name that a piece of code uses, attributes among them."""
    yield from code.co_names
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from _names(each)


def _without_classes(setup: str) -> Any:
    """The setup as it runs on the tests' side. Its classes live on the reply's, so that their objects can be handed over."""
    if "class " not in setup:
        return setup
    import ast

    tree = ast.parse(setup)
    tree.body = [each for each in tree.body if not isinstance(each, ast.ClassDef)]
    return tree


def read_message() -> dict:
    """One message from standard input, and not a byte more: the next is for another process."""
    data = b""
    for length in (4, None):
        wanted = length or int.from_bytes(data, "big")
        data = b""
        while len(data) < wanted:
            part = os.read(0, wanted - len(data))
            if not part:
                sys.exit("nobody is there")
            data += part
    return json.loads(data)
