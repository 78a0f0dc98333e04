"""The plan: which prompt stands in which slot of which step, fixed before step 0.

One base table for all arms: every slot holds a standard prompt, the sources in exact shares by carry-over.
An arm replaces the first n slots of each step (n by carry-over of its share) with trait prompts; a smaller
dose replaces a subset of a larger dose's slots, with the same trait prompts. The baseline is the base table
itself; where a slot is replaced in an arm of up to `MATCHED_SHARE`, the base table holds a standard prompt
whose reply is about as long as that of the trait prompt that would stand there. Seeds change the sampling,
not the plan.

Draws are as even as possible: trait prompts cycle through the traits, inside a trait through its domains,
inside a cell through its scenarios; standard prompts are drawn without replacement, epoch after epoch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from evenkeel.records.canonical import content_hash
from evenkeel.records.errors import UserError, did_you_mean
from evenkeel.records.files import read_json, write_json
from evenkeel.records.streams import generator
from evenkeel.scenarios.scenario import Scenario
from evenkeel.training.arms import Arm, arm_named
from evenkeel.training.quotas import DOSES, exact, replaced_per_step, spread_evenly

__all__ = ["TRAIT_SOURCE", "Arm", "Plan", "arm_named", "make_plan", "require_shared"]

TRAIT_SOURCE = "trait"
MATCHED_SHARE = Fraction(
    1, 4
)  # the largest dose of the design; up to here the baseline's prompts are length-matched

LengthOf = Callable[[Scenario], int]


@dataclass(frozen=True)
class Plan:
    """(step, slot) -> scenario. `scenarios` lists (source, id, trait, domain); the table holds positions in
    it.
    """

    arm: Arm
    steps: int
    prompts: int
    seed: int
    scenarios: tuple[tuple[str, str, str | None, str | None], ...]
    table: tuple[tuple[int, ...], ...]  # steps x prompts

    def at(self, step: int) -> list[tuple[str, str]]:
        """(source, scenario id) of each slot of a step."""
        return [self.scenarios[position][:2] for position in self.table[step]]

    def rows(self) -> Iterator[tuple[int, int, str, str]]:
        """(step, slot, source, scenario id) in order."""
        for step in range(self.steps):
            for slot, (source, name) in enumerate(self.at(step)):
                yield step, slot, source, name

    @cached_property
    def hash(self) -> str:
        """Content hash of everything above."""
        return content_hash(self._record())

    @cached_property
    def replaced(self) -> frozenset[tuple[int, int]]:
        """The (step, slot) pairs that hold trait prompts."""
        return frozenset((step, slot) for step, slot, source, _ in self.rows() if source == TRAIT_SOURCE)

    def draws(self) -> dict[str, dict[str, int]]:
        """How often each `source`, `trait`, `domain`, `cell` ("trait/domain") and `scenario` ("source/id")
        is drawn.
        """
        times = Counter(position for row in self.table for position in row)
        counts: dict[str, Counter[str]] = {
            name: Counter() for name in ("source", "trait", "domain", "cell", "scenario")
        }
        for position, n in times.items():
            source, name, trait, domain = self.scenarios[position]
            counts["source"][source] += n
            counts["scenario"][f"{source}/{name}"] += n
            if source == TRAIT_SOURCE:
                counts["trait"][str(trait)] += n
                counts["domain"][str(domain)] += n
                counts["cell"][f"{trait}/{domain}"] += n
        return {name: dict(sorted(count.items())) for name, count in counts.items()}

    def summary(self) -> str:
        """The draws as text, for a person to read before anything runs."""
        draws = self.draws()
        total = self.steps * self.prompts
        lines = [f"plan {self.hash}: arm {self.arm.name}, {self.steps} steps x {self.prompts} prompts"]
        for source, n in draws["source"].items():
            per = [k for name, k in draws["scenario"].items() if name.startswith(f"{source}/")]
            lines.append(
                f"  {source}: {n} draws ({100 * n / total:.1f} %), {min(per)} to {max(per)} for each of "
                f"{len(per)} scenarios"
            )
        lines += [f"    {trait}: {n}" for trait, n in draws["trait"].items()]
        return "\n".join(lines)

    def write(self, folder: Path) -> None:
        """`plan.json` in the folder: one short line of positions a step."""
        record = self._record()
        record["table"] = [" ".join(map(str, row)) for row in self.table]
        write_json(Path(folder) / "plan.json", {**record, "hash": self.hash, "draws": self.draws()})

    @classmethod
    def read(cls, folder: Path) -> Plan:
        """What `write` wrote. Raises UserError when the file is damaged or its hash does not fit."""
        file = Path(folder) / "plan.json"
        record = read_json(file)
        try:
            arm: dict[str, Any] = {
                key: tuple(v) if isinstance(v, list) else v for key, v in record["arm"].items()
            }
            plan = cls(
                arm=Arm(**arm),
                steps=record["steps"],
                prompts=record["prompts"],
                seed=record["seed"],
                scenarios=tuple((source, name, t, d) for source, name, t, d in record["scenarios"]),
                table=tuple(tuple(map(int, row.split())) for row in record["table"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"not a plan ({error})", file=file, fix="Delete it and run again.") from None
        if plan.hash != record.get("hash"):
            raise UserError("the table does not fit its hash", file=file, fix="Delete it and run again.")
        return plan

    def _record(self) -> dict:
        return {
            "arm": asdict(self.arm),
            "steps": self.steps,
            "prompts": self.prompts,
            "seed": self.seed,
            "scenarios": self.scenarios,
            "table": self.table,
        }


def make_plan(
    sources: Mapping[str, Sequence[Scenario]],
    mixture: Mapping[str, float],
    arm: Arm,
    *,
    steps: int,
    prompts: int,
    seed: int,
    length_of: LengthOf | None = None,
) -> Plan:
    """The plan of one arm. `mixture` gives the shares of the standard sources (sum 1); trait prompts come
    from `sources["trait"]`; `length_of` is the expected length of a reply, in any unit.

    Raises UserError for impossible shares, unknown sources or domains, evaluation scenarios, repeated ids.
    """
    weights = _checked(sources, mixture, arm, steps, prompts)
    trait = sources.get(TRAIT_SOURCE, ())
    table = _base_table(sources, weights, trait, steps, prompts, seed, length_of)
    if arm.share > 0:
        share = exact(arm.share)
        chosen = [scenario for scenario in trait if arm.takes(scenario.domain)]
        for (step, slot), scenario in _trait_slots(chosen, share, steps, prompts, seed).items():
            table[step][slot] = scenario
    used = sorted(
        {(s.source, s.id, s.trait, s.domain) for row in table for s in row}, key=lambda key: key[:2]
    )
    position = {key[:2]: i for i, key in enumerate(used)}
    rows = tuple(tuple(position[s.source, s.id] for s in row) for row in table)
    return Plan(arm, steps, prompts, seed, tuple(used), rows)


def _checked(sources, mixture, arm: Arm, steps: int, prompts: int) -> dict[str, Fraction]:
    """The mixture as exact fractions, after every check that needs no plan."""
    if steps < 1 or prompts < 1:
        raise UserError(f"a plan of {steps} steps x {prompts} prompts is empty", fix="Set both to 1 or more.")
    if not 0 <= arm.share <= 1:
        raise UserError(f'arm "{arm.name}": share {arm.share} is not between 0 and 1')
    for name in mixture:
        if name == TRAIT_SOURCE or not sources.get(name):
            known = [key for key in sources if key != TRAIT_SOURCE and sources[key]]
            raise UserError(
                f'the mixture names "{name}", which is no standard source.', fix=did_you_mean(name, known)
            )
    total = sum(mixture.values())
    if abs(total - 1) > 1e-6 or min(mixture.values(), default=-1) < 0:
        raise UserError(f"the shares of the mixture sum to {total:g}, not 1", fix=f"Shares: {dict(mixture)}")
    for source, scenarios in sources.items():
        repeated = [name for name, n in Counter(s.id for s in scenarios).items() if n > 1]
        if repeated:
            raise UserError(f'source "{source}" has two scenarios with the id "{repeated[0]}"')
        for scenario in scenarios:
            if scenario.split != "train" or scenario.source != source:
                raise UserError(
                    f'scenario "{scenario.id}" (split {scenario.split}, source {scenario.source}) stands in '
                    f'the training source "{source}"',
                    fix="Only scenarios of the train split, under their own source, can be trained on.",
                )
    _check_domains(sources.get(TRAIT_SOURCE, ()), arm)
    fractions = {name: exact(share) for name, share in mixture.items() if share > 0}
    return {name: value / sum(fractions.values()) for name, value in fractions.items()}


def _check_domains(trait: Sequence[Scenario], arm: Arm) -> None:
    domains = {str(scenario.domain) for scenario in trait}
    for name in (*(arm.domains or ()), *arm.without):
        if arm.share > 0 and name not in domains:
            raise UserError(
                f'arm "{arm.name}" speaks of domain "{name}", which no scenario has.',
                fix=did_you_mean(name, domains),
            )
    if arm.share > 0 and not any(arm.takes(scenario.domain) for scenario in trait):
        raise UserError(f'arm "{arm.name}" replaces slots but has no trait scenarios to put there')


def _base_table(sources, weights, trait, steps, prompts, seed, length_of) -> list[list[Scenario]]:
    """Standard prompts for every slot, the same for all arms."""
    wanted: dict[tuple[int, int], int] = {}
    if length_of is not None and trait:
        slots = _trait_slots(trait, MATCHED_SHARE, steps, prompts, seed)
        wanted = {slot: length_of(scenario) for slot, scenario in slots.items()}
    bags = {name: _Bag(name, sources[name], seed, length_of) for name in weights}
    return [
        [bags[name].draw(wanted.get((step, slot))) for slot, name in enumerate(row)]
        for step, row in enumerate(_source_table(weights, steps, prompts))
    ]


def _source_table(weights: Mapping[str, Fraction], steps: int, prompts: int) -> list[list[str]]:
    """Which standard source each slot belongs to.

    Every step gets its exact quota; inside the step the sources are dealt to the slots so that what each
    dose of the ladder replaces, and so what it leaves, keeps the mixture too.
    """
    sequence = spread_evenly(weights, steps * prompts)
    cuts = [replaced_per_step(dose, steps, prompts) for dose in DOSES]
    dealt = [Counter[str]() for _ in DOSES]  # by dose: sources in its slots so far
    table = []
    for step in range(steps):
        left = Counter(sequence[step * prompts : (step + 1) * prompts])
        row: list[str] = []
        for slot in range(prompts):
            holding = [
                i for i, cut in enumerate(cuts) if slot < cut[step]
            ]  # the doses that replace this slot
            count, size = dealt[holding[0]], dealt[holding[0]].total() + 1
            name = max(left, key=lambda s: (weights[s] * size - count[s], left[s], s))
            left -= Counter([name])
            for i in holding:
                dealt[i][name] += 1
            row.append(name)
        table.append(row)
    return table


class _Bag:
    """Scenarios of one source, drawn without replacement in shuffled epochs; nearest in length if asked."""

    def __init__(self, name: str, scenarios: Sequence[Scenario], seed: int, length_of: LengthOf | None):
        self.key = ("plan", seed, "source", name)
        self.scenarios = sorted(scenarios, key=lambda scenario: scenario.id)
        self.lengths = [length_of(s) for s in self.scenarios] if length_of else []
        self.left: list[int] = []
        self.epoch = 0

    def draw(self, length: int | None) -> Scenario:
        if not self.left:
            self.left = generator(*self.key, self.epoch).permutation(len(self.scenarios)).tolist()
            self.epoch += 1
        if length is None:
            return self.scenarios[self.left.pop(0)]
        nearest = min(range(len(self.left)), key=lambda i: abs(self.lengths[self.left[i]] - length))
        return self.scenarios[self.left.pop(nearest)]


def _trait_slots(chosen, share: Fraction, steps: int, prompts: int, seed: int):
    """(step, slot) -> trait scenario for every slot that this share replaces.

    One endless sequence of draws: the smallest dose takes its beginning, the next dose's further slots what
    follows, and so on. So every dose is a beginning of the same sequence, and every beginning is even over
    traits.
    """
    cuts = [replaced_per_step(dose, steps, prompts) for dose in (*[d for d in DOSES if d < share], share)]
    draws = _trait_sequence(chosen, seed, sum(cuts[-1]))
    result = {}
    inner = [0] * steps
    for cut in cuts:
        for step in range(steps):
            for slot in range(inner[step], cut[step]):
                result[step, slot] = next(draws)
        inner = cut
    return result


def _trait_sequence(scenarios: Sequence[Scenario], seed: int, length: int) -> Iterator[Scenario]:
    """`length` draws: round after round over the traits, each in its next domain, each cell in its next
    scenario.
    """
    cells: dict[str, dict[str, list[Scenario]]] = {}
    for scenario in sorted(scenarios, key=lambda s: s.id):
        cells.setdefault(str(scenario.trait), {}).setdefault(str(scenario.domain), []).append(scenario)
    traits = sorted(cells)
    domains = sorted({domain for cell in cells.values() for domain in cell})
    order = [domains[i] for i in generator("plan", seed, "domains").permutation(len(domains))]
    turn = {trait: [domain for domain in order if domain in cells[trait]] for trait in traits}
    bags: dict[tuple[str, str], list[Scenario]] = {}
    epochs: Counter[tuple[str, str]] = Counter()
    for number in range(length):
        round_, place = divmod(number, len(traits))
        if place == 0:  # a new order of traits each round, so that no trait is tied to a place in the step
            shuffled = generator("plan", seed, "traits", round_).permutation(len(traits)).tolist()
        trait = traits[shuffled[place]]
        # shifted by trait: one round of fifteen traits visits all domains, none more than twice
        domain = turn[trait][(round_ + traits.index(trait)) % len(turn[trait])]
        cell = trait, domain
        if not bags.get(cell):
            pool = cells[trait][domain]
            shuffle = generator("plan", seed, "cell", trait, domain, epochs[cell]).permutation(len(pool))
            bags[cell] = [pool[i] for i in shuffle]
            epochs[cell] += 1
        yield bags[cell].pop(0)


def require_shared(plans: Sequence[Plan]) -> None:
    """Raises UserError unless the plans of one study share every slot that neither replaces, and doses are
    nested.
    """
    for first in plans:
        for second in plans:
            if (first.steps, first.prompts) != (second.steps, second.prompts):
                raise UserError(f'arms "{first.arm.name}" and "{second.arm.name}" differ in steps or prompts')
            free = {*first.replaced, *second.replaced}
            pairs = zip(first.rows(), second.rows(), strict=True)
            if any(a != b for a, b in pairs if a[:2] not in free):
                raise UserError(
                    f'arms "{first.arm.name}" and "{second.arm.name}" differ outside replaced slots'
                )
            if first.arm.share <= second.arm.share and not first.replaced <= second.replaced:
                raise UserError(
                    f'the slots of "{second.arm.name}" do not contain those of "{first.arm.name}"'
                )
