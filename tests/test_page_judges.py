"""The judges' section of the page: what must not be overlooked stands first, in words, and everything is text."""

from __future__ import annotations

import itertools
import json
import re

import pytest
from tests import page_example
from tests.test_page import EVIL, Reader

from evenkeel.records.canonical import plain
from evenkeel.records.streams import generator
from evenkeel.report.judge_health import judge_health
from evenkeel.report.page import STORY, page, story
from evenkeel.report.page_judges import PANELS, judge_health_section
from evenkeel.report.page_judges_tables import CRITERIA

STEPS, GROUP = 48, 4


def rows(
    gap: float, *, noise: float = 0.05, odd: float = 0.0, source: str = "trait", evil: str = ""
) -> list[dict]:
    """A run whose training judge turns lenient by `gap`, flips verdicts at a rate of `noise`, and fails at one of `odd`."""
    found = []
    for step in range(STEPS):
        rng, done = generator("page", gap, source, step), step / (STEPS - 1)
        rubric = [f"c{number}_{step}{evil}" for number in range(4)]
        for sample in range(GROUP):
            true = rng.random(4) < 0.25 + 0.4 * done
            seen, other = (true ^ (rng.random(4) < 0.03) for _ in range(2))
            lenient = seen | (rng.random(4) < gap * done)
            said = {
                ("train", "first"): lenient, ("train", "again"): lenient ^ (rng.random(4) < noise),
                ("train", "reversed"): lenient ^ (rng.random(4) < noise), ("held_out", "first"): other,
                ("held_out", "again"): true, ("held_out", "reversed"): true,
            }  # fmt: skip
            for (judge, variant), verdict_C in said.items():
                failed = rng.random() < odd
                verdicts = dict(zip(rubric, map(float, verdict_C), strict=True))
                found.append({
                    "step": step, "slot": 0, "sample": sample, "window": step * 6 // STEPS, "source": source,
                    "scenario": f"{source}/{step}{evil}", "tokens": int(rng.integers(20, 90)), "judge": judge,
                    "name": f"judge:{judge}-8b{evil}", "version": "1", "variant": variant, "rubric": str(step),
                    "criteria": rubric, "points": [5, 4, 3, -4], "verdicts": None if failed else verdicts,
                    "reward": None if failed else float((verdict_C * [5, 4, 3, -4]).sum() / 12),
                    "unscorable": "cut off" if failed else None,
                })  # fmt: skip
    return found


def measured(evil: str = "") -> dict:
    """Two sources; on one of them a model's own judge is taken in."""
    gaps = {"trait-5": 0.0, "trait-25": 0.9}
    models = [
        ({"id": f"world-0/{arm}/1000{evil}", "arm": arm, "base": "world-0", "seed": 1000},
         rows(gap, evil=evil) + rows(0.0, source=f"open-ended{evil}"))
        for arm, gap in gaps.items()
    ]  # fmt: skip
    return plain(judge_health(models))


@pytest.fixture(scope="module")
def health() -> dict:
    return measured(EVIL)


@pytest.fixture(scope="module")
def text(health) -> str:
    small = {key: page_example.example(EVIL, small=True)[key] for key in ("study", "arms")}
    return page({**small, "judge_health": health}, {})


def section(text: str) -> str:
    return text.split('<section id="judge-health"')[1].split("</section>")[0]


def source_of(gap: float, **changes) -> dict:
    return plain(judge_health([({"id": "m", "arm": "trait-5"}, rows(gap, **changes))]))["sources"][0]


def test_the_section_is_there_when_judges_were_measured_and_not_otherwise(text, health):
    assert text.count('id="judge-health"') == 1 and '<a href="#judge-health">Judges</a>' in text
    assert 'id="judge-health"' not in page({}, {}) and len(story({})) == len(STORY) - 1
    assert story({"judge_health": health}) == list(STORY)


def test_everything_a_file_said_is_text(text):
    reader = Reader(text)
    assert reader.count("script") == 3 and reader.count("img") == 0 and reader.count("style") == 1
    assert "&lt;script&gt;window.pwned" in section(text) and "{{ 7 * 7 }}" in section(text)
    assert section(text).count("<figure ") == 4 and section(text).count("<table") == 4 + 2 + 2
    levels = [int(tag[1]) for tag, _ in reader.tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_hacking_is_called_out_first_and_by_name(text):
    told = section(text)
    callouts = re.findall(r'<p class="label"[^>]*><b class="(\w*)">(.*?)</b>(.*?)</p>', told, re.S)
    colours = {title.split(":")[0].split("&")[0]: colour for colour, title, _ in callouts}
    assert colours == {"trait": "amber", "open-ended": "green"}
    assert told.index("Possible rubric hacking") < told.index("<figure ")
    line = next(lines for _, title, lines in callouts if title.startswith("trait"))
    assert "in world-0/trait-25/1000" in line and "trait-5/1000" not in line
    assert re.search(r"the gap by \+0\.\d\d \[\+0\.\d\d, \+0\.\d\d\]", line)
    assert "in 1 of 2 models · amber" in told and "possible rubric hacking</h4>" in told


def test_lights_are_said_in_words_with_numbers_intervals_and_what_to_do():
    found = judge_health_section({"judge_health": {"sources": [source_of(0.0, noise=0.4, odd=0.08)]}})
    [callout] = found.callouts
    assert callout.mark == "red" and "do not trust" in callout.title
    assert callout.lines[0].startswith("Training judge, red: judgements that came to nothing: ")
    assert any(
        line.startswith("Training judge, ") and "spread inside groups over" in line for line in callout.lines
    )
    [table] = found.tables
    cells = {row[0].text: row for row in table.rows}
    noisy = cells["spread inside groups over the noise of one grading"]
    assert (
        noisy[1].mark in ("amber", "red")
        and noisy[2].mark == "green"
        and noisy[4].text.startswith("Ask one call")
    )
    assert noisy[1].text.endswith(f"· {noisy[1].mark}") and noisy[1].note.startswith("[")


def test_the_gap_is_told_before_any_other_light():
    [callout] = judge_health_section(
        {"judge_health": {"sources": [source_of(0.9, noise=0.4, odd=0.08)]}}
    ).callouts
    assert callout.lines[0].startswith("Possible rubric hacking in m") and callout.mark == "red"
    assert callout.lines[1].startswith("Training judge, red")


def test_sound_judges_are_said_to_be_sound_with_what_that_rests_on():
    [callout] = judge_health_section({"judge_health": {"sources": [source_of(0.0)]}}).callouts
    assert (callout.mark, len(callout.lines)) == ("green", 1)
    assert f"{STEPS * GROUP} replies to {STEPS} scenarios" in callout.lines[0]


def test_what_was_not_measured_is_not_called_sound():
    alone = [each for each in rows(0.0) if each["judge"] == "train" and each["variant"] == "first"]
    health = judge_health([({"id": "m"}, alone)])
    found = judge_health_section({"judge_health": health})
    [callout] = found.callouts
    assert callout.mark == "" and "not all of it was measured" in callout.title
    assert "Not measured: spread inside groups over the noise" in callout.lines[0]
    assert page({"judge_health": health}, {}).count("no held-out judge was asked") > 2


def test_many_models_and_criteria_are_cut_and_the_cut_is_said():
    models = [({"id": f"m{number}"}, rows(0.9 if number == 13 else 0.0)) for number in range(14)]
    source = judge_health(models)["sources"][0]
    found = judge_health_section({"judge_health": {"sources": [source]}})
    drift = found.figures[0]
    assert len(drift.panels) == PANELS and drift.panels[0].title == "m13: possible rubric hacking"
    assert len(drift.table.rows) == 14 and f"{PANELS} of 14 models are drawn" in drift.note
    assert len(found.folded[0].rows) == CRITERIA and f"{CRITERIA} of {STEPS * 4}" in found.folded[0].caption


@pytest.mark.parametrize(
    "broken", [{"sources": []}, {"sources": "x"}, {"why": "no key"}, {"sources": [{}, None]}]
)
def test_a_broken_part_does_not_stop_the_page(broken):
    assert 'id="judge-health"' in page({"judge_health": broken}, {})


def test_missing_numbers_do_not_stop_the_section(health):
    def hollow(value):
        if isinstance(value, dict):
            return {key: hollow(item) for key, item in value.items()}
        if isinstance(value, list):
            return [hollow(item) for item in value]
        return None if isinstance(value, (int, float)) and not isinstance(value, bool) else value

    assert judge_health_section({"judge_health": hollow(json.loads(json.dumps(health)))}).tables
