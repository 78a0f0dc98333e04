"""Training prompts, compared with the texts of evaluations: which stand in them, and the passage that shows it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from evenkeel.records.types import Message
from evenkeel.scenarios.audit.overlap import BREAK, Index, N
from evenkeel.scenarios.disjoint import Gram, Members, ngrams, overlaps
from evenkeel.scenarios.rows import ScenarioRow
from evenkeel.scenarios.scenario import Scenario
from evenkeel.scenarios.standard.wording import bare_text

Sources = Mapping[str, Sequence[Scenario]]
Rule = Literal["equal", "near", "13 words"]
Group = list[tuple[Any, str]]  # (owner, text)

NEAR = 0.8  # Jaccard similarity of token 5-grams
SHORT = 4  # words: a shorter text of a file is a label or a name, no prompt

_WORD = re.compile(r"\w+")  # as `Index` counts words


@dataclass(frozen=True, slots=True)
class Contamination:
    """One training prompt that stands in one evaluation, and the first passage that shows it."""

    source: str
    scenario: str
    evaluation: str  # the name of a benchmark, or a file
    rule: Rule
    passage: str


@dataclass(frozen=True, slots=True)
class _Text:
    """A prompt in the shape in which `Index` takes rows of the dataset."""

    messages: tuple[Message, ...]
    criteria: tuple[()] = ()
    replies: tuple[()] = ()


class Prompts:
    """The training prompts, and every evaluation that they have met so far."""

    def __init__(self, sources: Sources):
        self.owners = [(name, scenario.id) for name, rows in sources.items() for scenario in rows]
        self.texts = [bare_text(scenario) for rows in sources.values() for scenario in rows]
        self.words = 0  # of all evaluations
        self._met: dict[tuple[int, str], tuple[Rule, str]] = {}  # (position, evaluation) -> how
        self._passages: dict[str, dict[str, None]] = defaultdict(
            dict
        )  # 13 words -> the evaluations with them
        rows = [_Text((Message("user", text),)) for text in dict.fromkeys(self.texts)]
        self._index = Index(cast(Sequence[ScenarioRow], rows))
        self._equal: dict[str, list[int]] = defaultdict(list)
        for position, text in enumerate(self.texts):
            self._equal[_plain(text)].append(position)
        self._longest = max(map(len, self.texts), default=0)

    def look(self, evaluation: str, held: Sequence[str], *, equal: bool = False) -> None:
        """Note every 13 words that a prompt shares with these texts, and if asked every prompt that equals one."""
        words = _WORD.findall(f" {BREAK} ".join(held).casefold())
        self.words += len(words) - max(len(held) - 1, 0)  # without the breaks
        for _, passage in self._index.shared(words):  # the first holder only: `findings` looks up the others
            self._passages[passage][evaluation] = None
        for text in held if equal else ():
            if len(text) <= 2 * self._longest and text.count(" ") >= SHORT - 1:
                for position in self._equal.get(_plain(text), ()):
                    self._met.setdefault((position, evaluation), ("equal", _short(text)))

    def near(self, benchmarks: Mapping[str, Sequence[str]]) -> None:
        """Note every prompt that equals or nearly equals one of a benchmark."""
        own = _alike(enumerate(self.texts))
        theirs = _alike((name, text) for name, held in benchmarks.items() for text in held)
        own = _reachable(own, theirs)
        theirs = _reachable(theirs, own)
        groups = {"own": list(own.values()), "theirs": list(theirs.values())}
        sets = {side: {str(i): group[0][1] for i, group in enumerate(held)} for side, held in groups.items()}
        for pair in overlaps(sets, threshold=NEAR):
            left, right = (groups[side][int(i)] for side, i in (pair.left.split("/"), pair.right.split("/")))
            rule: Rule = "equal" if pair.similarity == 1.0 else "near"
            for position, _ in left:
                for name, text in right:
                    self._met.setdefault((position, name), (rule, _short(text)))

    def findings(self) -> Iterator[Contamination]:
        """All that was noted, in the order of the prompts; one a prompt and evaluation."""
        for position, text in enumerate(self.texts):
            words = _WORD.findall(text.casefold()) if self._passages else []
            for start in range(len(words) - N + 1):
                passage = " ".join(words[start : start + N])
                for evaluation in self._passages.get(passage, ()):
                    self._met.setdefault((position, evaluation), ("13 words", passage))
        for (position, evaluation), (rule, passage) in sorted(self._met.items(), key=lambda item: item[0][0]):
            yield Contamination(*self.owners[position], evaluation, rule, passage)


def _alike(texts_of: Iterable[tuple[Any, str]]) -> dict[Members, Group]:
    """Texts grouped by equal n-gram sets, because `overlaps` names the first of equal texts only."""
    groups: dict[Members, Group] = defaultdict(list)
    for owner, text in texts_of:
        groups[ngrams(text)].append((owner, text))
    return groups


def _reachable(groups: Mapping[Members, Group], others: Iterable[Members]) -> dict[Members, Group]:
    """Those whose n-grams the others know to at least NEAR, which every near pair needs: few, so `overlaps` is fast."""
    known: set[Gram] = set().union(*others)
    return {m: group for m, group in groups.items() if len(m & known) >= NEAR * len(m) - 1e-9}


def _plain(text: str) -> str:
    """Without case, spacing and punctuation."""
    return " ".join(_WORD.findall(text.casefold()))


def _short(text: str, length: int = 100) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"
