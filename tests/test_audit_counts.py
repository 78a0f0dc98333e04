"""Audit: how many scenarios of each kind, and the plan of the shipped dataset cell by cell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evenkeel.scenarios.audit.counts import check, length_of
from evenkeel.scenarios.audit.found import Data, Finding, Placed, Table
from evenkeel.scenarios.audit.limits import LIMITS
from evenkeel.scenarios.audit.run import judge
from evenkeel.scenarios.scenario import DOMAINS, TRAITS
from evenkeel.scenarios.vocabulary import FORMATS, PRESSURES
from scenario_examples import CHOIR, FERRITIN, GOOD, MADE, STRIKE, changed, found, placed, row


def full_set():
    """(id, has a pair) of a dataset that keeps the plan."""
    for trait in TRAITS:
        for domain in DOMAINS:
            for number in range(1, (12 if domain == "health" else 4) + 1):
                yield f"{trait}/{domain}/train-{number:02}", number == 1
            for number in (1, 2):
                yield f"{trait}/{domain}/eval-{number:02}", list(TRAITS).index(trait) < 7


def findings_of(slots):
    paired, rows = row(FERRITIN), []
    bare = replace(paired, good_reply=None, bad_reply=None)
    for name, pair in slots:
        trait, domain, slot = name.split("/")
        split = slot.split("-")[0]
        one = replace(paired if pair else bare, id=name, trait=trait, domain=domain, split=split)
        rows.append(Placed(one, f"{split}/{trait}.jsonl", len(rows) + 1))
    data = Data(rows, whole=True)
    measured = [each for each in check(data) if not isinstance(each, Table)]
    judged = [f for m in measured if not isinstance(m, Finding) for f in judge(m, LIMITS[m.rule])]
    plain = [each for each in measured if isinstance(each, Finding)]
    return [f for f in judged + plain if f.rule.endswith("_cell")]


def test_a_set_that_keeps_the_plan_has_twelve_hundred_rows_and_no_finding():
    slots = list(full_set())
    assert len(slots) == 1200
    assert sum(pair for _, pair in slots) == 15 * 12 + 7 * 12 * 2
    assert findings_of(slots) == []


@pytest.mark.parametrize(
    ("gone", "rule", "said"),
    [
        (
            "truthfulness/law/train-03",
            "train_per_cell",
            "truthfulness/law train: training scenarios in a cell: 3",
        ),
        ("truthfulness/health/train-12", "train_per_health_cell", "truthfulness/health train: training"),
        ("corrigibility/games/eval-02", "eval_per_cell", "corrigibility/games eval: evaluation"),
    ],
)
def test_a_cell_with_one_too_few_or_too_many_is_named_with_its_file(gone, rule, said):
    slots = [slot for slot in full_set() if slot[0] != gone]
    (finding,) = findings_of(slots)
    trait, _, slot = gone.split("/")
    assert finding.rule == rule and said in finding.problem
    assert finding.file == f"{slot.split('-')[0]}/{trait}.jsonl"
    (finding,) = findings_of([*full_set(), (gone[:-2] + "44", True)])
    assert finding.rule == rule


@pytest.mark.parametrize("name", ["corrigibility/games/eval-02", "dense_usefulness/law/train-01"])
def test_a_missing_reply_pair_is_named(name):
    (finding,) = findings_of([(slot, pair and slot != name) for slot, pair in full_set()])
    assert finding.rule == "pairs_per_cell" and finding.scenario == name and finding.line


def test_evaluation_scenarios_of_other_traits_need_no_pair():
    assert ("dense_usefulness/law/eval-01", False) in set(full_set())


@pytest.mark.parametrize(
    ("rule", "with_it"),
    [
        ("several_turns", {"messages": FERRITIN["messages"]}),
        ("flawed_turn", {"messages": FERRITIN["messages"], "flawed_turn": True}),
        (
            "system_prompt",
            {"messages": [{"role": "system", "content": "You guide visitors."}, *FERRITIN["messages"]]},
        ),
        ("attachment", {"attachment": "log"}),
    ],
)
def test_shares_of_shapes(rule, with_it):
    plain = changed(STRIKE, messages=STRIKE["messages"][1:], attachment="none")
    names = [f"truthfulness/law/train-{n:02}" for n in range(10)]
    without = [changed(plain, id=name) for name in names]
    (finding,) = found(rule, *without, least=10)
    assert "allowed at least" in finding.problem and finding.severity == "error"
    assert found(rule, *without, least=11) == []  # too few to judge
    half = [changed(plain, id=name, **(with_it if n % 2 else {})) for n, name in enumerate(names)]
    assert found(rule, *half, least=10) == []


def spread(field, values, n=100):
    """n rows whose field takes the values in turn."""
    ids = [f"truthfulness/law/train-{number:03}" for number in range(n)]
    return [changed(STRIKE, id=name, **{field: values[k % len(values)]}) for k, name in enumerate(ids)]


@pytest.mark.parametrize(
    ("rule", "field", "values"),
    [
        ("rarest_pressure", "pressures", [[name] for name in PRESSURES]),
        ("rarest_format", "format", list(FORMATS)),
        (
            "commonest_country",
            "person",
            [
                STRIKE["person"] | {"country": name}
                for name in ["Chile", "Ghana", "India", "Japan", "Kenya", "Malta", "Nepal"]
            ],
        ),
    ],
)
def test_no_label_is_missing_or_everywhere(rule, field, values):
    assert found(rule, *spread(field, values)) == []
    (finding,) = found(rule, *spread(field, values[:-1] if rule != "commonest_country" else values[:3]))
    assert "It is" in finding.fix


def test_lengths_from_a_few_lines_to_a_page():
    def of(words):
        return changed(CHOIR, messages=[{"role": "user", "content": "word " * words}])

    assert [length_of(row(of(n))) for n in (20, 60, 130, 250, 500)] == [
        "a few lines", "short", "medium", "long", "a page",
    ]  # fmt: skip
    ids = [f"bounded_initiative/art_music/train-{number:03}" for number in range(100)]
    even = [changed(of((20, 60, 130, 250, 500)[n % 5]), id=name) for n, name in enumerate(ids)]
    assert found("rarest_length", *even) == []
    (finding,) = found("rarest_length", *[changed(of(130 + n % 200), id=name) for n, name in enumerate(ids)])
    assert '"a few lines"' in finding.fix


def test_tables_count_what_is_there():
    tables = {each.title: each for each in check(Data(placed(*GOOD))) if isinstance(each, Table)}
    by_trait = {line[0]: line for line in tables["By trait"].rows}
    assert by_trait["all"][1:4] == ("4", "2", "3")
    assert by_trait["truthfulness"][1:4] == ("2", "0", "1")
    assert ("deadline", "1", "16.7 %") in tables["Pressure (a scenario may have several)"].rows
    assert MADE["licence"] == "CC-BY-4.0"
