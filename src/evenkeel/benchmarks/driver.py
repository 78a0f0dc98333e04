"""Plays benchmarks on an engine: all items of all benchmarks step together, one batch of turns at a time.

A reply depends on the model, the conversation and the stream ("evaluate", seed, benchmark, item, turn), never
on what else was in its batch. A reply cut off at `max_tokens` is scored as it stands and flagged.

Where a play asks the judge (`yield ToJudge(...)`), the others go on; a verdict that cannot be had after `JUDGED_AGAIN`
further tries ends the evaluation, because a score over fewer items would not pair with that of another model.
"""

from __future__ import annotations

import asyncio
import math
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from evenkeel.benchmarks.benchmark import Benchmark, Item, Play, Score, ScoreRow, ToJudge, Verdicts
from evenkeel.engines.interface import Engine, Renderer
from evenkeel.grading.collect import collect
from evenkeel.grading.grader import Grader, GradeRequest, again
from evenkeel.records.errors import UserError
from evenkeel.records.types import Completion, Conversation, Message, Reply, SampleRequest, Scored

Prefix = Callable[[Conversation], Conversation]

MAX_TURNS = 64  # a play that asks for more is taken to be endless
JUDGED_AGAIN = 2  # tries after a judge gave no verdict


class PlayError(UserError):
    """An item could not be played to its end. It has no score, so the evaluation has none either."""


@dataclass(slots=True)
class _Game:
    """One item being played."""

    index: int  # position in the order of rows
    benchmark: Benchmark
    item: Item
    play: Play
    asked: Conversation = ()  # what the play asked last
    seen: Conversation = ()  # the same as the model sees it, prefix included
    transcript: Conversation = ()  # everything so far, the model's replies in full
    turn: int = 0
    tokens: int = 0
    truncated: bool = False
    to_judge: ToJudge | None = None  # waits for the judge, not for the model
    score: Score | None = None

    @property
    def name(self) -> str:
        return f'benchmark "{self.benchmark.name}", item "{self.item.id}"'

    @property
    def request_id(self) -> str:
        return f"{self.benchmark.name}/{self.item.id}/{self.turn}"


def evaluate(
    engine: Engine,
    renderer: Renderer,
    benchmarks: Sequence[Benchmark],
    *,
    seed: int,
    prefix: Prefix | None = None,
    temperature: float = 1.0,
    batch_rows: int = 512,
    offers: Collection[str] = (),
    judge: Grader | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[ScoreRow]:
    """Rows of every item, in the order of benchmarks and their items. For use outside an event loop.

    prefix: changes each conversation before it is rendered (a persona prompt); stored conversations show it.
    temperature: 0 is greedy. batch_rows: items in flight at once; bounds memory, changes no result.
    offers: what this run provides of the things a benchmark may need ("logprobs", "sandbox").
    judge: the held-out judge, for benchmarks that need one; it is then offered too.
    progress: called with (items finished, items).

    Raises PlayError naming benchmark and item when a play raises, ends without asking the model anything, or
    returns an impossible score; UserError when names clash or a benchmark needs what is not offered.
    """
    return asyncio.run(
        evaluate_async(
            engine,
            renderer,
            benchmarks,
            seed=seed,
            prefix=prefix,
            temperature=temperature,
            batch_rows=batch_rows,
            offers=offers,
            judge=judge,
            progress=progress,
        )
    )


async def evaluate_async(
    engine: Engine,
    renderer: Renderer,
    benchmarks: Sequence[Benchmark],
    *,
    seed: int,
    prefix: Prefix | None = None,
    temperature: float = 1.0,
    batch_rows: int = 512,
    offers: Collection[str] = (),
    judge: Grader | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[ScoreRow]:
    """`evaluate` for callers that are inside an event loop."""
    if batch_rows < 1:
        raise UserError(f"batch_rows is {batch_rows}", fix="Give at least 1.")
    _check(benchmarks, (*offers, *(["judge"] if judge else [])))
    total = sum(len(benchmark.items) for benchmark in benchmarks)
    rows: dict[int, ScoreRow] = {}
    waiting = _games(benchmarks, prefix)
    active = list(islice(waiting, batch_rows))
    judged: dict[asyncio.Task[Verdicts], _Game] = {}
    try:
        while active or judged:
            if active:
                await _one_turn(engine, renderer, active, seed, temperature, prefix)
            else:  # nothing to sample until the judge answers
                await asyncio.wait(judged, return_when=asyncio.FIRST_COMPLETED)
            heard = [task for task in judged if task.done()]
            answered = [judged.pop(task) for task in heard]
            for task, game in zip(heard, answered, strict=True):
                _advance(game, task.result(), prefix)
            moved = [*active, *answered]
            judged |= {_judging(judge, game): game for game in moved if game.to_judge is not None}
            rows.update((game.index, _row(game, game.score)) for game in moved if game.score is not None)
            active = [game for game in moved if game.score is None and game.to_judge is None]
            active += islice(
                waiting, max(0, batch_rows - len(active))
            )  # items start as others end: full batches
            if progress:
                progress(len(rows), total)
    finally:
        for task in judged:
            task.cancel()
    return [rows[index] for index in range(total)]


async def _one_turn(
    engine: Engine,
    renderer: Renderer,
    active: Sequence[_Game],
    seed: int,
    temperature: float,
    prefix: Prefix | None,
) -> None:
    """The model's next reply in every active game."""
    pending = {game.request_id: game for game in active}
    batch = [_request(game, renderer, seed, temperature) for game in active]
    async for completion in engine.sample(batch):
        _answer(pending.pop(completion.request), completion, renderer.reply(completion), prefix)
        await asyncio.sleep(0)  # an engine may sample without a pause, and judges want their turn
    if pending:
        raise RuntimeError(f"the engine returned no completion for request {next(iter(pending))!r}")


def _judging(judge: Grader | None, game: _Game) -> asyncio.Task[Verdicts]:
    """The judge at work on what a game asked."""
    if judge is None:
        fix = 'Declare needs=("judge",), so that this is known before the first token.'
        raise PlayError(f"{game.name}: the play asks a judge that this run does not have", fix=fix)
    assert game.to_judge is not None
    return asyncio.create_task(_verdicts(judge, game, game.to_judge))


async def _verdicts(judge: Grader, game: _Game, asked: ToJudge) -> Verdicts:
    request = GradeRequest(game.request_id, asked.scenario, asked.reply)
    reason = ""
    for number in range(1 + JUDGED_AGAIN):
        grader = again(judge, number) if number else judge
        outcome = (await collect(grader, [request]))[request.id]
        if isinstance(outcome, Scored):
            return outcome.verdicts
        reason = outcome.reason
    raise PlayError(
        f"{game.name}: the judge gave no verdict in {1 + JUDGED_AGAIN} tries: {reason}",
        fix="Mend the judge and start the same command again, or leave this item out of the benchmark "
        "(for all models).",
    )


def opening(item: Item) -> Conversation:
    """The first conversation an item shows, for checks of disjointness and for reading."""
    first = next(item.play())
    if isinstance(first, ToJudge):
        raise PlayError(f'item "{item.id}": the play asks the judge before it asked the model')
    return tuple(first)


def _check(benchmarks: Sequence[Benchmark], offers: Collection[str]) -> None:
    """Every problem that can be seen before the first token."""
    names: set[str] = set()
    for benchmark in benchmarks:
        if benchmark.name in names:
            raise UserError(f'two benchmarks are called "{benchmark.name}"', fix="Rename one of them.")
        names.add(benchmark.name)
        for need in benchmark.needs:
            if need not in offers:
                raise UserError(
                    f'benchmark "{benchmark.name}" needs "{need}", which this run does not offer',
                    fix=f'Pass offers=("{need}",) where it exists, or leave the benchmark out.',
                )
        ids: set[str] = set()
        for item in benchmark.items:
            if item.id in ids:
                raise UserError(
                    f'benchmark "{benchmark.name}" has two items with the id "{item.id}"',
                    fix="Give each item its own id: it names the item's random stream.",
                )
            ids.add(item.id)
        if not ids:
            raise UserError(f'benchmark "{benchmark.name}" has no items', fix="Add items or leave it out.")


def _games(benchmarks: Sequence[Benchmark], prefix: Prefix | None) -> Iterator[_Game]:
    """Games in row order, each started when it is drawn, so that memory follows `batch_rows`."""
    index = 0
    for benchmark in benchmarks:
        for item in benchmark.items:
            game = _Game(index, benchmark, item, item.play())
            _advance(game, None, prefix)
            yield game
            index += 1


def _request(game: _Game, renderer: Renderer, seed: int, temperature: float) -> SampleRequest:
    return SampleRequest(
        id=game.request_id,
        prompt=renderer.prompt(game.seen),
        max_tokens=game.benchmark.max_tokens,
        stream=("evaluate", seed, game.benchmark.name, game.item.id, game.turn),
        temperature=temperature,
    )


def _answer(game: _Game, completion: Completion, reply: Reply, prefix: Prefix | None) -> None:
    """Book one completion and play on until the next question or the score."""
    game.transcript += (Message("assistant", reply.text),)
    game.tokens += len(completion.tokens)
    game.truncated |= reply.finish == "length"
    game.turn += 1
    _advance(game, reply, prefix)


def _advance(game: _Game, answer: Reply | Verdicts | None, prefix: Prefix | None) -> None:
    game.to_judge = None
    try:
        question = next(game.play) if answer is None else game.play.send(answer)
        asked = () if isinstance(question, ToJudge) else tuple(question)
    except StopIteration as end:
        game.score = _checked(game, end.value)
        return
    except Exception as error:  # whatever a benchmark's own code raises belongs to this item, by name
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise PlayError(
            f"{game.name}: {type(error).__name__}: {error}",
            file=frame.filename,
            line=frame.lineno,
            fix="A play must score every reply a model can give; correct the benchmark.",
        ) from error
    if isinstance(question, ToJudge):
        game.to_judge = question
        return
    if not asked:
        raise PlayError(f"{game.name}: the play asks with an empty conversation")
    if game.turn == MAX_TURNS:
        raise PlayError(f"{game.name}: no score after {MAX_TURNS} turns", fix="Give the play an end.")
    seen = prefix(asked) if prefix else asked
    game.transcript += _news(game.asked, asked, seen)
    game.asked, game.seen = asked, seen


def _news(before: Conversation, asked: Conversation, seen: Conversation) -> Conversation:
    """What the next question adds to the transcript: the turns after the model's reply when it continues the
    conversation (the transcript has that reply in full already), all of it when it opens another one.
    """
    turns = asked[len(before) :]
    continues = (
        bool(before) and asked[: len(before)] == before and len(turns) > 1 and turns[0].role == "assistant"
    )
    return turns[1:] if continues else seen


def _checked(game: _Game, score: Score | None) -> Score:
    """The play's score, or PlayError when it is none or cannot be one."""
    fix = "Correct the benchmark's play."
    if not isinstance(score, Score):
        raise PlayError(f"{game.name}: the play returned {score!r} instead of a Score", fix=fix)
    if game.turn == 0:
        raise PlayError(f"{game.name}: the play ended without asking the model anything", fix=fix)
    if not 0.0 <= score.score <= 1.0:
        raise PlayError(
            f"{game.name}: the score is {score.score}; it must lie in 0..1, higher is better", fix=fix
        )
    if score.good and score.harmful:
        raise PlayError(f"{game.name}: the reply is called both good and harmful", fix=fix)
    for name, value in score.extra.items():
        if not math.isfinite(value):
            raise PlayError(f'{game.name}: extra "{name}" is {value}; leave out what has no value', fix=fix)
    return score


def _row(game: _Game, score: Score) -> ScoreRow:
    return ScoreRow(
        benchmark=game.benchmark.name,
        item=game.item.id,
        frame=game.item.frame,
        domain=game.item.domain,
        held_out=game.item.held_out,
        score=float(score.score),
        good=bool(score.good),
        harmful=bool(score.harmful),
        refused=bool(score.refused),
        truncated=game.truncated,
        tokens=game.tokens,
        extra={name: float(value) for name, value in score.extra.items()},
        messages=game.transcript,
    )
