"""How many there are: by cell and split, pressure, format, person, length, shape of the conversation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import median

from evenkeel.scenarios.audit.found import Data, Finding, Found, Measure, Placed, Table
from evenkeel.scenarios.disjoint import prompt_text
from evenkeel.scenarios.rows import ScenarioRow
from evenkeel.scenarios.scenario import DOMAINS, HEADLINE_TRAITS, TRAITS
from evenkeel.scenarios.vocabulary import AGES, ATTACHMENTS, FORMATS, PRESSURES, REGISTERS

LENGTHS: Mapping[str, tuple[int, float]] = {  # words of a prompt, from and below
    "a few lines": (0, 60),
    "short": (60, 120),
    "medium": (120, 220),
    "long": (220, 380),
    "a page": (380, float("inf")),
}
SHAPES: Mapping[str, Callable[[ScenarioRow], bool]] = {  # rule -> does the row have it?
    "several_turns": lambda row: any(turn.role == "assistant" for turn in row.messages),
    "flawed_turn": lambda row: row.flawed_turn,
    "system_prompt": lambda row: row.messages[0].role == "system",
    "attachment": lambda row: row.attachment != "none",
}


def check(data: Data) -> Iterator[Found]:
    """All rules of this file."""
    rows = [placed.row for placed in data.rows]
    if not rows:
        return
    yield _by("trait", TRAITS, rows, lambda row: row.trait)
    yield _by("domain", DOMAINS, rows, lambda row: row.domain)
    if data.whole:
        yield from _cells(data)
    for rule, has in SHAPES.items():
        yield Measure(rule, sum(map(has, rows)) / len(rows), len(rows))
    lengths = Counter(length_of(row) for row in rows)
    pressures = Counter(pressure for row in rows for pressure in row.pressures)
    formats = Counter(row.format for row in rows)
    countries = Counter(row.person.country for row in rows)
    yield _shares("Length of the prompt", LENGTHS, lengths, len(rows))
    yield _shares("Pressure (a scenario may have several)", PRESSURES, pressures, len(rows))
    yield _shares("Format", FORMATS, formats, len(rows))
    yield _shares("Attachment", ATTACHMENTS, Counter(row.attachment for row in rows), len(rows))
    yield _shares("Age", AGES, Counter(row.person.age for row in rows), len(rows))
    yield _shares("Register", REGISTERS, Counter(row.person.register for row in rows), len(rows))
    yield _shares("Country", dict(countries.most_common(12)), countries, len(rows), of=len(countries))
    for rule, known, count in (
        ("rarest_length", LENGTHS, lengths),
        ("rarest_pressure", PRESSURES, pressures),
        ("rarest_format", FORMATS, formats),
    ):
        name = min(known, key=lambda each: count[each])
        yield Measure(rule, count[name] / len(rows), len(rows), hint=f'It is "{name}".')
    countries.pop("unstated", None)
    if countries:
        name, times = countries.most_common(1)[0]
        yield Measure("commonest_country", times / len(rows), len(rows), hint=f"It is {name}.")


def length_of(row: ScenarioRow) -> str:
    """Which of LENGTHS the prompt has."""
    words = len(prompt_text(row.conversation).split())
    return next(name for name, (low, high) in LENGTHS.items() if low <= words < high)


def _cells(data: Data) -> Iterator[Found]:
    """The plan of the shipped dataset, cell by cell."""
    files = {(placed.row.split, placed.row.trait): placed.file for placed in data.rows}
    count = Counter((placed.row.trait, placed.row.domain, placed.row.split) for placed in data.rows)
    for trait in TRAITS:
        for domain in DOMAINS:
            for split in ("train", "eval"):
                rule = "eval_per_cell" if split == "eval" else "train_per_cell"
                if split == "train" and domain == "health":
                    rule = "train_per_health_cell"
                number, cell = count[trait, domain, split], f"{trait}/{domain} {split}"
                yield Measure(rule, number, number, part=cell, file=files.get((split, trait), ""))
            cell_rows = [p for p in data.rows if (p.row.trait, p.row.domain) == (trait, domain)]
            yield from _pairs_of_cell(trait, domain, cell_rows)


def _pairs_of_cell(trait: str, domain: str, rows: Sequence[Placed]) -> Iterator[Found]:
    """Every evaluation scenario of a headline trait has a pair, and one training scenario of every cell."""
    for placed in rows:
        if placed.row.split == "eval" and trait in HEADLINE_TRAITS and not placed.row.replies:
            yield Finding(
                "pairs_per_cell",
                "error",
                "an evaluation scenario of a headline trait has no reply pair",
                "Write a good and a tempting bad reply with the criteria each meets.",
                placed.file,
                placed.line,
                placed.row.id,
            )
    train = [placed for placed in rows if placed.row.split == "train"]
    if train and not any(placed.row.replies for placed in train):
        yield Finding(
            "pairs_per_cell",
            "error",
            f"no training scenario of {trait}/{domain} has a reply pair",
            "Write one for any of them.",
            train[0].file,
            train[0].line,
            train[0].row.id,
        )


def _by(
    name: str, known: Iterable[str], rows: Sequence[ScenarioRow], of: Callable[[ScenarioRow], str]
) -> Table:
    lines = []
    for value in (*known, "all"):
        group = [row for row in rows if value in ("all", of(row))]
        if not group:
            continue
        words = [len(prompt_text(row.conversation).split()) for row in group]
        shares = (f"{100 * sum(map(has, group)) / len(group):.0f} %" for has in SHAPES.values())
        splits = (str(sum(row.split == split for row in group)) for split in ("train", "eval"))
        pairs = str(sum(bool(row.replies) for row in group))
        lines.append((value, *splits, pairs, *shares, str(round(median(words)))))
    head = (name, "train", "eval", "pairs", "turns", "flawed", "system", "attached", "words")
    return Table(f"By {name}", head, tuple(lines))


def _shares(title: str, known: Iterable[str], count: Counter[str], n: int, *, of: int | None = None) -> Table:
    rows = tuple((name, str(count[name]), f"{100 * count[name] / n:.1f} %") for name in known)
    return Table(title + (f" ({len(rows)} of {of})" if of else ""), ("", "scenarios", "share"), rows)
