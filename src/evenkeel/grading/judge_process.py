"""A judge in a process of its own, so that asking an endpoint takes nothing from the process that samples.

A call costs about a millisecond of Python; two hundred a second, in the interpreter that also samples, would slow sampling by a
fifth, since only one thread at a time runs Python. Here the sampling process sends replies and receives outcomes, nothing
more: questions, HTTP, verdicts, cache and account are the other's, which is a `JudgeSession` behind a socket.

Messages are pickles with their length before them. To the judge, after its configuration: ("grade", number, sample, run,
requests), ("cancel", number), ("afresh",) for a new event loop, ("settle", number), which is answered when no grading is left.
From it: (number, (request id, outcome)), and at the end of a grading (number, None) or (number, an exception). Either end of
the socket closes with its process, and the other notices.
"""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from pathlib import Path
from typing import Any

from evenkeel.engines.endpoint import key_of
from evenkeel.grading.grader import GradeRequest
from evenkeel.grading.judge import ByCriteria, JudgeConfig, JudgePaused
from evenkeel.grading.judge_cache import JudgeCache, Usage
from evenkeel.grading.judge_session import Again, JudgeSession, write_account
from evenkeel.records.errors import UserError
from evenkeel.records.types import Outcome

LENGTH = struct.Struct("<Q")
SETTLED_S = 10.0  # for cancelled calls to be booked
TOGETHER_S = 0.02  # outcomes wait so long for others


class JudgeProcess(ByCriteria):
    """A `Grader` like `JudgeSession`, for one event loop at a time. The process starts when it is first needed."""

    def __init__(self, config: JudgeConfig, cache: Path, *, run: str = "") -> None:
        """Raises UserError when the endpoint's key is not there or the file is no cache."""
        key_of(config.endpoint)
        self.config, self.run = config, run
        self.cache = JudgeCache(cache, role=config.role, run=run)  # to read: the other process writes
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._received = bytearray()
        self._gradings: dict[int, asyncio.Queue[Any]] = {}
        self._number = 0

    @property
    def usage(self) -> Usage:
        """What this run has cost so far."""
        return self.cache.totals(self.run).get(self.config.role, Usage())

    def again(self, number: int = 1) -> Again:
        """The same judge asked once more, independently of the first time: answers of its own, kept as well."""
        return Again(self, number)

    def grade(self, requests: Sequence[GradeRequest]) -> AsyncIterator[tuple[str, Outcome]]:
        """(request id, outcome) in the order in which answers arrive. Raises JudgePaused."""
        return self.grade_sample(requests, 0)

    async def grade_sample(
        self, requests: Sequence[GradeRequest], sample: int
    ) -> AsyncIterator[tuple[str, Outcome]]:
        """`grade`, for the judgement of this number."""
        self._attend(asyncio.get_running_loop())
        self._number += 1
        number, arrived = self._number, asyncio.Queue[Any]()
        self._gradings[number] = arrived
        self._send("grade", number, sample, self.run, list(requests))
        found: Any = ()
        try:
            while isinstance(found := await arrived.get(), tuple):
                yield found
        finally:
            del self._gradings[number]
            if isinstance(found, tuple):
                self._send("cancel", number)
        if found is not None:
            raise found

    @contextmanager
    def booked(self, run: str, file: Path | None = None) -> Iterator[None]:
        """Book what is judged meanwhile under this label; at the end, whatever ends it, write `file`."""
        before, self.run = self.run, run
        try:
            yield
        finally:
            self._settle()
            if file is not None:
                self.write(file)
            self.run = before

    def write(self, file: Path) -> None:
        """By role, which judge it was and what it has cost this run so far, killed attempts included."""
        write_account(file, self.config, self.cache.totals(self.run))

    def close(self) -> None:
        """End the process, and give the cache's file back."""
        if self._socket is not None:
            self._settle()
            self._drop()
        self.cache.close()

    def _attend(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the process if it is not there, and listen to it in this event loop."""
        if self._socket is None:
            self._socket, theirs = socket.socketpair()
            command = [sys.executable, "-m", "evenkeel.grading.judge_process", str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True)
            theirs.close()
            self._loop = None
            self._send(self.config, self.cache.path)
        if self._loop is not loop:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._socket)
            self._loop = loop
            loop.add_reader(self._socket, self._read)
            self._send("afresh")

    def _send(self, *message: Any) -> None:
        """The other end never stops reading, so this never waits for long."""
        if self._socket is not None:
            with suppress(OSError):  # it has ended: whoever reads will be told
                self._socket.sendall(_framed(message))

    def _read(self) -> None:
        """Hand on what has arrived."""
        assert self._socket is not None
        with suppress(OSError):
            chunk = self._socket.recv(2**20)
            self._received += chunk
            for number, found in _frames(self._received):
                if number in self._gradings:
                    self._gradings[number].put_nowait(found)
            if chunk:
                return
        ended = JudgePaused(
            "judging paused, its process has ended",
            fix="Nothing is lost: start the same command again; it goes on from here.",
        )
        for arrived in self._gradings.values():
            arrived.put_nowait(ended)
        self._drop()

    def _drop(self) -> None:
        """End the process, which has nothing to do any more or has ended itself."""
        assert self._socket is not None and self._process is not None
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._socket)
        self._socket.close()
        self._process.kill()
        self._process.wait()
        self._socket, self._loop, self._received = None, None, bytearray()

    def _settle(self) -> None:
        """Wait until everything that was cancelled is booked."""
        if self._socket is None:
            return
        self._number += 1
        self._send("settle", self._number)
        self._socket.settimeout(SETTLED_S)
        try:
            while chunk := self._socket.recv(2**20):
                self._received += chunk
                if any(number == self._number for number, _ in _frames(self._received)):
                    break
        except OSError:  # too slow, or gone: what is not booked yet is found when the cache is opened next
            pass
        finally:
            self._socket.settimeout(None)


def _framed(message: Any) -> bytes:
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(data)) + data


def _frames(received: bytearray) -> Iterator[Any]:
    """The whole messages at the beginning, which are taken out."""
    while len(received) >= LENGTH.size:
        end = LENGTH.size + LENGTH.unpack_from(received)[0]
        if len(received) < end:
            return
        message = pickle.loads(memoryview(received)[LENGTH.size : end])
        del received[:end]
        yield message


class Outbox:
    """Messages to the sampling process, a few together: each time it is woken it stops sampling."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer, self.frames = writer, list[bytes]()

    def put(self, message: Any) -> None:
        """Send soon."""
        if not self.frames:
            asyncio.get_running_loop().call_later(TOGETHER_S, self._send)
        self.frames.append(_framed(message))

    def _send(self) -> None:
        frames, self.frames = self.frames, []
        self.writer.write(b"".join(frames))


async def serve(ours: socket.socket) -> None:
    """Judge until the other end closes."""
    reader, writer = await asyncio.open_connection(sock=ours)
    outbox = Outbox(writer)
    session: JudgeSession | None = None
    gradings: dict[int, asyncio.Task[None]] = {}
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
            message = pickle.loads(await reader.readexactly(length))
            if session is None:
                config, cache = message
                session = JudgeSession(config, cache)
            elif message[0] == "grade":
                _, number, sample, session.cache.run, requests = message
                gradings[number] = asyncio.create_task(_grade(session, outbox, number, sample, requests))
                gradings[number].add_done_callback(lambda task: _remove(gradings, task))
            elif message[0] == "cancel" and message[1] in gradings:
                gradings[message[1]].cancel()
            elif message[0] == "afresh":
                session.afresh()
            elif message[0] == "settle":
                await asyncio.gather(*gradings.values(), return_exceptions=True)
                outbox.put((message[1], None))
    for task in gradings.values():
        task.cancel()
    await asyncio.gather(*gradings.values(), return_exceptions=True)


def _remove(gradings: dict[int, asyncio.Task[None]], done: asyncio.Task[None]) -> None:
    for number in [number for number, task in gradings.items() if task is done]:
        del gradings[number]


async def _grade(
    session: JudgeSession,
    outbox: Outbox,
    number: int,
    sample: int,
    requests: list[GradeRequest],
) -> None:
    end: Exception | None = None
    try:
        async with aclosing(session.grade_sample(requests, sample)) as graded:
            async for each in graded:
                outbox.put((number, each))
    except JudgePaused as paused:
        end = JudgePaused(str(paused))
    except UserError as error:
        end = UserError(str(error))
    except Exception as error:  # whoever waits in the other process must hear of it
        traceback.print_exc()
        end = RuntimeError(f"the judging process failed: {type(error).__name__}: {error}")
    outbox.put((number, end))


if __name__ == "__main__":
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1]))))
