"""The rubric judge against a real server: its prompt, its verdicts in either form, and what a reason concludes."""

import asyncio
import json

import pytest

from evenkeel.engines.endpoint import EndpointConfig, Token
from evenkeel.grading import judge_prompt
from evenkeel.grading.collect import collect
from evenkeel.grading.grader import GradeRequest
from evenkeel.grading.judge import JudgeConfig, RubricJudge
from evenkeel.records.types import Provenance, Reply, Scored, Unscorable
from evenkeel.scenarios.scenario import Scenario
from judge_tiny import CRITERIA, SCENARIO, judged, request
from loopback import Loopback, completion, error
from rule_judge import answer, question_of


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
