"""Generated tasks as a source: equal parts, all different, the same from a seed, and none that cannot be scored."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections import Counter

import pytest

from evenkeel.grading import reasoning_tasks
from evenkeel.records.errors import UserError
from evenkeel.records.types import Scored
from evenkeel.scenarios.standard.load import load_standard
from evenkeel.scenarios.standard.reasoning import REFUSED
from evenkeel.scenarios.standard.wording import WORDINGS, bare_text
from standard_sources import GYM, load, source


def test_generated_tasks_come_in_equal_parts_and_are_all_different():
    rows = load(None, **GYM)
    assert Counter(s.facts["task"] for s in rows) == {"chain_sum": 7, "word_sorting": 7, "knights_knaves": 6}
    assert len({s.id for s in rows}) == len({s.facts["entry"]["question"] for s in rows}) == 20
    for scenario in rows:
        assert json.loads(json.dumps(scenario.facts)) == scenario.facts  # plain values
        assert bare_text(scenario) == scenario.facts["entry"]["question"].strip()
        assert scenario.provenance.detail["package"].startswith("reasoning-gym 0")


def test_the_grader_reads_what_generated_tasks_ask_for():
    rows = load(None, **GYM)
    assert {s.facts["how"] for s in rows} == {text for text, _ in WORDINGS["tagged"]}
    for scenario, other in itertools.pairwise(rows):
        reasoning_tasks.CHECKER.require(scenario.facts)
        reply = "Let me see.\n<answer>{}</answer>"
        for entry, correct in ((scenario.facts["entry"], 1.0), (other.facts["entry"], 0.0)):
            verdict = reasoning_tasks.CHECKER.check(scenario.facts, reply.format(entry["answer"]))
            assert verdict == Scored({"correct": correct})


def test_a_generator_that_repeats_itself_is_asked_again():
    few = {"chain_sum": {"max_terms": 2, "max_digits": 1}}
    assert len(load(None, kind="reasoning_gym", tasks=("chain_sum",), count=60, configure=few)) == 60


def test_generated_tasks_follow_the_seed_and_their_own_seed_goes_before():
    one, same, other = (load(None, seed, **GYM) for seed in (0, 0, 1))
    assert one == same and not {s.id for s in one} & {s.id for s in other}
    own = [source(**GYM, seed=5)]
    assert [s.id for s in load_standard(own, seed=0)["s"]] == [s.id for s in load_standard(own, seed=1)["s"]]


def test_configure_reaches_the_generator():
    hard = {"chain_sum": {"min_digits": 5, "max_digits": 5}}
    (row, *_) = load(None, kind="reasoning_gym", tasks=("chain_sum",), count=3, configure=hard)
    assert all(len(number) == 5 for number in re.findall(r"\d+", row.facts["entry"]["question"]))


def test_generated_tasks_are_the_same_in_another_process():
    code = (
        "from evenkeel.scenarios.standard.load import load_standard as l\n"
        "from evenkeel.scenarios.standard.settings import SourceSettings as S\n"
        "s = S('s', 'reasoning_gym', 1.0, tasks=('chain_sum', 'word_sorting', 'knights_knaves'), count=20)\n"
        "print([(r.id, r.messages) for r in l([s], seed=0)['s']])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str([(s.id, s.messages) for s in load(None, **GYM)])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tasks": ("chain_sums",)}, 'Did you mean "chain_sum"'),
        ({"tasks": ("word_ladder",)}, "differ from one process to the next"),
        ({"configure": {"chain_sum": {"min_digit": 2}}}, "unexpected keyword argument 'min_digit'"),
        ({"configure": {"chain_sum": {"min_digits": 9}}}, "max_digits"),
        (
            {"configure": {"chain_sum": {"max_terms": 2, "max_digits": 1}}, "count": 400},
            "different questions",
        ),
    ],
)
def test_a_task_that_cannot_be_had_is_named(changes, says):
    with pytest.raises(UserError) as caught:
        load(None, **{**GYM, "tasks": ("chain_sum",), **changes})
    assert says in str(caught.value)


def test_a_scorer_that_takes_anything_is_not_trusted(monkeypatch):
    monkeypatch.delitem(REFUSED, "game_of_life_halting")
    with pytest.raises(UserError, match="cannot be trusted"):
        load(None, **{**GYM, "tasks": ("game_of_life_halting",)})
