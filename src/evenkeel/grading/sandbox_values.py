"""Values as JSON and back, for two processes of which one must not be trusted: plain data only, nothing that runs when read.

Numbers, texts, containers and a few types of the standard library go by value. Anything else stays where it is and goes as a
number that stands for it. Loaded inside the sandbox: standard library only.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

SCALARS = frozenset(
    {type(None), bool, int, float, str}
)  # JSON's own; Python's reads and writes nan and inf too
_CONTAINERS: dict[str, Callable[[Any], Any]] = {
    "list": list, "tuple": tuple, "set": set, "frozenset": frozenset,
    "deque": lambda items: _standard("collections.deque", items),
}  # fmt: skip
_TYPES: dict[str, type] = {each.__name__: each for each in (
    bool, bytes, complex, dict, float, frozenset, int, list, range, set, str, tuple, type(None),
)}  # fmt: skip
_MUTABLE = frozenset({"list", "set", "dict", "bytearray", "deque"})
# other plain types: how they are written, and read
_WRITTEN: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "builtins.bytes": (bytes.hex, bytes.fromhex),
    "builtins.bytearray": (bytearray.hex, bytearray.fromhex),
    "builtins.complex": (lambda z: [z.real, z.imag], lambda v: complex(*v)),
    "builtins.range": (lambda r: [r.start, r.stop, r.step], lambda v: range(*v)),
    "decimal.Decimal": (str, lambda v: _standard("decimal.Decimal", v)),
    "fractions.Fraction": (lambda f: [f.numerator, f.denominator], lambda v: _standard("fractions.Fraction", *v)),
    "pathlib.PosixPath": (str, lambda v: _standard("pathlib.PosixPath", v)),
    "datetime.date": (lambda d: [d.year, d.month, d.day], lambda v: _standard("datetime.date", *v)),
    "datetime.time": (lambda t: t.isoformat(), lambda v: _standard("datetime.time.fromisoformat", v)),
    "datetime.datetime": (lambda t: t.isoformat(), lambda v: _standard("datetime.datetime.fromisoformat", v)),
    "datetime.timedelta": (
        lambda d: [d.days, d.seconds, d.microseconds], lambda v: _standard("datetime.timedelta", *v),
    ),
}  # fmt: skip


class Elsewhere(Exception):
    """A value that is not plain data."""


def encode(value: Any, stay: Callable[[Any], dict]) -> Any:
    """JSON for a value; `stay` writes what is not plain data, or raises."""
    kind = type(value)
    if kind in SCALARS:
        return value
    if kind is dict or _standard_dict(kind):
        return {"t": "dict", "v": [[encode(k, stay), encode(v, stay)] for k, v in value.items()]}
    if kind.__name__ in _CONTAINERS and kind.__module__ in ("builtins", "collections"):
        plain = SCALARS.issuperset(map(type, value))
        return {"t": kind.__name__, "v": list(value) if plain else [encode(each, stay) for each in value]}
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        fields = [[str(name), encode(each, stay)] for name, each in zip(kind._fields, value, strict=False)]
        return {"t": "namedtuple", "name": kind.__name__, "v": fields}
    written = f"{kind.__module__}.{kind.__qualname__}"
    if written in _WRITTEN:
        return {"t": written, "v": _WRITTEN[written][0](value)}
    if isinstance(value, type) and _TYPES.get(value.__name__) is value:
        return {"t": "type", "v": value.__name__}
    for scalar in (int, float, str):
        if isinstance(value, scalar) and "Enum" not in {base.__name__ for base in kind.__mro__}:
            return scalar(value)
    return stay(value)


def decode(value: Any, find: Callable[[dict], Any]) -> Any:
    """The value of such JSON; `find` reads what is not plain data. Raises what Python raises when the JSON is none of ours."""
    if not isinstance(value, dict):
        if type(value) not in SCALARS:
            raise ValueError("bare list")
        return value
    kind: str = value["t"]
    content: Any = value.get("v")
    if kind == "dict":
        return {decode(k, find): decode(v, find) for k, v in content}
    if kind in _CONTAINERS:
        return _CONTAINERS[kind]([decode(v, find) if type(v) is dict else v for v in content])
    if kind == "namedtuple":
        made = _standard("collections.namedtuple", str(value["name"]), [str(name) for name, _ in content])
        return made(*(decode(each, find) for _, each in content))
    if kind in _WRITTEN:
        return _WRITTEN[kind][1](content)
    if kind == "type":
        return _TYPES[content]
    return find(value)


def is_mutable(value: Any) -> bool:
    """Does a call that changes it have to be seen by who passed it?"""
    return type(value).__name__ in _MUTABLE and type(value).__module__ in ("builtins", "collections")


def refresh(old: Any, new: Any) -> None:
    """Give a mutable argument the content that the call left in it."""
    if isinstance(old, list | bytearray):
        old[:] = new
        return
    old.clear()
    (old.extend if type(old).__name__ == "deque" else old.update)(new)


def standard_name(value: Any) -> tuple[str, str] | None:
    """(module, name) of something of the standard library that both sides have, such as `math.sqrt`."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if name and module is None and hasattr(value, "__objclass__"):  # str.upper and the like
        module = value.__objclass__.__module__
    if (
        not isinstance(module, str)
        or not isinstance(name, str)
        or module.split(".")[0] not in sys.stdlib_module_names
    ):
        return None
    try:
        return (module, name) if standard(module, name) is value else None
    except (ImportError, AttributeError):
        return None


def standard(module: str, name: str) -> Any:
    """What `standard_name` named."""
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found


def _standard(path: str, *arguments: Any) -> Any:
    module, _, name = path.partition(".")
    return standard(module, name)(*arguments)


def _standard_dict(kind: type) -> bool:
    return kind.__module__ == "collections" and kind.__name__ in ("Counter", "OrderedDict", "defaultdict")
