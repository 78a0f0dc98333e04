"""Training, attack and evaluation prompts must not meet: exactly, nearly, or in what they are made of.

Near is the Jaccard similarity of token 5-gram sets, found exactly by prefix filtering (Chaudhuri et al. 2006;
Bayardo et al. 2007): two sets with similarity t share one of their |A| - ceil(t |A|) + 1 rarest n-grams, so
an inverted index over those alone misses nothing and skips the n-grams that a template gives to every prompt.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from evenkeel.records.errors import UserError
from evenkeel.records.types import Conversation

Prompts = Mapping[str, str]  # id -> text
Triple = tuple[str, str, str]  # item, domain, frame
Gram = tuple[str, ...]
Members = frozenset[Gram]  # the n-grams of a text

_TOKEN = re.compile(r"\w+|[^\w\s]")
_SHOWN = 3  # overlaps spelt out in an error


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two prompts that are too alike."""

    left: str  # "set/id" where two sets are compared, the id inside one set
    right: str
    similarity: float  # 1.0 is equal up to case, spacing and n-gram order
    text: str  # of the left prompt


def prompt_text(messages: Conversation) -> str:
    """A conversation as one text for comparison; system messages, which many share, are left out."""
    return "\n".join(message.content for message in messages if message.role != "system")


def tokens(text: str) -> tuple[str, ...]:
    """Words and punctuation marks, without case or spacing."""
    return tuple(_TOKEN.findall(text.casefold()))


def ngrams(text: str, n: int = 5) -> Members:
    """The set of n-grams of a text; a text of fewer than n tokens is one gram of its own."""
    words = tokens(text)
    return frozenset(words[i : i + n] for i in range(max(1, len(words) - n + 1)))


def overlaps(sets: Mapping[str, Prompts], *, threshold: float = 0.8, n: int = 5) -> list[Overlap]:
    """All pairs of prompts from two different sets with at least `threshold` similarity, in set order.

    Raises ValueError unless 0 < threshold <= 1.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}; it must lie in (0, 1]")
    grams = {name: _distinct(prompts, n) for name, prompts in sets.items()}
    rank = _rank(members for group in grams.values() for members in group)
    found = []
    for left, right in combinations(sets, 2):
        for a, b, similarity in _similar(grams[left], grams[right], rank, threshold):
            one, two = grams[left][a], grams[right][b]
            found.append(Overlap(f"{left}/{one}", f"{right}/{two}", similarity, sets[left][one]))
    return found


def duplicates(prompts: Prompts, *, threshold: float = 0.8, n: int = 5) -> list[Overlap]:
    """All pairs inside one set with at least `threshold` similarity; the earlier prompt is the left one.

    Raises ValueError unless 0 < threshold <= 1.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold is {threshold}; it must lie in (0, 1]")
    grams = {id_: ngrams(text, n) for id_, text in prompts.items()}
    rank = _rank(grams.values())
    index: dict[Gram, list[str]] = defaultdict(list)
    found = []
    for id_, members in grams.items():
        rarest = _rarest(members, rank, threshold)
        for other in dict.fromkeys(other for gram in rarest for other in index.get(gram, ())):
            similarity = _jaccard(grams[other], members)
            if similarity >= threshold:
                found.append(Overlap(other, id_, similarity, prompts[other]))
        for gram in rarest:
            index[gram].append(id_)
    return found


def require_disjoint(sets: Mapping[str, Prompts], *, threshold: float = 0.8, n: int = 5) -> None:
    """Raises UserError naming the first pairs that are equal or nearly so, with what to do."""
    found = overlaps(sets, threshold=threshold, n=n)
    if found:
        lines = [
            f'{pair.left} and {pair.right} are {_how_alike(pair.similarity)}: "{_short(pair.text)}"'
            for pair in found[:_SHOWN]
        ]
        more = f"\n(and {len(found) - _SHOWN} more pairs)" if len(found) > _SHOWN else ""
        raise UserError(
            f"prompts that must be disjoint overlap in {len(found)} pairs\n" + "\n".join(lines) + more,
            fix="Remove one prompt of each pair, or give it another item, domain or frame.",
        )


def require_disjoint_triples(sets: Mapping[str, Mapping[str, Triple]]) -> None:
    """The same for what prompts are made of: each set is id -> (item, domain, frame).

    Raises UserError naming both sides.
    """
    clashes = []
    for (left, one), (right, two) in combinations(sets.items(), 2):
        ids: dict[Triple, str] = {}
        for id_, triple in one.items():
            ids.setdefault(triple, id_)
        clashes += [
            f"{left}/{ids[triple]} and {right}/{id_}: "
            f"item {triple[0]!r}, domain {triple[1]!r}, frame {triple[2]!r}"
            for id_, triple in two.items()
            if triple in ids
        ]
    if clashes:
        more = f"\n(and {len(clashes) - _SHOWN} more pairs)" if len(clashes) > _SHOWN else ""
        raise UserError(
            f"prompts of different sets are made of the same parts in {len(clashes)} pairs\n"
            + "\n".join(clashes[:_SHOWN])
            + more,
            fix="Split items or frames between the sets so that no (item, domain, frame) is in two of them.",
        )


def _distinct(prompts: Prompts, n: int) -> dict[Members, str]:
    """n-gram set -> the first id that has it: equal prompts of one set are looked at once."""
    first: dict[Members, str] = {}
    for id_, text in prompts.items():
        first.setdefault(ngrams(text, n), id_)
    return first


def _rank(sets: Iterable[Members]) -> dict[Gram, int]:
    """n-gram -> its place from rarest to commonest."""
    count = Counter(gram for members in sets for gram in members)
    return {
        gram: position for position, gram in enumerate(sorted(count, key=lambda gram: (count[gram], gram)))
    }


def _rarest(members: Members, rank: Mapping[Gram, int], threshold: float) -> list[Gram]:
    """The n-grams of which a set at or above the threshold shares at least one."""
    # The slack keeps 0.7 x 10 = 7.000000000000001 from asking for 8.
    kept = len(members) - math.ceil(threshold * len(members) - 1e-9) + 1
    return sorted(members, key=rank.__getitem__)[:kept]


def _jaccard(one: Members, two: Members) -> float:
    shared = len(one & two)
    return shared / (len(one) + len(two) - shared)


def _similar(
    left: Collection[Members], right: Collection[Members], rank: Mapping[Gram, int], threshold: float
) -> Iterator[tuple[Members, Members, float]]:
    """(left, right, similarity) of every pair at or above the threshold."""
    index = defaultdict(list)
    for members in right:
        for gram in _rarest(members, rank, threshold):
            index[gram].append(members)
    for members in left:
        seen = set()
        for gram in _rarest(members, rank, threshold):
            for other in index.get(gram, ()):
                if id(other) in seen:
                    continue
                seen.add(id(other))
                similarity = _jaccard(members, other)
                if similarity >= threshold:
                    yield members, other, similarity


def _how_alike(similarity: float) -> str:
    return "equal" if similarity == 1.0 else f"nearly equal (similarity {similarity:.2f})"


def _short(text: str, length: int = 80) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"
