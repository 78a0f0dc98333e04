"""GSM8K (Cobbe et al. 2021, 2110.14168): grade school word problems; 7,473 in the training split.

The answer stands after "####"; the worked solution before it is never shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from evenkeel.scenarios.scenario import Scenario
from evenkeel.scenarios.standard.files import Row
from evenkeel.scenarios.standard.settings import SourceSettings
from evenkeel.scenarios.standard.task import place, task, task_id
from evenkeel.scenarios.standard.wording import asked

ORIGIN, LICENCE = "GSM8K (arXiv:2110.14168)", "MIT"

_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def scenarios(settings: SourceSettings, rows: Sequence[Row], seed: int) -> Iterator[Scenario]:
    """One task a row with `question` and `answer`. Raises UserError naming the row."""
    for row in rows:
        question, solution = row.text("question"), row.text("answer")
        answer = solution.rpartition("####")[2].strip().replace(",", "").removeprefix("$")
        if "####" not in solution or not _NUMBER.fullmatch(answer):
            raise row.error('"answer" must end with "#### " and a number', "Is this a file of GSM8K?")
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
