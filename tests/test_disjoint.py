"""Disjointness of prompt sets: planted overlaps are found, and only those."""

from __future__ import annotations

import random
import time

import pytest

from evenkeel.records.errors import UserError
from evenkeel.records.types import Message
from evenkeel.scenarios.disjoint import (
    duplicates,
    ngrams,
    overlaps,
    prompt_text,
    require_disjoint,
    require_disjoint_triples,
)

LONG = (
    "the clinic asks whether the new blood test may be sold before the trial has been read by anyone at all"
)


def test_equal_prompts_are_found_whatever_their_case_and_spacing():
    with pytest.raises(UserError) as caught:
        require_disjoint({"train": {"t1": "A scan, please."}, "evaluate": {"e9": "a  scan , PLEASE."}})
    text = str(caught.value)
    assert "train/t1" in text and "evaluate/e9" in text and "equal" in text and "Remove one" in text


def test_near_duplicates_are_found_and_the_threshold_counts():
    sets = {"train": {"t": LONG}, "attack": {"a": LONG + " today"}}
    (found,) = overlaps(sets, threshold=0.8)
    words = len(LONG.split())
    assert found.similarity == pytest.approx((words - 4) / (words - 3))
    assert overlaps(sets, threshold=0.99) == []


def test_overlap_inside_one_set_is_no_concern():
    sets = {"train": {"a": LONG, "b": LONG}, "evaluate": {"c": "something else entirely"}}
    require_disjoint(sets)
    assert overlaps(sets) == []


def test_all_pairs_of_sets_are_checked():
    found = overlaps({"train": {"t": "one two"}, "attack": {"a": LONG}, "evaluate": {"e": LONG}})
    assert [(pair.left, pair.right) for pair in found] == [("attack/a", "evaluate/e")]


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 1.0])
def test_the_index_finds_what_comparing_all_pairs_finds(threshold):
    """Prefix filtering is exact: against the quadratic definition on random texts of a small vocabulary."""
    rng = random.Random(3)
    base = [[rng.choice("abcdefg") for _ in range(rng.randint(3, 30))] for _ in range(40)]

    def mutate(words):
        words = list(words)
        for _ in range(rng.randint(0, 3)):
            words[rng.randrange(len(words))] = rng.choice("abcdefg")
        return " ".join(words)

    left = {str(i): " ".join(words) for i, words in enumerate(base)}
    right = {str(i): mutate(words) for i, words in enumerate(base)}
    want = set()
    for a in left.values():
        for b in right.values():
            one, two = ngrams(a), ngrams(b)
            if len(one & two) / len(one | two) >= threshold:
                want.add((one, two))
    got = {
        (ngrams(left[pair.left.split("/")[1]]), ngrams(right[pair.right.split("/")[1]]))
        for pair in overlaps({"l": left, "r": right}, threshold=threshold)
    }
    assert got == want and want


@pytest.mark.parametrize("threshold", [0.3, 0.7, 1.0])
def test_duplicates_inside_one_set_are_what_comparing_all_pairs_finds(threshold):
    rng = random.Random(5)
    texts = {str(i): " ".join(rng.choice("abcd") for _ in range(rng.randint(4, 14))) for i in range(60)}
    texts["again"] = texts["7"]
    names = list(texts)
    want = {
        (one, two)
        for place, two in enumerate(names)
        for one in names[:place]
        if len(ngrams(texts[one]) & ngrams(texts[two])) / len(ngrams(texts[one]) | ngrams(texts[two]))
        >= threshold
    }
    found = duplicates(texts, threshold=threshold)
    assert {(pair.left, pair.right) for pair in found} == want
    assert ("7", "again") in want
    with pytest.raises(ValueError, match="threshold"):
        duplicates(texts, threshold=0)


def test_twenty_thousand_templated_prompts_take_seconds():
    rng = random.Random(0)
    words = [f"word{i}" for i in range(600)]
    frames = [[rng.choice(words) for _ in range(14)] for _ in range(60)]

    def prompt(i):
        frame = list(frames[i % len(frames)])
        for place in (2, 6, 11):
            frame[place] = rng.choice(words)
        return " ".join(frame)

    sets = {name: {f"{name}{i}": prompt(i) for i in range(10_000)} for name in ("train", "evaluate")}
    sets["evaluate"]["planted"] = sets["train"]["train77"]
    start = time.process_time()
    found = overlaps(sets)
    assert time.process_time() - start < 10
    assert ("train/train77", "evaluate/planted") in {(pair.left, pair.right) for pair in found}


def test_triples_name_both_sides_and_the_parts():
    sets = {
        "train": {"t1": ("scan", "health", "f1"), "t2": ("scan", "health", "f2")},
        "attack": {"a1": ("scan", "law", "f1")},
        "evaluate": {"e1": ("scan", "health", "f2")},
    }
    with pytest.raises(UserError) as caught:
        require_disjoint_triples(sets)
    text = str(caught.value)
    assert "train/t2 and evaluate/e1" in text and "'f2'" in text and "attack" not in text
    del sets["evaluate"]
    require_disjoint_triples(sets)


def test_system_messages_do_not_count_as_the_prompt():
    assert prompt_text((Message("system", "be kind"), Message("user", "hello"))) == "hello"
