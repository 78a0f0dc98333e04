"""Does a reply follow its instructions? The 25 constraints of IFEval (Zhou et al. 2023, arXiv:2311.07911), checked by code.

facts = {"check": "constraints", "constraints": [{"id": "length_constraints:number_words", "relation": "at least",
"num_words": 40}, ...], "loose": false}. Ids and parameters are IFEval's; one criterion a constraint, all worth the same.

The strict way takes the reply as it is. The loose way (section 3 of the paper; "loose": true) asks whether the constraint is
followed by any of eight versions of it: with or without its first line, its last line, and its asterisks, so that "Sure, here
it is:" and bold type do no harm. An empty reply follows nothing. Deviations from IFEval stand in the two files of rules.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from evenkeel.grading import constraints_form, constraints_words
from evenkeel.grading.checker import Checker, Facts
from evenkeel.grading.constraints_kind import Kind
from evenkeel.records.errors import UserError, did_you_mean
from evenkeel.records.types import Scored
from evenkeel.scenarios.scenario import Criterion

Constraint = Mapping[str, Any]

KINDS: Mapping[str, Kind] = {**constraints_words.KINDS, **constraints_form.KINDS}


def followed(constraints: Sequence[Constraint], reply: str, *, loose: bool = False) -> tuple[bool, ...]:
    """Whether the reply follows each constraint. They must be known (`require_known`)."""
    versions = [version for version in (_versions(reply) if loose else (reply,)) if version.strip()]
    return tuple(any(_follows(constraint, version) for version in versions) for constraint in constraints)


def require_known(constraints: Sequence[Constraint]) -> None:
    """Raises UserError for an unknown id and for a parameter that is missing, unknown or not what it must be."""
    if not isinstance(constraints, list | tuple) or not constraints:
        raise UserError(
            "a constraint task has no constraints", fix='Give facts["constraints"] a list of them.'
        )
    for constraint in constraints:
        name = str(constraint.get("id")) if isinstance(constraint, Mapping) else str(constraint)
        if name not in KINDS:
            raise UserError(f'unknown constraint "{name}"', fix=did_you_mean(name, KINDS))
        given, wanted = _parameters(constraint), KINDS[name].parameters
        if missing := wanted.keys() - given.keys():
            raise UserError(
                f"{name} lacks {', '.join(sorted(missing))}", fix=f"It takes {', '.join(wanted)}."
            )
        if extra := given.keys() - wanted.keys():
            raise UserError(
                f"{name} does not take {', '.join(sorted(extra))}",
                fix=f"It takes {', '.join(wanted) or 'nothing'}.",
            )
        for parameter, problem in ((key, wanted[key](value)) for key, value in given.items()):
            if problem:
                raise UserError(f"{name}: {parameter} is {given[parameter]!r}", fix=f"{parameter} {problem}.")


def criteria(facts: Facts) -> tuple[Criterion, ...]:
    """One criterion a constraint, "c1:FAMILY:NAME" and so on in their order, each worth one point."""
    return tuple(
        Criterion(f"c{number}:{constraint['id']}", f"The reply {in_words(constraint)}.", 1.0)
        for number, constraint in enumerate(facts["constraints"], start=1)
    )


def in_words(constraint: Constraint) -> str:
    """What a known constraint asks: "has at least 40 words"."""
    given = _parameters(constraint)
    shown = {
        key: ", ".join(value) if isinstance(value, list | tuple) else value for key, value in given.items()
    }
    return KINDS[constraint["id"]].words.format(**shown)


def check(facts: Facts, answer: str) -> Scored:
    """A verdict for every constraint."""
    verdicts = followed(facts["constraints"], answer, loose=bool(facts.get("loose", False)))
    return Scored(
        {criterion.id: float(met) for criterion, met in zip(criteria(facts), verdicts, strict=True)}
    )


def require(facts: Facts) -> None:
    """Raises UserError unless all constraints are known."""
    require_known(facts.get("constraints", ()))


def _follows(constraint: Constraint, reply: str) -> bool:
    return KINDS[constraint["id"]].follows(reply, **_parameters(constraint))


def _parameters(constraint: Constraint) -> dict[str, Any]:
    """Without the id and what is null: a published copy of IFEval's data gives every parameter to every constraint."""
    return {key: value for key, value in constraint.items() if key != "id" and value is not None}


def _versions(reply: str) -> Iterable[str]:
    """The eight versions of a reply that the loose way looks at."""
    lines = reply.split("\n")
    for first, last, asterisks in itertools.product((True, False), repeat=3):
        version = (
            reply if first and last else "\n".join(lines[0 if first else 1 : None if last else -1]).strip()
        )
        yield version if asterisks else version.replace("*", "")


CHECKER = Checker("1", check, require, criteria)
