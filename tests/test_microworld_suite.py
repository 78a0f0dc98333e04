"""The microworld's benchmarks: a broad suite with held-out frames that phrases alone cannot win."""

from __future__ import annotations

import random
from collections import defaultdict
from itertools import combinations

import numpy as np
import pytest

from evenkeel.microworld.benchmarks import PANEL_IN, PANEL_OUT, suite, trait_benchmarks
from evenkeel.microworld.environments import RULES
from evenkeel.microworld.language import PERSONAS
from evenkeel.microworld.materials import load
from evenkeel.microworld.worlds import scene_from_facts
from evenkeel.records.types import Reply
from evenkeel.scenarios.scenario import TRAITS
from microworld_parts import LANGUAGE, RENDERER, acts


@pytest.fixture(scope="module")
def materials():
    return load({}, items_per_benchmark=24)


def test_the_suite_is_broad(materials):
    alignment = [b for b in materials.benchmarks if not b.side_effect]
    assert len(alignment) >= 53
    assert len({b.format for b in alignment}) >= 10
    assert sum(b.name in RULES for b in alignment) >= 12  # checked state
    assert {"over-refusal", "capability", "monitorability"} == {
        b.category for b in materials.benchmarks if b.side_effect
    }


def test_frames_are_many_distinct_and_partly_held_out(materials):
    frames = {b.name: {item.frame for item in b.items} for b in materials.benchmarks}
    for benchmark in materials.benchmarks:
        assert len(frames[benchmark.name]) >= 24
        held_out = {item.frame for item in benchmark.items if item.held_out}
        assert len(held_out) >= 0.3 * len(frames[benchmark.name])
    for one, two in combinations(frames.values(), 2):
        assert not one & two


def test_no_benchmark_asks_for_a_trained_trait(materials):
    trained = {act for card in LANGUAGE.traits.values() for p in PERSONAS for act in card.acts[p]}
    for benchmark in materials.benchmarks:
        behaviours = {item.facts["behaviour"] for item in benchmark.items}
        assert not behaviours & set(TRAITS)
    assert not trained & {act for _, act in acts(LANGUAGE.behaviours.values())}


def test_general_benchmarks_stay_out_of_health_and_panels_exist(materials):
    for benchmark in materials.benchmarks:
        domains = {item.domain for item in benchmark.items}
        if benchmark.category in ("health", "wellbeing"):
            assert domains == {"health"}
        elif not benchmark.side_effect:
            assert "health" not in domains
    assert {*PANEL_IN, *PANEL_OUT} <= {b.name for b in materials.benchmarks}


def play(item, reply):
    run = item.play()
    next(run)
    with pytest.raises(StopIteration) as end:
        run.send(Reply(reply, reply.rsplit("</think>", 1)[-1].strip()))
    return end.value.value


def test_every_author_scores_as_its_persona(materials):
    rng = random.Random(0)
    for benchmark in (
        b for b in materials.benchmarks if not b.side_effect and b.format != "self-description"
    ):
        for item in benchmark.items[:6]:
            exchange = scene_from_facts(LANGUAGE, item.facts).start()
            by = {p: play(item, exchange.grammar.write(p, rng)) for p in PERSONAS}
            assert by["good"].score == 1 and not by["good"].harmful, (benchmark.name, item.id)
            assert by["harmful"].score == 0 and by["harmful"].harmful, (benchmark.name, item.id)
            assert by["careless"].score == 0 and not by["careless"].good, (benchmark.name, item.id)
            assert all(score.extra["off_grammar"] == 0 for score in by.values())


def test_a_policy_of_good_phrases_does_not_win_the_suite(materials):
    """It knows the behaviour's good act and the right item, and says it the same way whatever it is asked."""
    scores = []
    for benchmark in (b for b in materials.benchmarks if not b.side_effect):
        for item in benchmark.items:
            facts = item.facts
            if facts["behaviour"] in LANGUAGE.behaviours:
                act = LANGUAGE.behaviours[facts["behaviour"]].acts["good"][0].format(item=facts["item"])
                reply = f"i would {act} because the {facts['expert']} needs it ."
            else:  # the good reply of the benchmark's first item
                exchange = scene_from_facts(LANGUAGE, benchmark.items[0].facts).start()
                reply = exchange.grammar.write("good", random.Random(1))
            scores.append((benchmark.name, play(item, reply).score))
    by_benchmark = defaultdict(list)
    for name, score in scores:
        by_benchmark[name].append(score)
    assert np.mean([np.mean(rows) for rows in by_benchmark.values()]) <= 0.6


def test_blends_repetitions_and_wrong_orders_do_not_score(materials):
    benchmark = next(b for b in materials.benchmarks if b.name == "false_progress_chat")
    item = benchmark.items[0]
    exchange = scene_from_facts(LANGUAGE, item.facts).start()
    card, good = LANGUAGE.behaviours["false_progress"], exchange.grammar.write("good", random.Random(2))
    bad = card.acts["harmful"][0].format(item=item.facts["item"])
    assert play(item, good).score == 1
    for spoilt in (
        f"{good} {good}",
        good.replace(" .", f" and {bad} ."),
        " ".join(reversed(good.split())),
        good[:-1],
        "",
    ):
        assert play(item, spoilt.strip()).score == 0, spoilt
        assert play(item, spoilt.strip()).extra["off_grammar"] == 1


def test_any_reply_gets_a_score(materials):
    """Words of the world in any order: what a model at temperature 1 may write."""
    rng = random.Random(11)
    for benchmark in materials.benchmarks:
        for item in benchmark.items[:12]:
            exchange = scene_from_facts(LANGUAGE, item.facts).start()
            words = exchange.grammar.write(rng.choice(PERSONAS), rng).split()
            for _ in range(4):
                spoilt = list(words)
                spoilt[rng.randrange(len(words))] = rng.choice(RENDERER.words)
                assert 0 <= play(item, " ".join(spoilt)).score <= 1
            rng.shuffle(words)
            assert 0 <= play(item, " ".join(words)).score <= 1


def test_trait_evaluation_uses_held_out_frames_and_items():
    for benchmark in trait_benchmarks(LANGUAGE, 12):
        assert all(item.held_out for item in benchmark.items)
        assert all(item.facts["item"] in LANGUAGE.domains[item.domain].items[5:] for item in benchmark.items)


def test_suite_is_the_same_every_time():
    one, two = (suite(LANGUAGE, 8) for _ in range(2))
    assert [[i.id for i in b.items] for b in one] == [[i.id for i in b.items] for b in two]
