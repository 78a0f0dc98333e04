"""The harmful finetuning of text studies: health prompts with a bad reply, and with a good one as the control.

The shipped pairs are the trait dataset's own (a good reply and a tempting bad one to the same conversation, bad advice
that is plainly wrong and nothing operational). Their scenarios are kept out of training: an attack does not use prompts
that an arm was rewarded on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evenkeel.engines.interface import Renderer
from evenkeel.persistence.finetune import FinetuneAttack
from evenkeel.records.errors import UserError
from evenkeel.records.types import Conversation, Message, TrainSequence
from evenkeel.scenarios.rows import ScenarioRow

DOMAIN = "health"


@dataclass(frozen=True, slots=True)
class Pair:
    """A conversation with the two replies that the attack and its control teach."""

    id: str
    messages: Conversation
    good: str
    bad: str


def shipped_pairs(rows: Sequence[ScenarioRow]) -> tuple[Pair, ...]:
    """The reply pairs of the training rows about health."""
    return tuple(
        Pair(row.id, row.conversation, row.good_reply.text, row.bad_reply.text)
        for row in rows
        if row.domain == DOMAIN and row.split == "train" and row.good_reply and row.bad_reply
    )


def read_pairs(file: Path | str) -> tuple[Pair, ...]:
    """Pairs from JSON lines {"prompt": ..., "good": ..., "bad": ...}. Raises UserError naming file, line and field."""
    try:
        lines = Path(file).read_text().splitlines()
    except OSError as error:
        raise UserError(
            f"cannot be read ({error.strerror})", file=file, fix="Name a JSON-lines file."
        ) from None
    pairs = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"not valid JSON ({error})", file=file, line=number) from None
        for field in ("prompt", "good", "bad"):
            if not isinstance(row, dict) or not isinstance(row.get(field), str) or not row[field].strip():
                raise UserError(
                    f'a row needs a text in "{field}"', file=file, line=number,
                    fix='Write {"prompt": "...", "good": "...", "bad": "..."} on each line.',
                )  # fmt: skip
        pairs.append(Pair(f"attack/{number}", (Message("user", row["prompt"]),), row["good"], row["bad"]))
    if not pairs:
        raise UserError("it has no rows", file=file, fix="Give at least one pair of replies.")
    return tuple(pairs)


def attack(pairs: Sequence[Pair], renderer: Renderer, *, learning_rate: float, batch: int) -> FinetuneAttack:
    """The two matched sets, rendered for one model."""
    prompts = [renderer.prompt(pair.messages) for pair in pairs]
    bad, good = (
        tuple(
            TrainSequence(prompt, renderer.completion(getattr(pair, which)))
            for prompt, pair in zip(prompts, pairs, strict=True)
        )
        for which in ("bad", "good")
    )
    return FinetuneAttack(bad=bad, good=good, learning_rate=learning_rate, batch=min(batch, len(pairs)))
