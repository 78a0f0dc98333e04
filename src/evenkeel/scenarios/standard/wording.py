"""In plain words, how the answer must be given: several wordings and two places, so that no single string is learnt.

Which one a task gets is drawn by its id. `facts["how"]` keeps it, so that prompts can be compared without it (`bare_text`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evenkeel.records.streams import generator
from evenkeel.scenarios.disjoint import prompt_text
from evenkeel.scenarios.scenario import Scenario

BEFORE, AFTER = True, False
Wording = tuple[str, bool]  # the text, and whether it stands before the task


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt, and the part of it that says how to answer."""

    prompt: str
    how: str


WORDINGS: Mapping[str, Sequence[Wording]] = {
    "number": (
        ('Work it out step by step. The last line of your reply must be "Answer:" and then the number alone.', AFTER),
        ("Show how you get there and put the final number, without a unit, into \\boxed{}.", AFTER),
        (
            'Solve the problem below. Take the steps you need; then finish with a line that begins "Answer:" '
            "and holds nothing but the resulting number.",
            BEFORE,
        ),
        ('Explain your calculation briefly. On a line of its own at the end, write "####" and the result as a number.', AFTER),
        ('I need the steps as well as the result. State the result last, in the form "Answer: N", N being a number.', AFTER),
    ),
    "choice": (
        ('Reason about it first. The last line of your reply must be "Answer:" and the letter of the right option.', AFTER),
        ("Explain your choice and put the letter of the right option into \\boxed{} at the end.", AFTER),
        (
            "Exactly one of the options below is right. Find out which, say why, and finish with a line that "
            'begins "Answer:" and holds only its letter.',
            BEFORE,
        ),
        ('Which option is it? Think it through, then write a last line in the form "Answer: X", X being its letter.', AFTER),
    ),
    "exact": (
        ('Think first if you need to. The last line of your reply must be "Answer:" and then the answer, nothing else.', AFTER),
        ('Finish your reply with a line that begins "Answer:" and holds only the answer.', AFTER),
        ('Answer what is asked below. Whatever you write before it, end on a line "Answer:" with the bare answer.', BEFORE),
    ),
    "tagged": (
        ("Think as long as you need, and then write your final answer between <answer> and </answer>.", AFTER),
        ("Only what stands between <answer> and </answer> counts as your answer; you may reason before it.", AFTER),
        (
            "Below is a puzzle. Work on it in your own words first. When you are done, give the answer in the form "
            "that is asked for, enclosed in the tags <answer> and </answer>.",
            BEFORE,
        ),
        ("Your reply is checked by a program, which reads the part inside <answer></answer>. Explain whatever you like "
         "outside of it.", AFTER),
    ),
    "unit_tests": (
        ("Give the whole code in one fenced block that starts with ```python.", AFTER),
        ("Reply with a single Python code block, between ``` marks, that has all the code it needs.", AFTER),
        ("Write Python for the task below. Tests will run what stands in your one fenced code block.", BEFORE),
    ),
}  # fmt: skip
"""Form of an answer -> its wordings."""


def asked(task: str, form: str, seed: int, id_: str) -> Asked:
    """The task with one of the wordings of the form, drawn by its id."""
    options = WORDINGS[form]
    how, before = options[int(generator("standard", "wording", seed, id_).integers(len(options)))]
    return Asked(f"{how}\n\n{task}" if before else f"{task}\n\n{how}", how)


def bare_text(scenario: Scenario) -> str:
    """The prompt as one text, without how the answer must be given: what is compared with other prompts."""
    return prompt_text(scenario.messages).replace(scenario.facts.get("how", ""), "").strip()


def without_wordings(text: str) -> str:
    """A prompt without any of the wordings above: benchmarks made of the same kinds of tasks have them too."""
    for options in WORDINGS.values():
        for how, _ in options:
            text = text.replace(how, "")
    return text.strip()
