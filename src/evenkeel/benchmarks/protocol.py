"""Everything that defines a score, hashed. Scores under different protocols are not compared.

The model is what varies between scores, so neither its weights nor the seed of its replies belong here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

from evenkeel.benchmarks.benchmark import Benchmark
from evenkeel.records.canonical import content_hash
from evenkeel.records.errors import UserError


@dataclass(frozen=True, slots=True)
class Protocol:
    """How one benchmark was put to a model. Items enter as count and hash, in the order they are stored."""

    benchmark: str
    version: str
    items: int
    items_hash: str  # of item ids and frames
    max_tokens: int
    temperature: float
    renderer: str  # id of the template, e.g. "microworld-1"
    prefix: str | None = None  # id of what was put before each conversation, e.g. "persona:harmful_medical:2"
    judge: str | None = None  # name and version of the grader, where one scores

    @property
    def hash(self) -> str:
        return content_hash(self)


def protocol_of(
    benchmark: Benchmark,
    *,
    renderer: str,
    temperature: float = 1.0,
    prefix: str | None = None,
    judge: str | None = None,
) -> Protocol:
    """The protocol of a benchmark as `driver.evaluate` plays it under these settings."""
    return Protocol(
        benchmark=benchmark.name,
        version=benchmark.version,
        items=len(benchmark.items),
        items_hash=content_hash([(item.id, item.frame) for item in benchmark.items]),
        max_tokens=benchmark.max_tokens,
        temperature=float(temperature),
        renderer=renderer,
        prefix=prefix,
        judge=judge,
    )


def protocol_from(record: Mapping[str, Any]) -> Protocol:
    """A stored protocol. Raises UserError when its fields are not those of this version."""
    known = {field.name for field in fields(Protocol)}
    if set(record) != known:
        odd = ", ".join(sorted(set(record) ^ known))
        raise UserError(
            f"a stored protocol has other fields than this version knows: {odd}", fix="Evaluate again."
        )
    return Protocol(**record)


def require_same_protocol(a: Protocol, b: Protocol, *, apart_from: Collection[str] = ()) -> None:
    """Raises UserError naming every field that differs.

    apart_from: fields under study, which may differ; ("prefix",) when a persona prompt is compared with none.
    """
    different = [
        f"{field.name} {getattr(a, field.name)!r} against {getattr(b, field.name)!r}"
        for field in fields(Protocol)
        if field.name not in apart_from and getattr(a, field.name) != getattr(b, field.name)
    ]
    if different:
        raise UserError(
            f'scores of "{a.benchmark}" and "{b.benchmark}" follow different protocols: '
            + "; ".join(different),
            fix="Evaluate both models under one protocol before comparing them.",
        )
