"""Does any text of the dataset share 13 words in a row with any text of other evaluations? None may.

13 words without case and punctuation, as in the decontamination of GPT-3 (arXiv:2005.14165, appendix C). Only words
of the dataset get a number, so nearly all of a foreign text falls out before anything is hashed; what is left is
one vectorised expression a file. A window counts when at least seven of its words have letters: columns of figures
are no text.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from evenkeel.records.errors import UserError
from evenkeel.records.streams import generator
from evenkeel.scenarios.audit.found import Data, Finding, Found, Table, at
from evenkeel.scenarios.audit.texts import Unread, files_below, texts
from evenkeel.scenarios.rows import ScenarioRow

N = 13
LETTERED = 7  # of the 13
CHUNK = 1 << 21  # characters looked at in one go
BREAK = "ªªªª"  # between two texts, so that no window crosses: a word that no text has

_WORD = re.compile(r"\w+")


def check(data: Data, against: Sequence[Path]) -> Iterator[Found]:
    """Overlaps with every file of `against` (files and folders; the audited files themselves are left out)."""
    for path in against:
        if not path.exists():
            raise UserError("no such file or folder", file=path, fix="--against names texts to compare with.")
    own = Index([placed.row for placed in data.rows])
    audited = {Path(placed.file).resolve() for placed in data.rows}
    files = words = unread = 0
    for path in dict.fromkeys(path for path in files_below(against) if path.resolve() not in audited):
        shared: dict[int, str] = {}  # position of the row -> what it shares, the first passage
        try:
            for chunk in chunks(texts(path)):
                found = _WORD.findall(f" {BREAK} ".join(chunk).casefold())
                words += len(found)
                for position, passage in own.shared(found):
                    shared.setdefault(position, passage)
        except Unread as error:
            unread += 1
            yield Finding("unread", "note", f"not read: {error}", data.limits["unread"].fix, str(path))
        files += 1
        for position, passage in sorted(shared.items()):
            yield at(
                data.rows[position], "overlap", f'shares "{passage}" with {path}', data.limits["overlap"].fix
            )
    row = (str(files - unread), f"{words:,}", str(unread))
    yield Table("Compared with --against", ("files read", "words", "files not read"), (row,))


@dataclass
class Index:
    """All windows of 13 words of the dataset, as 64-bit numbers. Two different ones agree by chance never."""

    rows: Sequence[ScenarioRow]
    numbers: dict[str, int] = field(default_factory=dict)  # word -> 1 and up
    owners: Mapping[int, int] = field(default_factory=dict)  # hash of a window -> position of the first row

    def __post_init__(self) -> None:
        sequences = [
            (position, _WORD.findall(text.casefold()))
            for position, row in enumerate(self.rows)
            for text in row_texts(row)
        ]
        for _, words in sequences:
            for word in words:
                self.numbers.setdefault(word, len(self.numbers) + 1)
        rng = generator("audit", "overlap")
        self.values = rng.integers(1, 2**63, size=len(self.numbers) + 1, dtype=np.uint64) * np.uint64(
            2
        ) + np.uint64(1)
        owners: dict[int, int] = defaultdict(int)
        for position, words in sequences:
            for value in self._windows(words)[1].tolist():
                owners.setdefault(value, position)
        self.owners = dict(owners)
        self.sorted = np.array(sorted(self.owners), dtype=np.uint64)

    def shared(self, words: Sequence[str]) -> Iterator[tuple[int, str]]:
        """(position of the row, the shared words) for every window of these words that the dataset has too."""
        starts, hashes = self._windows(words)
        if not len(self.sorted):
            return
        nearest = np.searchsorted(self.sorted, hashes).clip(
            max=len(self.sorted) - 1
        )  # isin would sort each time
        for place in np.flatnonzero(self.sorted[nearest] == hashes):
            start = int(starts[place])
            passage = words[start : start + N]
            if sum(any(map(str.isalpha, word)) for word in passage) >= LETTERED:
                yield self.owners[int(hashes[place])], " ".join(passage)

    def _windows(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(start, hash) of every window of 13 words that are all known."""
        number = self.numbers.get
        ids_T = np.array([number(word, 0) for word in words], dtype=np.int64)
        if len(ids_T) < N:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint64)
        known_T = np.concatenate([[0], np.cumsum(ids_T > 0)])
        starts = np.flatnonzero(known_T[N:] - known_T[:-N] == N)
        hashes = np.zeros(len(starts), dtype=np.uint64)
        for offset in range(N):  # a polynomial in an odd constant, modulo 2^64
            hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + self.values[ids_T[starts + offset]]
        return starts, hashes


def row_texts(row: ScenarioRow) -> Iterator[str]:
    """Everything written in a row."""
    yield from (turn.content for turn in row.messages)
    yield from (line.text for line in row.criteria)
    yield from (reply.text for reply in row.replies)


def chunks(parts: Iterable[str]) -> Iterator[list[str]]:
    """Texts in groups of at least CHUNK characters."""
    held: list[str] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size >= CHUNK:
            yield held
            held, size = [], 0
    yield held
