"""A real HTTP server on loopback that speaks the OpenAI chat protocol and misbehaves on demand.

with Loopback(lambda body, number: completion("fine")) as server:
    EndpointConfig(url=server.url, model="any")
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Body = Mapping[str, Any]


@dataclass
class Response:
    """What the server does with one request."""

    body: Body | bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    reset: bool = False  # close the connection without an answer
    abort: bool = False  # reset it in the network's sense, in the middle of an answer
    chunked: bool = False  # send the body in chunks, without its length
    close: bool = False  # say that the connection will be closed, and close it
    truncate: int | None = None  # send only so many bytes of the body, then close


def completion(
    text: str, *, finish: str = "stop", refusal: str | None = None, logprobs: Any = None
) -> Response:
    """A chat completion of one choice."""
    message = {"role": "assistant", "content": text, "refusal": refusal}
    choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": logprobs}
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": len(text.split()),
        "total_tokens": 7 + len(text.split()),
    }
    return Response({
        "id": "c", "object": "chat.completion", "created": 0, "model": "loopback", "choices": [choice],
        "usage": usage,
    })  # fmt: skip


def error(status: int, code: str = "", message: str = "no", **headers: str) -> Response:
    """An error in the protocol's form."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response({"error": {"message": message, "code": code, "type": code}}, status, named)


class Loopback:
    """Serves until the `with` block ends. `requests` holds (headers, body) of each call in order of arrival."""

    def __init__(self, behave: Callable[[Body, int], Response], *, port: int = 0) -> None:
        """`port` 0 takes any that is free."""
        self.behave, self.requests, self.port = behave, [], port
        self.open_now = self.most_open = self.connections = self.all_connections = 0
        self._ready = threading.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Loopback:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def hang_up(self) -> None:
        """Close every connection that is open, as servers do with idle ones."""
        self._loop.call_soon_threadsafe(lambda: [writer.close() for writer in self._writers])

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        self.all_connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (
            asyncio.IncompleteReadError,
            ConnectionError,
            asyncio.CancelledError,
        ):  # cancelled: the server stops
            pass
        finally:
            self.connections -= 1
            self._writers.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False when the connection ends."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        body = json.loads(await reader.readexactly(int(headers.get("content-length", 0))) or b"{}")
        self.requests.append((headers, body))
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        response = self.behave(body, len(self.requests))
        if response.delay:
            await asyncio.sleep(response.delay)
        self.open_now -= 1
        if response.reset:
            return False
        if response.abort:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 500\r\n\r\n{")
            return False
        payload = response.body if isinstance(response.body, bytes) else json.dumps(response.body).encode()
        length = "Transfer-Encoding: chunked" if response.chunked else f"Content-Length: {len(payload)}"
        lines = [f"HTTP/1.1 {response.status} X", "Content-Type: application/json", length]
        lines += ["Connection: close"] * response.close
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        if response.chunked:
            parts = [payload[at : at + 997] for at in range(0, len(payload), 997)]
            payload = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""])
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + payload[: response.truncate])
        await writer.drain()
        return response.truncate is None and not response.close
