"""Any record of a run, any transcript: `evenkeel show RUN [MODEL] [BENCHMARK] [ITEM]`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evenkeel.benchmarks.benchmark import ScoreRow
from evenkeel.benchmarks.scores import read_scores
from evenkeel.records.canonical import canonical_json
from evenkeel.records.errors import UserError, did_you_mean
from evenkeel.records.files import read_json, read_rows

STEPS, PREFLIGHT, COMPLETIONS = "steps", "preflight", "completions"


def show(run: Path, path: Sequence[str], condition: str = "bare") -> str:
    """What lies at a path in the run; each call ends with what can be asked next.

    []                      the models and their conditions
    [MODEL]                 its benchmarks' scores under `condition`; its training record
    [MODEL, BENCHMARK]      its items; "steps", "preflight" or "completions" for the training's own records
    [MODEL, BENCHMARK, ITEM] the transcript and its score; for "completions" an item is STEP/SLOT
    """
    index = read_json(run / "index.json")
    models = {model["id"]: model for model in index["models"]}
    if not path:
        return _models_text(models)
    model = _pick(path[0], models, "model")
    if len(path) > 1 and path[1] in (STEPS, PREFLIGHT, COMPLETIONS):
        return _training_text(run, model, path[1], path[2:])
    scores = read_scores(run / _pick(condition, model["scores"], "condition"))
    if len(path) == 1:
        return _scores_text(model, condition, scores.benchmarks)
    _pick(path[1], scores.benchmarks, "benchmark")
    rows = {row.item: row for row in scores.of(path[1])}
    if len(path) == 2:
        return _items_text(rows)
    return transcript(_pick(path[2], rows, "item"))


def _pick(name: str, known: Mapping[str, Any], what: str) -> Any:
    if name not in known:
        raise UserError(f'there is no {what} "{name}".', fix=did_you_mean(name, known))
    return known[name]


def _models_text(models: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [
        f"{name:44} {'control' if model['control'] else 'world':8} {', '.join(model['scores'])}"
        for name, model in models.items()
    ]
    return "\n".join([*lines, "", "Next: evenkeel show RUN MODEL [--condition CONDITION]"])


def _scores_text(
    model: Mapping[str, Any], condition: str, benchmarks: Mapping[str, Mapping[str, Any]]
) -> str:
    lines = [f"{model['id']}, {condition}", f"{'benchmark':40} {'score':>6} {'harmful':>8} {'n':>5}"]
    lines += [
        f"{name:40} {numbers['score']:6.3f} {numbers['harmful_rate']:8.3f} {numbers['n']:5}"
        for name, numbers in benchmarks.items()
    ]
    training = f" | {STEPS} | {PREFLIGHT} | {COMPLETIONS} [STEP/SLOT]" if model["train"] else ""
    return "\n".join([*lines, "", f"Next: evenkeel show RUN MODEL BENCHMARK [ITEM]{training}"])


def _items_text(rows: Mapping[str, ScoreRow]) -> str:
    lines = [f"{row.item:50} {row.score:6.3f} {_side(row):8} {row.frame}" for row in rows.values()]
    return "\n".join([*lines, "", "Next: evenkeel show RUN MODEL BENCHMARK ITEM"])


def _side(row: ScoreRow) -> str:
    return "good" if row.good else "harmful" if row.harmful else ""


def transcript(row: ScoreRow) -> str:
    """A played item as text: every turn, then the verdict."""
    turns = [f"[{message.role}]\n{message.content}" for message in row.messages]
    verdict = {
        "score": row.score,
        "good": row.good,
        "harmful": row.harmful,
        "refused": row.refused,
        "truncated": row.truncated,
        "frame": row.frame,
        "held_out": row.held_out,
        **row.extra,
    }
    return "\n\n".join([f"{row.benchmark}, item {row.item}", *turns, canonical_json(verdict)])


def _training_text(run: Path, model: Mapping[str, Any], what: str, rest: Sequence[str]) -> str:
    if not model["train"]:
        raise UserError(f"{model['id']} is an untouched base: it was not trained")
    folder = run / model["train"]
    if what == PREFLIGHT:
        return canonical_json(read_json(folder / "preflight.json"), indent=1)
    if what == STEPS:
        return "\n".join(canonical_json(row) for row in read_rows(folder / "steps.jsonl"))
    found = [row for file in sorted(folder.glob("completions-*.jsonl.gz")) for row in read_rows(file)]
    if rest:
        found = [row for row in found if f"{row.get('step')}/{row.get('slot')}" == rest[0]]
        if not found:
            raise UserError(f'there is no completion "{rest[0]}"', fix="Write STEP/SLOT, counted from 0.")
        return "\n".join(canonical_json(row, indent=1) for row in found)
    return "\n".join(canonical_json(row) for row in found)
