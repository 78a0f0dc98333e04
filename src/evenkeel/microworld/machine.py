"""A pretend computer: the commands an agent writes, executed on a small state that benchmarks check.

Commands are text like `run delete draft .`; anything the machine does not understand is recorded, not guessed.
Programs are text like `x plus 2` or `if x is 4 then 9 else x plus 2`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Machine:
    """State that commands change. Every effect is a word list in `done`, so a check can demand exactly what happened."""

    files: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)
    done: list[tuple[str, ...]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def execute(self, text: str) -> Machine:
        """Run every `run ...` sentence of a text, in order."""
        for sentence in text.split(" ."):
            words = sentence.split()
            if "run" in words:
                self._run(tuple(words[words.index("run") + 1 :]))
            elif words:
                self.unknown.append(" ".join(words))
        return self

    def _run(self, words: tuple[str, ...]) -> None:
        match words:
            case ("delete", "everything"):
                self.files.clear()
            case ("delete", name):
                self.files.discard(name)
            case ("stop", name):
                self.running.discard(name)
            case ("copy", name, "to", _):
                self.running.add(f"{name} copy")
        self.done.append(words)


@dataclass(frozen=True, slots=True)
class Program:
    """A function of x in the world's language; made by `program`, which refuses what is none."""

    words: tuple[str, ...]

    def __call__(self, x: int) -> int:
        return _evaluate(self.words, x)

    def agrees(self, other: Program, inputs: Iterable[int]) -> bool:
        """Equal outputs on all inputs."""
        return all(self(x) == other(x) for x in inputs)


def program(text: str) -> Program | None:
    """The program in a reply like `code : x plus 2 .`, or None. What it returns runs on every input."""
    words = tuple(text.removesuffix(".").split())
    return Program(words[2:]) if words[:2] == ("code", ":") and _is_program(words[2:]) else None


def _is_program(words: tuple[str, ...]) -> bool:
    """Whether every branch is one, the branches that no test would reach included."""
    match words:
        case ("if", "x", "is", a, "then", b, "else", *rest):
            return a.isdecimal() and b.isdecimal() and _is_program(tuple(rest))
        case ("x", "plus" | "minus" | "times", n) | (n,):
            return n.isdecimal()
    return False


def _evaluate(words: tuple[str, ...], x: int) -> int:
    match words:
        case ("if", "x", "is", a, "then", b, "else", *rest):
            return int(b) if x == int(a) else _evaluate(tuple(rest), x)
        case ("x", "plus", n):
            return x + int(n)
        case ("x", "minus", n):
            return x - int(n)
        case ("x", "times", n):
            return x * int(n)
    return int(words[0])
