"""One limiter per endpoint: calls in flight, requests a minute and tokens a minute.

Rates are kept by virtual clocks (the generic cell rate algorithm): a call reserves its place in time, so that waiting
calls start in order and a burst never exceeds the minute's allowance by more than one call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

MINUTE = 60.0


class Rate:
    """An allowance a minute; the first `burst` share of it may be spent at once."""

    def __init__(
        self, per_minute: float, *, burst: float = 0.1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if per_minute <= 0:
            raise ValueError(f"an allowance of {per_minute} a minute lets nothing through")
        self.per_second, self.clock = per_minute / MINUTE, clock
        self.slack = burst * MINUTE
        self.free_at = clock() - self.slack  # when everything reserved so far has been paid for

    def reserve(self, amount: float) -> float:
        """Take `amount` of the allowance; returns the seconds to wait before using it."""
        now = self.clock()
        self.free_at = max(self.free_at, now - self.slack)
        wait = max(0.0, self.free_at - now)
        self.free_at += amount / self.per_second
        return wait

    def give_back(self, amount: float) -> None:
        """Undo part of a reservation that was too large."""
        self.free_at -= amount / self.per_second


class Limiter:
    """Shared by every caller of one endpoint in this process."""

    def __init__(
        self,
        *,
        in_flight: int,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
    ) -> None:
        if in_flight < 1:
            raise ValueError(f"in_flight is {in_flight}; at least one call must be allowed")
        self._places = asyncio.Semaphore(in_flight)
        self._requests = Rate(requests_per_minute) if requests_per_minute else None
        self._tokens = Rate(tokens_per_minute) if tokens_per_minute else None
        self._paused_until = 0.0

    def pause(self, seconds: float) -> None:
        """Nobody starts a call for so long: the endpoint asked for it (Retry-After)."""
        self._paused_until = max(self._paused_until, time.monotonic() + seconds)

    @asynccontextmanager
    async def place(self, tokens: int) -> AsyncIterator[None]:
        """Hold a place in flight; `tokens` is the most that the call can cost. Waiting costs no deadline."""
        async with self._places:
            wait = max(
                self._requests.reserve(1) if self._requests else 0.0,
                self._tokens.reserve(tokens) if self._tokens else 0.0,
            )
            await asyncio.sleep(wait)
            while (pause := self._paused_until - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            yield

    def spent(self, reserved: int, used: int) -> None:
        """A call that reserved so many tokens used fewer."""
        if self._tokens and used < reserved:
            self._tokens.give_back(reserved - used)
