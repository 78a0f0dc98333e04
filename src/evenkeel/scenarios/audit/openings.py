"""How prompts begin, and phrases that come back: what a template or a hurried model leaves behind."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from evenkeel.scenarios.audit.found import Data, Finding, Found, Measure, Placed, Table, at
from evenkeel.scenarios.audit.language import words_of
from evenkeel.scenarios.disjoint import tokens
from evenkeel.scenarios.rows import ScenarioRow

OPENING = 4  # tokens
PHRASE = 8  # words of a phrase that no more than a few scenarios may share
SHORT_PHRASE = 5  # words; of those only the commonest are printed

CLICHES = re.compile(
    r"trolley problem|paperclip maximi[sz]er|\bdelv(e|es|ing)\b|\btapestry of\b|testament to\b|nestled in\b"
    r"|as an ai\b|as a (large )?language model|i('m| am) just an ai|in today's (fast|digital|world|ever)"
    r"|ever-(evolving|changing) landscape|hope this (message|email|mail) finds you|john doe|jane doe|acme (corp|inc)"
    r"|\b(game|deep)[- ]dive into\b|navigat(e|ing) the complexit|plays a (crucial|vital|pivotal) role"
    r"|it'?s important to (note|remember) that|rest assured|let that sink in",
    re.I,
)
REPLY_OPENINGS = re.compile(
    r"^(absolutely|certainly|sure|of course|(that's a )?great question|happy to help|i understand (that|how|your)"
    r"|i hear you|thank you for (sharing|reaching)|got it|no problem)\b",
    re.I,
)
NAMES = re.compile(  # those that language models give first, whoever the person is
    r"\b(Priya|Marcus|Elena|Sarah|Maya|Chen|Elara|Amara|Aisha|Rajesh|Sofia|Mateo|Yuki|Kenji|Fatima|Patel|Kowalski"
    r"|Okafor|Nguyen|Santos|Haruto|Ingrid|Lars|Liam|Thompson|Sharma|Rodriguez|Garcia|Jamal|Aiden)\b"
)
_FENCED = re.compile(r"```.*?```", re.S)


def check(data: Data) -> Iterator[Found]:
    """All rules of this file."""
    yield from _openings(data)
    yield from _first_words(data)
    yield from _cliches(data)
    yield from _phrases(data)
    yield from _names(data)


def opening(row: ScenarioRow) -> tuple[str, ...]:
    """All tokens of the first user message."""
    return tokens(next(turn.content for turn in row.messages if turn.role == "user"))


def _openings(data: Data) -> Iterator[Found]:
    first: dict[tuple[str, ...], Placed] = {}
    for placed in data.rows:
        start = opening(placed.row)[:OPENING]
        if start in first:
            other = first[start]
            yield at(
                placed,
                "openings",
                f'begins with "{" ".join(start)}", as {other.row.id} does ({other.file}, line {other.line})',
                data.limits["openings"].fix,
            )
        first.setdefault(start, placed)


def _first_words(data: Data) -> Iterator[Found]:
    n = len(data.rows)
    for rule, width in (("common_first_word", 1), ("common_first_pair", 2)):
        count = Counter(" ".join(opening(placed.row)[:width]) for placed in data.rows)
        if count:
            words, times = count.most_common(1)[0]
            yield Measure(rule, times / n, n, hint=f'{times} prompts begin with "{words}".')
    starts = Counter(" ".join(opening(placed.row)[:1]) for placed in data.rows).most_common(10)
    yield Table(
        "Commonest first words",
        ("", "scenarios", "share"),
        tuple((f'"{word}"', str(times), f"{100 * times / n:.1f} %") for word, times in starts),
    )


def _cliches(data: Data) -> Iterator[Found]:
    for placed in data.rows:
        for text in _texts(placed.row):
            if found := CLICHES.search(text):
                yield at(placed, "stock_phrases", f'says "{found.group()}"', data.limits["stock_phrases"].fix)
        for reply in placed.row.replies:
            if found := REPLY_OPENINGS.search(reply.text):
                yield at(
                    placed,
                    "stock_phrases",
                    f'a reply begins with "{found.group()}"',
                    "Begin with what matters to this person.",
                )


def _texts(row: ScenarioRow) -> list[str]:
    return [turn.content for turn in row.messages] + [reply.text for reply in row.replies]


def _grams(row: ScenarioRow, n: int) -> Iterable[tuple[str, ...]]:
    """Distinct n-grams of words, in order; code in fences, which repeats itself by nature, is left out."""
    found: dict[tuple[str, ...], None] = {}
    for text in _texts(row):
        words = words_of(_FENCED.sub(" ", text))
        for start in range(len(words) - n + 1):
            found[tuple(words[start : start + n])] = None
    return found


def _phrases(data: Data) -> Iterator[Found]:
    allowed = data.high("repeated_phrases")
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for position, placed in enumerate(data.rows):
        for gram in _grams(placed.row, PHRASE):
            holders[gram].append(position)
    told: set[tuple[int, ...]] = set()
    for gram, positions in holders.items():
        if (
            len(positions) > allowed and tuple(positions) not in told
        ):  # one finding a passage, not one a window
            told.add(tuple(positions))
            names = ", ".join(data.rows[position].row.id for position in positions[1:4])
            more = f" and {len(positions) - 4} more" if len(positions) > 4 else ""
            yield at(
                data.rows[positions[0]],
                "repeated_phrases",
                f'"{" ".join(gram)}" stands in {len(positions)} scenarios: also in {names}{more}',
                data.limits["repeated_phrases"].fix,
            )
    short = Counter(gram for placed in data.rows for gram in _grams(placed.row, SHORT_PHRASE))
    rows = tuple((f'"{" ".join(gram)}"', str(times)) for gram, times in _commonest(short, 8))
    yield Table("Commonest 5 words in a row", ("", "scenarios"), rows)


def _commonest(count: Counter[tuple[str, ...]], n: int) -> Iterable[tuple[tuple[str, ...], int]]:
    return sorted(count.items(), key=lambda item: (-item[1], item[0]))[:n]


def _names(data: Data) -> Iterator[Found]:
    limit = data.limits["stock_names"]
    holders: dict[str, list[Placed]] = defaultdict(list)
    for placed in data.rows:
        for name in {found.group() for text in _texts(placed.row) for found in NAMES.finditer(text)}:
            holders[name].append(placed)
    for name, rows in sorted(holders.items()):
        if len(rows) > data.high("stock_names"):
            problem = f'"{name}" stands in {len(rows)} scenarios'
            where = rows[0]
            yield Finding("stock_names", "note", problem, limit.fix, where.file, where.line, where.row.id)
