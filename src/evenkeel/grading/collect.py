"""All outcomes of a batch of grade requests, checked: every request has exactly one, every criterion is
there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from evenkeel.grading.grader import Grader, GradeRequest
from evenkeel.records.types import Outcome, Scored, Unscorable


async def collect(grader: Grader, requests: Sequence[GradeRequest]) -> dict[str, Outcome]:
    """Request id -> outcome, in the order of the requests (not of arrival).

    A request without an outcome, a missing criterion, or a verdict outside 0..1 is Unscorable with the
    reason. Raises ValueError when the grader answers a request twice or one that was not made: that is a
    bug, not a verdict.
    """
    arrived: dict[str, Outcome] = {}
    waiting = {request.id: request for request in requests}
    async for name, outcome in grader.grade(requests):
        if name not in waiting:
            raise ValueError(f"{grader.name} answered {name} twice, or unasked")
        arrived[name] = complete(outcome, grader.criteria(waiting.pop(name).scenario))
    for name in waiting:
        arrived[name] = Unscorable("the grader gave no outcome")
    return {request.id: arrived[request.id] for request in requests}


def complete(outcome: Outcome, criteria: Sequence[str]) -> Outcome:
    """The outcome itself if it judges every criterion with a number in 0..1; otherwise Unscorable."""
    if isinstance(outcome, Unscorable):
        return outcome
    for criterion in criteria:
        verdict = outcome.verdicts.get(criterion)
        if verdict is None:
            return Unscorable(f"no verdict on {criterion}")
        if not (math.isfinite(verdict) and 0 <= verdict <= 1):
            return Unscorable(f"verdict {verdict} on {criterion} is outside 0..1")
    return Scored({criterion: float(outcome.verdicts[criterion]) for criterion in criteria})
