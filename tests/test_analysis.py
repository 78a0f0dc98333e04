"""The analysis on synthetic runs whose true effects are known, complete and partial."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evenkeel.records import files
from evenkeel.records.errors import UserError
from evenkeel.report.analysis import analyse
from evenkeel.report.analysis_compare import compare
from evenkeel.report.analysis_findings import VERDICTS
from evenkeel.report.analysis_quantity import Resampler
from evenkeel.report.analysis_read import attack_of, read_run
from evenkeel.report.analysis_runs import matched
from fake_run import EFFECTS, PERSONA_DROP, FakeStudy, write_fake_run

RESAMPLES = 400
SMALL = FakeStudy(benchmarks=6, items=32, frames=16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """One base with its control, three baseline seeds, all arms, attacks."""
    return write_fake_run(tmp_path_factory.mktemp("run"), SMALL)


@pytest.fixture(scope="module")
def results(folder) -> dict:
    return analyse(folder, resamples=RESAMPLES)


@pytest.fixture(scope="module")
def several(tmp_path_factory) -> dict:
    """Three bases with controls."""
    arms = ("base", "baseline", "trait-25")
    study = FakeStudy(bases=3, arms=arms, benchmarks=4, items=16, frames=8, baseline_seeds=2)
    return analyse(write_fake_run(tmp_path_factory.mktemp("bases"), study), resamples=RESAMPLES)


@pytest.fixture(scope="module")
def partial(tmp_path_factory) -> dict:
    """No control, one baseline seed, no attacks, no side effects, no untouched base."""
    study = FakeStudy(control=False, baseline_seeds=1, arms=("baseline", "trait-5"), attacks=False, side_effects=False,
                      benchmarks=4, items=16, frames=8)  # fmt: skip
    return analyse(write_fake_run(tmp_path_factory.mktemp("partial"), study), resamples=RESAMPLES)


def entry(entries, **wanted) -> dict:
    found = [e for e in entries if all(e[k] == v for k, v in wanted.items())]
    assert found, f"no entry with {wanted}"
    return found[0]


def covers(quantity: dict, true: float, slack: float = 0.0) -> bool:
    return quantity["low"] - slack <= true <= quantity["high"] + slack


def test_the_ood_means_cover_the_true_effects(results):
    for arm in ("trait-5", "trait-25", "health_only-5", "no_health_science-5"):
        found = entry(results["ood"]["arms"], arm=arm, group="world")["mean"]
        assert covers(found, EFFECTS[arm], slack=0.01), arm
        assert found["over"] == "items only, this base"


def test_every_number_says_what_its_interval_is_over_or_why_it_is_missing(results, several, partial):
    def walk(value, path):
        if isinstance(value, dict):
            if {"value", "low", "high", "over", "per_base"} <= set(value):
                assert value["over"] in ("bases", "items only, this base", None), path
                if value["low"] is None:
                    assert value["why"], path
                else:
                    assert value["low"] <= value["value"] + 1e-9 and value["value"] <= value["high"] + 1e-9, (
                        path
                    )
            for key, item in value.items():
                walk(item, f"{path}.{key}")
        elif isinstance(value, list):
            for i, item in enumerate(value):
                walk(item, f"{path}[{i}]")

    for tree in (results, several, partial):
        walk(tree, "results")


def test_a_gain_is_found_and_no_gain_is_not(results):
    trait = entry(results["ood"]["arms"], arm="trait-25", group="world")
    generic = entry(results["ood"]["arms"], arm="generic_helpfulness-5", group="world")
    assert trait["counts"]["ahead"] == 6 and trait["counts"]["significant_gains"] >= 1
    assert generic["counts"]["significant_gains"] == 0
    assert trait["counts"]["null_pairs"] == 6 and trait["counts"]["null_high"] <= 6
    assert sum(f["n"] for f in trait["counts"]["by_family"]) == 6


def test_q_values_are_of_one_comparison(results):
    from statsmodels.stats.multitest import multipletests

    rows = entry(results["ood"]["arms"], arm="trait-5", group="world")["rows"]
    expected = multipletests([row["p"] for row in rows], method="fdr_bh")[1]
    assert [row["q"] for row in rows] == pytest.approx(list(expected))
    assert all(row["q_by"] >= row["q"] for row in rows)


def test_the_arm_is_compared_with_the_mean_baseline(results, folder):
    row = entry(entry(results["ood"]["arms"], arm="trait-5", group="world")["rows"], benchmark="probe_00")
    run = read_run(folder)
    bench = next(b for b in run.benchmarks if b.name == "probe_00")
    seeds = [run.dense(m, "bare", "score")[bench.items_N].mean() for m in run.of("world-0", "baseline")]
    assert len(seeds) == 3 and row["baseline"] == pytest.approx(sum(seeds) / 3)
    assert row["difference"] == pytest.approx(row["arm"] - row["baseline"])


def test_transfer_leaves_the_trained_domain_out(results):
    row = entry(results["transfer"]["entries"], claim="health_only_on_non_health", group="world")
    assert not any(r["health"] for r in row["rows"])
    assert all(r["items"] < SMALL.items for r in row["rows"]), "items from the health domain must be left out"
    other = entry(results["transfer"]["entries"], claim="no_health_science_on_health", group="world")
    assert {r["category"] for r in other["rows"]} == {"health", "wellbeing"}


def test_control_correction_is_world_minus_control(results):
    found = entry(
        results["control"]["entries"], arm="trait-5", metric="good_share", format="all formats", frames="all"
    )
    assert found["corrected"]["value"] == pytest.approx(found["world"]["value"] - found["control"]["value"])
    held = entry(results["control"]["entries"], arm="trait-5", metric="good_share", frames="held out")
    assert 0 < held["corrected"]["n"] < found["corrected"]["n"]
    formats = {e["format"] for e in results["control"]["entries"]}
    assert formats == {"all formats", "chat", "tool", "code", "report"}


def test_persistence_levels_drops_and_interactions(results):
    ladder = entry(results["persona"]["ladders"], name="harmful_medical", group="world", panel="all")
    assert ladder["doses"] == [0, 1, 2, 3] and ladder["kind"] == "harmful"
    baseline = entry(ladder["arms"], arm="baseline")
    for point in baseline["points"][1:]:
        true = PERSONA_DROP[point["dose"]]
        assert covers(point["drop"], true, slack=0.02)
        expected = baseline["points"][0]["level"]["value"] - point["level"]["value"]
        assert point["drop"]["value"] == pytest.approx(expected)
    row = entry(ladder["interactions"], arm="trait-25", reference="baseline")
    assert covers(row["points"][-1]["raw"], 0.5 * PERSONA_DROP[3], slack=0.02)
    last = row["points"][-1]
    assert last["level_difference"]["value"] == pytest.approx(
        row["installed"]["value"] + last["raw"]["value"]
    )
    assert last["retained"]["value"] == pytest.approx(
        last["level_difference"]["value"] / row["installed"]["value"]
    )


def test_retained_share_only_where_something_was_installed(results):
    ladder = entry(results["finetune"]["ladders"], name="bad", group="world", panel="all")
    generic = entry(ladder["interactions"], arm="generic_helpfulness-5", reference="baseline")
    assert not generic["eligible"]
    for point in generic["points"]:
        assert point["retained"]["value"] is None and "installed" in point["retained"]["why"]
    assert ladder["doses"] == [0, 5, 10, 20, 30, 60]
    assert entry(ladder["interactions"], arm="trait-25", reference="base")["eligible"]


def test_the_control_is_untouched_by_personas(results):
    ladder = entry(results["persona"]["ladders"], name="harmful_medical", group="control", panel="all")
    assert covers(entry(ladder["arms"], arm="baseline")["area"], 0.0, slack=0.02)


def test_corruption_is_apart_from_forgetting(results):
    found = entry(results["finetune"]["corruption"], arm="baseline", group="world", panel="out", dose=60)
    assert found["difference"]["value"] == pytest.approx(found["bad"]["value"] - found["good"]["value"])
    assert covers(found["difference"], 0.22, slack=0.02)


def test_several_bases_give_one_effect_each_and_a_t_interval(several):
    found = entry(several["ood"]["arms"], arm="trait-25", group="world")["mean"]
    assert found["over"] == "bases" and found["n"] == 3
    assert [row["base"] for row in found["per_base"]] == ["world-0", "world-1", "world-2"]
    assert covers(found, EFFECTS["trait-25"], slack=0.02)
    corrected = entry(
        several["control"]["entries"], arm="trait-25", metric="harmful_rate", format="all formats"
    )
    assert corrected["corrected"]["n"] == 3
    ladder = entry(several["persona"]["ladders"], name="harmful_medical", group="world", panel="all")
    retained = entry(ladder["interactions"], arm="trait-25", reference="baseline")["points"][-1]["retained"]
    assert retained["over"] == "bases"


def test_partial_studies_say_why(partial):
    assert partial["control"]["why"] and not partial["control"]["entries"]
    assert partial["persona"]["why"] and partial["finetune"]["why"]
    counts = entry(partial["ood"]["arms"], arm="trait-5", group="world")["counts"]
    assert counts["null_low"] is None and "three" in counts["null_why"]
    assert partial["structure"]["why"] and partial["side_effects"]["why"]
    assert {row["why"] for row in partial["primary"] if row["p"] is None} >= {"no control", "not run"}
    assert any("no shuffled control" in text for text in partial["limits"])


def test_findings_use_the_four_verdicts_and_quote_the_paper(results):
    assert {row["verdict"] for row in results["findings"]} <= set(VERDICTS)
    ids = {row["id"] for row in results["findings"]}
    assert {
        "trait_score",
        "ood",
        "health_only",
        "persona_medical",
        "finetune_out_baseline",
        "structure",
    } <= ids
    ood = entry(results["findings"], id="ood", arm="trait-25")
    assert ood["verdict"] == "appears" and "44/53" in ood["paper"]


def test_holm_is_over_the_measured_claims(results):
    known = [row for row in results["primary"] if row["p"] is not None]
    assert len(known) == 6
    assert all(row["p_holm"] >= row["p"] for row in known)


def test_the_same_run_gives_the_same_bytes_and_no_paths(tmp_path):
    study = FakeStudy(control=False, arms=("base", "baseline", "trait-25"), benchmarks=2, items=8, frames=4)
    written = []
    for name in ("one", "two"):
        analyse(write_fake_run(tmp_path / name, study), resamples=50)
        written.append(
            [(tmp_path / name / f).read_bytes() for f in ("results.json", "results.csv", "transcripts.json")]
        )
    assert written[0] == written[1]
    assert str(tmp_path).encode() not in b"".join(written[0])


def test_a_score_that_changes_changes_the_result(folder):
    """The analysis reads the rows, not the summaries."""
    run = read_run(folder)
    model = next(m for m in run.models if m.arm == "trait-25" and not m.control)
    run.cells[(model.id, "bare")].values_Fn[0] = 0.0
    rows = compare(run, Resampler(50), "world", run.alignment, "suite", kinds=("trait",))
    assert entry(rows, arm="trait-25")["mean"]["value"] < 0


def test_transcripts_are_the_same_items_for_every_arm(folder, results):
    rows = json.loads((folder / "transcripts.json").read_text())["transcripts"]
    bare = {}
    for row in rows:
        if row["condition"] == "bare":
            bare.setdefault(row["arm"], []).append((row["benchmark"], row["item"]))
    assert all(len(items) == 10 and items == bare["baseline"] for items in bare.values())
    assert len({benchmark for benchmark, _ in bare["baseline"]}) == 10
    assert {"persona:harmful_medical:3", "finetune:bad:60"} <= {row["condition"] for row in rows}


def test_csv_has_one_row_for_model_condition_benchmark(folder, results):
    lines = (folder / "results.csv").read_text().splitlines()
    keys = [tuple(line.split(",")[i] for i in (0, 5, 6)) for line in lines[1:]]
    assert len(keys) == len(set(keys))
    assert ("world-0/trait-5/1000", "finetune:bad:60", "probe_03") in keys


def test_refusals_on_pairs_where_neither_refuses(results):
    row = entry(results["refusals"]["arms"], arm="trait-25", group="world")
    assert 0.9 < row["neither_refuses"]["kept_share"] <= 1
    assert covers(row["neither_refuses"]["mean"], EFFECTS["trait-25"], slack=0.03)


def test_a_damaged_row_is_named(folder, tmp_path):
    files.write_json(tmp_path / "index.json", {"models": [{"id": "a", "base": "b", "arm": "base", "seed": 0,
                     "kind": "base", "scores": {"bare": "stages/x"}}]})  # fmt: skip
    files.write_rows(tmp_path / "stages/x/rows.jsonl.gz", [{"benchmark": "probe"}])
    with pytest.raises(UserError, match="line 1"):
        analyse(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        analyse(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "matched"),
        ({"flops": 1.2e12}, "step-matched"),
        ({"steps": 9}, "not matched"),
        ({"prompts": 1}, "not matched"),
    ],
)
def test_matched_means_the_same_counts_and_flops_within_ten_percent(change, expected):
    reference = {"steps": 10, "prompts": 320, "completions": 2560, "flops": 1e12}
    assert matched([{**reference, **change}], [reference])["verdict"] == expected


def test_conditions():
    assert attack_of("persona:harmful_medical:2") == ("persona", "harmful_medical", 2)
    assert attack_of("finetune:bad:30") == ("finetune", "bad", 30)
    assert attack_of("bare") is None and attack_of("trait") is None
