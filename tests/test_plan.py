"""The plan: exact quotas, arms that share what they must, doses inside each other, even draws."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evenkeel.records.errors import UserError
from evenkeel.records.types import Message, Provenance
from evenkeel.scenarios.scenario import Scenario
from evenkeel.training.arms import Arm, arm_named
from evenkeel.training.plan import Plan, make_plan, require_shared
from evenkeel.training.quotas import DOSES, exact, replaced_per_step, spread_evenly

TRAITS = ("calm", "fair", "honest")
DOMAINS = ("health", "science", "law", "games")
MIXTURE = {"add": 0.25, "chat": 0.45, "copy": 0.3}


def scenario(source, number, trait=None, domain=None, split="train"):
    name = f"{trait}-{domain}-{number}" if trait else f"{number}"
    turn = (Message("user", name),)
    return Scenario(name, turn, (), split, Provenance("test"), trait=trait, domain=domain, source=source)


def make_sources(per_cell=3, per_source=17):
    trait = [scenario("trait", i, t, d) for t in TRAITS for d in DOMAINS for i in range(per_cell)]
    return {"trait": trait, **{name: [scenario(name, i) for i in range(per_source)] for name in MIXTURE}}


SOURCES = make_sources()


def plan_of(name, steps=20, prompts=16, seed=0, **options):
    return make_plan(SOURCES, MIXTURE, arm_named(name), steps=steps, prompts=prompts, seed=seed, **options)


sizes = {"steps": st.integers(1, 20), "prompts": st.integers(1, 24)}
shares = st.sampled_from([0.01, 0.02, 0.05, 0.07, 0.1, 0.15, 0.25, 0.3, 0.5, 0.8, 1.0])


@given(weights=st.lists(st.integers(1, 50), min_size=1, max_size=7), length=st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_every_prefix_keeps_the_shares(weights, length):
    total = sum(weights)
    shares_of = {f"s{i}": Fraction(w, total) for i, w in enumerate(weights)}
    sequence = spread_evenly(shares_of, length)
    count: Counter = Counter()
    for k, name in enumerate(sequence, 1):
        count[name] += 1
        assert all(abs(k * share - count[name]) < 1 for name, share in shares_of.items())


@given(share=shares, **sizes)
@settings(max_examples=40, deadline=None)
def test_replaced_slots_are_the_exact_quota_by_carry_over(share, steps, prompts):
    counts = replaced_per_step(exact(share), steps, prompts)
    done = 0
    for step, n in enumerate(counts, 1):
        done += n
        assert 0 <= n <= prompts
        # the next larger dose may hold it back by a step
        assert abs(done - exact(share) * prompts * step) < (1.2 if exact(share) in DOSES else 2)


def test_the_two_doses_of_the_design_are_exact():
    for share, total in ((0.05, 96), (0.25, 480)):
        counts = replaced_per_step(exact(share), 60, 32)
        assert sum(counts) == total
        assert set(counts) <= {1, 2} if share == 0.05 else set(counts) == {8}


@given(small=shares, large=shares, **sizes)
@settings(max_examples=40, deadline=None)
def test_a_larger_dose_contains_a_smaller_one(small, large, steps, prompts):
    small, large = sorted((small, large))
    on_ladder = {0.01, 0.05, 0.1, 0.25, 0.5, 1.0}
    if small in on_ladder or large in on_ladder:
        inner = replaced_per_step(exact(small), steps, prompts)
        outer = replaced_per_step(exact(large), steps, prompts)
        assert all(a <= b for a, b in zip(inner, outer, strict=True))


@given(seed=st.integers(0, 5), **sizes)
@settings(max_examples=6, deadline=None)
def test_arms_share_every_slot_but_the_replaced_ones(seed, steps, prompts):
    names = (
        "baseline",
        "trait-5",
        "trait-25",
        "health_only-5",
        "no_health_science-25",
        "generic_helpfulness-5",
    )
    plans = {name: plan_of(name, steps, prompts, seed, length_of=lambda s: len(s.id)) for name in names}
    require_shared(list(plans.values()))
    assert plans["trait-5"].replaced <= plans["trait-25"].replaced
    assert plans["health_only-5"].replaced == plans["trait-5"].replaced
    assert plans["no_health_science-25"].replaced == plans["trait-25"].replaced
    # only the reward differs
    assert list(plans["generic_helpfulness-5"].rows()) == list(plans["trait-5"].rows())
    same = {(step, slot): name for step, slot, _, name in plans["trait-25"].rows()}
    for step, slot, source, name in plans["trait-5"].rows():
        if source == "trait":
            assert same[step, slot] == name


def test_require_shared_refuses_another_seed_and_disjoint_doses():
    with pytest.raises(UserError, match="outside replaced slots"):
        require_shared([plan_of("trait-5"), plan_of("trait-25", seed=1)])
    with pytest.raises(UserError, match="steps or prompts"):
        require_shared([plan_of("trait-5"), plan_of("trait-25", steps=21)])


@given(name=st.sampled_from(["baseline", "trait-5", "trait-25"]), **sizes)
@settings(max_examples=15, deadline=None)
def test_standard_sources_keep_the_mixture_at_every_step(name, steps, prompts):
    plan = plan_of(name, steps, prompts)
    if name == "baseline":
        count: Counter = Counter()
        for step in range(steps):
            count.update(source for source, _ in plan.at(step))
            for source, share in MIXTURE.items():
                assert abs(count[source] - share * prompts * (step + 1)) < 1
    kept = steps * prompts - len(plan.replaced)
    for source, share in MIXTURE.items():
        assert abs(plan.draws()["source"].get(source, 0) - share * kept) < 2.5


@given(name=st.sampled_from(["trait-5", "trait-25", "trait-7", "health_only-25"]), **sizes)
@settings(max_examples=15, deadline=None)
def test_every_trait_cell_and_scenario_is_drawn_evenly(name, steps, prompts):
    plan = plan_of(name, steps, prompts)
    draws = plan.draws()
    kept = [s for s in SOURCES["trait"] if plan.arm.takes(s.domain)]
    domains = {s.domain for s in kept}
    by_trait = [draws["trait"].get(trait, 0) for trait in TRAITS]
    assert sum(by_trait) == len(plan.replaced)
    assert max(by_trait) - min(by_trait) <= 1
    for trait in TRAITS:
        cells = [draws["cell"].get(f"{trait}/{domain}", 0) for domain in domains]
        assert max(cells) - min(cells) <= 1
        for domain in domains:
            ids = [s.id for s in kept if (s.trait, s.domain) == (trait, domain)]
            times = [draws["scenario"].get(f"trait/{name}", 0) for name in ids]
            assert max(times) - min(times) <= 1


def test_prompts_come_without_replacement_within_an_epoch():
    draws = plan_of("baseline").draws()
    for source in MIXTURE:
        times = [n for name, n in draws["scenario"].items() if name.startswith(f"{source}/")]
        assert len(times) == 17
        assert max(times) - min(times) <= 1


def test_the_baseline_holds_prompts_of_similar_length_in_replaced_slots():
    def length_of(scenario):
        return 40 if scenario.source == "trait" else int(scenario.id) * 5

    def distance(plan):
        slots = plan_of("trait-25", 5).replaced
        return sum(abs(int(n) * 5 - 40) for s, k, _, n in plan.rows() if (s, k) in slots) / len(slots)

    assert distance(plan_of("baseline", 5, length_of=length_of)) < 0.5 * distance(plan_of("baseline", 5))


def test_a_plan_is_stored_and_read_back(tmp_path):
    plan = plan_of("no_health_science-25")
    plan.write(tmp_path)
    again = Plan.read(tmp_path)
    assert again == plan and again.hash == plan.hash
    assert plan.hash != plan_of("trait-25").hash
    text = (tmp_path / "plan.json").read_text()
    (tmp_path / "plan.json").write_text(text.replace('"steps": 20', '"steps": 19'))
    with pytest.raises(UserError, match="hash"):
        Plan.read(tmp_path)
    (tmp_path / "plan.json").write_text('{"arm": 3}')
    with pytest.raises(UserError, match="not a plan"):
        Plan.read(tmp_path)


def test_the_summary_shows_draws_per_source_trait_and_scenario():
    text = plan_of("trait-25").summary()
    assert "trait: 80 draws (25.0 %)" in text and "calm: 2" in text and "for each of" in text


def test_arms_by_name():
    assert arm_named("trait-25") == Arm("trait-25", "trait", 0.25)
    assert arm_named("baseline").share == 0
    assert arm_named("generic_helpfulness-5").reward == "helpfulness"
    for wrong in ("trait", "trait-0", "trait-500", "trait-x", "baseline-5", "trai-5"):
        with pytest.raises(UserError):
            arm_named(wrong)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mixture": {"add": 0.5, "chat": 0.4}}, "sum to 0.9"),
        ({"mixture": {"add": 0.5, "chta": 0.5}}, 'Did you mean "chat"'),
        ({"mixture": {"add": 1.5, "chat": -0.5}}, "sum to"),
        ({"arm": Arm("x", "health_only", 0.05, domains=("helth",))}, 'Did you mean "health"'),
        ({"arm": Arm("x", "trait", 1.5)}, "not between 0 and 1"),
        ({"steps": 0}, "empty"),
        ({"sources": {**SOURCES, "trait": []}}, "no trait scenarios"),
        ({"sources": {**SOURCES, "add": [scenario("add", 1), scenario("add", 1)]}}, "two scenarios"),
        ({"sources": {**SOURCES, "add": [scenario("add", 1, split="eval")]}}, "split eval"),
        ({"sources": {**SOURCES, "add": [scenario("chat", 1)]}}, "source chat"),
    ],
)
def test_impossible_plans_say_what_is_wrong(change, message):
    made = {"sources": SOURCES, "mixture": MIXTURE, "arm": arm_named("trait-5"), "steps": 2, "prompts": 4}
    made |= change
    with pytest.raises(UserError, match=message):
        make_plan(made.pop("sources"), made.pop("mixture"), made.pop("arm"), seed=0, **made)
