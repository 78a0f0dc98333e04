"""Rows of anyone's: prompt, answer and check stand in fields that the study file names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from evenkeel.records.errors import did_you_mean
from evenkeel.records.types import Message
from evenkeel.scenarios.scenario import Scenario
from evenkeel.scenarios.standard.aqua import option_texts, with_options
from evenkeel.scenarios.standard.files import Row
from evenkeel.scenarios.standard.open_ended import prompt_of
from evenkeel.scenarios.standard.settings import CHECKS, FieldSettings, SourceSettings
from evenkeel.scenarios.standard.task import origin, place, task, task_id
from evenkeel.scenarios.standard.wording import WORDINGS, asked

Facts = dict[str, Any]


def scenarios(settings: SourceSettings, rows: Sequence[Row], seed: int) -> Iterator[Scenario]:
    """One task a row. Raises UserError naming file, line and field."""
    for row in rows:
        check = settings.check or row.text(settings.fields.check)
        if check not in CHECKS:
            raise row.error(f'the field "{settings.fields.check}" is "{check}".', did_you_mean(check, CHECKS))
        messages = prompt_of(row, settings.fields.prompt)
        facts = FACTS[check](row, settings.fields)
        id_ = task_id(settings, [messages, facts])
        last, how = messages[-1].content, ""
        if check == "choice":
            last = with_options(last, option_texts(row, settings.fields.options), seed, id_)
        if settings.say_how and check in WORDINGS:
            said = asked(last, check, seed, id_)
            last, how = said.prompt, said.how
        yield task(
            settings, id_, (*messages[:-1], Message(messages[-1].role, last)), {"check": check, **facts},
            origin=origin(settings), licence="", detail=place(settings, row), how=how,
        )  # fmt: skip


def _number(row: Row, fields: FieldSettings) -> Facts:
    value = row.value(fields.answer)
    text = (
        str(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool)
        else row.text(fields.answer)
    )
    if not re.search(r"\d", text):
        raise row.error(f'the field "{fields.answer}" is "{text}", which holds no number')
    return {"answer": text}


def _choice(row: Row, fields: FieldSettings) -> Facts:
    """The answer is a letter, the number of the option from 0, or its text."""
    options = option_texts(row, fields.options)
    value = row.value(fields.answer)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(options):
        return {"answer": list(options)[value], "options": list(options)}
    said = row.text(fields.answer)
    letters = [letter for letter, text in options.items() if said in (letter, text)]
    if len(letters) != 1:
        fix = f"It must be one of {', '.join(options)}, a number from 0, or the text of one option."
        raise row.error(f'the field "{fields.answer}" is "{said}"', fix)
    return {"answer": letters[0], "options": list(options)}


def _constraints(row: Row, fields: FieldSettings) -> Facts:
    """Which ids there are is the grader's business."""
    given = row.value(fields.constraints)
    for one in given if isinstance(given, list) and given else [given]:
        if not isinstance(one, Mapping) or not isinstance(one.get("id"), str):
            fix = 'Write [{"id": "punctuation:no_comma"}], with the ids and parameters of IFEval.'
            raise row.error(f'the field "{fields.constraints}" has {one!r:.80}, which is no constraint', fix)
    return {
        "constraints": [{k: v for k, v in one.items() if v is not None} for one in given]
    }  # Parquet fills up with nulls


def _unit_tests(row: Row, fields: FieldSettings) -> Facts:
    return {"tests": row.texts(fields.tests), "setup": row.data.get(fields.setup) or ""}


FACTS: Mapping[str, Callable[[Row, FieldSettings], Facts]] = {
    "number": _number,
    "choice": _choice,
    "exact": lambda row, fields: {"answer": row.text(fields.answer)},
    "constraints": _constraints,
    "unit_tests": _unit_tests,
    "helpfulness": lambda row, fields: {},
}
"""Check -> what its grader needs of a row."""
