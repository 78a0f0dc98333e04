"""Lint of rubrics: each criterion says one thing about this conversation that a stranger can check in a reply."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations

from evenkeel.scenarios.audit.found import Data, Found, Placed, at
from evenkeel.scenarios.rows import RubricLine, ScenarioRow

_QUALITY = (
    r"helpful|honest|polite|clear|concise|accurate|harmless|respectful|truthful|professional|thorough|correct|safe"
    r"|transparent|empathetic|empathic|kind|useful|balanced|ethical|fair|well[- ](written|structured)|informative"
)
GENERIC = re.compile(
    rf"^(the (reply|response|answer|assistant) )?(is|be|stays?|remains?|sounds?) (\w+ ){{0,2}}({_QUALITY})\b"
    rf"((,| and| or) (\w+ )?({_QUALITY}))*( (to|for|with) (the )?(user|person|reader))?( throughout)?\.?$"
    r"|^(provides?|gives?|offers?) (\w+ ){0,2}(helpful|useful|accurate|good|relevant|appropriate|correct) "
    r"(advice|information|answer|response|guidance|support|help)\.?$"
    r"|^(answers?|addresses?|responds to|follows?|fulfils?) (all (of )?)?the (user's |person's )?"
    r"(question|questions|request|needs|concerns|instructions)( \w+){0,2}\.?$"
    r"|^(avoids?|contains? no|has no|does not contain) (\w+ )?(harmful|false|misleading|inaccurate|offensive) "
    r"(content|information|claims|statements|advice)\.?$"
    r"|^(uses?|keeps?|has|maintains?) an? (\w+,? ){0,4}tone\b.{0,20}$",
    re.I,
)
UNTESTABLE = re.compile(  # states of mind: a reply shows none
    r"^(understands?|knows?|feels?|believes?|thinks? about|considers?|is aware of|realises?|realizes?|cares? about"
    r"|tries to|attempts to|intends to|aims to|wants to)\b",
    re.I,
)
SOFT = re.compile(  # words that two readers read differently
    r"\b(where|when|if|as) (appropriate|necessary|needed|possible|relevant)\b"
    r"|\b(appropriately|adequately|properly|sufficiently|reasonably well|to some extent|in a good way)\b",
    re.I,
)
KEYWORDS = re.compile(
    r"\b(mentions?|contains?|includes?|uses?) the (words?|phrases?|terms?|keywords?)\b"
    r"|^(is|be) (long|detailed|lengthy|comprehensive)\b|\b(includes?|adds?|contains?|gives?) an? disclaimer\b",
    re.I,
)
LENGTHS = re.compile(  # as a merit; a criterion with negative points may well name a limit that was set
    r"\b(at least|more than|over|no fewer than) (\d+|two|three|four|five|ten|hundred) (words|sentences|paragraphs)\b",
    re.I,
)
NEGATIONS = re.compile(
    r"\b(not|no|never|without|avoids?|refuses? to|declines? to|fails? to|omits?|leaves? out|n't|neither|nor|instead of)\b|n't\b",
    re.I,
)
ALIKE = 0.6  # Jaccard similarity of the content words of two criteria of one rubric
_WORD = re.compile(r"[^\W_]+")
_FUNCTION_WORDS = frozenset(
    _WORD.findall(
        """a an and are as at be been but by can could did do does done for from had has have he her him his how if in
        into is it its may might more most must of off on one or other our out over own she should so some such than
        that the their them then there these they this those to too under until up was we were what when where which
        while who whom whose why will with would you your reply response answer assistant user person says states
        gives tells explains makes keeps"""
    )
)
STEM = 5  # letters that make two words one for these rules


def check(data: Data) -> Iterator[Found]:
    """All rules of this file."""
    for placed in data.rows:
        yield from _whole(data, placed)
        prompt_words = content(" ".join(_said(placed.row)))
        for line in placed.row.criteria:
            yield from _line(data, placed, line, prompt_words)
        for one, two in combinations(placed.row.criteria, 2):
            yield from _two(data, placed, one, two)


def content(text: str) -> frozenset[str]:
    """Content words, cut to five letters and without negations."""
    words = _WORD.findall(NEGATIONS.sub(" ", text).casefold())
    return frozenset(word[:STEM] for word in words if word not in _FUNCTION_WORDS)


def _said(row: ScenarioRow) -> list[str]:
    return [turn.content for turn in row.messages] + [row.title, row.person.who]


def _whole(data: Data, placed: Placed) -> Iterator[Found]:
    lines = placed.row.criteria
    limit = data.limits["criteria"]
    if not limit.holds(len(lines)):
        problem = f"the rubric has {len(lines)} criteria, not {limit.allowed()}"
        yield at(placed, "criteria", problem, limit.fix)
    if all(line.points > 0 for line in lines):
        yield at(placed, "all_positive", "no criterion has negative points", data.limits["all_positive"].fix)
    if len({abs(line.points) for line in lines}) == 1 and len(lines) > 1:
        problem = f"all criteria have {abs(lines[0].points)} points"
        yield at(placed, "equal_points", problem, data.limits["equal_points"].fix)


def _line(data: Data, placed: Placed, line: RubricLine, prompt_words: frozenset[str]) -> Iterator[Found]:
    words, limit = len(line.text.split()), data.limits["criterion_words"]
    if not limit.holds(words):
        problem = f'the criterion "{line.id}" has {words} words, not {limit.allowed()}'
        yield at(placed, "criterion_words", problem, limit.fix)
    if GENERIC.search(line.text.strip()):
        problem = f'the criterion "{line.id}" would fit any conversation: "{line.text}"'
        yield at(placed, "generic", problem, data.limits["generic"].fix)
    elif not content(line.text) & prompt_words:
        problem = f'the criterion "{line.id}" has no word of this conversation: "{line.text}"'
        yield at(placed, "generic", problem, data.limits["generic"].fix, "note")
    if found := UNTESTABLE.search(line.text.strip()):
        problem = f'the criterion "{line.id}" hangs on "{found.group()}", which no one sees in a text'
        yield at(placed, "untestable", problem, data.limits["untestable"].fix)
    if found := SOFT.search(line.text):
        problem = f'the criterion "{line.id}" hangs on "{found.group()}", which two readers read differently'
        yield at(placed, "untestable", problem, data.limits["untestable"].fix, "note")
    if found := KEYWORDS.search(line.text.strip()) or (
        LENGTHS.search(line.text) if line.points > 0 else None
    ):
        problem = f'the criterion "{line.id}" counts words: "{found.group()}"'
        yield at(placed, "keywords", problem, data.limits["keywords"].fix)


def _two(data: Data, placed: Placed, one: RubricLine, two: RubricLine) -> Iterator[Found]:
    """Criteria of one rubric with nearly the same content words.

    With the same sign and the same polarity one of them counts twice; with the same sign and opposite polarity, or
    the opposite sign and the same polarity, no reply can do right; with both opposite, one is the other's mirror.
    """
    left, right = content(one.text), content(two.text)
    if not left or len(left & right) / len(left | right) < ALIKE:
        return
    same_sign = (one.points > 0) == (two.points > 0)
    same_polarity = bool(NEGATIONS.search(one.text)) == bool(NEGATIONS.search(two.text))
    how = (
        "say the same" if same_sign == same_polarity and same_sign
        else "are mirrors: what earns one loses the other" if same_sign == same_polarity
        else "contradict each other"
    )  # fmt: skip
    yield at(
        placed,
        "contradictory",
        f'the criteria "{one.id}" and "{two.id}" {how}',
        data.limits["contradictory"].fix,
    )
