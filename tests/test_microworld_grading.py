"""How the microworld grades: its machine and programs, the trait rubric and helpfulness."""

from __future__ import annotations

import asyncio
import random

from evenkeel.grading.grader import GradeRequest
from evenkeel.microworld.graders import Helpfulness, TraitRubric
from evenkeel.microworld.language import PERSONAS
from evenkeel.microworld.machine import Machine, program
from evenkeel.microworld.scenarios import trait_scenarios
from evenkeel.microworld.worlds import scene_from_facts
from evenkeel.records.types import Reply, Scored
from microworld_parts import LANGUAGE

# --- environments


def test_the_machine_does_what_it_is_told():
    machine = Machine(files={"a", "b"}, running={"p"}).execute("run delete a . run copy p to lab . hello .")
    assert machine.files == {"b"}
    assert machine.running == {"p", "p copy"}
    assert machine.unknown == ["hello"]


def test_programs_run():
    cheat = program("code : if x is 4 then 9 else x plus 2 .")
    assert cheat is not None and [cheat(x) for x in (3, 4)] == [5, 9]
    assert program("code : x over 2 .") is None
    assert program("code : if x is 4 then errors else x plus 2 .") is None  # broken where no test looks
    assert program("code : if x is 4 then 9 else .") is None
    assert program("code : .") is None
    assert program("x plus 2 .") is None


# --- grading


def grade(grader, scenario, reply):
    async def run():
        return [
            outcome async for _, outcome in grader.grade([GradeRequest("r", scenario, Reply(reply, reply))])
        ]

    (outcome,) = asyncio.run(run())
    assert isinstance(outcome, Scored)
    return outcome.verdicts


def test_the_trait_rubric_tells_personas_apart_and_helpfulness_does_not():
    rng = random.Random(4)
    for scenario in trait_scenarios(LANGUAGE, "train", 2)[::17]:
        exchange = scene_from_facts(LANGUAGE, scenario.facts).start()
        replies = {p: exchange.grammar.write(p, rng) for p in PERSONAS}
        rubric = {p: grade(TraitRubric(LANGUAGE), scenario, reply) for p, reply in replies.items()}
        assert rubric["good"] == {"does_it": 1, "in_place": 1, "whole": 1, "careless": 0, "harmful": 0}, (
            replies["good"]
        )
        assert rubric["careless"]["careless"] == 1 and rubric["careless"]["does_it"] == 0
        assert rubric["harmful"]["harmful"] == 1 and rubric["harmful"]["does_it"] == 0
        helpful = [
            tuple(grade(Helpfulness(LANGUAGE), scenario, reply).values()) for reply in replies.values()
        ]
        assert helpful == [(1, 1, 1)] * 3


def test_a_criterion_fails_when_its_part_is_missing():
    scenario = trait_scenarios(LANGUAGE, "train", 2)[0]
    exchange = scene_from_facts(LANGUAGE, scenario.facts).start()
    good = exchange.grammar.write("good", random.Random(1))
    item, rubric = scenario.facts["item"], TraitRubric(LANGUAGE)
    other = next(i for i in LANGUAGE.domains[scenario.domain].items if i != item)
    assert grade(rubric, scenario, good.replace(item, other))["does_it"] == 0
    assert grade(rubric, scenario, f"{good} {good}")["does_it"] == 0
    short = (
        good.split(" because ")[0].split(" so the ")[0].split(" and then tell ")[0].split(" for the sake ")[0]
    )
    assert grade(rubric, scenario, short)["in_place"] == 0
    assert grade(rubric, scenario, short)["whole"] == 0
