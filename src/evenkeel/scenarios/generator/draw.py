"""One draw of a slot: draft, self-critique and rewrite, rubric, reply pair; each answer gets one chance of repair.

A draw depends on the seed, the answers and the rows that were there before its round, never on what arrives when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evenkeel.engines.endpoint import Ask
from evenkeel.records.errors import UserError
from evenkeel.records.types import Conversation
from evenkeel.scenarios.generator import parsing, prompts, sampling
from evenkeel.scenarios.generator.answers import Asker, Refused
from evenkeel.scenarios.generator.filters import Neighbours, Objection, alone
from evenkeel.scenarios.generator.prompts import Stage
from evenkeel.scenarios.generator.sampling import Slot, Wanted
from evenkeel.scenarios.rows import ScenarioRow

SHOTS = 2
TEMPERATURE = 1.0


@dataclass(frozen=True)
class Materials:
    """What every draw of a run shares."""

    seed: int
    max_tokens: int
    made: Mapping[str, Any]  # provenance, without what differs by draw
    shots: Sequence[ScenarioRow]
    taken: Mapping[
        tuple[str, str], Sequence[str]
    ]  # cell -> titles of the rows that were there before the run


@dataclass(frozen=True, slots=True)
class Drawn:
    """What came of a draw: a row, or what stands against it."""

    slot: Slot
    draw: int
    row: ScenarioRow | None
    objection: Objection | None = None
    repairs: tuple[Stage, ...] = ()  # stages whose first answer could not be used


class _Rejected(Exception):
    def __init__(self, rule: str, problem: str) -> None:
        self.objection = Objection(rule, problem)


async def draw(
    slot: Slot, number: int, materials: Materials, asker: Asker, neighbours: Neighbours, among: int
) -> Drawn:
    """The number-th draw of a slot. `among` is how many neighbours there were before this round.

    Raises NoAnswer when a call got none; the answers until then are kept.
    """
    wanted = sampling.wanted(materials.seed, slot, number)
    shots = sampling.shots(materials.shots, materials.seed, slot, number, SHOTS)
    repairs: list[Stage] = []
    writer = _Writer(slot, number, wanted, materials, asker, repairs)
    try:
        row = await writer.stage(
            "draft", prompts.draft(slot, wanted, shots, materials.taken.get((slot.trait, slot.domain), ()))
        )
        row = await writer.stage("rewrite", prompts.rewrite(slot, wanted, row))
        if objection := neighbours.early(row, among):
            raise _Rejected(objection.rule, objection.problem)
        row = await writer.stage("rubric", prompts.rubric(slot, row, shots))
        row = await writer.stage("pair", prompts.pair(wanted, row))
    except _Rejected as rejected:
        return Drawn(slot, number, None, rejected.objection, tuple(repairs))
    return Drawn(slot, number, row, None, tuple(repairs))


class _Writer:
    """The record of one draw as it grows."""

    def __init__(
        self,
        slot: Slot,
        number: int,
        wanted: Wanted,
        materials: Materials,
        asker: Asker,
        repairs: list[Stage],
    ) -> None:
        self.slot, self.number, self.wanted, self.materials = slot, number, wanted, materials
        self.asker, self.repairs = asker, repairs
        stream = f"{materials.seed}/{slot.id}/{number}"
        made = {**materials.made, "detail": {**materials.made["detail"], "seed": stream}}
        self.record: parsing.Record = parsing.first_record(slot, wanted, made)

    async def stage(self, stage: Stage, asked: Conversation) -> ScenarioRow:
        """Ask, read, repair once, and hold the row so far to the audit's rules."""
        text, cut = await self._ask(stage, stage, asked)
        try:
            row = self._read(stage, text, cut)
        except UserError as error:
            self.repairs.append(stage)
            asked = prompts.repair(asked, text, _said(error))
            text, cut = await self._ask(stage, f"{stage} again", asked)
            try:
                row = self._read(stage, text, cut)
            except UserError as again:
                raise _Rejected(f"unreadable {stage}", _said(again)) from None
        if objection := alone(stage, row):
            raise _Rejected(objection.rule, objection.problem)
        return row

    async def _ask(self, stage: Stage, name: str, asked: Conversation) -> tuple[str, bool]:
        """The text of an answer, and whether it was cut off."""
        seed = sampling.call_seed(self.materials.seed, self.slot, self.number, name)
        ask = Ask(asked, self.materials.max_tokens, TEMPERATURE, seed, prompts.schema(stage))
        answer = await self.asker.ask(ask)
        if isinstance(answer, Refused):
            raise _Rejected("refused by the endpoint", answer.detail)
        if answer.refusal:
            raise _Rejected("refused by the model", _writable(answer.refusal))
        return _writable(answer.text), answer.finish == "length"

    def _read(self, stage: Stage, text: str, cut: bool) -> ScenarioRow:
        if cut:
            raise UserError(f"it was cut off after {self.materials.max_tokens} tokens", fix="Be shorter.")
        self.record, row = parsing.read(stage, text, self.record, self.wanted)
        return row


def _said(error: UserError) -> str:
    """What the model gets to read: the mistake and the fix, without a file name that means nothing to it."""
    return f"{error.problem.rstrip('.')}. {error.fix}".strip()


def _writable(text: str) -> str:
    """Half of a surrogate pair cannot be written to a file."""
    return text.encode(errors="replace").decode()
