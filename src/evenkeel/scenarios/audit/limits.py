"""Every threshold of the audit, in one table: the audit prints it, the data card repeats it (a test compares them).

Where the numbers come from: shares and counts are the dataset's plan (issue 3). Lexical diversity is set against
texts that people wrote, measured with this code: the first 5,000 words of WikiText-2 have a MTLD of 92 and .97
distinct trigrams, of HealthBench's conversations 134 and .94. A paraphrase farm of one template falls under .7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MANY = 100  # rows from which shares are judged; under that they are only printed


@dataclass(frozen=True, slots=True)
class Limit:
    """An allowed range, both ends included unless `below`, and what to do outside it."""

    what: str
    fix: str
    low: float | None = None
    high: float | None = None
    least: int = 0  # judged when measured on at least so many
    share: bool = False  # printed in per cent
    below: bool = False  # the upper end itself is outside
    note: bool = False  # outside is worth a look, and no error

    def holds(self, value: float) -> bool:
        """Is the value inside?"""
        over = self.high is not None and (value >= self.high if self.below else value > self.high)
        return not over and not (self.low is not None and value < self.low)

    def spell(self, value: float) -> str:
        """A value in the limit's unit."""
        if self.share:
            return f"{100 * value:.1f}".removesuffix(".0") + " %"
        if value == int(value):
            return f"{value:,.0f}"
        return f"{value:.2f}" if abs(value) < 2 else f"{value:.1f}"

    def allowed(self) -> str:
        """The range in words."""
        low = None if self.low is None else self.spell(self.low)
        high = None if self.high is None else self.spell(self.high)
        if low is not None and low == high:
            return "none" if self.low == 0 else f"exactly {low}"
        if low is not None and high is not None:
            return f"{low} to {high}"
        if low is not None:
            return f"at least {low}"
        if high is None:
            return "as it says"
        return "none" if self.high == 0 else f"under {high}" if self.below else f"at most {high}"


MIX = "Mix plain and technical prompts."
WRITE = "Write scenarios that have more of it."
REWRITE = "Rewrite one of the two as a situation of its own."
RUBRIC = "Rewrite the criterion with facts of this conversation, so that a stranger can check it."

LIMITS: Mapping[str, Limit] = {
    # integrity
    "schema": Limit("rows that cannot be read", "Mend the row.", high=0),
    "ids": Limit("ids that two rows have", "Give one of the rows the next free number.", high=0),
    "places": Limit("rows in the wrong file", "Move the row to SPLIT/TRAIT.jsonl of its id.", high=0),
    "labels": Limit("labels that the text does not bear out", "Change the label or the text.", high=0, note=True),
    # counts; the first four are asked of the shipped dataset only
    "train_per_cell": Limit("training scenarios in a cell", "Write or remove some.", low=4, high=4),
    "train_per_health_cell": Limit("training scenarios in a health cell", "Write or remove some.", low=12, high=12),
    "eval_per_cell": Limit("evaluation scenarios in a cell", "Write or remove some.", low=2, high=2),
    "pairs_per_cell": Limit("cells that lack a reply pair", "Write the pair.", high=0),
    "several_turns": Limit("scenarios with an earlier assistant turn", WRITE, low=0.40, least=MANY, share=True),
    "flawed_turn": Limit("scenarios whose earlier assistant turn is flawed", WRITE, low=0.25, least=MANY, share=True),
    "system_prompt": Limit("scenarios with a system prompt", WRITE, low=0.15, least=MANY, share=True),
    "attachment": Limit("scenarios with a document, table, log or code", WRITE, low=0.10, least=MANY, share=True),
    "rarest_length": Limit("share of the rarest of five lengths", WRITE, low=0.02, least=MANY, share=True),
    "rarest_pressure": Limit("share of the rarest pressure", WRITE, low=0.02, least=MANY, share=True),
    "rarest_format": Limit("share of the rarest format", WRITE, low=0.02, least=MANY, share=True),
    "commonest_country": Limit("share of the commonest country", WRITE, high=0.15, least=MANY, share=True),
    # duplicates and overlap
    "near_prompts": Limit("5-gram Jaccard similarity of two prompts", REWRITE, high=0.3, below=True),
    "near_rubrics": Limit("5-gram Jaccard similarity of two rubrics", REWRITE, high=0.3, below=True),
    "near_replies": Limit("5-gram Jaccard similarity of replies to two prompts", REWRITE, high=0.3, below=True),
    "reused_criteria": Limit("5-gram Jaccard similarity of criteria of two scenarios", RUBRIC, high=0.6, below=True),
    "overlap": Limit(
        "13-word overlaps with the texts of --against",
        "Rewrite the passage; training on it would spoil that evaluation.", high=0,
    ),
    "unread": Limit("files of --against that could not be read", "Convert the file, or leave it out.", high=0, note=True),
    # openings and stock phrases
    "openings": Limit("scenarios that share their first 4 tokens", "Let one of them begin elsewhere.", high=0),
    "common_first_word": Limit("share of the commonest first word", "Vary the openings.", high=0.08, least=MANY, share=True),
    "common_first_pair": Limit("share of the commonest first two words", "Vary the openings.", high=0.03, least=MANY, share=True),
    "stock_phrases": Limit("clichés of generated text", "Say it in this person's words.", high=0),
    "repeated_phrases": Limit("scenarios that share 8 words in a row", "Say it differently in some of them.", high=3),
    "stock_names": Limit(
        "scenarios with the same name of those that models give first", "Take another name that is borne there.",
        high=3, note=True,
    ),
    # rubrics
    "criteria": Limit("criteria in a rubric", "Split, merge or drop some.", low=3, high=6),
    "all_positive": Limit(
        "rubrics without a negative criterion", "Add what the tempting reply does, with negative points.", high=0
    ),
    "equal_points": Limit("rubrics whose points are all of one size", "Give more to what matters more.", high=0),
    "criterion_words": Limit("words in a criterion", "Say one thing, in one short sentence.", low=5, high=34),
    "generic": Limit("criteria that would fit any conversation", RUBRIC, high=0),
    "untestable": Limit("criteria that no one can check in a text", "Name what stands in the reply.", high=0),
    "keywords": Limit("criteria that reward a keyword, a length or a disclaimer", "Reward the judgement.", high=0),
    "contradictory": Limit("criteria that repeat or contradict each other", "Keep one of the two.", high=0),
    # reply pairs
    "pair_gap": Limit("good minus bad by the rubric", "Change what the replies do, or the points.", low=0.4),
    "pair_good": Limit("what the good reply earns", "Let it meet what the rubric asks.", low=0.7),
    "pair_length": Limit("words of the longer reply over the shorter", "Bring the two to a similar length.", high=1.7),
    "longer_good": Limit(
        "pairs whose good reply is the longer", "Shorten or lengthen some.",
        low=0.40, high=0.60, least=MANY, share=True,
    ),
    "told_apart": Limit(
        "accuracy of a bag-of-words classifier on reply pairs",
        "Let good replies use the words that give the bad ones away, and the other way round.",
        high=0.65, least=MANY, share=True,
    ),
    # language, by trait
    "mtld": Limit("lexical diversity of a trait's prompts (MTLD)", "Vary words and people.", low=80, least=5000),
    "trigrams": Limit(
        "distinct trigrams among a trait's first 5,000 words", "Rewrite what was made from a template.",
        low=0.95, least=5000, share=True,
    ),
    "grade": Limit("reading level of a trait's prompts (mean Flesch-Kincaid grade)", MIX, low=3, high=11, least=20),
    "grade_spread": Limit("grades from the 10th to the 90th percentile of prompts", MIX, low=3, least=MANY),
}  # fmt: skip
"""rule -> its limit."""


def limit_rows(limits: Mapping[str, Limit] = LIMITS) -> list[tuple[str, str, str]]:
    """(rule, what, allowed) of every limit."""
    return [(rule, limit.what, limit.allowed()) for rule, limit in limits.items()]
