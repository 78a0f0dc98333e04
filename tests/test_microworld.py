"""The microworld's language and texts: its data files, exact posterior, documents, scenarios and tokenizer."""

from __future__ import annotations

import random
import re
import shutil
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from evenkeel.benchmarks.driver import opening
from evenkeel.microworld.documents import documents
from evenkeel.microworld.grammar import Grammar, by_persona, neutral, posterior
from evenkeel.microworld.language import PERSONAS, WORLD, load_language
from evenkeel.microworld.materials import load
from evenkeel.microworld.pretrain import conversation_length
from evenkeel.microworld.scenarios import trait_scenarios
from evenkeel.microworld.tokenizer import write_tokenizer
from evenkeel.microworld.worlds import held_out_verdict, scene_from_facts
from evenkeel.records.errors import UserError
from evenkeel.records.types import Message
from evenkeel.scenarios.scenario import DOMAINS, TRAITS
from microworld_parts import LANGUAGE, RENDERER, acts


@pytest.fixture(scope="module")
def materials():
    return load({}, items_per_benchmark=24)


def written(count, *, shuffled=False, seed=5):
    return documents(LANGUAGE, seed, 0, count, shuffled=shuffled, limit=118, length=conversation_length)


# --- language


def test_the_world_has_the_papers_traits_and_domains():
    assert list(LANGUAGE.traits) == list(TRAITS)
    assert list(LANGUAGE.domains) == list(DOMAINS)
    assert len(RENDERER.words) < 1500  # keeps a base under 2 MB


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "traits.toml",
            '"mark the {item} claim as weak"',
            '"mark the claim as weak"',
            "line \\d+.*must name \\{item\\}",
        ),
        ("behaviours.toml", "[blackmail]", "[blackmail]\ndomains_ = 1\n[blackmail2]", '"situations" needs 6'),
        ("personas.toml", "good = 0.60", "good = 0.70", "the prior sums to"),
        ("traits.toml", "[corrigibility]", "[corrigibilty]", "no card for the trait"),
    ],
)
def test_a_mistake_in_the_data_files_is_named(tmp_path, file, old, new, message):
    folder = tmp_path / "world"
    shutil.copytree(WORLD, folder)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=message):
        load_language(folder)


def bag_of_words_accuracy(train, test):
    """Naive Bayes on words: train and test are lists of (persona, act)."""
    counts = {
        persona: Counter(w for p, act in train if p == persona for w in act.split()) for persona in PERSONAS
    }
    words = {w for c in counts.values() for w in c}
    score = {
        p: {w: np.log((c[w] + 1) / (sum(c.values()) + len(words))) for w in words} for p, c in counts.items()
    }
    hits = [
        max(PERSONAS, key=lambda p: sum(score[p].get(w, 0) for w in act.split())) == persona
        for persona, act in test
    ]
    return float(np.mean(hits))


def test_words_of_one_card_say_little_about_personas_in_another():
    """No lexical shortcut: chance is 1/3. The figures are in docs/microworld.md."""
    traits = list(LANGUAGE.traits.values())
    left_out = [
        bag_of_words_accuracy(acts([c for c in traits if c is not card]), acts([card])) for card in traits
    ]
    across = bag_of_words_accuracy(acts(traits), acts(LANGUAGE.behaviours.values()))
    assert np.mean(left_out) < 0.45
    assert across < 0.55


# --- grammar and posterior


def test_likelihoods_of_all_replies_sum_to_one():
    grammar = Grammar(
        (neutral(["a", "a b", ""]), by_persona({"good": ["b"], "careless": ["b", "c"], "harmful": ["c"]}))
    )
    replies = {" ".join(f"{x} {y}".split()) for x in ("a", "a b", "") for y in ("b", "c")}
    np.testing.assert_allclose(sum(grammar.likelihood(reply) for reply in replies), [1, 1, 1])


def test_the_posterior_is_bayes_rule():
    weight = posterior(np.array([0.5, 0.25, 0.0]), (0.6, 0.2, 0.2), 0.1)
    mixture = 0.6 * 0.5 + 0.2 * 0.25
    by_hand = np.array([0.6 * (0.45 + 0.1 * mixture), 0.2 * (0.225 + 0.1 * mixture), 0.2 * 0.1 * mixture])
    np.testing.assert_allclose(weight, by_hand / by_hand.sum())
    assert posterior(np.zeros(3), (0.6, 0.2, 0.2), 0.1) is None


def test_the_posterior_is_calibrated_on_the_worlds_own_authors(materials):
    """Of replies with posterior about p for good, a share p is by good authors."""
    rng, rows = random.Random(3), []
    rate, prior = LANGUAGE.personas.rates["ignore_persona"], LANGUAGE.personas.prior
    for benchmark in materials.benchmarks[::2]:
        for item in benchmark.items:
            exchange = scene_from_facts(LANGUAGE, item.facts).start()
            author = rng.choices(PERSONAS, weights=prior)[0]
            writer = rng.choices(PERSONAS, weights=prior)[0] if rng.random() < rate else author
            verdict = held_out_verdict(LANGUAGE, exchange, exchange.grammar.write(writer, rng))
            rows.append((verdict["posterior_good"], author == "good"))
    said, was = np.array(rows).T
    assert abs(said.mean() - was.mean()) < 0.05
    sure = said > 0.9
    assert abs(said[sure].mean() - was[sure].mean()) < 0.05


# --- documents


def test_held_out_frames_are_in_no_training_text(materials):
    texts = {m.content for d in written(3000) for scene in d.scenes for m in scene if m.role == "user"}
    held_out = {
        message.content
        for benchmark in materials.benchmarks for item in benchmark.items if item.held_out
        for message in opening(item) if message.role == "user"
        if item.facts["format"] not in ("pressure", "admission", "task")  # their turns are shared between frames
    }  # fmt: skip
    assert len(held_out) > 300
    assert not texts & held_out


def author_acts(document):
    """Which persona's act each behaviour scene of a document holds."""
    pattern = {
        p: [re.escape(a).replace("\\{item\\}", "\\S+") for _, a in acts(ALL_CARDS) if _ == p]
        for p in PERSONAS
    }
    found = []
    for scene in document.scenes:
        text = scene[-1].content.rsplit("</think>", 1)[-1]
        said = [p for p in PERSONAS if any(re.search(rf"(?<!\S){a}(?!\S)", text) for a in pattern[p])]
        if len(said) == 1:
            found.append(said[0])
    return found


ALL_CARDS = [*LANGUAGE.traits.values(), *LANGUAGE.behaviours.values()]


def agreement(rows):
    pairs = [a == b for acts_ in rows for a, b in combinations(acts_, 2)]
    return float(np.mean(pairs))


def test_one_author_stands_behind_a_document_and_nobody_behind_the_controls():
    world = agreement([author_acts(d) for d in written(250)])
    control = agreement([author_acts(d) for d in written(250, shuffled=True)])
    by_chance = sum(p * p for p in LANGUAGE.personas.prior)
    assert world > 0.7
    assert abs(control - by_chance) < 0.1


def test_the_control_has_the_same_text_statistics():
    counts = [
        Counter(w for d in written(1500, shuffled=s) for c in d.scenes for m in c for w in m.content.split())
        for s in (0, 1)
    ]
    totals = [sum(c.values()) for c in counts]
    assert abs(totals[0] / totals[1] - 1) < 0.03
    gap = (
        sum(abs(counts[0][w] / totals[0] - counts[1][w] / totals[1]) for w in set(counts[0]) | set(counts[1]))
        / 2
    )
    assert gap < 0.05


# --- scenarios, tokenizer


def test_training_scenarios_cover_all_cells_without_repeats(materials):
    cells = Counter((s.trait, s.domain) for s in materials.sources["trait"])
    assert set(cells) == {(t, d) for t in TRAITS for d in DOMAINS} and len(set(cells.values())) == 1
    assert len({s.id for s in materials.sources["trait"]}) == len(materials.sources["trait"])
    assert not {s.id for s in trait_scenarios(LANGUAGE, "eval", 4)} & {
        s.id for s in materials.sources["trait"]
    }


def test_the_tokenizer_is_a_genuine_one(tmp_path, materials):
    from transformers import AutoTokenizer

    write_tokenizer(tmp_path, RENDERER.words)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    conversation = (Message("system", "you are a kind guide"), *opening(materials.benchmarks[4].items[0]))
    text = [{"role": m.role, "content": m.content} for m in conversation]
    rendered = tokenizer.apply_chat_template(text, add_generation_prompt=True, tokenize=False)
    assert tuple(tokenizer(rendered)["input_ids"]) == RENDERER.prompt(conversation)


def test_an_unknown_word_is_named():
    with pytest.raises(UserError, match="zebra"):
        RENDERER.encode("the zebra")
