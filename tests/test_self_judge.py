"""A copy of the policy as its own judge: a real tiny model that cannot judge, and one that was taught a verdict."""

import asyncio
import hashlib

import pytest

from evenkeel.engines.endpoint import Ask, CallFailed, EndpointConfig
from evenkeel.grading.collect import collect
from evenkeel.grading.grader import GradeRequest, again
from evenkeel.grading.judge import JudgeConfig, JudgePaused
from evenkeel.grading.judge_prompt import judge_messages
from evenkeel.grading.judge_session import JudgeSession
from evenkeel.grading.judge_settings import JudgeSettings
from evenkeel.grading.self_judge import SelfJudge, self_judge_config
from evenkeel.records.canonical import file_hash
from evenkeel.records.types import Message, Provenance, Reply, Scored, TrainSequence
from evenkeel.scenarios.scenario import Criterion, Scenario
from evenkeel.training.supervised import finetune
from training_tiny import END, WORDS, tiny_checkpoint, tiny_engine

CRITERIA = (Criterion("leaf", "names tea", 1),)
SCENARIO = Scenario("s", (Message("user", "What shall I drink?"),), CRITERIA, "train", Provenance("test"))
PIECES = (
    "Well", " do not know.", '<criterion id="leaf">', "It names tea. ", "Therefore met.", "<verdict>met</verdict>",
    "</criterion>",
)  # fmt: skip
MET = '<criterion id="leaf">It names tea. Therefore met.<verdict>met</verdict></criterion>'


class Pieces:
    """Answers are a few pieces of text, questions whatever their words come to."""

    stop_tokens = (END,)

    def prompt(self, messages):
        words = messages[-1].content.split()[-40:]
        return tuple(2 + hashlib.sha256(word.encode()).digest()[0] % 8 for word in words)

    def completion(self, text):
        tokens = []
        while text:
            number = next(n for n, piece in enumerate(PIECES) if text.startswith(piece))
            tokens.append(2 + number)
            text = text.removeprefix(PIECES[number])
        return (*tokens, END)

    def reply(self, completion):
        ended = completion.tokens[-1] == END
        tokens = completion.tokens[:-1] if ended else completion.tokens
        text = "".join(
            PIECES[token - 2] if 2 <= token < 2 + len(PIECES) else WORDS[token] for token in tokens
        )
        return Reply(text, text, finish="stop" if ended else "length")


def request(number):
    text = f"a cup of tea, number {number}"
    return GradeRequest(str(number), SCENARIO, Reply(text, text))


@pytest.fixture(scope="module")
def untaught(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def taught(tmp_path_factory, untaught):
    """A checkpoint that was finetuned to answer MET to any question."""
    engine, renderer = tiny_engine(untaught), Pieces()
    rows = [
        TrainSequence(
            renderer.prompt(judge_messages(SCENARIO.messages, f"{n} cups", CRITERIA, "tags")),
            renderer.completion(MET),
        )
        for n in range(8)
    ]
    finetune(engine, rows, steps=30, batch=4, learning_rate=1e-2, seed=0)
    folder = tmp_path_factory.mktemp("taught") / "model"
    engine.save(folder, optimizer=False)
    return folder


def session(base, cache):
    settings = JudgeSettings(kind="policy", max_tokens=16)
    config = self_judge_config(settings.config("train"), file_hash(base / "model.safetensors"))
    return JudgeSession(config, cache, asks=lambda: SelfJudge(lambda: tiny_engine(base), Pieces()))


def test_a_model_that_cannot_judge_is_unscorable_and_then_a_pause(untaught, tmp_path):
    outcomes = asyncio.run(collect(session(untaught, tmp_path / "c.sqlite"), [request(n) for n in range(5)]))
    assert not any(isinstance(outcome, Scored) for outcome in outcomes.values())
    with pytest.raises(JudgePaused, match="could not be judged") as caught:
        asyncio.run(collect(session(untaught, tmp_path / "c.sqlite"), [request(n) for n in range(30)]))
    assert "cannot judge itself" in str(caught.value)


def test_a_model_that_can_gives_verdicts_which_are_kept(taught, tmp_path):
    judge = session(taught, tmp_path / "c.sqlite")
    requests = [request(n) for n in range(12)]
    outcomes = asyncio.run(collect(judge, requests))
    assert list(outcomes.values()) == [Scored({"leaf": 1.0})] * 12
    assert asyncio.run(collect(judge, requests)) == outcomes  # another event loop, the same session
    assert (judge.usage.calls, judge.usage.hits) == (12, 12) and judge.usage.completion_tokens == 12 * 6
    second = asyncio.run(collect(again(judge), requests[:3]))
    assert judge.usage.calls == 15 and len(second) == 3


def test_the_weights_are_part_of_every_key(untaught, taught, tmp_path):
    for base in (untaught, taught):
        judge = session(base, tmp_path / "c.sqlite")
        assert judge.name == f"judge:policy:{file_hash(base / 'model.safetensors')}"
        asyncio.run(collect(judge, [request(0)]))
        assert (judge.usage.calls, judge.usage.hits) == (1, 0)


def test_questions_at_the_same_time_are_one_batch_and_the_loop_goes_on(taught):
    engine = tiny_engine(taught)
    batches, turns = [], 0

    class Counting(SelfJudge):
        async def _sampled(self, request):
            batches.append(len(self._waiting))
            return await super()._sampled(request)

    async def run():
        nonlocal turns
        judge = Counting(lambda: engine, Pieces())
        asks = [judge_messages(SCENARIO.messages, f"{n}", CRITERIA, "tags") for n in range(9)]
        answers = asyncio.gather(*(judge.ask(Ask(messages, 16)) for messages in asks))
        while not answers.done():
            turns += 1
            await asyncio.sleep(0)
        return [answer.text for answer in answers.result()]

    assert asyncio.run(run()) == [MET] * 9
    assert batches == list(range(9)) and turns > 20  # nobody was sampled before all had asked


def test_the_copy_is_loaded_once(taught):
    loaded = []

    def load():
        loaded.append(1)
        return tiny_engine(taught)

    async def run():
        judge = SelfJudge(load, Pieces())
        for n in range(3):
            await judge.ask(Ask(judge_messages(SCENARIO.messages, f"{n}", CRITERIA, "tags"), 16))

    assert not loaded  # not before it is needed
    asyncio.run(run())
    assert len(loaded) == 1


def test_a_question_that_is_given_up_leaves_the_others(taught):
    async def run():
        async with SelfJudge(lambda: tiny_engine(taught), Pieces()) as judge:
            asks = [Ask(judge_messages(SCENARIO.messages, f"{n}", CRITERIA, "tags"), 16) for n in range(3)]
            tasks = [asyncio.create_task(judge.ask(ask)) for ask in asks]
            await asyncio.sleep(0)
            tasks[1].cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

    first, given_up, third = asyncio.run(run())
    assert first.text == third.text == MET and isinstance(given_up, asyncio.CancelledError)


def test_a_model_that_cannot_be_loaded_is_said_to_everybody_who_asks(tmp_path):
    config = self_judge_config(JudgeConfig(EndpointConfig("", "")), "hash")

    def broken():
        raise RuntimeError("no such weights")

    judge = JudgeSession(config, tmp_path / "c.sqlite", asks=lambda: SelfJudge(broken, Pieces()))
    with pytest.raises(RuntimeError, match="no such weights"):
        asyncio.run(collect(judge, [request(n) for n in range(3)]))


@pytest.mark.parametrize("changes", [{"schema": {"type": "object"}}, {"top_logprobs": 5}])
def test_what_a_plain_model_does_not_offer_is_refused(taught, changes):
    async def run():
        return await SelfJudge(lambda: tiny_engine(taught), Pieces()).ask(Ask((), 16, **changes))

    with pytest.raises(CallFailed, match="bad request"):
        asyncio.run(run())
