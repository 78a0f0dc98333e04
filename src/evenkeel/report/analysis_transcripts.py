"""Transcripts for a reader: ten bare ones an arm, the same items for every arm, and a few under attack.

Chosen by a hash of the item's id, never by its score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evenkeel.records import files
from evenkeel.report.analysis_read import Model, Run, attack_of, transcript_key

BARE = 10
ATTACKED = 2  # from each kind of attack, at its strongest dose
KEPT = ("item", "frame", "domain", "held_out", "score", "good", "harmful", "refused", "truncated", "extra")


def transcripts(run: Run) -> list[dict[str, Any]]:
    """Rows of transcripts.json: for each arm, the first world base and the smallest seed."""
    out = []
    about = {bench.name: bench for bench in run.benchmarks}
    for arm, _, _ in run.arms():
        mine = [
            m
            for base in (*run.bases("world"), *run.bases("control"))
            for m in sorted(run.of(base, arm), key=_seed)
        ]
        if not mine:
            continue
        model = mine[0]
        for condition, stage, count in _wanted(run, model):
            rows = [
                r for r in files.read_rows(run.folder / stage / "rows.jsonl.gz") if r["benchmark"] in about
            ]
            for row in pick(rows, count):
                bench = about[row["benchmark"]]
                shown = {name: row[name] for name in KEPT}
                head = {"arm": arm, "model": model.id, "condition": condition, "benchmark": bench.name}
                named = {"category": bench.category, "format": bench.format}
                out.append({**head, **named, **shown, "messages": row["messages"]})
    return out


def _seed(model: Model) -> int:
    return model.seed


def _wanted(run: Run, model: Model) -> list[tuple[str, str, int]]:
    """(condition, stage folder, how many): bare, then the strongest dose of every attack."""
    out = []
    strongest: dict[tuple[str, str], int] = {}
    for condition, stage in sorted(model.scores.items()):
        attack = attack_of(condition)
        if attack is None:
            if condition == "bare":
                out.append((condition, stage, BARE))
        else:
            strongest[attack[:2]] = max(attack[2], strongest.get(attack[:2], 0))
    for (family, name), dose in sorted(strongest.items()):
        if dose > 0:
            condition = f"{family}:{name}:{dose}"
            out.append((condition, model.scores[condition], ATTACKED))
    return out


def pick(rows: Sequence[Mapping[str, Any]], count: int) -> list[Mapping[str, Any]]:
    """`count` rows by the hash of their item id, one a benchmark as long as there are benchmarks left."""
    ordered = sorted(rows, key=lambda row: transcript_key(row["benchmark"], row["item"]))
    first: dict[str, Mapping[str, Any]] = {}
    for row in ordered:
        first.setdefault(row["benchmark"], row)
    chosen = list(first.values())[:count]
    taken = {(row["benchmark"], row["item"]) for row in chosen}
    rest = [row for row in ordered if (row["benchmark"], row["item"]) not in taken]
    return chosen + rest[: count - len(chosen)]
