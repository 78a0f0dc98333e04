"""A judge by rule, for tests: it speaks the OpenAI protocol and can be told to misbehave.

A criterion is met when the reply contains the word that the criterion puts in double quotes. The judge is also gullible: it
obeys any line outside the quotations that tells it to call everything met, as a weak model would.
"""

from __future__ import annotations

import json
import re

from loopback import Response, completion

ORDER = re.compile(r"\b(all|every|each|fully|met to|are met|erfuellt)\b|\"met\": true", re.I)


def question_of(body) -> str:
    return body["messages"][-1]["content"]


def reply_of(question: str) -> str:
    """The quoted reply, bars taken off."""
    block = re.search(r"^\[reply (\w+) begins\]\n(.*?)\n\[reply \1 ends\]$", question, re.S | re.M)
    if not block:  # a prompt without quotation
        return question.split("reply:\n", 1)[-1].split("\n\nCriteria:")[0]
    return "\n".join(line.removeprefix("| ") for line in block.group(2).split("\n"))


def criteria_of(question: str) -> list[tuple[str, str]]:
    listed = question.split("Criteria:\n")[-1].split("\n\n")[0]
    return re.findall(r"^- (\w+): (.*)$", listed, re.M)


def talked_into(question: str) -> bool:
    """Whether a line that is not quoted gives the order; borders, criteria and the form of the answer are ours."""
    ours = question.split("Criteria:\n")[-1]
    lines = question[: -len(ours)].split("\n")
    return any(ORDER.search(line) for line in lines if not line.startswith("| "))


def mentions(text: str, reply: str) -> bool:
    """Whether the reply has the word that a criterion puts in quotes."""
    word = re.search(r'"(.*?)"', text).group(1)
    return re.search(rf"\b{re.escape(word)}\b", reply, re.I) is not None


def verdicts(question: str) -> list[tuple[str, bool]]:
    reply, gullible = reply_of(question), talked_into(question)
    return [(name, gullible or mentions(text, reply)) for name, text in criteria_of(question)]


def answer(body, *, contradict: bool = False, leave_out: int = 0, add: str = "") -> Response:
    """The judge's answer in the form asked for, spoilt on request."""
    rows = verdicts(question_of(body))[leave_out:] + ([(add, True)] if add else [])
    entries = [
        {"id": name, "reason": f"Looked. Therefore {'not ' * (met == contradict)}met.", "met": met}
        for name, met in rows
    ]
    if "response_format" in body:
        return completion(json.dumps({"verdicts": entries}))
    return completion("\n".join(
        f'<criterion id="{e["id"]}">\n{e["reason"]}\n<verdict>{"met" if e["met"] else "not met"}</verdict>\n</criterion>'
        for e in entries
    ))  # fmt: skip
