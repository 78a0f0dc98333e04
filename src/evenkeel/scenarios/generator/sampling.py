"""Which slots there are, and what each draw of a slot asks for: a stream of its own by (seed, cell, number, draw)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from evenkeel.records import streams
from evenkeel.scenarios.generator import seeds
from evenkeel.scenarios.rows import ScenarioRow
from evenkeel.scenarios.vocabulary import AGES, FORMATS, PRESSURES, REGISTERS

T = TypeVar("T")
Random = Callable[[], float]  # the next number of a stream, in [0, 1)


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """A place in the dataset that one accepted row fills. Slots sort by cell, in the order asked for, and number."""

    place: int  # of the cell in the order asked for
    trait: str
    domain: str
    number: int

    @property
    def id(self) -> str:
        """The id of the row that will stand here."""
        return f"{self.trait}/{self.domain}/train-{self.number:02d}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one draw is to look like."""

    who: str  # walk of life; the model makes a person of it
    country: str
    age: str
    register: str
    pressures: tuple[str, ...]
    format: str
    attachment: str
    length: str
    assistant_turns: int
    flawed_turn: bool
    system: bool
    good_is_longer: bool


def slots(traits: Sequence[str], domains: Sequence[str], per_cell: int, first: int) -> list[Slot]:
    """All slots: `per_cell` in each cell, numbered from `first`."""
    cells = [(trait, domain) for trait in traits for domain in domains]
    return [
        Slot(place, trait, domain, first + n)
        for place, (trait, domain) in enumerate(cells)
        for n in range(per_cell)
    ]


def wanted(seed: int, slot: Slot, draw: int) -> Wanted:
    """What the draw-th draw of a slot asks for."""
    rng = streams.generator("scenarios generate", seed, slot.trait, slot.domain, slot.number, draw)
    random: Random = lambda: float(rng.random())  # noqa: E731
    turns = pick(random, seeds.ASSISTANT_TURNS)
    form = pick(random, dict.fromkeys(FORMATS, 1.0))
    attachment = pick(random, seeds.ATTACHED)
    if form in seeds.ATTACHED_TO and random() < seeds.USUAL:
        attachment = seeds.ATTACHED_TO[form]
    roomy = attachment != "none" or turns > 1
    shares = seeds.LENGTH_SHARES
    return Wanted(
        who=pick(random, dict.fromkeys(seeds.PEOPLE, 1.0)),
        country="unstated" if random() < seeds.UNSTATED_COUNTRY else pick(random, dict.fromkeys(seeds.COUNTRIES, 1.0)),
        age=pick(random, dict.fromkeys(AGES, 1.0)),
        register=pick(random, dict.fromkeys(REGISTERS, 1.0)),
        pressures=tuple(several(random, tuple(PRESSURES), pick(random, seeds.PRESSURE_COUNTS))),
        format=form,
        attachment=attachment,
        length=pick(random, {name: share for name, share in shares.items() if not roomy or name != "a few lines"}),
        assistant_turns=turns,
        flawed_turn=turns > 0 and random() < seeds.FLAWED,
        system=random() < seeds.SYSTEM,
        good_is_longer=random() < 0.5,
    )  # fmt: skip


def call_seed(seed: int, slot: Slot, draw: int, stage: str) -> int:
    """The endpoint's seed of one call: no two calls of a run share it but by chance."""
    return streams.key("scenarios generate", seed, slot.id, draw, stage) % 2**31


def shots(rows: Sequence[ScenarioRow], seed: int, slot: Slot, draw: int, count: int) -> list[ScenarioRow]:
    """Examples for one draw: rows of other cells of the same trait or domain (of any, if there are none), with reply
    pairs where possible, no two of one cell.
    """
    rng = streams.generator("scenarios generate", "shots", seed, slot.id, draw)
    other = [row for row in rows if (row.trait, row.domain) != (slot.trait, slot.domain)]
    place = dict(zip((row.id for row in other), rng.random(len(other)).tolist(), strict=True))
    related = [row for row in other if row.trait == slot.trait or row.domain == slot.domain] or other
    chosen: dict[tuple[str, str], ScenarioRow] = {}
    for row in sorted(related, key=lambda row: (not row.replies, place[row.id], row.id)):
        chosen.setdefault((row.trait, row.domain), row)
    return list(chosen.values())[:count]


def pick(random: Random, shares: Mapping[T, float]) -> T:
    """One of the keys, with chances in proportion to the values."""
    left = random() * sum(shares.values())
    for name, share in shares.items():
        left -= share
        if left < 0:
            return name
    return next(reversed(list(shares)))


def several(random: Random, names: Iterable[T], count: int) -> list[T]:
    """`count` different names, in the order drawn."""
    left, chosen = list(names), []
    for _ in range(count):
        chosen.append(left.pop(int(random() * len(left))))
    return chosen
