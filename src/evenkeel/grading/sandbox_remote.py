"""Stand-ins, on the tests' side, for the functions, classes and objects of a reply. Using one asks the reply's process.

What would make success forgeable is left out: a Remote is equal to, smaller than or contained in nothing but other Remotes, and
arithmetic with plain data never gives plain data. Loaded inside the sandbox: standard library only.
"""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evenkeel.grading.sandbox_border import Border


class Remote:
    """Stands for an object of the other process."""

    __slots__ = ("_sandbox_border", "_sandbox_number")
    _sandbox_border: Border
    _sandbox_number: int

    def __init__(self, border: Border, number: int) -> None:
        object.__setattr__(self, "_sandbox_border", border)
        object.__setattr__(self, "_sandbox_number", number)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__name__", "__doc__", "__dict__", "__wrapped__"):
            raise AttributeError(name)
        return self._sandbox_border.ask("getattr", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._sandbox_border.ask("setattr", self, name, value)

    def __call__(self, /, *arguments: Any, **named: Any) -> Any:
        return self._sandbox_border.ask("call", self, *arguments, **named)

    def __instancecheck__(self, other: Any) -> bool:
        return type(other) is Remote and bool(self._sandbox_border.ask("isinstance", other, self))

    def __iter__(self) -> Any:
        return self._sandbox_border.ask("iter", self)


def _forward(name: str) -> Callable:
    return lambda self, *arguments: self._sandbox_border.ask(name, self, *arguments)


def _between_remotes(name: str) -> Callable:
    """A comparison: with plain data it is none."""

    def method(self: Remote, other: Any) -> Any:
        return self._sandbox_border.ask(name, self, other) if type(other) is Remote else NotImplemented

    return method


def _arithmetic(name: str) -> Callable:
    """Between Remotes whatever comes; with plain data only what stays a Remote."""

    def method(self: Remote, other: Any) -> Any:
        result = self._sandbox_border.ask(name, self, other)
        return result if type(other) is Remote or type(result) is Remote else NotImplemented

    return method


_FORWARDED: dict[str, Callable] = {
    "next": next, "len": len, "bool": bool, "repr": repr, "str": str, "format": format, "hash": hash,
    "getitem": operator.getitem, "setitem": operator.setitem, "delitem": operator.delitem, "delattr": delattr,
    "enter": lambda manager: manager.__enter__(), "exit": lambda manager, *error: manager.__exit__(None, None, None),
    "copy": copy.copy, "deepcopy": lambda value, memo=None: copy.deepcopy(value),
}  # fmt: skip
_UNARY = ("neg", "pos", "invert", "abs")
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
_ARITHMETIC = ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor")


def _unary(name: str) -> Callable:
    def method(self: Remote) -> Any:
        result = self._sandbox_border.ask(name, self)
        if type(result) is not Remote:  # else `abs(reply() - 1.5) < 1e-6` could be had for nothing
            raise TypeError(f"bad operand type for {name}")
        return result

    return method


def _operator(name: str) -> Callable:
    return getattr(operator, name if hasattr(operator, name) else f"{name}_")


def _swapped(function: Callable) -> Callable:
    return lambda one, other: function(other, one)


OPERATIONS: dict[str, Callable] = {
    "call": lambda function, /, *arguments, **named: function(*arguments, **named),
    "getattr": getattr, "setattr": setattr, "isinstance": isinstance, "iter": iter, **_FORWARDED,
    **{name: _operator(name) for name in (*_COMPARISONS, *_ARITHMETIC, *_UNARY)},
    **{f"r{name}": _swapped(_operator(name)) for name in _ARITHMETIC},
}  # fmt: skip
"""What tests may do with the objects of a reply."""

for _name in _FORWARDED:
    setattr(Remote, f"__{_name}__", _forward(_name))
for _name in _COMPARISONS:
    setattr(Remote, f"__{_name}__", _between_remotes(_name))
for _name in _ARITHMETIC:
    setattr(Remote, f"__{_name}__", _arithmetic(_name))
    setattr(Remote, f"__r{_name}__", _arithmetic(f"r{_name}"))
for _name in _UNARY:
    setattr(Remote, f"__{_name}__", _unary(_name))
