"""The rubric judge against a real server: verdicts, every way of having none, the pause, the cache, and adversaries."""

import asyncio
import json
import multiprocessing
import sqlite3
from contextlib import aclosing

import pytest

from evenkeel import cli
from evenkeel.engines.endpoint import Answer, Ask, EndpointConfig, Token
from evenkeel.grading import judge_prompt
from evenkeel.grading.collect import collect
from evenkeel.grading.gold import GoldItem
from evenkeel.grading.grader import GradeRequest
from evenkeel.grading.judge import JudgeConfig, JudgePaused, RubricJudge
from evenkeel.grading.judge_attacks import judge_attacks
from evenkeel.grading.judge_cache import JudgeCache, cache_key
from evenkeel.grading.qualify import qualify
from evenkeel.grading.quoting import quoted, visible
from evenkeel.records.errors import UserError
from evenkeel.records.types import Message, Provenance, Reply, Scored, Unscorable
from evenkeel.scenarios.scenario import Criterion, Scenario
from loopback import Loopback, Response, completion, error
from rule_judge import answer, criteria_of, question_of, reply_of

CRITERIA = (
    Criterion("leaf", 'mentions "tea"', 5), Criterion("vessel", 'mentions "cup"', 3), Criterion("spirit", 'mentions "rum"', -4),
)  # fmt: skip
SCENARIO = Scenario("s", (Message("user", "What shall I drink?"),), CRITERIA, "train", Provenance("test"))


def request(text: str, number: int = 0) -> GradeRequest:
    return GradeRequest(f"r{number}", SCENARIO, Reply(text, text))


def judged(server: Loopback, path, texts, *, sample: int = 0, endpoint=None, **changes):
    """(outcomes in order, usage) of these replies."""
    fast = {"timeout_s": 2.0, "attempts": 2, "pause_s": 0.01} | (endpoint or {})
    endpoint = EndpointConfig(server.url, "rule", **fast)

    async def run():
        async with RubricJudge(
            JudgeConfig(endpoint, **changes), path / "cache.sqlite", sample=sample
        ) as judge:
            outcomes = await collect(judge, [request(text, n) for n, text in enumerate(texts)])
            return list(outcomes.values()), judge.usage

    return asyncio.run(run())


@pytest.mark.parametrize("form", ["json", "tags"])
@pytest.mark.parametrize("per_criterion", [False, True])
def test_verdicts_of_each_criterion(tmp_path, form, per_criterion):
    with Loopback(lambda body, n: answer(body)) as server:
        outcomes, usage = judged(
            server, tmp_path, ["a cup of tea", "rum"], form=form, per_criterion=per_criterion
        )
    assert outcomes == [
        Scored({"leaf": 1, "vessel": 1, "spirit": 0}),
        Scored({"leaf": 0, "vessel": 0, "spirit": 1}),
    ]
    assert usage.calls == len(server.requests) == (6 if per_criterion else 2)
    assert all(("response_format" in body) == (form == "json") for _, body in server.requests)


def test_tags_are_used_where_structured_output_is_refused(tmp_path):
    with Loopback(
        lambda body, n: error(400, "unsupported") if "response_format" in body else answer(body)
    ) as server:
        outcomes, _ = judged(server, tmp_path, ["tea", "cup"])
    assert [outcome.verdicts["leaf"] for outcome in outcomes] == [1, 0]
    assert "response_format" not in server.requests[-1][1]


def spoilt(text):
    return lambda body, n: text if isinstance(text, Response) else completion(text)


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (spoilt("I would rather not say."), "cannot be read"), (spoilt('{"verdicts": [{"id": "leaf"'), "cannot be read"),
        (spoilt('{"verdicts": [{"id": "leaf", "reason": "x", "met": "yes"}]}'), "cannot be read"),
        (spoilt(completion("{}", finish="length")), "cut off"), (spoilt(completion("", refusal="no")), "refused"),
        (spoilt(completion("", finish="content_filter")), "refused"), (spoilt(error(500)), "server error"),
        (spoilt(Response(b"{", 200)), "malformed"), (spoilt(Response(reset=True)), "connection"),
        (lambda body, n: answer(body, leave_out=1), "no verdict on a criterion: leaf"),
        (lambda body, n: answer(body, add="milk"), "not asked"),
        (lambda body, n: answer(body, add="leaf"), "two verdicts on one criterion: leaf"),
        (lambda body, n: answer(body, contradict=True), "contradicts its reason: leaf"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_unscorable_and_says_why(tmp_path, behave, reason):
    with Loopback(behave) as server:
        [outcome], usage = judged(server, tmp_path, ["tea"], form="json")
    assert isinstance(outcome, Unscorable) and reason in outcome.reason
    assert usage.unscorable == 1


def test_beyond_the_budget_replies_are_unscorable(tmp_path):
    with Loopback(lambda body, n: answer(body)) as server:
        outcomes, usage = judged(server, tmp_path, [f"tea {n}" for n in range(5)], most_calls=3)
    assert sorted(isinstance(outcome, Scored) for outcome in outcomes) == [False] * 2 + [True] * 3
    assert usage.calls == len(server.requests) == 3


def test_an_exhausted_quota_pauses_and_the_answers_so_far_are_kept(tmp_path):
    texts = [f"tea {n}" for n in range(12)]
    stops = Loopback(lambda body, n: answer(body) if n <= 7 else error(429, "insufficient_quota"))
    with stops as server, pytest.raises(JudgePaused) as caught:
        judged(server, tmp_path, texts)
    assert "7 answers are kept" in str(caught.value) and "start the same command again" in str(caught.value)
    with Loopback(lambda body, n: answer(body)) as server:
        outcomes, usage = judged(server, tmp_path, texts)
    assert (usage.hits, usage.calls, len(server.requests)) == (7, 5, 5)
    with Loopback(lambda body, n: error(500)) as server:  # a third run needs no server at all
        again, usage = judged(server, tmp_path, texts)
    assert again == outcomes and usage.hits == 12 and not server.requests


def test_too_many_unscorable_replies_pause(tmp_path):
    def behave(body, n):
        return completion("what?") if "tea 3" in question_of(body) else answer(body)

    with Loopback(behave) as server, pytest.raises(JudgePaused, match="could not be judged"):
        judged(server, tmp_path, [f"tea {n}" for n in range(60)], form="json")
    with Loopback(behave) as server:  # a rate above it is a rate that the user allowed
        outcomes, _ = judged(server, tmp_path, [f"tea {n}" for n in range(60)], form="json", pause_above=0.5)
    assert sum(isinstance(outcome, Unscorable) for outcome in outcomes) == 11


def test_what_gave_no_verdict_is_asked_for_again_after_the_pause(tmp_path):
    texts = [f"tea {n}" for n in range(60)]

    def broken(body, n):
        return completion("what?") if "tea 3" in question_of(body) else answer(body)

    with Loopback(broken) as server, pytest.raises(JudgePaused, match="are asked for again"):
        judged(server, tmp_path, texts, form="json")
    with Loopback(lambda body, n: answer(body)) as server:  # mended
        outcomes, usage = judged(server, tmp_path, texts, form="json")
    assert all(isinstance(outcome, Scored) for outcome in outcomes) and usage.hits > 0


def test_a_killed_run_reads_what_gave_no_verdict_from_the_cache_too(tmp_path):
    with Loopback(lambda body, n: completion("what?")) as server:
        first, _ = judged(server, tmp_path, ["tea"], form="json")
    with Loopback(lambda body, n: answer(body)) as server:
        again, usage = judged(server, tmp_path, ["tea"], form="json")
    assert again == first and isinstance(first[0], Unscorable) and usage.hits == 1 and not server.requests
    assert usage.reasons == {"the judge's answer cannot be read": 1}


@pytest.mark.parametrize("down", [error(500), Response(reset=True), Response(delay=9), error(429)])
def test_a_server_that_answers_nothing_is_an_outage(tmp_path, down):
    endpoint = {"timeout_s": 0.05, "attempts": 1}
    with (
        Loopback(lambda body, n: down) as server,
        pytest.raises(JudgePaused, match="10 calls in a row") as caught,
    ):
        judged(server, tmp_path, [f"tea {n}" for n in range(12)], form="json", endpoint=endpoint)
    assert "start the same command again" in str(caught.value)


def test_after_a_pause_nobody_pays_for_another_call(tmp_path):
    stops = Loopback(lambda body, n: error(402) if n == 3 else answer(body))

    async def run(server):
        async with RubricJudge(
            JudgeConfig(EndpointConfig(server.url, "rule")), tmp_path / "c.sqlite"
        ) as judge:
            first = await collect(judge, [request("tea", 0), request("cup", 1)])
            for text in ("rum", "milk"):
                with pytest.raises(JudgePaused):
                    await collect(judge, [request(text)])
            assert (
                await collect(judge, [request("tea", 0), request("cup", 1)]) == first
            )  # kept answers are free

    with stops as server:
        asyncio.run(run(server))
    assert len(server.requests) == 3


def test_equal_replies_cost_one_call_and_get_one_verdict(tmp_path):
    changeable = Loopback(lambda body, n: answer(body) if n == 1 else answer(body, contradict=True))
    with changeable as server:
        outcomes, usage = judged(server, tmp_path, ["tea"] * 8)
    assert len(server.requests) == 1 and (usage.calls, usage.hits) == (1, 7)
    assert outcomes == [outcomes[0]] * 8 and isinstance(outcomes[0], Scored)


def test_the_form_that_an_endpoint_takes_is_remembered(tmp_path):
    with Loopback(lambda body, n: error(400) if "response_format" in body else answer(body)) as server:
        first, _ = judged(server, tmp_path, ["tea", "cup"])
        again, usage = judged(server, tmp_path, ["tea", "cup"])
    assert again == first and usage.calls == 0 and usage.hits == 2
    assert len(server.requests) <= 4


def test_one_refused_reply_does_not_change_the_form_of_the_others(tmp_path):
    """A context that is too long is a bad request as well, in either form."""
    with Loopback(lambda body, n: error(400) if "long" in question_of(body) else answer(body)) as server:

        async def run():
            judge = RubricJudge(JudgeConfig(EndpointConfig(server.url, "rule")), tmp_path / "c.sqlite")
            async with judge:
                return [
                    await collect(judge, [request(text)]) for text in ("long tea", "tea", "long cup", "cup")
                ]

        outcomes = [outcome["r0"] for outcome in asyncio.run(run())]
    assert [isinstance(outcome, Scored) for outcome in outcomes] == [False, True, False, True]
    forms = ["response_format" in body for _, body in server.requests]
    assert forms == [
        True,
        False,
        True,
        True,
        True,
    ]  # tags were tried once, before the endpoint had shown what it takes


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("It names tea. Therefore met.", True), ("Therefore, it is not met.", False), ("Thus unmet.", False),
        ("The criterion is not met.", False), ("This has not been met", False), ("So it is only partly met.", False),
        ("Verdict: **not met**", False), ("It does not meet the criterion.", False), ("It fails to meet this criterion.", False),
        ("It clearly meets the criterion.", True), ("One could say it is not met, but tea is named. Therefore met.", True),
        ("The first half is met, the rest is missing. Therefore not met.", False),
        ("They met a friend at noon.", None), ("The user's needs were met.", None), ("It depends on whether it is met", None),
        ("The reply names tea.", None), ("It met the user with warmth.", None),
    ],
)  # fmt: skip
def test_what_a_reason_concludes(reason, says):
    assert judge_prompt.concluded(reason) is says


@pytest.mark.parametrize("form", ["json", "tags"])
@pytest.mark.parametrize("met", [True, False])
def test_a_verdict_against_its_own_reason_is_none(tmp_path, form, met):
    reason = f"The criterion is {'not ' * met}met."
    text = json.dumps({"verdicts": [{"id": c.id, "reason": reason, "met": met} for c in CRITERIA]})
    if form == "tags":
        verdict = "met" if met else "not met"
        text = "\n".join(
            f'<criterion id="{c.id}">{reason}<verdict>{verdict}</verdict></criterion>' for c in CRITERIA
        )
    with Loopback(lambda body, n: completion(text)) as server:
        [outcome], _ = judged(server, tmp_path, ["tea"], form=form)
    assert outcome == Unscorable("a verdict contradicts its reason: leaf")


def test_continuous_verdicts_are_probabilities(tmp_path):
    def behave(body, n):
        text = '{"verdicts": [{"id": "leaf", "reason": "It is. Therefore met.", "met": true}]}'
        head, tail = text.split("true")
        shown = [(head, {}), ("true", {"true": -0.1, "false": -2.3}), (tail, {})]
        content = [
            {"token": t, "logprob": -0.1, "bytes": None,
             "top_logprobs": [{"token": k, "logprob": v, "bytes": None} for k, v in alternatives.items()]}
            for t, alternatives in shown
        ]  # fmt: skip
        return completion(text, logprobs={"content": content})

    one = Scenario("s", SCENARIO.messages, CRITERIA[:1], "train", Provenance("test"))
    with Loopback(behave) as server:
        endpoint = EndpointConfig(server.url, "rule")

        async def run():
            judge = RubricJudge(JudgeConfig(endpoint, form="json", continuous=True), tmp_path / "c.sqlite")
            async with judge:
                return await collect(judge, [GradeRequest("r", one, Reply("tea", "tea"))])

        outcome = asyncio.run(run())["r"]
    assert outcome.verdicts["leaf"] == pytest.approx(0.9002, abs=1e-3)


def test_probabilities_in_the_tagged_form():
    tokens = [
        Token('<criterion id="a">It is met.\n<verdict>', {}),
        Token("not", {"not": -0.5, "met": -1.0}),
        Token(" met", {}),
    ]
    [chance] = judge_prompt.verdict_probabilities(tokens, "tags")
    assert chance == pytest.approx(0.6065 ** 2 / (0.6065 ** 2 + 0.6065), abs=1e-3)  # fmt: skip


# --- cache


def test_role_model_prompt_and_sample_are_different_questions():
    ask = Ask((Message("user", "x"),), 10)
    keys = {
        cache_key("train", "m", "1", ask, 0), cache_key("eval", "m", "1", ask, 0), cache_key("train", "n", "1", ask, 0),
        cache_key("train", "m", "2", ask, 0), cache_key("train", "m", "1", ask, 1),
        cache_key("train", "m", "1", Ask((Message("user", "y"),), 10), 0),
    }  # fmt: skip
    assert len(keys) == 6


def _fill(path, start):
    cache = JudgeCache(path)
    for n in range(start, start + 150):
        cache.begin(str(n % 200))
        cache.put(str(n % 200), "m", Answer(f"text {n % 200}", "stop", 1, 1, 1))
    cache.close()


def test_two_processes_share_a_cache(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_fill, args=(tmp_path / "c.sqlite", start)) for start in (0, 50)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    cache = JudgeCache(tmp_path / "c.sqlite")
    assert len(cache) == 200 and cache.get("77").text == "text 77"
    total = cache.totals()["train"]
    assert (total.calls, total.prompt_tokens, total.lost, total.hits) == (300, 300, 0, 1)


def test_of_two_answers_to_a_question_the_first_is_everybodys(tmp_path):
    one, other = JudgeCache(tmp_path / "c.sqlite"), JudgeCache(tmp_path / "c.sqlite")
    first, second = (Answer(text, "stop", 1, 1, 1) for text in ("first", "second"))
    for cache in (one, other):
        cache.begin("question")
    assert one.put("question", "m", first) == first == other.put("question", "m", second)


def judge_until_killed(url, cache):
    """In a process of its own; here, because this module needs no torch."""

    async def run():
        async with RubricJudge(
            JudgeConfig(EndpointConfig(url, "rule", in_flight=4)), JudgeCache(cache, run="arm")
        ) as judge:
            await collect(judge, [request(f"tea {n}", n) for n in range(10)])

    asyncio.run(run())


def _begin(path):
    JudgeCache(path, run="an arm").begin("never answered")


def test_calls_lost_in_a_kill_are_counted_once_and_for_all(tmp_path):
    worker = multiprocessing.get_context("spawn").Process(target=_begin, args=(tmp_path / "cache.sqlite",))
    worker.start()
    worker.join(60)
    with Loopback(lambda body, n: answer(body)) as server:
        _, usage = judged(server, tmp_path, ["tea"])
    assert usage.lost == 1
    cache = JudgeCache(tmp_path / "cache.sqlite")
    assert cache.used.lost == 0  # it was booked, where it belongs
    assert (cache.totals("an arm")["train"].lost, cache.totals()["train"].lost, cache.calls()) == (1, 0, 2)


def test_a_call_that_is_given_up_is_lost_and_one_that_fails_is_not(tmp_path):
    def behave(body, n):
        return error(500) if "tea 0" in question_of(body) else Response(answer(body).body, delay=5)

    async def run(server):
        endpoint = EndpointConfig(server.url, "rule", attempts=1)
        async with RubricJudge(JudgeConfig(endpoint, form="json"), tmp_path / "cache.sqlite") as judge:
            async with aclosing(judge.grade([request(f"tea {n}", n) for n in range(3)])) as graded:
                await anext(graded)
            return judge.usage

    with Loopback(behave) as server:
        usage = asyncio.run(run(server))
    assert (usage.calls, usage.failed, usage.lost) == (3, 1, 2)
    assert JudgeCache(tmp_path / "cache.sqlite").totals()["train"] == usage


def test_a_file_that_is_no_cache_is_named(tmp_path):
    (tmp_path / "cache.sqlite").write_text("not a database, but long enough to be looked at " * 20)
    with pytest.raises(UserError, match=r"cache\.sqlite"):
        JudgeCache(tmp_path / "cache.sqlite")
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE answers (key TEXT PRIMARY KEY, wrong TEXT)")
    other.commit()
    with pytest.raises(UserError, match=r"other\.sqlite"):
        JudgeCache(tmp_path / "other.sqlite")


def test_no_key_reaches_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-planted-9")
    with Loopback(lambda body, n: answer(body)) as server:
        endpoint = EndpointConfig(server.url, "rule", key_env="SOME_KEY")

        async def run():
            async with RubricJudge(JudgeConfig(endpoint), tmp_path / "cache.sqlite") as judge:
                return await collect(judge, [request("tea")])

        asyncio.run(run())
    assert b"planted" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


# --- judges that are no judges


GOLD = [
    GoldItem("drinks", f"{n}", SCENARIO, text, {"leaf": "tea" in text, "vessel": "cup" in text, "spirit": "rum" in text})
    for n, text in enumerate(["a cup of tea", "tea", "a cup of rum", "rum", "water", "tea with rum", "a cup", "milk"] * 4)
]  # fmt: skip


HALF = ("a cup of tea", "rum", "water", "a cup")  # with as large a share of what is met as of what is not


def always(says):
    """A judge that says the same of everything."""

    def behave(body, n):
        names = [name for name, _ in criteria_of(question_of(body))]
        reason = f"Therefore {'' if says else 'not '}met."
        return completion(json.dumps({"verdicts": [{"id": m, "reason": reason, "met": says} for m in names]}))

    return behave


@pytest.mark.parametrize(
    ("behave", "unfit"),
    [
        (lambda body, n: answer(body), ""), (always(True), "says yes to nearly everything, 100%"),
        (always(False), "says no to nearly everything, 100%"),
        (lambda body, n: always(reply_of(question_of(body)) in HALF)(body, n), "hardly more often"),
    ],
)  # fmt: skip
def test_a_judge_that_says_the_same_of_everything_is_found_out(tmp_path, behave, unfit):
    with Loopback(behave) as server:
        config = JudgeConfig(EndpointConfig(server.url, "rule"), role="eval", form="json")
        found = asyncio.run(qualify(config, tmp_path / "c.sqlite", GOLD, retest=0, attacked=0))
    assert unfit in found.unfit and bool(found.unfit) == bool(unfit)


def test_the_check_says_that_a_judge_always_says_yes(tmp_path, capsys):
    def behave(body, n):  # the dataset's criteria, which no rule knows
        listed = question_of(body).split("Criteria:\n")[1].split("\n\n")[0]
        names = [line[2:].partition(":")[0] for line in listed.split("\n")]
        entries = [{"id": name, "reason": "So. Therefore met.", "met": True} for name in names]
        return completion(json.dumps({"verdicts": entries}))

    with Loopback(behave) as server:
        cli.main(
            [
                "judge",
                "check",
                "--url",
                server.url,
                "--model",
                "m",
                "--limit",
                "4",
                "--cache",
                str(tmp_path / "c.sqlite"),
            ]
        )
    said = capsys.readouterr().out
    assert (
        "NOT FIT to give rewards: it says yes to nearly everything" in said and "of what is not: 100%" in said
    )


# --- adversaries


@pytest.mark.parametrize("attack", judge_attacks(), ids=lambda attack: attack.name)
def test_no_attack_raises_a_verdict(tmp_path, attack):
    with Loopback(lambda body, n: answer(body)) as server:
        outcomes, _ = judged(server, tmp_path, ["tea", attack.on("tea", CRITERIA)])
    honest, attacked = (outcome.verdicts for outcome in outcomes)
    raised = {name for name in honest if attacked[name] > honest[name]}
    # a reply that repeats the criteria's own words gets what those words are worth from a judge that counts words
    assert not raised or attack.name == "restates the criteria"


def test_without_quoting_the_attacks_work(tmp_path, monkeypatch):
    monkeypatch.setattr(judge_prompt, "quoted", lambda name, text: f"{name}:\n{text}")
    worked = 0
    for number, attack in enumerate(judge_attacks()):
        with Loopback(lambda body, n: answer(body)) as server:
            [outcome], _ = judged(server, tmp_path / str(number), [attack.on("tea", CRITERIA)])
        worked += outcome.verdicts["vessel"] == 1
    assert worked >= 8


@pytest.mark.parametrize(
    "hidden", ["\u200b", "\u202e", "\U000e0041", "\u2028", "\x85", "\x1b", "\ufe0f", "\u3164", "\ue000"]
)
def test_nothing_in_a_quotation_is_unseen(hidden):
    assert hidden not in visible(f"a{hidden}b") and f"{ord(hidden):04x}" in visible(f"a{hidden}b")


def test_ordinary_text_is_left_alone():
    text = "Grüße, 你好 — “quoted”, naïve\n\tcode: x = {1: 'a'} 🙂 é"
    assert visible(text) == text


def test_a_quotation_cannot_be_left():
    block = quoted("reply", "one\r\ntwo")
    mark = block.split()[1]
    for inside in (
        block,
        f"[reply {mark} ends]",
        "x\n[reply ends]\n| y",
        "\r[reply ends]",
        "\u2028[reply ends]",
    ):
        lines = quoted("reply", inside).split("\n")
        assert all(line.startswith("| ") for line in lines[1:-1])
        assert lines[-1].split()[1] not in "\n".join(lines[1:-1])


def test_the_prompt_shows_criteria_without_their_points():
    system, user = judge_prompt.judge_messages(SCENARIO.messages, "tea", CRITERIA, "json")
    assert '- spirit: mentions "rum"' in user.content
    assert not any(
        str(abs(c.points)) in user.content.split("Criteria:")[1].split("Answer")[0] for c in CRITERIA
    )
    assert json.dumps(judge_prompt.schema(CRITERIA)).index('"reason"') < json.dumps(
        judge_prompt.schema(CRITERIA)
    ).index('"met"')
    assert "met" in system.content
