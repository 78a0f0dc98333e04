"""The generator against a real server: quotas, what is drawn and asked, shots, and the same bytes in any order."""

from collections import Counter

import pytest

import scripted_writer as writer
from evenkeel.records.errors import UserError
from evenkeel.scenarios.audit.limits import LIMITS
from evenkeel.scenarios.audit.run import audit
from evenkeel.scenarios.dataset import load_rows
from evenkeel.scenarios.generator import prompts, sampling, seeds
from generator_tiny import SMALL, files, run, spoilt
from loopback import Response, completion
from scenario_examples import BRIDGE, FERRITIN, PROOF, write


def test_quotas_are_exact_and_rows_pass_the_audit(tmp_path):
    done, server = run(tmp_path, per_cell=3)
    rows = load_rows([tmp_path / "scenarios.jsonl"])
    assert Counter((r.trait, r.domain) for r in rows) == {
        (trait, domain): 3 for trait in SMALL["traits"] for domain in SMALL["domains"]
    }
    assert [r.id for r in rows[:4]] == [*(f"truthfulness/health/train-10{n}" for n in (1, 2, 3)),
                                        "truthfulness/law/train-101"]  # fmt: skip
    assert len(server.requests) == 4 * 12 == done.totals.calls
    assert audit([tmp_path / "scenarios.jsonl"]).errors == 0
    assert all(r.replies and r.split == "train" for r in rows)
    made = rows[0].provenance
    assert (made.writer, made.date) == ("writer", "2026-11-21")
    assert made.detail == {
        "model": "writer", "prompt": prompts.PROMPT_HASH, "seed": "0/truthfulness/health/train-101/0"
    }  # fmt: skip
    assert len({r.provenance.detail["seed"] for r in rows}) == 12


def test_what_was_drawn_is_what_is_asked_and_labelled(tmp_path):
    _, server = run(tmp_path)
    first = load_rows([tmp_path / "scenarios.jsonl"])[0]
    drawn = sampling.wanted(0, sampling.Slot(0, "truthfulness", "health", 101), 0)
    assert (first.pressures, first.format, first.attachment) == (
        drawn.pressures,
        drawn.format,
        drawn.attachment,
    )
    assert (first.person.country, first.person.age, first.person.register) == (
        drawn.country, drawn.age, drawn.register
    )  # fmt: skip
    asked = next(writer.text_of(b) for _, b in server.requests if b["seed"] == sampling.call_seed(
        0, sampling.Slot(0, "truthfulness", "health", 101), 0, "draft"))  # fmt: skip
    assert (
        drawn.who in asked
        and prompts.TRAITS["truthfulness"] in asked
        and seeds.DOMAIN_NOTES["health"] in asked
    )
    assert all(f"pull: {name}" in asked for name in drawn.pressures)


def test_other_seeds_and_numbers_draw_otherwise():
    slots = [sampling.Slot(0, "truthfulness", "health", n) for n in range(101, 501)]
    drawn = [sampling.wanted(7, slot, 0) for slot in slots]
    assert len({repr(each) for each in drawn}) == 400
    assert sampling.wanted(8, slots[0], 0) != drawn[0] != sampling.wanted(7, slots[0], 1)
    for rule, share in (
        ("several_turns", sum(each.assistant_turns > 0 for each in drawn) / 400),
        ("flawed_turn", sum(each.flawed_turn for each in drawn) / 400),
        ("system_prompt", sum(each.system for each in drawn) / 400),
        ("attachment", sum(each.attachment != "none" for each in drawn) / 400),
    ):
        assert LIMITS[rule].holds(share), (rule, share)
    assert all(each.assistant_turns or not each.flawed_turn for each in drawn)


def test_order_of_arrival_changes_nothing(tmp_path):
    behave = spoilt(lambda b: writer.stage_of(b) == "pair" and b["seed"] % 4 == 0, lambda b: completion("no"))
    one, _ = run(tmp_path / "one", behave, at={"in_flight": 1}, per_cell=3)
    slow = lambda body, n: Response(behave(body, n).body, delay=0.02 * (n * 7 % 5))  # noqa: E731
    _, server = run(tmp_path / "many", slow, at={"in_flight": 8}, per_cell=3)
    assert one.rejected and not one.short
    assert server.most_open > 4
    assert files(tmp_path / "one") == files(tmp_path / "many")
    other, _ = run(tmp_path / "other", seed=1)
    assert files(tmp_path / "one")[0] != files(tmp_path / "other")[0] and not other.short


def test_shots_come_from_the_training_split_and_are_shown(tmp_path):
    write(tmp_path / "shots.jsonl", FERRITIN, PROOF)
    done, server = run(
        tmp_path / "out", shots=(tmp_path / "shots.jsonl",), traits=("truthfulness",), domains=("law",)
    )
    assert FERRITIN["title"] in writer.text_of(server.requests[0][1]) and not done.short
    assert PROOF["title"] not in writer.text_of(server.requests[0][1])  # neither its trait nor its domain
    write(tmp_path / "held.jsonl", BRIDGE)
    with pytest.raises(UserError, match="held out"):
        run(tmp_path / "no", shots=(tmp_path / "held.jsonl",))
