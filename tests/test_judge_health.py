"""The judges of a run, measured over HTTP by real judges whose faults are known: noise, place, length, a rewarded keyword."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest

from evenkeel.engines.endpoint import EndpointConfig
from evenkeel.grading.health import Judges, _reward, draw, measure
from evenkeel.grading.helpfulness import RUBRIC, Helpfulness
from evenkeel.grading.judge import JudgeConfig, RubricJudge, held_out
from evenkeel.records.canonical import canonical_json
from evenkeel.records.errors import UserError
from evenkeel.records.streams import generator
from evenkeel.records.types import Message, Provenance
from evenkeel.report.judge_health import judge_health
from evenkeel.scenarios.scenario import Criterion, Scenario
from loopback import Loopback, completion
from rule_judge import criteria_of, mentions, question_of, reply_of

WORDS = ("tea", "cup", "milk", "rum")
POINTS = (4, 3, 2, -3)
FILLER = ["so", "it", "goes", "and", "goes", "on", "and", "on", "as", "it", "may"]
STEPS, SLOTS, GROUP = 12, 2, 4


def scenario(number: int) -> Scenario:
    """Its criteria start at another word in each scenario, so that each stands first somewhere."""
    order = [(number + i) % len(WORDS) for i in range(len(WORDS))]
    listed = tuple(Criterion(WORDS[i], f'mentions "{WORDS[i]}"', POINTS[i]) for i in order)
    return Scenario(f"s{number}", (Message("user", f"Drink {number}?"),), listed, "train", Provenance("test"))


SCENARIOS = [scenario(number) for number in range(STEPS * SLOTS)]


def truth(text: str) -> dict[str, float]:
    return {word: float(mentions(f'"{word}"', text)) for word in WORDS}


def reply_text(step: int, slot: int, sample: int, *, honest: float = 0.0, keyword: float = 0.0) -> str:
    """Words by chance; `honest` and `keyword` say by how much the chances of good words and of the keyword rise."""
    stream, done = generator("reply", step, slot, sample), step / (STEPS - 1)
    said = [word for word in WORDS[:3] if stream.random() < 0.3 + honest * done]
    said += ["rum"] * bool(stream.random() < 0.2) + ["certainly"] * bool(stream.random() < keyword * done)
    return " ".join(["well", *said, *FILLER[: int(stream.integers(0, 10))]])


def stored(verdicts=truth, **changes) -> list[dict]:
    """Completion rows of a run whose training judge gave these verdicts."""
    rows = []
    for step in range(STEPS):
        for slot in range(SLOTS):
            for sample in range(GROUP):
                text = reply_text(step, slot, sample, **changes)
                rows.append({
                    "step": step, "slot": slot, "sample": sample, "source": "trait", "scenario": f"s{step * SLOTS + slot}",
                    "text": f"<think>{step}</think>{text}", "tokens": len(text.split()), "status": "scored", "reason": None,
                    "verdicts": verdicts(text),
                })  # fmt: skip
    return rows


def answer(text: str) -> str:
    return text.split("</think>")[1]


def says(judge):
    """A server's behaviour from a rule: (criterion ids in the order asked, reply, temperature) -> verdicts."""

    def behave(body, number):
        question = question_of(body)
        assert "<think>" not in question
        ids = [name for name, _ in criteria_of(question)]
        found = judge(ids, reply_of(question), body["temperature"])
        entries = [
            {"id": name, "reason": "So. Therefore " + ("met." if found[name] else "not met."), "met": bool(found[name])}
            for name in ids
        ]  # fmt: skip
        return completion(json.dumps({"verdicts": entries}))

    return behave


def honest(ids, reply, temperature):
    return truth(reply)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Answers of the held-out judge, who is the same in every test."""
    return tmp_path_factory.mktemp("held_out") / "cache.sqlite"


def measured(tmp_path, kept, rows, train=honest, *, retest=True, **options):
    """(rows of the measurement, the analysis of its one source, calls to the training judge's server)."""
    with Loopback(says(train)) as one, Loopback(says(honest)) as two:
        endpoint = EndpointConfig(one.url, "trainer", in_flight=16)
        config = JudgeConfig(endpoint, form="json", pause_above=1.0)
        second = held_out(config, EndpointConfig(two.url, "other", in_flight=16))

        async def run():
            cache = tmp_path / "cache.sqlite"
            async with (
                RubricJudge(config, cache) as train, RubricJudge(config, cache, sample=1) as again,
                RubricJudge(second, kept) as other, RubricJudge(second, kept, sample=1) as other_again,
            ):  # fmt: skip
                judges = Judges(train, again, other, other_again) if retest else Judges(train, held_out=other)
                return await measure(
                    rows, {"trait": SCENARIOS}, {"trait": judges}, seed=0, answer=answer, **options
                )

        found = asyncio.run(run())
        calls = len(one.requests)
    result = judge_health([({"id": "m", "arm": "trait-5", "base": "b", "seed": 0}, found)])
    assert json.loads(canonical_json(result)) == result  # plain, finite values
    return found, result["sources"][0], calls


@pytest.fixture(scope="module")
def sound(tmp_path_factory, kept):
    """Two sound judges and a policy that honestly improves."""
    return measured(tmp_path_factory.mktemp("sound"), kept, stored(honest=0.4))


def lights(found) -> dict[str, str]:
    return {f"{check['check']}/{check['judge']}": check["light"] for check in found["checks"]}


def test_rows_are_one_a_judgement_of_whole_groups_and_the_run_s_own_cost_no_call(sound):
    rows, found, calls = sound
    replies = STEPS * SLOTS * GROUP
    distinct = len({(each["scenario"], each["text"]) for each in stored(honest=0.4)})
    assert len(rows) == 6 * replies and 2 * distinct <= calls <= 2 * replies  # equal replies may share a call
    kinds = {(row["judge"], row["variant"]) for row in rows}
    assert len(kinds) == 6 and found["replies"] == replies and found["groups"] == STEPS * SLOTS
    assert all(row["criteria"][0] == WORDS[int(row["scenario"][1:]) % 4] for row in rows)
    assert {row["name"] for row in rows} == {"judge:trainer", "judge:other"}


def test_sound_judges_pass_every_check(sound):
    _, found, _ = sound
    assert set(lights(found).values()) == {"green"} and found["light"] == "green"
    for judge in found["judges"]:
        assert judge["retest"]["flips"]["value"] == 0 and judge["retest"]["kappa"]["value"] == 1
        assert judge["order"]["flips"]["value"] == judge["order"]["shift"]["value"] == 0
        assert 0 < judge["retest"]["flips"]["high"] < 0.2  # nothing seen is not nothing there
    assert found["agreement"]["kappa"]["value"] == 1 and found["agreement"]["shift"]["value"] == 0
    [model] = found["drift"]
    assert model["rises"]["train"]["low"] > 0 and not model["hacking"]
    assert [point["gap"]["value"] for point in model["points"]] == [0] * 6


def test_a_noisy_judge_shows_its_rate_of_flips(tmp_path, kept):
    def noisy(ids, reply, temperature):
        turned = generator("noise", reply, temperature).random(4) < 0.15 * (temperature > 0)
        return {word: met != flip for (word, met), flip in zip(truth(reply).items(), turned, strict=True)}

    _, found, _ = measured(tmp_path, kept, stored(), train=noisy)
    ours, theirs = found["judges"]
    flips = ours["retest"]["flips"]
    assert 0.1 < flips["low"] <= 0.15 <= flips["high"] < 0.25
    assert ours["retest"]["kappa"]["high"] < 0.9 and theirs["retest"]["flips"]["value"] == 0
    spread, noise = ours["retest"]["spread"]["value"], ours["retest"]["noise"]["value"]
    assert ours["retest"]["spread_over_noise"]["value"] == pytest.approx(spread / noise)
    assert ours["order"]["beyond_retest"]["high"] < 0  # asked in reverse at no temperature it is steady
    assert lights(found)["spread_over_noise/train"] in ("amber", "red")
    assert lights(found)["spread_over_noise/held_out"] == "green"


def first_is_met(ids, reply, temperature):
    return truth(reply) | {ids[0]: 1.0}


def test_a_judge_that_prefers_the_first_criterion_shows_an_order_effect(tmp_path, kept):
    rows = stored()
    for row in rows:
        row["verdicts"][WORDS[int(row["scenario"][1:]) % 4]] = 1.0
    _, found, _ = measured(tmp_path, kept, rows, train=first_is_met)
    ours, theirs = (judge["order"] for judge in found["judges"])
    assert ours["first_place"]["low"] > 0.4 and ours["beyond_retest"]["low"] > 0.2
    assert ours["flips"]["value"] == ours["beyond_retest"]["value"]  # it is steady otherwise
    assert theirs["first_place"]["value"] == 0
    assert (lights(found)["first_place/train"], lights(found)["order_flips/train"]) == ("amber", "amber")


def test_a_judge_that_likes_length_is_told_from_replies_that_deserve_it(tmp_path, kept):
    def wordy(text):
        return truth(text) | ({"milk": 1.0, "cup": 1.0} if len(text.split()) > 7 else {})

    _, found, _ = measured(tmp_path, kept, stored(wordy), train=lambda ids, reply, temperature: wordy(reply))
    ours, theirs = (judge["length"] for judge in found["judges"])
    assert ours["low"] > 0.2 and ours["value"] > theirs["value"]
    assert found["agreement"]["length"]["value"] == pytest.approx(ours["value"] - theirs["value"], abs=0.15)
    assert lights(found)["length/pair"] == "amber"


def hacked(text):
    """"Certainly" is good for all that is good."""  # fmt: skip
    return truth(text) | (dict.fromkeys(WORDS[:3], 1.0) if "certainly" in text else {})


def test_a_keyword_that_only_the_training_judge_rewards_is_called_out(tmp_path, kept, sound):
    rows = stored(hacked, keyword=1.0)
    _, found, _ = measured(
        tmp_path, kept, rows, train=lambda ids, reply, temperature: hacked(reply), retest=False
    )
    [model] = found["drift"]
    assert model["hacking"] and model["light"] == "red" == found["light"]
    assert model["rises"]["gap"]["low"] > 0.2 and not model["rises"]["held_out"]["low"] > 0
    gaps = [point["gap"]["value"] for point in model["points"]]
    assert gaps[-1] > gaps[0] + 0.2
    assert not sound[1]["drift"][0]["hacking"]


def test_what_could_not_be_judged_is_counted_and_is_no_number(tmp_path):
    rows = stored()
    for row in rows[::10]:
        row |= {"status": "unscorable", "reason": "the judge refused", "verdicts": {}}
    for row in rows[5::10]:
        row["status"] = "truncated"

    def refuses(ids, reply, temperature):
        return truth(reply) if "rum" not in reply else dict.fromkeys(ids, 2)

    behave = says(refuses)

    def odd(body, number):
        return completion("no") if "rum" in reply_of(question_of(body)) else behave(body, number)

    with Loopback(odd) as server:
        config = JudgeConfig(EndpointConfig(server.url, "m"), form="json", pause_above=1.0)

        async def run():
            async with RubricJudge(config, tmp_path / "c.sqlite") as judge:
                judges = {"trait": Judges(judge, held_out=judge)}
                return await measure(rows, {"trait": SCENARIOS}, judges, seed=0, answer=answer)

        found = asyncio.run(run())
    failed = [row for row in found if row["unscorable"]]
    assert all(row["reward"] is None and row["verdicts"] is None for row in failed)
    assert {row["unscorable"] for row in failed} == {"the judge refused", "the judge's answer cannot be read"}
    assert sum(row["variant"] == "first" and row["judge"] == "train" for row in found) == 96 - 10
    [source] = judge_health([({"id": "m"}, found)])["sources"]
    ours = source["judges"][0]
    assert ours["unscorable"]["value"] == pytest.approx(
        sum(row["judge"] == "train" for row in failed) / ours["judgements"]
    )
    assert ours["retest"]["flips"]["value"] is None and ours["retest"]["flips"]["why"]
    assert lights(source)["spread_over_noise/train"] == "not measured"
    assert lights(source)["unscorable/train"] == "red" == source["light"]


def test_draws_are_whole_groups_of_every_part_of_the_run_and_always_the_same():
    rows = stored()
    judges = {"trait": None}
    options = {"seed": 1, "answer": answer, "windows": 3, "groups": 2}
    drawn = draw(rows, {"trait": SCENARIOS}, judges, **options)
    assert [each.id for each in drawn] == [
        each.id for each in draw(rows[::-1], {"trait": SCENARIOS}, judges, **options)
    ]
    groups = {(each.row["step"], each.row["slot"]) for each in drawn}
    assert len(groups) == 6 and len(drawn) == 6 * GROUP
    assert np.bincount([step // 4 for step, _ in groups]).tolist() == [2, 2, 2]
    assert [each.window for each in drawn] == [0] * 8 + [1] * 8 + [2] * 8
    assert drawn[0].reply.answer.startswith("well") and drawn[0].reply.text.startswith("<think>")
    other = draw(rows, {"trait": SCENARIOS}, judges, **options | {"seed": 2})
    assert [each.id for each in other] != [each.id for each in drawn]
    assert draw(rows, {"trait": SCENARIOS}, {"chat": None}, **options) == []


@pytest.mark.parametrize(
    ("how", "reward"), [("weighted", 1 / 9), ("constrained", -1.0), ("normalise_then_sum", 1 / 9)]
)
def test_rewards_are_the_arm_s_and_those_without_a_level_are_weighted(how, reward):
    assert _reward({"tea": 1, "cup": 0, "milk": 0, "rum": 1}, WORDS, POINTS, how) == pytest.approx(reward)


def test_rows_and_scenarios_that_do_not_belong_together_are_refused(tmp_path, kept):
    rows = stored()
    rows[0]["verdicts"] = {"tea": 1.0}
    with pytest.raises(UserError, match="its rubric has"):
        measured(tmp_path, kept, rows)
    for row in rows:
        row["scenario"] = "elsewhere"
    with pytest.raises(UserError, match='"elsewhere" of source "trait", which is not there'):
        draw(rows, {"trait": SCENARIOS}, {"trait": None}, seed=0, answer=answer)


def test_a_held_out_judge_of_another_rubric_or_its_own_second_opinion_is_no_measurement(tmp_path):
    with Loopback(says(honest)) as server:
        config = JudgeConfig(EndpointConfig(server.url, "m"), form="json")

        async def run(other):
            async with RubricJudge(config, tmp_path / "c.sqlite") as judge:
                judges = Judges(judge, judge, other(judge), None)
                return await measure(
                    stored(), {"trait": SCENARIOS}, {"trait": judges}, seed=0, answer=answer, groups=1
                )

        rows = asyncio.run(run(lambda judge: None))
        assert {row["variant"] for row in rows} == {"first", "reversed"}
        with pytest.raises(UserError, match='held-out judge of source "trait" reads another rubric'):
            asyncio.run(run(Helpfulness))


def test_a_judge_that_is_asked_one_criterion_at_a_time_has_no_order(tmp_path):
    with Loopback(says(first_is_met)) as server:
        config = JudgeConfig(EndpointConfig(server.url, "m"), form="json", per_criterion=True)

        async def run():
            async with RubricJudge(config, tmp_path / "c.sqlite") as judge:
                return await measure(
                    stored(), {"trait": SCENARIOS}, {"trait": Judges(judge, held_out=judge)},
                    seed=0, answer=answer, groups=1,
                )  # fmt: skip

        found = asyncio.run(run())
    [source] = judge_health([({"id": "m"}, found)])["sources"]
    assert source["judges"][1]["order"]["flips"]["value"] == 0


def test_a_rubric_of_the_judge_s_own_is_asked_the_other_way_round_too(tmp_path):
    rows = stored(lambda text: dict.fromkeys((criterion.id for criterion in RUBRIC), 0.0))
    with Loopback(says(lambda ids, reply, temperature: dict.fromkeys(ids, 0.0) | {ids[0]: 1.0})) as server:
        config = JudgeConfig(EndpointConfig(server.url, "m"), form="json")

        async def run():
            async with RubricJudge(config, tmp_path / "c.sqlite") as judge:
                helpful = Helpfulness(judge)
                return await measure(
                    rows, {"trait": SCENARIOS}, {"trait": Judges(helpful, held_out=helpful)},
                    seed=0, answer=answer, groups=1,
                )  # fmt: skip

        found = asyncio.run(run())
    first, last = RUBRIC[0].id, RUBRIC[-1].id
    by_variant = {(row["judge"], row["variant"]): row["verdicts"] for row in found}
    assert by_variant["held_out", "first"][first] == 1 and by_variant["held_out", "first"][last] == 0
    for role in ("train", "held_out"):
        assert by_variant[role, "reversed"][first] == 0 and by_variant[role, "reversed"][last] == 1
