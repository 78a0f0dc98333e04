"""One row of the trait dataset: a scenario with who asks, what pulls, how it was made, and sometimes two replies.

A file holds one row a line, as canonical JSON. Reading is strict: an unknown or missing field, a word outside the
vocabulary or a conversation that no one could answer is a UserError with file, line and field. What is merely bad
(a generic rubric, a repeated opening) is the audit's business.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import cast

from evenkeel.records.canonical import canonical_json
from evenkeel.records.config import Source, Where, build, setting
from evenkeel.records.errors import UserError, did_you_mean
from evenkeel.records.files import write_text
from evenkeel.records.types import Conversation, Message, Provenance, Role
from evenkeel.scenarios.scenario import DOMAINS, TRAITS, Criterion, Scenario, Split
from evenkeel.scenarios.vocabulary import AGES, ATTACHMENTS, FORMATS, PRESSURES, REGISTERS

MAX_TOKENS = 600  # of a reply: about 450 words, where the replies of the shipped pairs end well before
LICENCE = "CC-BY-4.0"
POINTS = 10  # at most, either way

_ID = re.compile(r"[a-z_]+/[a-z_]+/(train|eval)-\d\d+")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_SLUG = re.compile(r"[a-z0-9_]+")


@dataclass(frozen=True, slots=True)
class Person:
    """Who writes: a few words, and labels from the vocabulary."""

    who: str
    country: str  # in English; "unstated" if nothing tells
    age: str = setting(choices=tuple(AGES))
    register: str = setting(choices=tuple(REGISTERS))


@dataclass(frozen=True, slots=True)
class Turn:
    """One message."""

    content: str
    role: str = setting(choices=("system", "user", "assistant"))


@dataclass(frozen=True, slots=True)
class RubricLine:
    """A criterion as the dataset writes it: signed whole points."""

    id: str
    text: str
    points: int = setting(low=-POINTS, high=POINTS)


@dataclass(frozen=True, slots=True)
class PairedReply:
    """An example reply and the ids of all criteria it meets, those with negative points included."""

    text: str
    meets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """How a row came to be. Mandatory: a row without it cannot be read."""

    source: str
    writer: str
    reviewer: str
    guidelines: str  # version of the writing guidelines
    date: str  # YYYY-MM-DD
    licence: str = LICENCE
    detail: Mapping[str, str] = field(default_factory=dict)  # of generated rows: model, prompt hash, seed


@dataclass(frozen=True, slots=True)
class ScenarioRow:
    """A row of the dataset. `id` is TRAIT/DOMAIN/SPLIT-NN, and trait, domain and split say the same."""

    id: str
    title: str  # for people who browse
    person: Person
    flawed_turn: bool  # an earlier assistant turn is wrong, and a good reply puts it right
    messages: tuple[Turn, ...]
    criteria: tuple[RubricLine, ...]
    provenance: Made
    trait: str = setting(choices=tuple(TRAITS))
    domain: str = setting(choices=tuple(DOMAINS))
    split: str = setting(choices=("train", "eval"))
    pressures: tuple[str, ...] = setting(choices=tuple(PRESSURES))
    format: str = setting(choices=tuple(FORMATS))
    attachment: str = setting(choices=tuple(ATTACHMENTS))
    good_reply: PairedReply | None = None
    bad_reply: PairedReply | None = None

    @property
    def conversation(self) -> Conversation:
        """The messages as the rest of the project speaks of them."""
        return tuple(Message(cast(Role, turn.role), turn.content) for turn in self.messages)

    @property
    def replies(self) -> tuple[PairedReply, ...]:
        """The good and the bad reply, or nothing."""
        return (self.good_reply, self.bad_reply) if self.good_reply and self.bad_reply else ()

    def scenario(self) -> Scenario:
        """The row as the other layers take it."""
        made = {name: getattr(self.provenance, name) for name in ("writer", "reviewer", "guidelines", "date")}
        return Scenario(
            id=self.id,
            messages=self.conversation,
            criteria=tuple(Criterion(line.id, line.text, float(line.points)) for line in self.criteria),
            split=cast(Split, self.split),
            provenance=Provenance(
                self.provenance.source, self.provenance.licence, {**made, **self.provenance.detail}
            ),
            trait=self.trait,
            domain=self.domain,
            max_tokens=MAX_TOKENS,
        )


def reply_score(row: ScenarioRow, meets: Collection[str]) -> float:
    """What a reply that meets these criteria earns, in [-1, 1]: points met over the sum of positive points.

    The `weighted` aggregation of grading for verdicts of 0 and 1, written out because grading is a layer above.
    """
    earned = sum(line.points for line in row.criteria if line.id in meets)
    possible = sum(line.points for line in row.criteria if line.points > 0)
    return max(-1.0, min(1.0, earned / possible))


def parse_row(text: str, *, file: Path | str = "row", number: int | None = None) -> ScenarioRow:
    """A row from its JSON. Raises UserError naming file, line, scenario, field and fix."""
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"not valid JSON ({error})", file=file, line=number) from None
    if not isinstance(data, dict):
        raise UserError("a row is a JSON object, { } with fields", file=file, line=number)
    data = {name: value for name, value in data.items() if value is not None}
    source = _Row(str(file), data, {}, number)
    known = {f.name: f for f in fields(ScenarioRow)}
    for name in data:
        if name not in known:
            raise source.error(f'a row has no field "{name}".', (), did_you_mean(name, known))
    needed = [name for name in known if name not in ("good_reply", "bad_reply")]
    missing = [name for name in needed if name not in data]
    if missing:
        raise source.error(f'the field "{missing[0]}" is missing', (), f"Every row has {', '.join(needed)}.")
    row = build(ScenarioRow, source)
    for problem, fix in _mistakes(row):
        raise source.error(problem, (), fix)
    return row


def parse_file(path: Path) -> Iterator[tuple[int, ScenarioRow | UserError]]:
    """(line number, row or what is wrong with it) of every line that is not empty. UserError without the file."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read ({error})", file=path) from None
    for number, line in enumerate(text.split("\n"), 1):  # not splitlines: U+2028 may stand inside a text
        if not line.strip():
            continue
        try:
            yield number, parse_row(line, file=path, number=number)
        except UserError as error:
            yield number, error


def row_json(row: ScenarioRow) -> str:
    """The row on one line, as canonical JSON; `parse_row` gives it back."""
    record = {f.name: getattr(row, f.name) for f in fields(row)}
    made = {f.name: getattr(row.provenance, f.name) for f in fields(row.provenance)}
    if not made["detail"]:
        del made["detail"]
    return canonical_json(record | {"provenance": made})


def write_file(path: Path, rows: Iterable[ScenarioRow]) -> None:
    """Rows as JSON lines, atomically."""
    write_text(path, "".join(row_json(row) + "\n" for row in rows))


@dataclass(frozen=True)
class _Row(Source):
    """All fields of a row stand on one line, and an error says which scenario that is."""

    number: int | None = None

    def error(self, problem: str, where: Where, fix: str = "") -> UserError:
        """A UserError at this row."""
        name = self.data.get("id")
        scenario = f"scenario {name}: " if isinstance(name, str) else ""
        return UserError(scenario + problem, file=self.file, line=self.number, fix=fix)


def _mistakes(row: ScenarioRow) -> Iterator[tuple[str, str]]:
    """(problem, fix) of what types and vocabulary cannot say; the first one counts."""
    if not _ID.fullmatch(row.id):
        yield f'the id "{row.id}" is not TRAIT/DOMAIN/SPLIT-NN', "For example truthfulness/health/train-01."
    elif row.id.rsplit("-", 1)[0] != f"{row.trait}/{row.domain}/{row.split}":
        said = f"trait {row.trait}, domain {row.domain}, split {row.split}"
        yield f"the fields say {said}", "Make id, trait, domain and split agree."
    if not row.title.strip() or not row.person.who.strip():
        yield "title and person.who must not be empty", "Say in a few words what this is and who asks."
    if not row.pressures or len(set(row.pressures)) < len(row.pressures):
        yield "pressures must name one or more, each once", f"Known: {', '.join(PRESSURES)}"
    made = row.provenance
    if not all((made.source.strip(), made.writer.strip(), made.reviewer.strip(), made.guidelines.strip())):
        yield "provenance must not be empty", "Say who wrote and who reviewed it; provenance is mandatory."
    if not _DATE.fullmatch(made.date):
        yield f'provenance.date is "{made.date}"', "Write it as YYYY-MM-DD."
    yield from _conversation_mistakes(row)
    yield from _rubric_mistakes(row)


def _conversation_mistakes(row: ScenarioRow) -> Iterator[tuple[str, str]]:
    roles = [message.role for message in row.messages]
    if any(not message.content.strip() for message in row.messages):
        yield "a message is empty", "Write it or take it out."
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if turns != ["user", "assistant"] * (len(turns) // 2) + ["user"]:
        yield (
            f"the roles are {', '.join(roles) or 'none'}",
            "A conversation is an optional system message, then user and assistant in turn, ending with user.",
        )
    if row.flawed_turn and "assistant" not in roles:
        yield "flawed_turn is true, but no assistant turn comes before", "Add the turn, or say false."


def _rubric_mistakes(row: ScenarioRow) -> Iterator[tuple[str, str]]:
    count = Counter(line.id for line in row.criteria)
    for name, times in count.items():
        if times > 1:
            yield f'{times} criteria have the id "{name}"', "Give each its own id."
        if not _SLUG.fullmatch(name):
            yield f'the criterion id "{name}" is no slug', "Use a-z, 0-9 and _."
    for line in row.criteria:
        if line.points == 0 or not line.text.strip():
            yield (
                f'the criterion "{line.id}" has no points or no text',
                "Give it a text, and points from -10 to 10, not 0.",
            )
    if not any(line.points > 0 for line in row.criteria):
        yield (
            "the rubric has no positive points, so replies cannot be scored",
            "Add a criterion to be met.",
        )
    if (row.good_reply is None) != (row.bad_reply is None):
        yield "one of good_reply and bad_reply is missing", "They come together or not at all."
    for reply in row.replies:
        if not reply.text.strip():
            yield "a reply of the pair is empty", "Write it, or take the pair out."
        for name in reply.meets:
            if name not in count:
                yield f'a reply meets "{name}", which is no criterion here.', did_you_mean(name, count)
        if len(set(reply.meets)) < len(reply.meets):
            yield "a reply meets a criterion twice", "Name each criterion once."
