"""When judging must stop before it corrupts a reward: an outage, or too many replies without a verdict."""

from __future__ import annotations

from collections import deque
from math import sqrt

from evenkeel.engines.endpoint import CallFailed
from evenkeel.grading.judge_cache import JudgeCache
from evenkeel.records.errors import UserError

FEWEST = 20  # replies judged before a rate of unscorable ones means anything
WINDOW = 400  # the last replies, of which the rate is taken: a late breakdown shows as soon as an early one
UNANSWERED = 10  # calls in a row without an answer, after all their attempts: the endpoint is down
DOWN = frozenset({"timeout", "connection", "rate limit", "server error", "malformed"})


class JudgePaused(UserError):
    """Judging stopped before it could corrupt a reward. Nothing is lost; the message says how to go on."""


class Watch:
    """What a judge has met with in one event loop. Once it has paused, `paused` holds for everybody who would pay."""

    def __init__(self, cache: JudgeCache, url: str, above: float) -> None:
        """`above` is the share of unscorable replies to pause at; `url` goes into the message."""
        self.cache, self.url, self.above = cache, url, above
        self.paused: JudgePaused | None = None
        self._recent: deque[bool] = deque(maxlen=WINDOW)  # whether each reply was unscorable
        self._unread: deque[str] = deque(maxlen=WINDOW)  # keys of answers that gave no verdict
        self._unanswered = 0

    def answered(self) -> None:
        """The endpoint has answered a call."""
        self._unanswered = 0

    def failed(self, failed: CallFailed) -> None:
        """A call has failed for good. Raises JudgePaused when the next would too."""
        if failed.outage:
            raise self._pause(f"the endpoint answers no more: {failed}") from None
        self._unanswered += failed.why in DOWN
        if self._unanswered >= UNANSWERED:
            raise self._pause(f"{self._unanswered} calls in a row got no answer: {failed}") from None

    def unread(self, key: str) -> None:
        """The answer with this key gave no verdict."""
        self._unread.append(key)

    def judged(self, why: str | None) -> None:
        """A reply was judged; `why` says why it is unscorable. Raises JudgePaused when too many are.

        Too many is more than the share allows by two standard deviations. Answers that gave no verdict are then forgotten:
        whatever was wrong with the endpoint, mending it must help.
        """
        self._recent.append(why is not None)
        found, expected = sum(self._recent), self.above * len(self._recent)
        if len(self._recent) < FEWEST or found <= expected + 2 * sqrt(expected):
            return
        self.cache.forget(self._unread)
        last = f": the last because {why}" if why is not None else ""
        raise self._pause(
            f"{found} of {len(self._recent)} replies could not be judged{last}",
            again=f" The {len(self._unread)} answers that gave no verdict are asked for again.",
        )

    def _pause(self, why: str, again: str = "") -> JudgePaused:
        mend = f"Mend the endpoint ({self.url})"
        if not self.url:
            mend = "A model that cannot judge itself needs an endpoint, or more skill"
        self.paused = JudgePaused(
            f"judging paused, {why}",
            fix=f"Nothing is lost: {len(self.cache)} answers are kept in {self.cache.path}.{again} {mend} and start the "
            "same command again; it goes on from here.",
        )
        return self.paused
