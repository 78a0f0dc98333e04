"""AQuA-RAT (Ling et al. 2017, 1705.04146): algebra word problems with five options. Rationales are never shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from evenkeel.records.streams import generator
from evenkeel.scenarios.scenario import Scenario
from evenkeel.scenarios.standard.files import Row
from evenkeel.scenarios.standard.settings import SourceSettings
from evenkeel.scenarios.standard.task import place, task, task_id
from evenkeel.scenarios.standard.wording import asked

ORIGIN, LICENCE = "AQuA-RAT (arXiv:1705.04146)", "Apache-2.0"
LETTERS = "ABCDEFGHIJ"
LAYOUTS = ("{letter}) {text}", "({letter}) {text}", "{letter}. {text}")

_OPTION = re.compile(r"\(?(?P<letter>[A-J])\s?[).:]\s*(?P<text>.*)", re.DOTALL)


def scenarios(settings: SourceSettings, rows: Sequence[Row], seed: int) -> Iterator[Scenario]:
    """One task a row with `question`, `options` ("A)21") and `correct`. Raises UserError naming the row."""
    for row in rows:
        options = option_texts(row, "options")
        correct = row.text("correct")
        if correct not in options:
            raise row.error(f'"correct" is "{correct}"', f"It must be one of {', '.join(options)}.")
        id_ = task_id(settings, [row.text("question"), list(options.values()), correct])
        said = asked(with_options(row.text("question"), options, seed, id_), "choice", seed, id_)
        facts = {"check": "choice", "answer": correct, "options": list(options)}
        yield task(
            settings,
            id_,
            said.prompt,
            facts,
            origin=ORIGIN,
            licence=LICENCE,
            detail=place(settings, row),
            how=said.how,
        )


def option_texts(row: Row, name: str) -> dict[str, str]:
    """Letter -> text of a list of options, with or without letters of their own. Raises UserError naming the row."""
    texts = row.texts(name)
    if not 2 <= len(texts) <= len(LETTERS):
        raise row.error(f'"{name}" has {len(texts)} options', f"There must be 2 to {len(LETTERS)}.")
    letters = LETTERS[: len(texts)]
    lettered = [_OPTION.fullmatch(text) for text in texts]
    if [match and match["letter"] for match in lettered] == list(letters):
        return {
            letter: match["text"].strip() for letter, match in zip(letters, lettered, strict=True) if match
        }
    return dict(zip(letters, texts, strict=True))


def with_options(question: str, options: dict[str, str], seed: int, id_: str) -> str:
    """The question and its options, one a line, in one of three layouts."""
    layout = LAYOUTS[int(generator("standard", "layout", seed, id_).integers(len(LAYOUTS)))]
    lines = [layout.format(letter=letter, text=text) for letter, text in options.items()]
    return "\n".join([question, *lines])
