"""What a generated row must pass: the audit's rules on the row alone, and its distance from every other row.

The neighbours are an exact inverted index that grows with every accepted row: token 5-grams with Jaccard similarity,
first tokens, and phrases of 8 words, with the limits of the audit.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType

from evenkeel.scenarios.audit import openings, pairs, rubric
from evenkeel.scenarios.audit.found import Data, Finding, Placed
from evenkeel.scenarios.audit.language import words_of
from evenkeel.scenarios.audit.limits import LIMITS
from evenkeel.scenarios.disjoint import ngrams, prompt_text
from evenkeel.scenarios.generator.prompts import Stage
from evenkeel.scenarios.rows import ScenarioRow

AFTER: Mapping[Stage, Sequence[ModuleType]] = {
    "rewrite": (openings,),
    "rubric": (rubric,),
    "pair": (pairs, openings),
}
KINDS: Mapping[str, Callable[[ScenarioRow], list[str]]] = {  # rule -> the texts that it compares
    "near_prompts": lambda row: [prompt_text(row.conversation)],
    "near_rubrics": lambda row: ["\n".join(line.text for line in row.criteria)],
    "near_replies": lambda row: [reply.text for reply in row.replies],
    "reused_criteria": lambda row: [line.text for line in row.criteria],
}
_FENCED = re.compile(r"```.*?```", re.S)


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a row is not taken: a rule of the audit, or one of the generator, and what it says."""

    rule: str
    problem: str


def alone(stage: Stage, row: ScenarioRow) -> Objection | None:
    """The first error that the audit finds in the row by itself, once a stage is done."""
    data = Data([Placed(row, "", 0)])
    for module in AFTER.get(stage, ()):
        for found in module.check(data):
            if isinstance(found, Finding) and found.severity == "error":
                return Objection(found.rule, found.problem)
    return None


@dataclass
class Neighbours:
    """All rows that a new one must keep its distance from. `size` grows; an older size can be asked for."""

    names: list[str] = field(default_factory=list)  # ids, in order of entry
    _sizes: dict[str, list[int]] = field(
        default_factory=lambda: {kind: [] for kind in KINDS}
    )  # grams of each text
    _owners: dict[str, list[int]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    _holders: dict[str, dict[int, list[int]]] = field(
        default_factory=lambda: {kind: defaultdict(list) for kind in KINDS}
    )
    _openings: dict[tuple[str, ...], int] = field(default_factory=dict)
    _phrases: Counter[int] = field(default_factory=Counter)

    @property
    def size(self) -> int:
        """How many rows there are."""
        return len(self.names)

    def add(self, row: ScenarioRow) -> None:
        """Rows to come must keep their distance from this one."""
        position = self.size
        self.names.append(row.id)
        for kind, texts_of in KINDS.items():
            for text in texts_of(row):
                grams = _grams(text)
                for gram in grams:
                    self._holders[kind][gram].append(len(self._sizes[kind]))
                self._sizes[kind].append(len(grams))
                self._owners[kind].append(position)
        self._openings.setdefault(openings.opening(row)[: openings.OPENING], position)
        self._phrases.update(list(_phrases(row)))

    def early(self, row: ScenarioRow, among: int) -> Objection | None:
        """What stands against the conversation alone, among the first `among` rows."""
        return next(self._opening(row, among), None) or next(self._near("near_prompts", row, among), None)

    def objection(self, row: ScenarioRow) -> Objection | None:
        """What stands against a whole row, among all rows."""
        found = self.early(row, self.size)
        for kind in KINDS:
            found = found or next(self._near(kind, row, self.size), None)
        if found is None and (phrase := self._worn_phrase(row)):
            most = LIMITS["repeated_phrases"].high
            return Objection("repeated_phrases", f'"{phrase}" stands in {most:g} scenarios already')
        return found

    def _opening(self, row: ScenarioRow, among: int) -> Iterator[Objection]:
        start = openings.opening(row)[: openings.OPENING]
        if self._openings.get(start, among) < among:
            other = self.names[self._openings[start]]
            yield Objection("openings", f'begins with "{" ".join(start)}", as {other} does')

    def _near(self, kind: str, row: ScenarioRow, among: int) -> Iterator[Objection]:
        high, sizes, owners = LIMITS[kind].high, self._sizes[kind], self._owners[kind]
        assert high is not None
        for text in KINDS[kind](row):
            grams = _grams(text)
            shared = Counter(other for gram in grams for other in self._holders[kind].get(gram, ()))
            for other, count in sorted(shared.items()):
                similarity = count / (len(grams) + sizes[other] - count)
                if similarity >= high and owners[other] < among:
                    yield Objection(kind, f"is {similarity:.2f} like that of {self.names[owners[other]]}")

    def _worn_phrase(self, row: ScenarioRow) -> str:
        most = LIMITS["repeated_phrases"].high
        assert most is not None
        return next((text for key, text in _phrases(row).items() if self._phrases[key] >= most), "")


def _grams(text: str) -> set[int]:
    """The 5-grams as 64-bit numbers: less memory; two of them agree by chance never."""
    return set(map(hash, ngrams(text)))


def _phrases(row: ScenarioRow) -> dict[int, str]:
    """Runs of 8 words in conversation and replies, code in fences left out."""
    found: dict[int, str] = {}
    for text in [turn.content for turn in row.messages] + [reply.text for reply in row.replies]:
        words = words_of(_FENCED.sub(" ", text))
        for start in range(len(words) - openings.PHRASE + 1):
            phrase = " ".join(words[start : start + openings.PHRASE])
            found.setdefault(hash(phrase), phrase)
    return found
