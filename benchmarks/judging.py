"""Judging through an endpoint that takes 300 ms for a call: alone, and while the policy samples.

    python benchmarks/judging.py [--repeats 5] [--inside]

The endpoint is the loopback server of the tests in a process of its own, judging by rule: real HTTP, real JSON. Alone: calls a
second over the ideal of in_flight / 0.3 s, every reply judged once, cache and account on disk included. Overlapped: the training
loop's own rollout, 1,024 replies of a random model of 4.85 M parameters sampled by one thread, each judged when it ends; its wall
time over the longer of sampling alone (in the engine's own batches, which are larger and hand nothing on before they end) and
judging alone. `--inside` asks from the process that samples, for comparison.

Two kinds of replies, each about 5 s of sampling: `varied`, where one token in 32 ends a reply, 50 at most (25 on average),
as replies differ in length; and `equal`, 28 tokens each, the worst case: none ends early, and then many do at once.

Each repeat measures sampling, judging and both, one after the other. It wants two cores to itself; `others` is how many cores
somebody else kept busy while it sampled alone.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

import peers
from evenkeel.engines.endpoint import EndpointConfig
from evenkeel.engines.interface import Engine
from evenkeel.engines.native.continuous import ROWS
from evenkeel.engines.native.engine import NativeEngine
from evenkeel.engines.threaded import Threaded
from evenkeel.grading.collect import collect
from evenkeel.grading.grader import Grader, GradeRequest
from evenkeel.grading.judge import ByCriteria, JudgeConfig
from evenkeel.grading.judge_process import JudgeProcess
from evenkeel.grading.judge_session import JudgeSession
from evenkeel.records.types import Completion, Message, Outcome, Provenance, Reply, Scored
from evenkeel.scenarios.scenario import Criterion, Scenario
from evenkeel.training.rollout import Bench, Group, roll_out

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the server

DELAY_S, GROUP, SEED = 0.3, 8, 0
LENGTHS = {"varied": (50, 32), "equal": (28, None)}  # limit, and one token in so many ends a reply
CRITERIA = tuple(
    Criterion(f"c{n}", f'The reply says "w{13 * n + 7}" where it matters.', points)
    for n, points in enumerate((5, 3, 2, -4, -10))
)
QUESTION = (
    "Two colleagues want the same slot. Draft a note that is fair to both and can still be changed. " * 4
)


def serve(pipe: Connection) -> None:
    """A server that answers by rule, after the delay, until somebody writes to the pipe."""
    from loopback import Loopback, Response
    from rule_judge import answer

    def slow(body: Any, number: int) -> Response:
        response = answer(body)
        response.delay = DELAY_S
        return response

    with Loopback(slow) as server:
        pipe.send(server.url)
        pipe.recv()


@contextmanager
def server() -> Iterator[str]:
    """The url of a server in another process."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    yield ours.recv()
    ours.send("stop")
    process.join()


class Words:
    """Any prompt for the random model; a reply is a word a token, and counts as whole."""

    stop_tokens = (peers.STOP,)

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary

    def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Some forty tokens, by the number in the text."""
        number = int(messages[-1].content.rsplit(" ", 1)[1])
        return peers.random_prompts(1, 32, 48, self.vocabulary, number)[0]

    def completion(self, text: str) -> tuple[int, ...]:
        """The tokens of its words."""
        return tuple(int(word[1:]) for word in text.split())

    def reply(self, completion: Completion) -> Reply:
        """The text, whole."""
        text = " ".join(f"w{token}" for token in completion.tokens)
        return Reply(text, text)


class AtOnce(ByCriteria):
    """A grader that costs nothing."""

    name, version = "at once", "1"

    async def grade(self, requests: Sequence[GradeRequest]) -> AsyncIterator[tuple[str, Outcome]]:
        """Nothing is met."""
        for request in requests:
            yield request.id, Scored(dict.fromkeys(self.criteria(request.scenario), 0.0))


class Workload:
    """The model, its prompts, and what is measured with them."""

    def __init__(self, url: str, folder: Path, wanted: argparse.Namespace, lengths: str) -> None:
        config = peers.five_million()
        peers.random_model(config, SEED, 0.0).save_pretrained(folder / "model")
        self.tokens, every = LENGTHS[lengths]
        stops = range(1, config.vocab_size, every) if every else (peers.STOP,)
        self.engine = NativeEngine.from_pretrained(folder / "model", stop_tokens=tuple(stops))
        self.streaming = Threaded(self.engine, rows=wanted.rows)
        self.renderer, self.folder, self.wanted = Words(config.vocab_size), folder, wanted
        self.endpoint = EndpointConfig(url, "rule", in_flight=wanted.in_flight)
        self.scenarios = [
            Scenario(f"s{n}", (Message("user", f"{QUESTION}{n}"),), CRITERIA, "train", Provenance("benchmark"),
                     max_tokens=self.tokens)
            for n in range(wanted.replies // GROUP)
        ]  # fmt: skip
        self.caches = 0

    def rollout(self, engine: Engine, grader: Grader) -> tuple[list[Group], float, float]:
        """(groups, wall, CPU seconds) of one step's rollout."""
        bench = Bench(self.renderer, {"trait": grader}, {})
        clock = peers.Clock()
        groups = asyncio.run(
            roll_out(
                engine, bench, self.scenarios, stream=("benchmark",), group=GROUP, max_tokens=self.tokens
            )
        )
        cpu, wall = clock.read()
        assert all(rollout.status == "scored" for group in groups for rollout in group.rollouts)
        return groups, wall, cpu

    def judged(self, groups: Sequence[Group], judge: Grader) -> tuple[float, float]:
        """(wall, CPU seconds) of judging all replies of a rollout, all at once."""
        requests = [
            GradeRequest(f"{group.slot}/{n}", group.scenario, rollout.reply)
            for group in groups for n, rollout in enumerate(group.rollouts)
        ]  # fmt: skip
        clock = peers.Clock()
        outcomes = asyncio.run(collect(judge, requests))
        cpu, wall = clock.read()
        assert all(isinstance(outcome, Scored) for outcome in outcomes.values())
        return wall, cpu

    @contextmanager
    def judge(self) -> Iterator[JudgeSession | JudgeProcess]:
        """A judge that remembers nothing, ready to be asked; every reply must cost it a call."""
        self.caches += 1
        kind = JudgeSession if self.wanted.inside else JudgeProcess
        judge = kind(JudgeConfig(self.endpoint, form="json"), self.folder / f"cache-{self.caches}.sqlite")
        asyncio.run(collect(judge, [GradeRequest("first", self.scenarios[0], Reply("none", "none"))]))
        yield judge
        assert judge.usage.calls == 1 + self.wanted.replies
        judge.close()


def measure(work: Workload) -> dict[str, float]:
    """One repeat. `alone` and `overlap` are what the targets are about."""
    busy = busy_seconds()
    groups, sampling, sampling_cpu = work.rollout(work.engine, AtOnce())
    others = (busy_seconds() - busy - sampling_cpu) / sampling
    streaming = work.rollout(work.streaming, AtOnce())[1]
    with work.judge() as judge:
        judging, judging_cpu = work.judged(groups, judge)
    with work.judge() as judge:
        _, together, together_cpu = work.rollout(work.streaming, judge)
    rate = work.wanted.replies / judging
    return {
        "sampling_s": sampling, "sampling_cpu_s": sampling_cpu, "streaming_s": streaming, "judging_s": judging,
        "judging_cpu_ms_a_call_in_this_process": 1e3 * judging_cpu / work.wanted.replies, "calls_a_second": rate,
        "together_s": together, "together_cpu_s": together_cpu, "alone": rate * DELAY_S / work.wanted.in_flight,
        "overlap": together / max(sampling, judging), "others": others,
    }  # fmt: skip


def repeated(url: str, wanted: argparse.Namespace, lengths: str) -> dict[str, Any]:
    """All repeats of one kind of replies: medians and ranges."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        work = Workload(url, Path(folder), wanted, lengths)
        measure(work)  # warm: imports, page cache
        for _ in range(wanted.repeats):
            rows.append(measure(work))
            print(lengths, {name: round(value, 3) for name, value in rows[-1].items()}, flush=True)
    return {
        name: {
            "median": round(float(np.median([row[name] for row in rows])), 3),
            "range": [round(pick(row[name] for row in rows), 3) for pick in (min, max)],
            "with_least_of_others": round(min(rows, key=lambda row: row["others"])[name], 3),
        }
        for name in rows[0]
    }


def busy_seconds() -> float:
    """CPU seconds that all processes of this machine have used, on all cores."""
    user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--replies", type=int, default=1024)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--rows", type=int, default=ROWS, help="alive at a time while judging goes on")
    parser.add_argument("--inside", action="store_true", help="ask from the process that samples")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with server() as url:
        cases = {lengths: repeated(url, arguments, lengths) for lengths in LENGTHS}
    settings = vars(arguments) | {"delay_s": DELAY_S, "openai": version("openai")}
    name = "judging-inside" if arguments.inside else "judging"
    peers.report(
        name, {"settings": settings, **cases}, cases["varied"]["overlap"]["median"], {"prompts": SEED}
    )


if __name__ == "__main__":
    main()
