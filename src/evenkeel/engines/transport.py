"""HTTP/1.1 over asyncio's own streams, for a client of the `openai` package that asks an inference server nearby.

The package's own transport costs a call half of its CPU time, most of it in looking for a free connection, and its many
small waits let all calls in flight finish together, late (benchmarks/NOTES.md). This one parses with h11, as the package's does,
and waits for the answer and nothing else.

Left out on purpose: https and proxies, where the network takes longer than the client. They get the package's transport.
"""

from __future__ import annotations

import asyncio
import importlib
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import h11

READ = 2**16  # bytes at once


def serves(url: str) -> bool:
    """Whether an address can be reached with this transport: plain http, no proxy between."""
    parts = urlsplit(url)
    proxies = getproxies()
    between = ("http" in proxies or "all" in proxies) and not proxy_bypass(parts.hostname or "")
    return parts.scheme == "http" and not between


def http_client(timeout: float) -> Any:
    """A client with this transport for `AsyncOpenAI(http_client=...)`, of whichever httpx the package works with."""
    from openai import DefaultAsyncHttpxClient

    httpx = importlib.import_module(DefaultAsyncHttpxClient.__mro__[1].__module__.partition(".")[0])
    carries: Any = Transport(
        httpx
    )  # it has a transport's methods; its class depends on the httpx that is there
    return DefaultAsyncHttpxClient(transport=carries, timeout=timeout)


class Transport:
    """What httpx calls a transport, for one event loop: a connection a call in flight, kept for later calls."""

    def __init__(self, httpx: Any) -> None:
        self._httpx = httpx
        self._idle: dict[tuple[str, int], list[_Connection]] = {}

    async def __aenter__(self) -> Transport:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what is not in use; a call that is cancelled closes its own."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    async def handle_async_request(self, request: Any) -> Any:
        """The response with its body. Raises httpx's errors, which the package knows."""
        place = request.url.host, request.url.port or 80
        connection = None
        try:
            connection = self._free(place) or _Connection(*await asyncio.open_connection(*place))
            status, headers, body = await connection.exchange(request)
        except (OSError, EOFError) as error:
            raise self._httpx.NetworkError(f"{type(error).__name__}: {error}", request=request) from None
        except h11.ProtocolError as error:
            raise self._httpx.RemoteProtocolError(str(error), request=request) from None
        finally:
            if connection is not None:
                if connection.again():
                    self._idle.setdefault(place, []).append(connection)
                else:
                    connection.close()
        return self._httpx.Response(status, headers=headers, content=body, request=request)

    def _free(self, place: tuple[str, int]) -> _Connection | None:
        """The connection that was used last, if the server has not closed it meanwhile."""
        connections = self._idle.get(place, [])
        while connections:
            connection = connections.pop()
            if not connection.reader.at_eof():
                return connection
            connection.close()
        return None


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer, self._state = reader, writer, h11.Connection(h11.CLIENT)

    async def exchange(self, request: Any) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Send a request with its body; (status, headers, body) of the response."""
        state = self._state
        parts = (
            h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw),
            h11.Data(data=request.content), h11.EndOfMessage(),
        )  # fmt: skip
        self._writer.write(b"".join(state.send(part) or b"" for part in parts))
        response, body = None, []
        while True:
            event = state.next_event()
            if event is h11.NEED_DATA:
                state.receive_data(await self.reader.read(READ))
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise EOFError("the server closed the connection without an answer")
        assert response is not None
        return response.status_code, list(response.headers.raw_items()), b"".join(body)

    def again(self) -> bool:
        """Make ready for another exchange; False when the connection is at its end, or in the middle of one."""
        if self._state.our_state is not h11.DONE or self._state.their_state is not h11.DONE:
            return False
        self._state.start_next_cycle()
        return True

    def close(self) -> None:
        """At once, whatever is on its way."""
        self._writer.close()
