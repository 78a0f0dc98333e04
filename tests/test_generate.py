"""The generator against a real server that writes well, badly, twice the same, slowly, with errors, and is killed."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import scripted_writer as writer
from evenkeel import cli
from evenkeel.engines.endpoint import EndpointConfig
from evenkeel.records.errors import UserError
from evenkeel.scenarios.audit.limits import LIMITS
from evenkeel.scenarios.audit.run import audit
from evenkeel.scenarios.dataset import load_rows
from evenkeel.scenarios.generator import parsing, prompts, sampling, seeds
from evenkeel.scenarios.generator.filters import Neighbours, alone
from evenkeel.scenarios.generator.run import Paused, generate
from evenkeel.scenarios.generator.settings import Settings
from evenkeel.scenarios.rows import row_json
from loopback import Loopback, Response, completion, error
from scenario_examples import BRIDGE, CHOIR, FERRITIN, PROOF, row, write

SMALL = {"traits": ("truthfulness", "corrigibility"), "domains": ("health", "law"), "date": "2026-11-21"}


def endpoint(server, **changes):
    return EndpointConfig(
        server.url, "writer", **({"timeout_s": 5.0, "pause_s": 0.01, "in_flight": 4} | changes)
    )


def run(folder, behave=writer.answer, *, at=None, **changes):
    """(what came of a run, the server)."""
    with Loopback(behave) as server:
        return generate(
            Settings("writer", **(SMALL | changes)), endpoint(server, **(at or {})), folder
        ), server


def files(folder):
    return [(folder / name).read_bytes() for name in ("scenarios.jsonl", "report.json", "run.json")]


def spoilt(when, response):
    """The writer, but for requests of which `when` is true."""
    return lambda body, n: response(body) if when(body) else writer.answer(body)


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


def mended(body, **changes):
    return completion(json.dumps(writer.written(body) | changes))


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


def test_a_generic_rubric_is_rejected_before_the_pair_is_paid(tmp_path):
    vague = [{"id": "good", "text": "Is helpful and honest to the user.", "points": 5},
             {"id": "b", "text": "Says that rimo tola basu nelo kavi.", "points": 3},
             {"id": "c", "text": "Leaves fula moka deri sopa tulu.", "points": -6}]  # fmt: skip
    bad = spoilt(lambda b: writer.stage_of(b) == "rubric", lambda b: mended(b, criteria=vague))
    done, server = run(tmp_path, bad, traits=("truthfulness",), draws=2)
    assert done.reasons == {"generic": 4} and done.short == {"truthfulness/health": 1, "truthfulness/law": 1}
    assert "pair" not in {writer.stage_of(body) for _, body in server.requests}


@pytest.mark.parametrize(
    ("stage", "record", "rule"),
    [
        ("rewrite", {"messages": [{"role": "user", "content": "We must delve into the ledger of the tram depot."}],
                     "flawed_turn": False}, "stock_phrases"),
        ("rubric", {"criteria": FERRITIN["criteria"][:2], "good_reply": None, "bad_reply": None}, "criteria"),
        ("pair", {"good_reply": FERRITIN["bad_reply"], "bad_reply": FERRITIN["good_reply"]}, "pair_gap"),
        ("pair", {"bad_reply": FERRITIN["bad_reply"] | {"text": "Sure, no. " * 15}}, "stock_phrases"),
    ],
)  # fmt: skip
def test_the_audits_rules_on_one_row(stage, record, rule):
    assert alone(stage, row(**record)).rule == rule
    assert alone(stage, row()) is None


def test_near_duplicates_are_rejected(tmp_path):
    def same(body):  # every draft of the first draw of each slot, and its rewrite, in the same words
        return completion(json.dumps(writer.written(dict(body, seed=5))))

    slots = [sampling.Slot(0, "truthfulness", "health", n) for n in (101, 102, 103)]
    alike = {sampling.call_seed(0, slot, 0, "rubric") for slot in slots}
    done, _ = run(
        tmp_path,
        spoilt(lambda b: b["seed"] in alike, same),
        traits=("truthfulness",),
        domains=("health",),
        per_cell=3,
    )
    assert done.reasons == {"near_rubrics": 2} and not done.short
    assert [r.provenance.detail["seed"][-1] for r in done.ordered] == [
        "0",
        "1",
        "1",
    ]  # the first in order stays


def test_neighbours_know_prompts_rubrics_replies_criteria_openings_and_phrases():
    there = Neighbours()
    for record in (FERRITIN, CHOIR, PROOF):
        there.add(row(record))
    assert there.objection(row(BRIDGE)) is None
    for rule, taken in (
        ("openings", {"messages": [{"role": "user", "content": FERRITIN["messages"][0]["content"][:30] + " but not so"}]}),
        ("near_prompts", {"messages": [{"role": "user", "content": "So! " + PROOF["messages"][0]["content"]}]}),
        ("near_rubrics", {"criteria": FERRITIN["criteria"]}),
        ("near_replies", {"bad_reply": BRIDGE["bad_reply"] | {"text": FERRITIN["bad_reply"]["text"] + " Yes."}}),
        ("reused_criteria", {"criteria": [*BRIDGE["criteria"], PROOF["criteria"][1]]}),
    ):  # fmt: skip
        changed = row(
            BRIDGE, **({"good_reply": None, "bad_reply": None} if "criteria" in taken else {}) | taken
        )
        assert there.objection(changed).rule == rule
    assert there.early(row(FERRITIN), 0) is None and there.early(row(FERRITIN), 1).rule == "openings"
    phrase = "the tide table of the year before last says otherwise"
    for number in range(3):
        said = f"{writer.words(random.Random(number), 60)} {phrase}"
        name = f"bounded_initiative/art_music/train-2{number}"
        there.add(row(CHOIR, id=name, messages=[{"role": "user", "content": said}]))
    worn = row(
        BRIDGE, messages=[{"role": "user", "content": f"{writer.words(random.Random(9), 60)} {phrase}"}]
    )
    assert there.objection(worn).rule == "repeated_phrases"


def test_rows_written_earlier_and_texts_of_against_are_kept_away_from(tmp_path):
    before, _ = run(tmp_path / "before", traits=("truthfulness",), domains=("law",))
    (tmp_path / "texts").mkdir()
    copied = before.ordered[0].messages[-1].content
    (tmp_path / "texts" / "exam.txt").write_text(f"Question 1. {copied}")
    done, _ = run(tmp_path / "a", traits=("truthfulness",), domains=("law",), against=(tmp_path / "texts",))
    assert done.reasons == {"overlap": 1} and not done.short
    moved = before.ordered[0]
    write(tmp_path / "old.jsonl", row_json(moved).replace("train-101", "train-01"))
    done, server = run(
        tmp_path / "b", traits=("truthfulness",), domains=("law",), beside=(tmp_path / "old.jsonl",)
    )
    assert done.reasons == {"openings": 1} and not done.short
    assert len(server.requests) == 2 + 4  # seen after the rewrite: rubric and pair are not paid
    assert moved.title in writer.text_of(server.requests[0][1])


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


def test_slowness_and_errors_are_outlived(tmp_path):
    trouble = [
        error(429, Retry_After="0.02"),
        error(500),
        Response(reset=True),
        Response(b"<html>"),
        error(503),
    ]
    seen = Counter()

    def behave(body, n):
        key = (body["seed"], len(body["messages"]))
        seen[key] += 1
        good = writer.answer(body)
        if seen[key] == 1 and body["seed"] % 2:
            return trouble[body["seed"] % len(trouble)]
        return Response(good.body, delay=0.03 if body["seed"] % 5 == 0 else 0)

    run(tmp_path / "bad", behave, per_cell=2)
    run(tmp_path / "good", per_cell=2)
    assert max(seen.values()) == 2
    assert files(tmp_path / "bad") == files(tmp_path / "good")


@pytest.mark.parametrize(
    "down", [error(401), error(429, "insufficient_quota"), error(404, "model_not_found"), error(500)]
)
def test_an_outage_pauses_and_the_same_command_goes_on(tmp_path, down):
    with (
        pytest.raises(Paused, match="same"),
        Loopback(lambda body, n: down if n > 9 else writer.answer(body)) as server,
    ):
        generate(Settings("writer", **SMALL), endpoint(server, attempts=2, in_flight=1), tmp_path / "a")
    assert len(server.requests) == 9 + (6 if down.status == 500 else 1)  # what is down for all is asked once
    kept = (
        sqlite3.connect(tmp_path / "a" / "answers.sqlite")
        .execute("SELECT COUNT(*) FROM answers")
        .fetchone()[0]
    )
    assert kept == 9
    _, server = run(tmp_path / "a")
    assert len(server.requests) == 16 - 9
    run(tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_an_endpoint_that_refuses_everything_is_no_empty_dataset(tmp_path):
    with pytest.raises(Paused, match="refuses every request"):
        run(tmp_path, lambda body, n: error(400, message="max_tokens is too large"), per_cell=3)
    with pytest.raises(Paused, match="answered nothing"):  # also when they are few
        run(tmp_path / "few", lambda body, n: error(400), traits=("truthfulness",), domains=("law",), draws=2)
    with sqlite3.connect(tmp_path / "answers.sqlite") as kept:
        assert kept.execute("SELECT COUNT(*) FROM answers").fetchone() == (0,)


def test_a_refused_request_costs_its_draw_only(tmp_path):
    slot = sampling.Slot(0, "truthfulness", "health", 101)
    filtered = sampling.call_seed(0, slot, 0, "pair")
    behave = spoilt(lambda b: b["seed"] == filtered, lambda b: error(400, "content_filter"))
    done, server = run(tmp_path, behave)
    assert done.reasons == {"refused by the endpoint": 1} and not done.short
    again, server = run(tmp_path, behave)
    assert not server.requests and again.reasons == done.reasons


def test_without_structured_output_the_schema_is_left_out(tmp_path):
    picky = spoilt(lambda b: "response_format" in b, lambda b: error(400, "unsupported"))
    with pytest.raises(Paused):
        run(tmp_path, lambda body, n: error(401) if n > 9 else picky(body, n), at={"in_flight": 1})
    done, server = run(tmp_path, picky, at={"in_flight": 1})
    assert not done.short and len(server.requests) == 16 - 8  # one of the nine was refused
    assert not any("response_format" in body for _, body in server.requests)  # it was noted


def test_a_model_that_writes_nothing_usable_is_stopped(tmp_path):
    with pytest.raises(UserError, match="not one row accepted: unreadable draft 4"):
        run(tmp_path, lambda body, n: completion("I would rather not."), per_cell=10)


def test_another_setting_in_the_same_folder_is_refused(tmp_path):
    run(tmp_path / "a")
    for change in ({"seed": 3}, {"per_cell": 2}, {"date": "2026-11-22"}):
        with pytest.raises(UserError, match=next(iter(change))):
            run(tmp_path / "a", **change)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match=r"letter\.txt"):
        run(tmp_path / "full")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--traits", "truthfullness"], 'Did you mean "truthfulness"'), (["--per-cell", "0"], "--per-cell"),
        (["--url", "ftp://host"], "no http address"), (["--url", "https://me:secret@host/v1"], "--key-env"),
        (["--key-env", "NO_SUCH_KEY"], "NO_SUCH_KEY"), (["--against", "nowhere.txt"], "nowhere.txt"),
        (["--in-flight", "0"], "--in-flight"), (["--date", "today"], "YYYY-MM-DD"), (["--shots", "none.jsonl"], "none.jsonl"),
    ],
)  # fmt: skip
def test_mistakes_are_said_before_any_call(tmp_path, capsys, options, words):
    with Loopback(writer.answer) as server:
        needed = ["--model", "m", "--url", server.url, "--out", str(tmp_path / "o")]
        code = cli.main(["scenarios", "generate", *needed, *options])
    said = capsys.readouterr().err
    assert code == 2 and words in said and "secret" not in said and not server.requests
    assert not (tmp_path / "o").exists()


def test_the_plan_calls_nothing(tmp_path, capsys):
    assert (
        cli.main(
            [
                "scenarios",
                "generate",
                "--model",
                "m",
                "--out",
                str(tmp_path / "o"),
                "--plan",
                "--per-cell",
                "2",
            ]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert "360 rows" in said and "Calls: 1,440" in said and not (tmp_path / "o").exists()


def test_a_key_that_the_server_echoes_is_not_shown(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PLANTED", "sk-planted-98765")
    echo = lambda body, n: error(401, message=f"{n} Bearer sk-planted-98765")  # noqa: E731
    with Loopback(echo) as server:
        options = ["--model", "m", "--url", server.url, "--key-env", "PLANTED", "--out", str(tmp_path / "o")]
        assert cli.main(["scenarios", "generate", *options]) == 2
    said = "".join(capsys.readouterr())
    assert "Bearer [key]" in said and "planted" not in said
    assert not any(b"planted" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def command(server, folder, **options):
    named = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "evenkeel", "scenarios", "generate", "--url", server.url, "--model", "writer", "--out",
            str(folder), "--traits", "truthfulness", "corrigibility", "--domains", "health", "law", "--per-cell", "3",
            "--date", "2026-11-21", "--key-env", "PLANTED", *named]  # fmt: skip


def test_kill_and_resume_end_with_the_same_bytes_and_pay_nothing_twice(tmp_path):
    planted = "sk-planted-98765"
    env = {**os.environ, "PLANTED": planted, "OMP_NUM_THREADS": "1"}
    echo = lambda body, n: Response(writer.answer(body).body, delay=0.02)  # noqa: E731
    with Loopback(
        lambda body, n: error(500, message=f"Bearer {planted}") if n == 3 else echo(body, n)
    ) as server:
        whole = subprocess.run(command(server, tmp_path / "whole"), env=env, capture_output=True, text=True)
        assert whole.returncode == 0, whole.stderr
        needed = len(server.requests) - 1
    outputs, lost, requests, kills = [whole.stdout + whole.stderr], 0, 0, 0
    with Loopback(echo) as server:
        for stop_after in (11, 24, None):
            log = (tmp_path / f"log{stop_after}").open("w+")
            process = subprocess.Popen(
                command(server, tmp_path / "cut", in_flight=3), env=env, stdout=log, stderr=log
            )
            while stop_after and len(server.requests) - requests < stop_after and process.poll() is None:
                time.sleep(0.005)
            if stop_after:
                process.send_signal(signal.SIGKILL)
                kills += process.wait() == -signal.SIGKILL
            assert stop_after or process.wait() == 0
            log.seek(0)
            outputs.append(log.read())
            requests = len(server.requests)
            with sqlite3.connect(tmp_path / "cut" / "answers.sqlite") as kept:
                answered = kept.execute("SELECT COUNT(*) FROM answers").fetchone()[0]
            lost = (
                requests - answered
            )  # begun and not yet kept when the kill came: no more than were in flight
            assert lost <= 3 * kills
    assert kills == 2 and requests == needed + lost
    assert files(tmp_path / "cut") == files(tmp_path / "whole")
    everything = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"planted" in content for content in everything)
    assert not any("planted" in text for text in outputs)
    assert "12 of 12 rows accepted" in outputs[0] and "48 calls in all (48 of them now)" in outputs[0]
    assert Path(tmp_path / "cut" / "scenarios.jsonl").read_text().count("\n") == 12
    authorised = {headers.get("authorization") for headers, _ in server.requests}
    assert authorised == {f"bearer {planted}"}  # it was sent, so its absence elsewhere means something
