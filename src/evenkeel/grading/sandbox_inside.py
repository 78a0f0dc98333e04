"""What runs inside the sandbox: an examiner, which knows the tests, and for each test a candidate, which runs the reply.

The examiner starts a candidate before it has read the test, so the reply's process never holds it: neither the calls before
they are made nor the values that are expected. It then runs the test with stand-ins for what the reply defined, and is the only
one who writes verdicts; the candidate's pipe carries values and nothing else. Standard library only.
"""

from __future__ import annotations

import builtins
import json
import os
import re
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType
from typing import Any

from evenkeel.grading.sandbox_border import Gone, Refused, Stop
from evenkeel.grading.sandbox_candidate import Candidate, Output
from evenkeel.grading.sandbox_walls import NoWalls, enclose_examiner

DIGITS = 100_000  # longest integer that is read or written
AGAIN = 1.0  # seconds after which a test that ignores the end of its time is told once more
PRELOADED = (
    "bisect",
    "datetime",
    "decimal",
    "fractions",
    "heapq",
    "random",
    "statistics",
    "string",
    "typing",
)


class TimeUp(Stop):
    """The test has had its time."""


def main(root: str) -> None:
    """Read an order from standard input, then its tests one by one; write a line of JSON for each to standard output.

    `root` leaves the path again: a reply imports the standard library and nothing beside it. Does not return.
    """
    sys.path.remove(root)
    report = os.dup(1)
    os.dup2(os.open("/dev/null", os.O_RDWR), 1)
    sys.set_int_max_str_digits(DIGITS)
    order = _read()
    try:
        for name in PRELOADED:
            if name in order["code"]:
                __import__(name)  # once here instead of once in each candidate
        enclose_examiner(order["folder"], 2 * order["limits"]["memory_mb"])  # it holds what the reply answers
        for number in range(order["count"]):
            output = Output(order["limits"]["output"])
            status, detail = examine(number, order, output)
            _say(report, {"status": status, "detail": detail[:500], "output": output.text})
            if order["stop_early"] and status != "passed":
                break
    except NoWalls as error:
        _say(report, {"unavailable": str(error)})
    except BaseException as error:  # a machine out of processes or disk, a mistake of ours: no verdict
        _say(report, {"broken": f"{type(error).__name__}: {error}"})
    os._exit(0)  # there is nothing to tidy up, and Python takes its time for it


def examine(number: int, order: Mapping[str, Any], output: Output) -> tuple[str, str]:
    """(status, detail) of one test, which is read from standard input after the candidate was started."""
    candidate = Candidate(number, order)
    test = _read()["test"]
    os.chdir(candidate.folder)
    sys.stdout = sys.stderr = output
    seconds = order["limits"]["wall_seconds"]

    def time_up(*_: object) -> None:
        candidate.end = candidate.end or ("timeout", f"{seconds} s")
        raise TimeUp

    signal.signal(signal.SIGALRM, time_up)
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        verdict = _verdict(test, order["setup"], candidate)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except TimeUp:
        signal.setitimer(signal.ITIMER_REAL, 0)
    candidate.finish()
    return candidate.end or verdict  # whatever a test that catches everything made of its end


def _verdict(test: str, setup: str, candidate: Candidate) -> tuple[str, str]:
    try:
        _run(test, setup, candidate)
    except Refused as error:
        return "refused", str(error)
    except (TimeUp, Gone):
        raise TimeUp from None  # `end` tells why
    except MemoryError:
        return "memory", "out of memory"
    except BaseException as error:
        what = f"{type(error).__name__}: {error}"
        if isinstance(error, ImportError) and error is not candidate.raised:
            return "refused", f"a test does not run here ({what})"
        return "failed", what
    return "passed", ""


def _run(test: str, setup: str, candidate: Candidate) -> None:
    """Raises what the test raises; Refused when it cannot be run, whatever the reply."""
    try:
        code = compile(test, "<test>", "exec", dont_inherit=True)
        prepared = compile(_without_classes(setup), "<setup>", "exec", dont_inherit=True)
        candidate.ask("load", "setup")
    except Exception as error:
        raise Refused(f"a test or its setup is no program ({type(error).__name__}: {error})") from None
    candidate.ask("load", "code")
    text = f"{setup}\n{test}"
    named = dict.fromkeys(name for name in _names(code) if not hasattr(builtins, name))
    found = _found(candidate, named, text)
    if (
        not found
    ):  # a task may ask for a function called `sum`; else a reply's `set` must not stand in for ours
        found = _found(candidate, dict.fromkeys(_names(code)), text)
    helping = (name for name in _names(prepared) if not hasattr(builtins, name) and name not in named)
    found |= _found(candidate, dict.fromkeys(helping), text)
    names = {"__name__": "tests", "__builtins__": builtins, **found}
    try:
        exec(prepared, names)
    except Exception as error:
        if error is candidate.raised:
            raise
        raise Refused(f"the setup does not run here ({type(error).__name__}: {error})") from None
    exec(code, names)


def _found(candidate: Candidate, names: Iterable[str], text: str) -> dict[str, Any]:
    """What the reply has under these names. `math` in `math.isclose(...)` is the library's, not the reply's."""
    found = {}
    for name in names:
        if name in sys.stdlib_module_names and re.search(rf"\b{name}\.", text):
            found[name] = __import__(name)
            continue
        try:
            found[name] = candidate.ask("global", name)
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


def _read() -> dict:
    """One message from standard input, and not a byte more."""
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


def _say(handle: int, row: Mapping[str, Any]) -> None:
    data = memoryview(json.dumps(row).encode() + b"\n")
    while data:
        data = data[os.write(handle, data) :]
