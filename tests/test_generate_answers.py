"""How the generator reads the writer's answers: strictly, with one repair, and then another draw."""

import json

import pytest

import scripted_writer as writer
from evenkeel.records.errors import UserError
from evenkeel.scenarios.dataset import load_rows
from evenkeel.scenarios.generator import parsing, prompts, sampling
from generator_tiny import mended, run, spoilt
from loopback import completion


@pytest.mark.parametrize("stage", prompts.STAGES)
def test_malformed_once_is_repaired(tmp_path, stage):
    bad = spoilt(
        lambda b: writer.stage_of(b) == stage and not writer.repairing(b),
        lambda b: completion('{"title": "half'),
    )
    done, server = run(tmp_path, bad)
    assert done.repairs == {stage: 4} and not done.rejected and len(server.requests) == 20
    again = next(b["messages"] for _, b in server.requests if writer.repairing(b))
    assert again[-2] == {"role": "assistant", "content": '{"title": "half'}
    assert "not one JSON object" in again[-1]["content"]


def test_malformed_twice_is_rejected_counted_and_drawn_again(tmp_path):
    slot = sampling.Slot(0, "truthfulness", "health", 101)
    lost = {sampling.call_seed(0, slot, 0, name) for name in ("rubric", "rubric again")}
    done, server = run(tmp_path, spoilt(lambda b: b["seed"] in lost, lambda b: completion("[]")))
    assert done.reasons == {"unreadable rubric": 1} and not done.short
    assert len(server.requests) == 16 + 4
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["rejected"] == {"unreadable rubric": 1} and report["accepted"] == report["wanted"] == 4
    assert (
        report["rejections"][0]["scenario"] == slot.id
        and "{ } with fields" in report["rejections"][0]["problem"]
    )
    assert load_rows([tmp_path / "scenarios.jsonl"])[0].provenance.detail["seed"].endswith("/1")


@pytest.mark.parametrize(
    ("stage", "change", "problem"),
    [
        ("draft", {"mood": "gloomy"}, "mood"), ("draft", {"title": 7}, "title must be a text"),
        ("draft", {"messages": []}, "the roles are none"), ("rubric", {"criteria": []}, "no positive points"),
        ("draft", {"messages": [{"role": "user", "content": "too short"}]}, "2 words, ordered were at least 380"),
        ("pair", {"good_reply": {"text": "x", "meets": ["third"]}}, "no criterion here"),
        ("pair", {"good_reply": None}, "good_reply"), ("draft", {"title": "a\ud800b"}, "has the character"),
    ],
)  # fmt: skip
def test_answers_are_read_strictly(tmp_path, stage, change, problem):
    bad = spoilt(
        lambda b: writer.stage_of(b) == stage and not writer.repairing(b), lambda b: mended(b, **change)
    )
    done, server = run(tmp_path, bad, traits=("truthfulness",), domains=("law",))
    assert done.repairs == {stage: 1} and not done.short
    assert problem in next(b["messages"][-1]["content"] for _, b in server.requests if writer.repairing(b))


def test_the_ordered_shape_is_held(tmp_path):
    """A conversation of the right length, but with other turns or without its system message."""
    slots = [sampling.Slot(0, "truthfulness", "law", n) for n in range(101, 141)]
    drawn = {slot.number: sampling.wanted(0, slot, 0) for slot in slots}
    for wrong, has in (
        ("turns of the assistant", lambda w: w.assistant_turns == 1 and not w.system and not w.flawed_turn),
        ("no system message", lambda w: not w.system and not w.assistant_turns),
        ("a system message", lambda w: w.system and not w.assistant_turns),
    ):
        number = next(number for number, each in drawn.items() if has(each) and each.attachment == "none")

        def other(body, wrong=wrong):
            found = writer.written(body)
            if wrong == "a system message":
                found["messages"] = found["messages"][1:]
            elif wrong == "no system message":
                found["messages"].insert(0, {"role": "system", "content": "Be brief."})
            else:
                joined = " ".join(turn["content"] for turn in found["messages"])
                found["messages"] = [{"role": "user", "content": joined}]
            return completion(json.dumps(found))

        bad = spoilt(lambda b: writer.stage_of(b) == "draft" and not writer.repairing(b), other)
        folder = tmp_path / str(number)
        done, server = run(folder, bad, traits=("truthfulness",), domains=("law",), first=number)
        again = next(b["messages"][-1]["content"] for _, b in server.requests if writer.repairing(b))
        assert "the order asks for" in again and wrong in again and not done.short


def test_an_answer_that_was_cut_off_is_not_used(tmp_path):
    cut = spoilt(
        lambda b: writer.stage_of(b) == "rubric" and not writer.repairing(b),
        lambda b: completion(json.dumps(writer.written(b)), finish="length"),
    )
    done, server = run(tmp_path, cut, traits=("truthfulness",), domains=("law",))
    assert done.repairs == {"rubric": 1}
    assert "cut off after 6000 tokens" in next(
        b["messages"][-1]["content"] for _, b in server.requests if writer.repairing(b)
    )


@pytest.mark.parametrize(
    "text",
    ['{"a": 1, "a": 2}', '{"a": NaN}', '{"a": 1} and more', '```json\n{"a": 1}\n```\n```json\n{"a": 2}\n```', "", "[1]",
     "{" * 9999],
)  # fmt: skip
def test_what_is_not_one_object_is_refused(text):
    with pytest.raises(UserError):
        parsing.json_object(text)


def test_fences_and_thoughts_around_an_object_are_taken_off():
    assert parsing.json_object('<think>{"b": 2}</think>\nHere:\n```json\n{"a": "```\\nx"}\n```') == {
        "a": "```\nx"
    }
