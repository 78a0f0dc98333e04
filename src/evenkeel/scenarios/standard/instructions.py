"""Prompts with one to three constraints on the form of the reply, which a program can check.

Constraints are drawn from the stream of the seed and the prompt, among those that one reply can meet together. Prompts
that fix the form of their answer themselves (code, translations, labels, corrections) are left out: "write a Python
function" and "no commas" is no task.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from evenkeel.records.canonical import content_hash
from evenkeel.records.streams import generator
from evenkeel.records.types import Message
from evenkeel.scenarios.disjoint import prompt_text
from evenkeel.scenarios.scenario import Scenario
from evenkeel.scenarios.standard.constraint_kinds import CONSTRAINTS, Draw, compatible
from evenkeel.scenarios.standard.files import Row
from evenkeel.scenarios.standard.open_ended import instruction_of, prompt_of
from evenkeel.scenarios.standard.settings import SourceSettings
from evenkeel.scenarios.standard.task import origin, place, task

MOST = 3  # constraints on one reply
STYLES = ("{said}", "{said}", "Please keep to this:\n{listed}", "Requirements:\n{listed}")

_FIXED_FORM = re.compile(
    r"""\b(
    translat\w* | languages? | arabic | chinese | english | french | german | spanish |
    classif\w* | categor\w* | label\w* | predict\w* | determine | decide | identify | detect | find | select | choose | pick |
    yes | true | false | verify | match\w* | link | sort | extract\w* | output |
    convert\w* | rewrit\w* | rephrase | paraphras\w* | correct\w* | fix | replac\w* | fill | mask | complet\w* |
    calculat\w* | solv\w* | equations? | math\w* | numbers? | formulas? | sudoku | chess |
    codes? | coding | program\w* | functions? | commands? | query | pars(?:e|ing) | syntax | notation | regex | regular |
    python | java\w* | sql | html | css | latex | bash | json | yaml | markdown | tables? | templates? | format\w* |
    sentences? | words? | letters? | lines? | bullets? | commas? | semicolons? | placeholders? | quot(?:e|es|ation) |
    capital\w* | spell\w* | punctuat\w* | gramma\w* | titles? | headlines? | subject | captions? | hashtags? |
    haiku | rhym\w* | lyrics | poems? | palindrome\w* | anagram\w* | acronym\w*
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)


def scenarios(settings: SourceSettings, rows: Sequence[Row], seed: int) -> Iterator[Scenario]:
    """`variants` tasks of each prompt that leaves the form open. Raises UserError naming the row."""
    for row in rows:
        messages = prompt_of(row, settings.fields.prompt)
        instruction, _ = instruction_of(row, settings.fields.prompt) or (messages[-1].content, "")
        if row.data.get("is_classification") or _FIXED_FORM.search(instruction):
            continue
        prompt = content_hash(messages)
        for variant in range(settings.variants):
            rng = generator("standard", "constraints", seed, prompt, variant)
            draw = Draw(rng, prompt_text(messages), settings.max_tokens)
            chosen = _drawn(draw, settings.constraints or tuple(CONSTRAINTS))
            how = _said(draw, chosen)
            asked = (*messages[:-1], Message(messages[-1].role, f"{messages[-1].content}\n\n{how}"))
            facts = {"check": "constraints", "constraints": chosen}
            yield task(
                settings, f"{settings.name}/{prompt}-{variant}", asked, facts,
                origin=origin(settings), licence="", detail=place(settings, row), how=how,
            )  # fmt: skip


def _drawn(draw: Draw, names: Sequence[str]) -> list[dict[str, Any]]:
    """One to three constraints that can stand together, in drawn order; at least one."""
    count = int(draw.rng.integers(1, MOST + 1))
    chosen: list[dict[str, Any]] = []
    for i in draw.rng.permutation(len(names)):
        if len(chosen) == count:
            break
        name = names[i]
        if compatible([*(one["id"] for one in chosen), name]):
            parameters = CONSTRAINTS[name].draw(draw)
            if parameters is not None:
                chosen.append({"id": name, **parameters})
    return chosen


def _said(draw: Draw, chosen: Sequence[dict[str, Any]]) -> str:
    """All constraints in words, as running text or as a list."""
    said = []
    for one in chosen:
        parameters = {name: value for name, value in one.items() if name != "id"}
        said.append(CONSTRAINTS[one["id"]].sentence(parameters, draw))
    style = draw.of(STYLES) if len(said) > 1 else STYLES[0]
    return style.format(said=" ".join(said), listed="\n".join(f"- {sentence}" for sentence in said))
