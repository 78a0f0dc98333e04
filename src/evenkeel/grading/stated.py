r"""Where a reply states its final answer: "Answer: 42", "\boxed{42}", "#### 42", "the answer is 42".

The first three are the forms that prompts ask for and count always (`asked_for`); a sentence with "the answer is" may as well
be part of the reasoning ("the answer is found by adding 3 and 4"), so its reader decides whether it states anything.
All of it takes time linear in the length of the reply, whatever it contains.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 500  # characters read of a statement; more than that is no single answer
MOST = 100_000  # characters of a reply; a longer one states nothing

_LINE = re.compile(
    r"(?:^|(?<=[.!?] ))[ \t>*_#-]{0,9}(?:(?:so|thus|therefore|hence),?[ ])?(?:(?:the|my|our)[ ])?"
    r"(?:(?:final|correct|right|short)[ ])?(?:answer|ans)\b[ \t*_.]{0,4}(?:\([^()\n]{0,40}\))?[ \t*_]{0,4}"
    r"[:=](?:\*{1,3}|__(?!_))?[ \t]*",
    re.IGNORECASE | re.MULTILINE,
)
_HASHES = re.compile(r"^[ \t]*####(?!#)[ \t]*(?=[^\n]+\Z)", re.MULTILINE)  # the last line, as in GSM8K
_SENTENCE = re.compile(
    r"\banswer\b[^.:=\n]{0,60}?\b(?:is|equals|(?:will|would|must|should) be)\b[ \t]*:?[ \t]*", re.IGNORECASE
)
_BOX = re.compile(r"\\(?:f?boxed|fbox)\s*\{")
_FENCE = re.compile(r"\A```\w*[ \t]*\n(.*?)\n?```\s*\Z", re.DOTALL)
_FENCE_LINE = re.compile(r"\s*```\w*\s*\Z")
_NAMED = re.compile(r"\\(?:text(?:bf|it|rm)?|mathrm|mathbf|operatorname)\s*\{([^{}]*)\}")
_PAIRS = (
    ("$", "$"),
    ("`", "`"),
    ('"', '"'),
    ("“", "”"),
    ("*", "*"),
    ("_", "_"),
    (r"\(", r"\)"),
    (r"\[", r"\]"),
)


@dataclass(frozen=True, slots=True)
class Statement:
    """What stands where a final answer is stated; `asked_for` unless it is only a sentence with "the answer is"."""

    said: str
    asked_for: bool


def statements(reply: str) -> list[Statement]:
    """Every statement of a final answer, as written: to the end of its line, or the next line where that is empty.

    Of a longer one, LONGEST characters and one more.
    """
    if len(reply) > MOST:
        return [Statement("", True)]
    tagged, reply = _tagged(reply.rstrip())
    found = [Statement(said[: LONGEST + 1], True) for said in (*tagged, *_boxes(reply))]
    for match in (*_LINE.finditer(reply), *_HASHES.finditer(reply)):
        found.append(Statement(_rest(reply, match.end()), True))
    for match in _SENTENCE.finditer(reply):
        if said := _rest(reply, match.end(), further=match[0].rstrip().endswith(":")):
            found.append(Statement(said, False))
    return found


def block(reply: str) -> str | None:
    """An answer of several lines: inside <answer> tags, else all that follows the only line "Answer:"; None without one."""
    tagged, reply = _tagged(reply)
    if tagged:
        return unfenced(tagged[0]) if len(set(tagged)) == 1 else None
    marks = list(_LINE.finditer(reply))
    return unfenced(reply[marks[0].end() :]) if len(marks) == 1 else None


def bare(said: str) -> str:
    r"""Without what only sets it off: bold, code, quotes, `$`, `\(`, `\boxed{}`, `\text{}`, a full stop at the end."""
    said, before = said.strip(), ""
    while before != said:
        before = said
        for opening, closing in _PAIRS:
            if said.startswith(opening) and said.endswith(closing) and len(said) > len(opening + closing):
                said = said[len(opening) : -len(closing)].strip()
        for mark in ("**", "*", "`"):  # "**Answer: 42**": the other one stands before the answer
            if said.count(mark) == 1:
                said = said.removeprefix(mark).removesuffix(mark).strip()
        if said.endswith(".") and not said.endswith(".."):
            said = said[:-1].rstrip()
        if (box := _BOX.match(said)) and said.endswith("}") and _closes(said, box.end()) == len(said):
            said = said[box.end() : -1].strip()
        if (name := _NAMED.match(said)) and name.end() == len(said):
            said = name[1].strip()
    return said


def unfenced(text: str) -> str:
    """Without a code fence around all of it, and without blank lines at its ends."""
    text = re.sub(r"\A(?:[ \t]*\n)+", "", text).rstrip()
    fenced = _FENCE.match(text)
    return fenced[1] if fenced else text


def first_sentence(said: str) -> str:
    """Up to the first full stop, question or exclamation mark before a blank; a decimal point ends no sentence."""
    return re.split(r"(?<=[.!?])(?<!\\!)[*_]{0,2}\s", said, maxsplit=1)[0]


def without_names(said: str) -> str:
    r"""LaTeX's \text{...} and \boxed{...} anywhere in it read as what they contain."""
    return _BOX.sub("{", _NAMED.sub(r" \1 ", said))


def _rest(reply: str, start: int, further: bool = True) -> str:
    """From `start` to the end of the line; if that is empty (and `further`), the next line that is not."""
    said = reply[start : start + LONGEST + 1].split("\n", 1)[0]
    if said.strip(" \t*_$\\[(") or not further:
        return said.strip()
    for line in reply[start : start + 2 * LONGEST].split("\n")[1:]:
        if line.strip(" \t*_$\\[(") and not _FENCE_LINE.match(line):
            return re.sub(r"\A\s*[-*•][ ]", "", line).strip()  # a bullet, not a minus
    return ""


def _tagged(reply: str) -> tuple[list[str], str]:
    """What stands in <answer> tags, and the reply without them."""
    head, *pieces = re.split("<answer>", reply, flags=re.IGNORECASE)
    tagged = []
    for piece in pieces:
        inside, closing, after = piece.partition("</answer>")
        if closing:
            tagged.append(unfenced(inside))
        head += f" {after if closing else inside}"
    return tagged, head


def _boxes(text: str) -> Iterator[str]:
    r"""What stands in each `\boxed{...}`, braces counted; one that never closes says the rest of its line."""
    end = 0
    for match in _BOX.finditer(text):
        if match.start() < end:
            continue  # a box in a box
        end = _closes(text, match.end())
        inside = text[match.end() : end]
        yield inside[:-1] if inside.endswith("}") else inside.split("\n", 1)[0]


def _closes(text: str, start: int) -> int:
    """Index behind the brace that closes the one before `start`, or behind the last character looked at."""
    depth = 1
    for at in range(start, min(len(text), start + LONGEST)):
        depth += (text[at] == "{") - (text[at] == "}")
        if not depth:
            return at + 1
    return min(len(text), start + LONGEST)
