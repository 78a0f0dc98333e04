"""Calls across the border between the process of the tests and the process of a reply.

Plain data crosses by value; anything else stays where it is, and a `Remote` stands for it on the other side. So nothing of the
reply ever runs beside the tests. Loaded inside the sandbox: standard library only.
"""

from __future__ import annotations

import builtins
import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from evenkeel.grading.sandbox_remote import Remote
from evenkeel.grading.sandbox_values import (
    Elsewhere,
    decode,
    encode,
    is_mutable,
    refresh,
    standard,
    standard_name,
)

LARGEST = 32 << 20  # bytes of one message
ITERATED = 100_000  # items that are taken from an iterator which a test hands over


class Stop(BaseException):
    """Ends a test whatever it catches."""


class Gone(Stop):
    """The other process ended, or sent what no honest one sends."""


class Refused(Stop):
    """The test hands over something that cannot cross the border. That is no fault of the reply."""


class Border:
    """One end of the pair of pipes. `trusting`: the other end may name modules and have every operation done."""

    def __init__(
        self, reading: int, writing: int, operations: Mapping[str, Callable], *, trusting: bool
    ) -> None:
        self.reading, self.writing, self.operations, self.trusting = reading, writing, operations, trusting
        self.own: list[Any] = []  # what the other end knows by number
        self.numbers: dict[int, int] = {}  # id -> number
        self.remotes: dict[int, Any] = {}  # what stands here for the other end's numbers
        self.made: dict[int, int] = {}  # id of an exception class in `remotes` -> its number
        self.raised: BaseException | None = None  # the last exception that came from the other end

    def ask(self, operation: str, /, *arguments: Any, **named: Any) -> Any:
        """Have an operation done over there. Raises what it raised, as the nearest builtin exception; Stop."""
        places: dict[Any, Any] = {**dict(enumerate(arguments)), **named}
        written = {str(key): self._encode_argument(each) for key, each in places.items()}
        self.write(self.packed({"do": operation, "given": written}))
        answer = self.serve()
        try:
            changed = {key: self.decode(each) for key, each in answer.get("changed", {}).items()}
            value = self.decode(answer["value"]) if "value" in answer else None
            failure = self._exception(answer["error"]) if "error" in answer else None
            for key, content in changed.items():
                given = named[key] if key in named else arguments[int(key)]
                if is_mutable(given) and type(given) is type(content):
                    refresh(given, content)
        except (MemoryError, Stop):
            raise
        except Exception as error:
            raise Gone(f"sent a message that is none ({type(error).__name__})") from None
        if failure is not None:
            self.raised = failure
            raise failure
        return value

    def serve(self) -> dict:
        """Do what the other end asks, until an answer to us comes."""
        while True:
            message = self.read()
            if "do" not in message:
                return message
            self.write(self._do(message))

    def before_answer(self) -> None:
        """Something to do between an operation and its answer."""

    def _do(self, message: dict) -> bytes:
        try:
            if not self.trusting and message["given"]["0"]["t"] != "yours":
                raise TypeError(
                    "only what the tests handed over can be used"
                )  # not a type: it would make objects here
            given = {key: self.decode(each) for key, each in message["given"].items()}
            arguments = [given.pop(str(place)) for place in range(len(given)) if str(place) in given]
            held: dict[Any, Any] = {**dict(enumerate(arguments)), **given}
            value = self.operations[message["do"]](*arguments, **given)
            answer = {"value": encode(value, self._stay)}
            changed = {str(key): encode(each, self._stay) for key, each in held.items() if is_mutable(each)}
            changed = {key: each for key, each in changed.items() if each != message["given"][key]}
            if changed:
                answer["changed"] = changed
            packed = self.packed(answer)
        except Stop:
            raise
        except BaseException as error:  # the other end raises it: code must not see where it runs
            packed = self.packed({"error": self._describe(error)})
        self.before_answer()
        return packed

    # --- messages

    def packed(self, message: dict) -> bytes:
        """A message as bytes: its length in four of them, then JSON. Raises ValueError when it is too long."""
        body = json.dumps(message, check_circular=False).encode()
        if len(body) > LARGEST:
            raise ValueError(f"a value of {len(body) >> 20} MB is too large to be tested")
        return len(body).to_bytes(4, "big") + body

    def write(self, packed: bytes) -> None:
        """Send a message. Raises Gone when nobody reads it."""
        data = memoryview(packed)
        try:
            while data:
                data = data[os.write(self.writing, data) :]
        except OSError:
            raise Gone("is gone") from None

    def read(self) -> dict:
        """Wait for one message. Raises Gone at the end, or on what is none."""
        length = int.from_bytes(self.read_exactly(4), "big")
        if length > LARGEST:
            raise Gone(f"sent {length >> 20} MB at once")
        try:
            message = json.loads(self.read_exactly(length))
        except (ValueError, RecursionError) as error:
            raise Gone(f"sent a message that is none ({type(error).__name__})") from None
        if not isinstance(message, dict) or not isinstance(message.get("given", {}), dict):
            raise Gone("sent a message that is none")
        return message

    def read_exactly(self, length: int) -> bytes:
        """So many bytes from the pipe."""
        data = bytearray()
        while len(data) < length:
            part = self.receive(min(length - len(data), 1 << 20))
            if not part:
                raise Gone("is gone")
            data += part
        return bytes(data)

    def receive(self, most: int) -> bytes:
        """Some bytes; none at the end."""
        return os.read(self.reading, most)

    # --- values that are no plain data

    def _encode_argument(self, value: Any) -> Any:
        try:
            return encode(value, self._stay)
        except Elsewhere as error:
            raise Refused(f"a test hands over {error}") from None

    def _stay(self, value: Any) -> dict:
        """The number that stands for an object; for what both sides have, its name."""
        if type(value) is Remote:
            return {"t": "yours", "n": value._sandbox_number}
        if id(value) in self.made:
            return {"t": "yours", "n": self.made[id(value)]}
        if not self.trusting and (name := standard_name(value)):
            return {"t": "standard", "v": name}
        if not self.trusting and hasattr(value, "__next__"):
            items = itertools.islice(value, ITERATED)
            return {"t": "iterator", "v": [encode(each, self._stay) for each in items]}
        if not self.trusting and not callable(value):
            raise Elsewhere(f"a {type(value).__name__}, which cannot leave its process")
        number = self._number(value)
        if isinstance(value, type) and issubclass(value, BaseException):
            bases = self._bases(value.__bases__)
            return {"t": "exception", "n": number, "name": value.__name__, "bases": bases}
        return {"t": "mine", "n": number}

    def _number(self, value: Any) -> int:
        if id(value) not in self.numbers:
            self.numbers[id(value)] = len(self.own)
            self.own.append(value)  # kept, so that the id stays its own
        return self.numbers[id(value)]

    def decode(self, value: Any) -> Any:
        """What the other end wrote."""
        return decode(value, self._find)

    def _find(self, value: dict[str, Any]) -> Any:
        kind, number = value["t"], int(value.get("n", -1))
        if kind == "yours":
            return self.own[number]
        if kind == "standard" and self.trusting:
            return standard(*value["v"])
        if kind == "iterator":
            return iter([self.decode(each) for each in value["v"]])
        if kind == "exception" and number not in self.remotes:
            self.remotes[number] = self._exception_class(number, value["name"], value["bases"])
        if kind in ("mine", "exception"):
            return self.remotes[number] if number in self.remotes else self._remote(number)
        raise ValueError(f"no such kind of value: {kind}")

    def _remote(self, number: int) -> Any:
        self.remotes[number] = Remote(self, number)
        return self.remotes[number]

    # --- exceptions

    def _describe(self, error: BaseException) -> dict:
        try:
            arguments = [encode(each, self._stay) for each in error.args]
            json.dumps(arguments)
        except Exception:  # an argument that is no plain value, or whose methods fail
            arguments = [f"{error!s:.1000}"]
        return {"bases": self._bases(type(error).__mro__), "arguments": arguments}

    def _bases(self, kinds: Iterable[type]) -> list[Any]:
        """Classes of exceptions: builtin ones by name; those of a reply as what stands for them."""
        found: list[Any] = []
        for kind in kinds:
            if kind.__module__ == "builtins":
                found.append(kind.__name__)
            elif self.trusting and issubclass(kind, BaseException):
                found.append(self._stay(kind))
        return found

    def _classes(self, bases: list[Any]) -> list[type]:
        """What `_bases` wrote; what is no exception here is left out."""
        found = [
            self.decode(each) if isinstance(each, dict) else getattr(builtins, each, None) for each in bases
        ]
        return [kind for kind in found if isinstance(kind, type) and issubclass(kind, BaseException)]

    def _exception(self, error: dict) -> BaseException:
        arguments = [self.decode(each) for each in error["arguments"]]
        for kind in self._classes(error["bases"]):
            try:
                return kind(*arguments)
            except Exception:
                continue  # one that wants other arguments
        return Exception(*arguments)

    def _exception_class(self, number: int, name: str, bases: list[Any]) -> type:
        """A class of our own that stands for one of theirs, so that a test can catch it."""
        made = type(str(name), tuple(self._classes(bases)) or (Exception,), {"__module__": "reply"})
        self.made[id(made)] = number
        return made
