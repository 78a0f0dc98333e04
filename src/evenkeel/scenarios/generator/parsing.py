"""From the text of an answer to a row, strictly: one JSON object, the stage's fields and no others, a row that can be read.

Every mistake is a UserError whose words the model gets to see in its one repair attempt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evenkeel.records.config import Source, build
from evenkeel.records.errors import UserError
from evenkeel.scenarios.audit.counts import LENGTHS
from evenkeel.scenarios.audit.found import Data, Finding, Placed
from evenkeel.scenarios.audit.integrity import check as integrity
from evenkeel.scenarios.disjoint import prompt_text
from evenkeel.scenarios.generator.prompts import Stage
from evenkeel.scenarios.generator.sampling import Slot, Wanted
from evenkeel.scenarios.rows import PairedReply, RubricLine, ScenarioRow, Turn, parse_row

SLACK = (0.5, 1.6)  # how far a length may fall under or exceed its range: models count words badly

Record = Mapping[str, Any]  # a row as plain values

_FENCED = re.compile(r"^```(?:json|JSON)?[ \t]*\n(.*)\n```[ \t]*$", re.S | re.M)
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.S)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
STAND_IN = {"id": "none_yet", "text": "Nothing yet.", "points": 1}  # until the rubric is written


@dataclass(frozen=True, slots=True)
class Draft:
    """Answer of the first stage."""

    title: str
    who: str
    messages: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Answer of the second stage."""

    problems: tuple[str, ...]
    title: str
    who: str
    messages: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Rubric:
    """Answer of the third stage."""

    criteria: tuple[RubricLine, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Answer of the fourth stage."""

    good_reply: PairedReply
    bad_reply: PairedReply


ANSWERS = {"draft": Draft, "rewrite": Rewrite, "rubric": Rubric, "pair": Pair}


def first_record(slot: Slot, wanted: Wanted, made: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a row that are known before anything is written."""
    return {
        "id": slot.id, "trait": slot.trait, "domain": slot.domain, "split": "train", "pressures": wanted.pressures,
        "format": wanted.format, "attachment": wanted.attachment, "flawed_turn": wanted.flawed_turn,
        "criteria": [STAND_IN], "provenance": made,
    }  # fmt: skip


def read(stage: Stage, text: str, record: Record, wanted: Wanted) -> tuple[Record, ScenarioRow]:
    """The record with a stage's answer in it, and the row that it makes so far. Raises UserError."""
    data = json_object(text)
    build(ANSWERS[stage], Source("the answer", data, {}))  # unknown and missing fields, wrong types
    if stage in ("draft", "rewrite"):
        person = {
            "who": data["who"],
            "country": wanted.country,
            "age": wanted.age,
            "register": wanted.register,
        }
        data = {"title": data["title"], "person": person, "messages": data["messages"]}
    record = {**record, **data}
    row = parse_row(json.dumps(record, ensure_ascii=False), file="the answer")
    if stage in ("draft", "rewrite"):
        _fits(row, wanted)
    return record, row


def json_object(text: str) -> dict[str, Any]:
    """The one JSON object of an answer: all of it, or all of its one fenced block. Raises UserError."""
    text = _THOUGHT.sub("", text).strip()
    if not text.startswith("{") and (fenced := _FENCED.search(text)):
        text = fenced.group(1)
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise UserError(f"it is not one JSON object ({error})") from None
    if not isinstance(value, dict):
        raise UserError("it is not a JSON object, { } with fields")
    if found := _CONTROL.search("".join(_strings(value))):
        raise UserError(f"a text has the character {found.group()!r}", fix="Write plain text.")
    return value


def _fits(row: ScenarioRow, wanted: Wanted) -> None:
    """Does the conversation have the shape that was ordered? Raises UserError."""
    roles = [turn.role for turn in row.messages]
    if ("system" in roles) != wanted.system:
        raise UserError(f"the order asks for {'a' if wanted.system else 'no'} system message")
    turns = roles.count("assistant")
    if turns != wanted.assistant_turns:
        raise UserError(
            f"the order asks for {wanted.assistant_turns} turns of the assistant, there are {turns}"
        )
    words, (low, high) = len(prompt_text(row.conversation).split()), LENGTHS[wanted.length]
    if not low * SLACK[0] <= words <= high * SLACK[1]:
        asked = f"at least {low}" if high == float("inf") else f"{low} to {high:g}"
        raise UserError(f"the conversation has {words} words, ordered were {asked}")
    for finding in integrity(Data([Placed(row, "", 0)])):
        if isinstance(finding, Finding):
            raise UserError(finding.problem, fix=finding.fix)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a field stands there twice")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _strings(value: Any) -> list[str]:
    """Every string in a JSON value, names of fields included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = [part for pair in value.items() for part in pair]
    return [text for item in value for text in _strings(item)] if isinstance(value, list) else []
