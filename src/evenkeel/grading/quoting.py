"""Judged text as data: whatever a reply says, it stays inside its quotation and every character of it is seen.

A judge reads the reply of the very model that is rewarded for pleasing it, so the reply is an adversary. Three measures,
each of which a test removes to see it matter:
- every line of quoted text starts with "| ", so no line of it can pass for one of ours, whatever it imitates;
- the quotation's borders carry a mark made from its content, which the content therefore cannot contain;
- characters that a person would not see (format controls, tags, variation selectors) are written out as \\u{...}.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

VISIBLE_CONTROLS = frozenset("\n\t")
UNSEEN = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})  # Unicode categories
SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))  # variation selectors, which are marks (Mn)
BEYOND_ASCII = re.compile(r"[^\n\t -~]")  # the rest is seen; most text is of the rest
BLANKS = frozenset("ᅟᅠㅤﾠ⠀͏឴឵᠎")  # letters and marks that draw nothing


def visible(text: str) -> str:
    """The text with every character that draws nothing written as its code point."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return BEYOND_ASCII.sub(lambda c: c[0] if _seen(c[0]) else f"\\u{{{ord(c[0]):04x}}}", lines)


def quoted(name: str, text: str) -> str:
    """A block that begins and ends with a border naming it; each line of the text stands behind a bar."""
    shown = visible(text)
    mark = border_mark(shown)
    body = "\n".join(f"| {line}" for line in shown.split("\n"))
    return f"[{name} {mark} begins]\n{body}\n[{name} {mark} ends]"


def border_mark(shown: str) -> str:
    """Eight hexadecimal digits that the text does not contain."""
    for attempt in range(1000):
        mark = hashlib.sha256(f"{attempt}\0{shown}".encode("utf-8", "surrogatepass")).hexdigest()[:8]
        if mark not in shown:
            return mark
    raise AssertionError("a text cannot hold a thousand of its own hashes")


def _seen(character: str) -> bool:
    if character in VISIBLE_CONTROLS:
        return True
    if character in BLANKS or any(ord(character) in selectors for selectors in SELECTORS):
        return False
    return unicodedata.category(character) not in UNSEEN
