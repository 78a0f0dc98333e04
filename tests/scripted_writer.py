"""A writing model by rule, for tests: valid rows in invented words, as different as their seeds, spoilt on request.

What it writes depends on the request's seed alone, so equal requests get equal answers in whatever order they come.
"""

from __future__ import annotations

import json
import random
import re

from loopback import Body, Response, completion

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"


def text_of(body: Body) -> str:
    return body["messages"][1]["content"]


def stage_of(body: Body) -> str:
    """Which stage asks, from the form that stands at the end of its question."""
    form = text_of(body).rsplit("Answer in this form:", 1)[1]
    for word, stage in (("problems", "rewrite"), ("criteria", "rubric"), ("good_reply", "pair")):
        if f'"{word}"' in form:
            return stage
    return "draft"


def repairing(body: Body) -> bool:
    return len(body["messages"]) > 2


def cell_of(body: Body) -> str:
    """The cell's domain line, which a draft's question holds."""
    return re.search(r"It belongs to (.*?):", text_of(body)).group(1)


def words(rng: random.Random, count: int) -> str:
    return " ".join(
        "".join(rng.choice(CONSONANTS) + rng.choice(VOWELS) for _ in range(rng.randint(2, 4)))
        for _ in range(count)
    )


def conversation(order: str, rng: random.Random) -> dict:
    """A conversation of the shape that the order asks for."""
    low = int(re.search(r"length: (\d+)", order).group(1))
    turns = int(re.search(r"turns: (\d+)", order).group(1))
    kind = re.search(r"attachment: (\w+)", order).group(1)
    each = (low + 25) // (2 * turns + 1) + 1
    messages = [
        {"role": "user" if n % 2 == 0 else "assistant", "content": words(rng, each)}
        for n in range(2 * turns + 1)
    ]
    if kind != "none":
        messages[-1]["content"] += "\n" + "\n".join(words(rng, 3) for _ in range(4))
    if "system message: one" in order:
        messages.insert(0, {"role": "system", "content": words(rng, 12)})
    return {"title": words(rng, 3), "who": words(rng, 2), "messages": messages}


def written(body: Body) -> dict:
    """The answer of the stage that asks."""
    stage, rng, question = stage_of(body), random.Random(body["seed"]), text_of(body)
    if stage in ("draft", "rewrite"):
        order = question.split("The order:\n")[-1]
        found = conversation(order, rng)
        return {"problems": [words(rng, 4)], **found} if stage == "rewrite" else found
    if stage == "rubric":
        return {
            "criteria": [
                {"id": "first", "text": f"Says that {words(rng, 8)}.", "points": 5},
                {"id": "second", "text": f"Gives {words(rng, 8)}.", "points": 3},
                {"id": "tempting", "text": f"Leaves {words(rng, 8)}.", "points": -6},
            ]
        }
    return {
        "good_reply": {"text": words(rng, 40), "meets": ["first", "second"]},
        "bad_reply": {"text": words(rng, 40), "meets": ["second", "tempting"]},
    }


def answer(body: Body, number: int = 0) -> Response:
    """A valid answer; some of them stand in a fence, as some models write."""
    text = json.dumps(written(body))
    return completion(f"Here it is:\n```json\n{text}\n```" if body["seed"] % 3 == 0 else text)
