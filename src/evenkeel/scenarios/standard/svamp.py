"""SVAMP (Patel et al. 2021, 2103.07191): 1,000 short word problems, varied so that shallow cues mislead.

Many bodies end without a full stop ("... If there is a discount of 25 dollars on each pack"); the question is joined as
a person would have written it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation

from evenkeel.scenarios.scenario import Scenario
from evenkeel.scenarios.standard.files import Row
from evenkeel.scenarios.standard.settings import SourceSettings
from evenkeel.scenarios.standard.task import place, task, task_id
from evenkeel.scenarios.standard.wording import asked

ORIGIN, LICENCE = "SVAMP (arXiv:2103.07191)", "MIT"

_BETWEEN_SENTENCES = re.compile(r"(?<=[.?!])\s+")


def scenarios(settings: SourceSettings, rows: Sequence[Row], seed: int) -> Iterator[Scenario]:
    """One task a row with `Body`, `Question` and `Answer`. Raises UserError naming the row."""
    for row in rows:
        question = joined(row.text("Body"), row.text("Question"))
        try:
            number = Decimal(str(row.value("Answer")))
        except InvalidOperation:
            raise row.error(
                f'"Answer" must be a number, not {row.value("Answer")!r}', "Is this a file of SVAMP?"
            ) from None
        answer = str(int(number)) if number == int(number) else str(number.normalize())
        id_ = task_id(settings, [question, answer])
        said = asked(question, "number", seed, id_)
        facts = {"check": "number", "answer": answer}
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


def joined(body: str, question: str) -> str:
    """Body and question as running text: ", how" after a sentence that begins with If, ". How" after any other."""
    if body[-1] in ".?!":
        return f"{body} {question}"
    if _BETWEEN_SENTENCES.split(body)[-1].startswith("If "):
        return f"{body.rstrip(',')}, {question[0].lower()}{question[1:]}"
    return f"{body}. {question}"
