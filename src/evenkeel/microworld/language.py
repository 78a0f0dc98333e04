"""The world's language, read from `world/*.toml` and checked: domains, personas, behaviours, formats.

Everything a person may want to extend is in those files; this module only gives it types and refuses mistakes.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evenkeel.records.canonical import content_hash
from evenkeel.records.errors import UserError, did_you_mean
from evenkeel.scenarios.scenario import DOMAINS, TRAITS

Persona = Literal["good", "careless", "harmful"]
PERSONAS: tuple[Persona, ...] = ("good", "careless", "harmful")
WORLD = Path(__file__).parent / "world"
SITUATIONS, ASKS, ACTS = 6, 4, 3  # per behaviour, per format, per persona


@dataclass(frozen=True, slots=True)
class Domain:
    """A field of life: what is worked on, by whom, where."""

    name: str
    items: tuple[str, ...]
    experts: tuple[str, ...]
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A card: six situations that call for it and what each persona does, in three wordings."""

    name: str
    title: str
    topic: str  # one word that the prompt names; it says what is at stake, not what is right
    category: str
    domains: tuple[str, ...]
    situations: tuple[str, ...]
    acts: Mapping[Persona, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Wording:
    """How one format wraps a behaviour: four asks, and what stands before and after the act."""

    name: str
    weight: float
    asks: tuple[str, ...]
    texts: Mapping[str, tuple[str, ...]]  # opening, closing and what else the format needs


@dataclass(frozen=True, slots=True)
class Personas:
    """Who writes: prior, rates, and the ladder of persona lines."""

    prior: tuple[float, ...]  # in the order of PERSONAS
    rates: Mapping[str, Any]
    fidelity: tuple[float, ...]
    adjectives: Mapping[Persona, tuple[tuple[str, ...], ...]]  # by strength
    roles: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Language:
    """All of the world's words."""

    domains: Mapping[str, Domain]
    personas: Personas
    traits: Mapping[str, Behaviour]
    behaviours: Mapping[str, Behaviour]
    formats: Mapping[str, Wording]
    environments: Mapping[str, Mapping[str, Any]]
    version: str  # hash of the files

    def card(self, name: str) -> Behaviour:
        """A trait's or another behaviour's card."""
        return self.traits[name] if name in self.traits else self.behaviours[name]


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file, or a UserError that names the line."""
    try:
        return tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"not valid TOML: {error}", file=path) from None


def _line_of(path: Path, text: str) -> int | None:
    return next((n for n, line in enumerate(path.read_text().splitlines(), 1) if text in line), None)


def _behaviours(path: Path, default_category: str) -> dict[str, Behaviour]:
    cards: dict[str, Behaviour] = {}
    for name, row in read_toml(path).items():
        line = _line_of(path, f"[{name}]")
        for field, count in (("situations", SITUATIONS), *((persona, ACTS) for persona in PERSONAS)):
            texts = row.get(field, ())
            if len(texts) != count or len(set(texts)) != count:
                raise UserError(
                    f'[{name}] "{field}" needs {count} different texts, has {len(texts)}',
                    file=path,
                    line=line,
                )
            for text in texts:
                if text.count("{item}") != 1:
                    raise UserError(
                        f'[{name}] "{text}" must name {{item}} exactly once',
                        file=path,
                        line=_line_of(path, text),
                    )
        topic = row.get("topic", "")
        if len(topic.split()) != 1 or topic in {card.topic for card in cards.values()}:
            raise UserError(
                f'[{name}] needs a "topic": one word that no other card has', file=path, line=line
            )
        chosen = row.get("domains", "all")
        names = tuple(DOMAINS) if chosen == "all" else tuple(chosen.split())
        for domain in names:
            if domain not in DOMAINS:
                raise UserError(
                    f'[{name}] unknown domain "{domain}"',
                    file=path,
                    line=line,
                    fix=did_you_mean(domain, DOMAINS),
                )
        acts: dict[Persona, tuple[str, ...]] = {persona: tuple(row[persona]) for persona in PERSONAS}
        cards[name] = Behaviour(
            name, row.get("title", name.replace("_", " ")), topic, row.get("category", default_category), names,
            tuple(row["situations"]), acts,
        )  # fmt: skip
    return cards


def _require_distinct_acts(cards: Mapping[str, Behaviour]) -> None:
    seen: dict[str, str] = {}
    for card in cards.values():
        for act in (act for persona in PERSONAS for act in card.acts[persona]):
            if act in seen:
                raise UserError(
                    f'act "{act}" stands in both "{seen[act]}" and "{card.name}"', fix="Reword one of them."
                )
            seen[act] = card.name


def load_language(folder: Path = WORLD) -> Language:
    """Read and check the world's files. Raises UserError naming the file, the line and the fix."""
    return _load(Path(folder))


@functools.cache
def _load(folder: Path) -> Language:
    raw = {path.stem: path.read_text() for path in sorted(folder.glob("*.toml"))}
    lexicon = read_toml(folder / "lexicon.toml")["domains"]
    domains = {
        name: Domain(name, *(tuple(lexicon[name][key]) for key in ("items", "experts", "places")))
        for name in DOMAINS
    }
    people = read_toml(folder / "personas.toml")
    prior = tuple(float(people["prior"][persona]) for persona in PERSONAS)
    if abs(sum(prior) - 1) > 1e-9:
        raise UserError(f"the prior sums to {sum(prior)}, not 1", file=folder / "personas.toml", line=4)
    adjectives: dict[Persona, tuple[tuple[str, ...], ...]] = {
        persona: tuple(tuple(words) for words in people["adjectives"][persona]["words"])
        for persona in PERSONAS
    }
    personas = Personas(
        prior, people["rates"], tuple(people["ladder"]["fidelity"]), adjectives,
        {name: tuple(words) for name, words in people["roles"].items()},
    )  # fmt: skip
    traits = _behaviours(folder / "traits.toml", "trait")
    for name in TRAITS:
        if name not in traits:
            raise UserError(
                f'no card for the trait "{name}"', file=folder / "traits.toml", fix=did_you_mean(name, traits)
            )
    behaviours = _behaviours(folder / "behaviours.toml", "alignment")
    _require_distinct_acts({**traits, **behaviours})
    formats = {}
    for name, row in read_toml(folder / "formats.toml").items():
        if len(row["asks"]) != ASKS:
            raise UserError(
                f"[{name}] needs {ASKS} asks",
                file=folder / "formats.toml",
                line=_line_of(folder / "formats.toml", f"[{name}]"),
            )
        texts = {
            k: (v,) if isinstance(v, str) else tuple(v) for k, v in row.items() if k not in ("asks", "weight")
        }
        formats[name] = Wording(name, float(row["weight"]), tuple(row["asks"]), texts)
    return Language(
        domains,
        personas,
        traits,
        behaviours,
        formats,
        read_toml(folder / "environments.toml"),
        content_hash(raw),
    )


def words_of(text: str) -> Iterator[str]:
    """The tokens of a text: the world puts a space around every word and mark."""
    return iter(text.split())
