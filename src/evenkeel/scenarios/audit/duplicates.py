"""Equal and nearly equal prompts, rubrics, replies and criteria, inside a split and across splits.

Token 5-grams, Jaccard similarity, exact prefix filtering: see `scenarios.disjoint`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from evenkeel.scenarios.audit.found import Data, Found, Placed, at
from evenkeel.scenarios.disjoint import duplicates, prompt_text
from evenkeel.scenarios.rows import ScenarioRow

Key = str  # "position of the row" or "position of the row:part"


def check(data: Data) -> Iterator[Found]:
    """All rules of this file."""
    for rule, what, texts_of in (
        ("near_prompts", "prompt", _prompt),
        ("near_rubrics", "rubric", _rubric),
        ("near_replies", "reply", _replies),
        ("reused_criteria", "criterion", _criteria),
    ):
        yield from _near(data, rule, what, texts_of)


def _prompt(row: ScenarioRow) -> Mapping[str, str]:
    return {"": prompt_text(row.conversation)}


def _rubric(row: ScenarioRow) -> Mapping[str, str]:
    return {"": "\n".join(line.text for line in row.criteria)}


def _replies(row: ScenarioRow) -> Mapping[str, str]:
    return {str(place): reply.text for place, reply in enumerate(row.replies)}


def _criteria(row: ScenarioRow) -> Mapping[str, str]:
    return {line.id: line.text for line in row.criteria}


def _near(
    data: Data, rule: str, what: str, texts_of: Callable[[ScenarioRow], Mapping[str, str]]
) -> Iterator[Found]:
    texts = {
        f"{position}:{part}": text
        for position, placed in enumerate(data.rows)
        for part, text in texts_of(placed.row).items()
    }
    for pair in duplicates(texts, threshold=data.high(rule)):
        left, right = _row(data, pair.left), _row(data, pair.right)
        if left is right:  # replies of a pair, or criteria of one rubric: other rules look at those
            continue
        how = "equals" if pair.similarity == 1.0 else f"is {pair.similarity:.2f} like"
        across = " of the other split" if left.row.split != right.row.split else ""
        yield at(
            right,
            rule,
            f"its {what} {how} that of {left.row.id}{across} ({left.file}, line {left.line}): "
            f'"{_short(pair.text)}"',
            data.limits[rule].fix,
        )


def _row(data: Data, key: Key) -> Placed:
    return data.rows[int(key.split(":", 1)[0])]


def _short(text: str, length: int = 70) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"
