"""Fill every slot: rounds of draws, each round judged in the order of slots, so that arrival changes nothing.

What was paid lies in OUT/answers.sqlite. A killed run is played again from there, to the same rows, and only then
asks for more. OUT/scenarios.jsonl and OUT/report.json are written whole after every batch.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from evenkeel.engines.endpoint import EndpointConfig, key_of
from evenkeel.records.errors import UserError
from evenkeel.records.files import write_json
from evenkeel.scenarios.audit import overlap
from evenkeel.scenarios.audit.found import Data, Finding, Placed
from evenkeel.scenarios.generator.answers import Asker, NoAnswer, Totals
from evenkeel.scenarios.generator.draw import Drawn, Materials, draw
from evenkeel.scenarios.generator.filters import Neighbours, Objection
from evenkeel.scenarios.generator.sampling import Slot
from evenkeel.scenarios.generator.settings import (
    ANSWERS_FILE,
    REPORT_FILE,
    ROWS_FILE,
    Given,
    Settings,
    alone,
    begin,
    given,
)
from evenkeel.scenarios.rows import ScenarioRow, write_file

BATCH = 100  # draws judged together: the texts of --against are read once for each
TRIES = 3  # of a draw whose call got no answer, each with all attempts of the endpoint
HOPELESS = 40  # draws without one accepted row, at which a run stops


class Watcher(Protocol):
    """Who is told how a run goes."""

    def moved(self, accepted: int, rejected: int, totals: Totals) -> None:
        """A draw came to its end, or rows were accepted."""
        ...


class Paused(UserError):
    """Generation stopped before its end. Nothing paid is lost; the message says how to go on."""


@dataclass
class Run:
    """What a run has come to."""

    settings: Settings
    rows: dict[Slot, ScenarioRow] = field(default_factory=dict)
    rejected: list[Drawn] = field(default_factory=list)
    repairs: Counter[str] = field(default_factory=Counter)
    totals: Totals = field(default_factory=lambda: Totals(0, 0, 0))
    paid: int = 0  # calls of this session
    note: str = ""

    @property
    def ordered(self) -> list[ScenarioRow]:
        """The rows by cell and number."""
        return [self.rows[slot] for slot in sorted(self.rows)]

    @property
    def short(self) -> dict[str, int]:
        """Cells that lack rows, and how many."""
        empty = [slot for slot in self.settings.slots if slot not in self.rows]
        return dict(Counter(f"{slot.trait}/{slot.domain}" for slot in empty))

    @property
    def reasons(self) -> dict[str, int]:
        """Rule -> how many draws it rejected, most frequent first."""
        count = Counter(drawn.objection.rule for drawn in self.rejected if drawn.objection)
        return dict(sorted(count.items(), key=lambda item: (-item[1], item[0])))

    def record(self) -> dict[str, Any]:
        """OUT/report.json: equal answers give equal bytes."""
        rejections = sorted(self.rejected, key=lambda drawn: (drawn.slot, drawn.draw))
        return {
            "wanted": len(self.settings.slots), "accepted": len(self.rows), "short": self.short,
            "calls": self.totals.calls, "prompt_tokens": self.totals.prompt_tokens,
            "completion_tokens": self.totals.completion_tokens, "repairs": dict(self.repairs),
            "rejected": self.reasons,
            "rejections": [
                {"scenario": d.slot.id, "draw": d.draw, "rule": d.objection.rule, "problem": d.objection.problem}
                for d in rejections if d.objection
            ],
        }  # fmt: skip


def generate(
    settings: Settings, endpoint: EndpointConfig, folder: Path, watcher: Watcher | None = None
) -> Run:
    """Generate into a folder, from the beginning or from where a killed run stopped.

    Raises UserError before any call for settings that cannot be run, and Paused when the endpoint stops answering.
    """
    key_of(endpoint)
    rows = given(settings)
    with alone(folder):
        settings = begin(folder, settings, rows)
        asker = Asker(endpoint, folder / ANSWERS_FILE)
        return asyncio.run(_Work(settings, rows, asker, folder, watcher).all())


class _Work:
    def __init__(
        self, settings: Settings, rows: Given, asker: Asker, folder: Path, watcher: Watcher | None
    ) -> None:
        self.settings, self.asker, self.folder, self.watcher = settings, asker, folder, watcher
        self.run = Run(settings, note=rows.note)
        self.neighbours = Neighbours()
        taken: dict[tuple[str, str], list[str]] = {}
        for row in rows.others:
            self.neighbours.add(row)
            taken.setdefault((row.trait, row.domain), []).append(row.title)
        made = settings.made()
        self.materials = Materials(settings.seed, settings.max_tokens, made, rows.shots, taken)
        self.places = asyncio.Semaphore(asker.endpoint.config.in_flight)  # draws at once

    async def all(self) -> Run:
        """Rounds until every slot is filled or out of draws."""
        async with self.asker:
            for number in range(self.settings.draws):
                open_slots = [slot for slot in self.settings.slots if slot not in self.run.rows]
                if open_slots:
                    await self._round(open_slots, number)
            if not len(self.asker.answers):
                raise self._paused("the endpoint answered nothing")
            self.asker.settle()
            self._write()
        return self.run

    async def _round(self, open_slots: Sequence[Slot], number: int) -> None:
        """Draw every open slot once; judge in the order of slots."""
        among = self.neighbours.size
        tasks = {slot: asyncio.create_task(self._draw(slot, number, among)) for slot in open_slots}
        try:
            for batch in _batches(open_slots):
                drawn = [await tasks[slot] for slot in batch]
                if None in drawn:
                    await asyncio.gather(*tasks.values())  # let those at work finish: their calls are paid
                    raise self._paused(self.asker.stopped)
                await self._judge([each for each in drawn if each is not None])
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _draw(self, slot: Slot, number: int, among: int) -> Drawn | None:
        """One draw, tried again where calls got no answer; None when there is none to be had now."""
        async with self.places:
            for attempt in range(TRIES):
                try:
                    drawn = await draw(slot, number, self.materials, self.asker, self.neighbours, among)
                except NoAnswer as failed:
                    if attempt == TRIES - 1:
                        self.asker.stopped = self.asker.stopped or str(failed)
                    continue
                self._tell()
                return drawn
        return None

    async def _judge(self, batch: Sequence[Drawn]) -> None:
        """Accept what shares nothing with --against and is far enough from every row accepted before it."""
        shared = await asyncio.to_thread(self._overlaps, [drawn.row for drawn in batch if drawn.row])
        run = self.run
        for drawn in batch:
            run.repairs.update(drawn.repairs)
            objection, row = drawn.objection, drawn.row
            if row is not None:
                objection = shared.get(row.id) or self.neighbours.objection(row)
            if row is None or objection is not None:
                run.rejected.append(Drawn(drawn.slot, drawn.draw, None, objection))
                continue
            self.neighbours.add(row)
            run.rows[drawn.slot] = row
        self._write()
        if not run.rows and len(run.rejected) >= HOPELESS:
            counted = ", ".join(f"{rule} {count}" for rule, count in list(run.reasons.items())[:5])
            fix = f"See {self.folder / REPORT_FILE}; another model may follow the prompts better."
            raise UserError(f"{len(run.rejected)} draws and not one row accepted: {counted}", fix=fix)

    def _overlaps(self, rows: Sequence[ScenarioRow]) -> dict[str, Objection]:
        """Row id -> what it shares with --against."""
        if not rows or not self.settings.against:
            return {}
        data = Data([Placed(row, "", 0) for row in rows])
        found = [each for each in overlap.check(data, self.settings.against) if isinstance(each, Finding)]
        return {each.scenario: Objection(each.rule, each.problem) for each in found if each.rule == "overlap"}

    def _write(self) -> None:
        self.run.totals, self.run.paid = self.asker.answers.totals(), self.asker.paid
        write_file(self.folder / ROWS_FILE, self.run.ordered)
        write_json(self.folder / REPORT_FILE, self.run.record())
        self._tell()

    def _tell(self) -> None:
        if self.watcher:
            self.watcher.moved(len(self.run.rows), len(self.run.rejected), self.asker.answers.totals())

    def _paused(self, why: str) -> Paused:
        kept = len(self.asker.answers)
        fix = (
            f"Nothing is lost: {kept} answers are kept in {self.asker.answers.path}. Mend the endpoint and start the same "
            "command again; it goes on from here."
        )
        return Paused(f"generation paused: {why}", fix=fix)


def _batches(slots: Sequence[Slot]) -> Iterator[Sequence[Slot]]:
    for start in range(0, len(slots), BATCH):
        yield slots[start : start + BATCH]
