r"""Constraints on form (IFEval's families detectable_format, detectable_content, startend, combination, punctuation).

Deviations from IFEval, all of them stricter: JSON is an object or a list (there, "yes" in quotes is JSON too); of the three
fixed answers a reply gives one, not several; "---" is no bullet point; an emphasis has no blank inside its asterisks;
brackets without content are no placeholder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from evenkeel.grading import constraints_kind as kind
from evenkeel.grading.constraints_kind import Kind
from evenkeel.grading.stated import unfenced

FIXED_ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")

_BULLET = re.compile(r"^[ \t]*(?:\*(?!\*)|-(?!-))[ \t]*\S", re.MULTILINE)
_HIGHLIGHT = re.compile(r"\*\*(?![\s*])[^\n*]*(?<!\s)\*\*|\*(?![\s*])[^\n*]*(?<!\s)\*")
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]*[^\[\]\s][^\[\]\n]*\]")
_TITLE = re.compile(r"<<[^\n<>]*[^\n<>\s][^\n<>]*>>")


def number_bullet_lists(reply: str, num_bullets: int) -> bool:
    """Exactly so many bullet points, lines that begin with * or -."""
    return len(_BULLET.findall(reply)) == num_bullets


def number_highlighted_sections(reply: str, num_highlights: int) -> bool:
    """At least so many parts *emphasised* or **set in bold**."""
    return len(_HIGHLIGHT.findall(reply)) >= num_highlights


def multiple_sections(reply: str, section_spliter: str, num_sections: int) -> bool:
    """At least so many sections, each headed by the splitter and a number ("SECTION 2")."""
    return len(re.findall(rf"{re.escape(section_spliter)}\s?\d+", reply)) >= num_sections


def title(reply: str) -> bool:
    """A title in double angular brackets: <<title>>."""
    return _TITLE.search(reply) is not None


def json_format(reply: str) -> bool:
    """The whole reply is JSON, in a code fence or not."""
    try:
        return isinstance(json.loads(unfenced(reply.strip())), dict | list)
    except (ValueError, RecursionError):
        return False


def constrained_response(reply: str) -> bool:
    """One of the three fixed answers."""
    return sum(answer in reply for answer in FIXED_ANSWERS) == 1


def number_placeholders(reply: str, num_placeholders: int) -> bool:
    """At least so many placeholders in square brackets, such as [name]."""
    return len(_PLACEHOLDER.findall(reply)) >= num_placeholders


def postscript(reply: str, postscript_marker: str) -> bool:
    """A postscript that begins with the marker; P.S. and P.P.S may be spaced."""
    letters = [re.escape(letter) for letter in re.findall(r"\w", postscript_marker)]
    spaced = (
        r"\.\s?".join(letters)
        if re.fullmatch(r"(p\.)+s\.?", postscript_marker, re.IGNORECASE)
        else re.escape(postscript_marker)
    )
    return re.search(rf"(?<![\w.]){spaced}(?!\w)", reply, re.IGNORECASE) is not None


def end_checker(reply: str, end_phrase: str) -> bool:
    """The reply ends with the phrase, in any case; a closing quotation mark may follow."""
    return reply.strip().strip('"').rstrip().lower().endswith(end_phrase.strip().lower())


def quotation(reply: str) -> bool:
    """The whole reply stands in double quotation marks."""
    reply = reply.strip()
    return len(reply) > 1 and reply[0] == reply[-1] == '"'


def two_responses(reply: str) -> bool:
    """Two different answers, divided by ******."""
    answers = [answer.strip() for answer in reply.split("******")]
    answers = answers[not answers[0] : len(answers) - (not answers[-1])]
    return len(answers) == 2 and all(answers) and answers[0] != answers[1]


def repeat_prompt(reply: str, prompt_to_repeat: str) -> bool:
    """The reply begins with the request, word for word, in any case."""
    return reply.strip().lower().startswith(prompt_to_repeat.strip().lower())


def no_comma(reply: str) -> bool:
    """No comma anywhere."""
    return "," not in reply


KINDS: Mapping[str, Kind] = {
    "detectable_format:number_bullet_lists": Kind(
        number_bullet_lists, "has exactly {num_bullets} bullet points", {"num_bullets": kind.count}
    ),
    "detectable_format:number_highlighted_sections": Kind(
        number_highlighted_sections, "emphasises at least {num_highlights} parts with asterisks", {"num_highlights": kind.count}
    ),
    "detectable_format:multiple_sections": Kind(
        multiple_sections, 'has at least {num_sections} sections headed "{section_spliter} 1" and so on',
        {"section_spliter": kind.text, "num_sections": kind.count},
    ),
    "detectable_format:title": Kind(title, "has a title in double angular brackets, <<title>>"),
    "detectable_format:json_format": Kind(json_format, "is JSON as a whole"),
    "detectable_format:constrained_response": Kind(constrained_response, f"gives one of the answers {', '.join(FIXED_ANSWERS)}"),
    "detectable_content:number_placeholders": Kind(
        number_placeholders, "has at least {num_placeholders} placeholders in square brackets", {"num_placeholders": kind.count}
    ),
    "detectable_content:postscript": Kind(
        postscript, "has a postscript that begins with {postscript_marker}", {"postscript_marker": kind.text}
    ),
    "startend:end_checker": Kind(end_checker, 'ends with "{end_phrase}"', {"end_phrase": kind.text}),
    "startend:quotation": Kind(quotation, "stands in double quotation marks as a whole"),
    "combination:two_responses": Kind(two_responses, "gives two different answers, divided by ******"),
    "combination:repeat_prompt": Kind(
        repeat_prompt, 'begins by repeating "{prompt_to_repeat}"', {"prompt_to_repeat": kind.text}
    ),
    "punctuation:no_comma": Kind(no_comma, "has no comma"),
}  # fmt: skip
