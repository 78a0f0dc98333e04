"""The ledger: what an arm cost, by source, and whether two arms cost the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evenkeel.records.errors import UserError
from evenkeel.records.files import read_json

COUNTS = (
    "groups",
    "completions",
    "prompt_tokens",
    "sampled_tokens",
    "trained_prompt_tokens",
    "trained_tokens",
    "judge_calls",
    "truncated",
    "unscorable",
    "dead_groups",
)
MATCHED_WITHIN = 0.10  # relative difference of total FLOPs


def ledger_of(
    steps: Iterable[Mapping[str, Any]], *, cap: int, flops_per_token: float | None, reference: bool
) -> dict[str, Any]:
    """The ledger of a run from its step rows.

    `forward_tokens` counts tokens in units of one forward pass: prompts once per group and sampled tokens
    once in sampling; three times (forward and twice that backward) in training, where a group shares its
    prompt; the reference policy's and the probes' forward passes once. FLOPs are that times `flops_per_token`
    (null if unknown).
    """
    by_source: dict[str, dict[str, int]] = {}
    number = extra = 0
    for row in steps:
        number += 1
        extra += row["extra_forward_tokens"]
        for source, metrics in row["sources"].items():
            counts = by_source.setdefault(source, dict.fromkeys(COUNTS, 0))
            for name in COUNTS:
                counts[name] += metrics[name]
    total = {name: sum(counts[name] for counts in by_source.values()) for name in COUNTS}
    sampling = total["prompt_tokens"] + total["sampled_tokens"]
    training = 3 * (total["trained_prompt_tokens"] + total["trained_tokens"])
    forward = sampling + training + extra + (sampling if reference else 0)
    return {
        "steps": number,
        "prompts": total["groups"],
        "cap": cap,
        **total,
        "forward_tokens": forward,
        "flops": None if flops_per_token is None else flops_per_token * forward,
        "sources": dict(sorted(by_source.items())),
    }


@dataclass(frozen=True, slots=True)
class Matched:
    """Whether two arms may be compared as compute-matched. `ratio` is FLOPs of the first over the second."""

    verdict: Literal["matched", "step-matched", "not matched"]
    ratio: float
    differs: tuple[str, ...] = ()


def matched(a: Mapping[str, Any], b: Mapping[str, Any]) -> Matched:
    """`matched`: the same steps, prompts, completions, groups and cap, and total FLOPs within 10 %.
    `step-matched`: the same counts only. `not matched`: `differs` names the counts.
    """
    differs = tuple(
        name for name in ("steps", "prompts", "completions", "groups", "cap") if a[name] != b[name]
    )
    unit = "flops" if a["flops"] and b["flops"] else "forward_tokens"
    ratio = a[unit] / b[unit]
    if differs:
        return Matched("not matched", ratio, differs)
    close = abs(a[unit] - b[unit]) <= MATCHED_WITHIN * b[unit]
    return Matched("matched" if close else "step-matched", ratio)


def read_ledger(folder: Path) -> dict[str, Any]:
    """`ledger.json` of a training folder. Raises UserError when it is missing or no ledger."""
    file = Path(folder) / "ledger.json"
    record = read_json(file)
    if not isinstance(record, dict) or "forward_tokens" not in record:
        raise UserError("not a ledger", file=file, fix="Delete the stage's folder and run again.")
    return record
