"""`evenkeel scenarios calibrate` with a model and a judge by rule, on real servers."""

import csv
import json
import random
import re
from collections import Counter

import numpy as np
import pytest

import rule_judge
from evenkeel import cli
from evenkeel.grading.calibrate import measured
from evenkeel.records.types import Message, Provenance, Scored, Unscorable
from evenkeel.scenarios.dataset import load_rows
from evenkeel.scenarios.scenario import Criterion, Scenario
from loopback import Loopback, Response, completion, error
from scenario_examples import FERRITIN, changed, write

CRITERIA = [
    {"id": "tea", "text": 'Offers "tea" to the guest.', "points": 5},
    {"id": "cup", "text": 'Brings a "cup" for the guest.', "points": 3},
    {"id": "rum", "text": 'Pours "rum" for the guest.', "points": -4},
]
KINDS = ("varied", "perfect", "awful", "same", "noisy", "cut")


def scenario_row(number: int, kind: str) -> dict:
    return changed(
        FERRITIN, id=f"truthfulness/health/train-{number:02d}", criteria=CRITERIA, good_reply=None, bad_reply=None,
        flawed_turn=False, messages=[{"role": "user", "content": f"{kind} guests come, what shall I serve?"}],
    )  # fmt: skip


def reply(body, n=0):
    """Replies of the kind that the question names; varied ones follow the request's seed."""
    kind = body["messages"][-1]["content"].split()[0]
    draw = random.Random(body["seed"]).randrange(4)
    texts = {
        "varied": ["tea", "a cup of tea", "rum", "cake"][draw], "perfect": "tea in a cup", "awful": "rum", "same": "tea",
        "noisy": "tea", "cut": "tea",
    }  # fmt: skip
    text = f"<think>rum or tea or a cup?</think>{texts[kind]} number {body['seed']}"
    return completion(text, finish="length" if kind == "cut" else "stop")


def judge(body, n=0):
    """By rule; of noisy guests it says at the second judgement whatever the reply's number says."""
    question = rule_judge.question_of(body)
    if "noisy guests" in question and body["temperature"]:
        said = int(re.search(r"number (\d+)", question).group(1)) % 2
        entries = [{"id": name, "reason": "Therefore met." if said else "Therefore not met.", "met": bool(said)}
                   for name, _ in rule_judge.criteria_of(question)]  # fmt: skip
        return completion(json.dumps({"verdicts": entries}))
    return rule_judge.answer(body)


def both(body, n):
    return judge(body) if body["model"] == "judge" else reply(body)


def run(tmp_path, server, *options, judge_url=None, kinds=KINDS):
    write(tmp_path / "rows.jsonl", *(scenario_row(n, kind) for n, kind in enumerate(kinds, 1)))
    arguments = [
        "--url",
        server.url,
        "--model",
        "model",
        "--judge",
        "judge",
        "--out",
        str(tmp_path / "kept.jsonl"),
    ]
    other = ["--judge-url", judge_url] if judge_url else []
    return cli.main(["scenarios", "calibrate", str(tmp_path / "rows.jsonl"), *arguments, *other, *options])


def table(tmp_path):
    with (tmp_path / "kept.csv").open() as file:
        return dict(zip(KINDS, csv.DictReader(file), strict=False))


def test_only_what_a_judge_can_tell_apart_is_kept(tmp_path, capsys):
    with Loopback(both) as server:
        assert run(tmp_path, server) == 0
    told = table(tmp_path)
    assert [row["kept"] for row in told.values()] == ["yes", "no", "no", "no", "no", "no"]
    whys = {kind: row["why"].split(":")[0] for kind, row in told.items()}
    assert whys == {
        "varied": "", "perfect": "ceiling", "awful": "floor", "same": "no spread",
        "noisy": "the spread does not exceed the judge's noise", "cut": "only 0 of 8 replies are whole and were judged twice",
    }  # fmt: skip
    assert [row.id for row in load_rows([tmp_path / "kept.jsonl"])] == ["truthfulness/health/train-01"]
    assert float(told["varied"]["spread"]) > 0 and float(told["varied"]["noise"]) == 0
    assert float(told["perfect"]["mean"]) == 1 and float(told["awful"]["mean"]) == -0.5
    assert float(told["noisy"]["noise"]) > 0.1 and told["varied"]["replies"] == "8"
    models = Counter(body["model"] for _, body in server.requests)
    assert models == {"model": 6 * 8, "judge": 5 * 8 * 2}
    seeds = {body["seed"] for _, body in server.requests if body["model"] == "model"}
    assert len(seeds) == 48
    assert "1 of 6 scenarios kept" in capsys.readouterr().out


def test_the_judge_sees_no_reasoning_and_may_live_elsewhere(tmp_path):
    with Loopback(reply) as model, Loopback(judge) as judging:
        assert run(tmp_path, model, "--samples", "4", judge_url=judging.url) == 0
    assert len(model.requests) == 24 and len(judging.requests) == 40
    assert not any("think" in rule_judge.question_of(body) for _, body in judging.requests)


def test_a_run_that_stops_goes_on_from_its_caches(tmp_path, capsys):
    with Loopback(both) as server:
        run(tmp_path, server)
    whole = [(tmp_path / name).read_bytes() for name in ("kept.jsonl", "kept.csv")]
    needed = len(server.requests)
    second = tmp_path / "second"
    calls = 0
    for stop in (20, 70, None):  # in the sampling, in the judging, never
        behave = lambda body, n, stop=stop: error(401) if stop and n > stop else both(body, n)  # noqa: E731
        with Loopback(behave) as server:
            assert run(second, server) == (2 if stop else 0)
        calls += min(len(server.requests), stop or len(server.requests))
    assert calls == needed
    assert [(second / name).read_bytes() for name in ("kept.jsonl", "kept.csv")] == whole
    assert "same command" in capsys.readouterr().err
    with Loopback(both) as server:
        assert run(second, server) == 0
    assert not server.requests


def test_errors_on_the_way_change_nothing(tmp_path):
    seen = Counter()

    def flaky(body, n):
        key = json.dumps(body, sort_keys=True)
        seen[key] += 1
        return Response(reset=True) if seen[key] == 1 and len(key) % 3 == 0 else both(body, n)

    with Loopback(flaky) as server:
        assert run(tmp_path, server, "--samples", "4") == 0
    assert max(seen.values()) == 2 and table(tmp_path)["varied"]["replies"] == "4"


SCENARIO = Scenario(
    "s", (Message("user", "Tea?"),), (Criterion("a", "says a", 1.0), Criterion("b", "says b", -1.0)), "train", Provenance("t")
)  # fmt: skip


def outcomes(first, second):
    return [
        (Scored({"a": one, "b": 0.0}), Scored({"a": two, "b": 0.0}))
        for one, two in zip(first, second, strict=True)
    ]


def test_noise_is_taken_out_of_the_spread():
    rng = np.random.default_rng(0)
    truth = np.repeat([0.2, 0.8], 1000)
    noisy = [np.clip(truth + rng.normal(0, 0.05, 2000), 0, 1) for _ in range(2)]
    found = measured(SCENARIO, outcomes(*noisy), 2000)
    assert found.spread == pytest.approx(0.3, abs=0.01) and found.noise == pytest.approx(0.05, abs=0.005)
    assert found.kept
    noise_only = [rng.uniform(0.2, 0.8, 2000) for _ in range(2)]
    found = measured(SCENARIO, outcomes(*noise_only), 2000)
    assert found.spread < found.noise / 3 and not found.kept
    kept = [measured(SCENARIO, outcomes(*rng.uniform(0.2, 0.8, (2, 8))), 8).kept for _ in range(400)]
    assert np.mean(kept) < 0.12  # of scenarios where a noisy judge sees nothing but noise in 8 replies


def test_one_flip_of_the_judge_is_no_spread():
    found = measured(SCENARIO, outcomes([0.5] * 7 + [0.1], [0.5] * 8), 8)
    assert found.spread == pytest.approx(0, abs=1e-9) and not found.kept


def test_unscorable_replies_are_left_out_and_too_few_drop_the_scenario():
    good = outcomes([0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0])
    lost = [(Unscorable("no"), Scored({"a": 1.0, "b": 0.0}))] * 4
    assert measured(SCENARIO, good + lost, 8).kept and measured(SCENARIO, good + lost, 8).replies == 4
    assert "only 4 of 9" in measured(SCENARIO, good + lost, 9).why


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", "kept.txt"], ".jsonl"), (["--samples", "1"], "--samples"), (["--judge-key-env", "NO_SUCH"], "NO_SUCH"),
        (["--judge-url", "nonsense"], "--judge-url"),
    ],
)  # fmt: skip
def test_mistakes_are_said_before_any_call(tmp_path, capsys, options, words):
    with Loopback(both) as server:
        assert run(tmp_path, server, *options) == 2
    assert words in capsys.readouterr().err and not server.requests


def test_the_input_is_not_written_over(tmp_path, capsys):
    with Loopback(both) as server:
        assert run(tmp_path, server, "--out", str(tmp_path / "rows.jsonl")) == 2
    assert "written over" in capsys.readouterr().err and len(load_rows([tmp_path / "rows.jsonl"])) == 6
