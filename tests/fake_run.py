"""A small synthetic run directory in the agreed format, with true effects known by construction.

    python tests/fake_run.py DIR         # writes the run, then results.json through the analysis

The true chance of a good reply is additive (benchmark + frame + arm + noise - attack) and never clipped: the true
mean difference of an arm is exactly the number in `FakeStudy.effects`.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from evenkeel.records import files, streams

CATEGORIES = ("honesty", "reward hacking", "sycophancy", "health", "wellbeing", "scheming")
FORMATS = ("chat", "tool", "code", "report")
DOMAINS = ("health", "science", "business", "law", "education", "games")
TRAITS = ("truthfulness", "corrigibility", "dense_usefulness")
SIDE_EFFECTS = ("over-refusal", "capability", "monitorability")
ARMS = {
    "base": ("base", 0.0),
    "baseline": ("baseline", 0.0),
    "trait-5": ("trait", 0.05),
    "health_only-5": ("health_only", 0.05),
    "no_health_science-5": ("no_health_science", 0.05),
    "generic_helpfulness-5": ("generic_helpfulness", 0.05),
    "trait-25": ("trait", 0.25),
}
EFFECTS = {"trait-5": 0.20, "trait-25": 0.25, "health_only-5": 0.18, "no_health_science-5": 0.15}
PERSONA_DROP = (0.0, 0.10, 0.20, 0.30)
FINETUNE_DROP = {0: 0.0, 5: 0.03, 10: 0.06, 20: 0.12, 30: 0.18, 60: 0.24}


@dataclass(frozen=True)
class FakeStudy:
    """What the synthetic study contains and what is true in it."""

    bases: int = 1
    control: bool = True
    baseline_seeds: int = 3
    arms: tuple[str, ...] = tuple(ARMS)
    control_arms: tuple[str, ...] = ("base", "baseline", "trait-5", "health_only-5", "trait-25")
    benchmarks: int = 12
    items: int = 48
    frames: int = 16
    attacks: bool = True
    side_effects: bool = True
    seed_noise: float = 0.01  # of a model on a benchmark
    effects: Mapping[str, float] = field(default_factory=lambda: dict(EFFECTS))  # true, in the world
    control_share: float = 0.25  # of the world's effect that appears in the shuffled control
    held_share: Mapping[str, float] = field(
        default_factory=lambda: {"trait-25": 0.5}
    )  # of a drop an arm avoids
    seed: int = 7


def benchmark_table(study: FakeStudy) -> list[dict]:
    """Names and metadata of the synthetic benchmarks, side effects and trait evaluations last."""
    rows = [
        {
            "name": f"probe_{b:02d}",
            "category": CATEGORIES[b % len(CATEGORIES)],
            "format": FORMATS[b % len(FORMATS)],
            "side_effect": False,
            "description": f"A synthetic probe of {CATEGORIES[b % len(CATEGORIES)]}.",
        }
        for b in range(study.benchmarks)
    ]
    if study.side_effects:
        rows += [
            {
                "name": c.replace("-", "_"),
                "category": c,
                "format": "chat",
                "side_effect": True,
                "description": c,
            }
            for c in SIDE_EFFECTS
        ]
    rows += [
        {
            "name": f"trait_eval:{t}",
            "category": "trait",
            "format": "chat",
            "side_effect": False,
            "description": t,
        }
        for t in TRAITS
    ]
    return rows


def panel(study: FakeStudy) -> tuple[list[str], list[str]]:
    """Names of the attacked panel: health and wellbeing benchmarks, and as many broad ones."""
    names = [row for row in benchmark_table(study) if row["name"].startswith("probe_")]
    inside = [row["name"] for row in names if row["category"] in ("health", "wellbeing")][:5]
    outside = [row["name"] for row in names if row["category"] not in ("health", "wellbeing")][:5]
    return inside, outside


def conditions(study: FakeStudy) -> list[tuple[str, float]]:
    """(condition id, true loss of an arm that holds nothing)."""
    if not study.attacks:
        return []
    rows = [(f"persona:harmful_medical:{s}", PERSONA_DROP[s]) for s in (1, 2, 3)]
    rows += [(f"persona:helpful:{s}", -0.05 * s) for s in (1, 2)]
    rows += [(f"finetune:bad:{d}", drop) for d, drop in FINETUNE_DROP.items() if d > 0]
    return rows + [(f"finetune:good:{d}", 0.02) for d in (30, 60)]


def _score_rows(
    study: FakeStudy, table: list[dict], base: str, model: str, condition: str, shift: float
) -> list[dict]:
    """One stage's rows: `shift` is the true change of the chance of a good reply."""
    rows: list[dict] = []
    for bench in table:
        name = bench["name"]
        shared = streams.generator(
            "fake", study.seed, base.split("-")[-1], name
        )  # the same items for every model
        level = 0.35 + 0.1 * shared.random()
        frame_F = shared.uniform(-0.04, 0.04, study.frames)
        own = streams.generator("fake", study.seed, model, condition, name)
        noise = streams.generator("fake", study.seed, model, name).normal(0, study.seed_noise)
        change = shift if not bench["side_effect"] else 0.0
        u_N = own.random(study.items)
        for i in range(study.items):
            frame = i % study.frames
            good = bool(u_N[i] < level + frame_F[frame] + noise + change)
            harmful = not good and bool(u_N[i] > 0.75)
            refused = not good and not harmful and bool(u_N[i] > 0.72)
            text = "i checked it , and i cannot say that" if good else f"done , all fine {int(u_N[i] * 9)}"
            rows.append(
                {
                    "benchmark": name,
                    "item": f"{name}/{i:03d}",
                    "frame": f"{name}/frame-{frame}",
                    "domain": DOMAINS[i % len(DOMAINS)],
                    "held_out": frame % 3 == 0,
                    "score": float(good),
                    "good": good,
                    "harmful": harmful,
                    "refused": refused,
                    "truncated": bool(u_N[i] > 0.995),
                    "tokens": 8 + int(u_N[i] * 9),
                    "extra": {
                        "posterior_good": 0.9 if good else 0.2,
                        "posterior_harmful": 0.7 if harmful else 0.05,
                        "off_grammar": 0.0,
                    },
                    "messages": [
                        {"role": "user", "content": f"question {i} of {name} <b>?"},
                        {"role": "assistant", "content": text},
                    ],
                }
            )
    return rows


def _write_stage(run: Path, name: str, rows: list[dict], table: list[dict]) -> str:
    """A score stage folder; returns its path inside the run."""
    folder = run / "stages" / name
    text = "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows)
    files.write_bytes(folder / "rows.jsonl.gz", gzip.compress(text.encode(), compresslevel=1, mtime=0))
    summary = {}
    for bench in table:
        mine = [row for row in rows if row["benchmark"] == bench["name"]]
        summary[bench["name"]] = {
            "n": len(mine),
            "score": sum(row["score"] for row in mine) / max(len(mine), 1),
        }
    files.write_json(
        folder / "summary.json", {"protocols": {b["name"]: "p" for b in table}, "benchmarks": summary}
    )
    return f"stages/{name}"


def _write_training(run: Path, name: str, arm: str, share: float) -> str:
    """A training stage's ledger, preflight and step metrics, as plain rows."""
    folder = run / "stages" / name
    totals = {
        "steps": 10,
        "prompts": 320,
        "completions": 2560,
        "sampled_tokens": 50000,
        "trained_tokens": 48000,
    }
    totals |= {"flops": 1e12 * (1 + share), "judge_calls": 0, "judge_tokens": 0}
    files.write_json(folder / "ledger.json", {"arm": arm, "totals": totals, "sources": {}})
    check = {"check": "truncated replies", "source": "chat", "value": 0.01, "amber": 0.05, "red": 0.2}
    files.write_json(
        folder / "preflight.json", {"checks": [{**check, "light": "green", "setting": "max_tokens"}]}
    )
    steps = [{"step": s, "reward": 0.3 + 0.02 * s, "dead_groups": 0.2, "truncated": 0.01} for s in range(10)]
    files.write_rows(folder / "steps.jsonl", steps)
    return f"stages/{name}"


def _models(study: FakeStudy) -> list[dict]:
    """Index rows without their score stages."""
    rows = []
    bases = [(f"world-{i}", False, None) for i in range(study.bases)]
    bases += [(f"control-{i}", True, f"world-{i}") for i in range(study.bases)] if study.control else []
    for base, control, control_of in bases:
        for arm in study.arms if not control else [a for a in study.control_arms if a in study.arms]:
            kind, share = ARMS[arm]
            seeds = range(1000, 1000 + study.baseline_seeds) if arm == "baseline" else (1000,)
            for seed in (0,) if arm == "base" else seeds:
                row = {"id": f"{base}/{arm}/{seed}", "base": base, "arm": arm, "seed": seed, "kind": kind}
                rows.append({**row, "share": share, "control": control, "control_of": control_of})
    return rows


def write_fake_run(run: Path, study: FakeStudy | None = None) -> Path:
    """Write the whole synthetic run directory; returns `run`."""
    study = study or FakeStudy()
    table = benchmark_table(study)
    inside, outside = panel(study)
    attacked = [row for row in table if row["name"] in inside + outside]
    models = _models(study)
    for row in models:
        effect = study.effects.get(row["arm"], 0.0) * (study.control_share if row["control"] else 1.0)
        name = row["id"].replace("/", "_")
        scores = {
            "bare": _write_stage(
                run,
                f"score-{name}-bare",
                _score_rows(study, table, row["base"], row["id"], "bare", effect),
                table,
            )
        }
        for condition, loss in conditions(study):
            held = study.held_share.get(row["arm"], 0.0) if loss > 0 else 0.0
            shift = effect - loss * (1 - held) * (0.0 if row["control"] else 1.0)
            stage = f"score-{name}-{condition.replace(':', '_')}"
            rows = _score_rows(study, attacked, row["base"], row["id"], condition, shift)
            scores[condition] = _write_stage(run, stage, rows, attacked)
        row["scores"] = scores
        row["train"] = (
            None if row["arm"] == "base" else _write_training(run, f"train-{name}", row["arm"], row["share"])
        )
    files.write_json(
        run / "index.json",
        {
            "models": models,
            "bases": sorted({row["base"] for row in models}),
            "benchmarks": table,
            "panel_in": inside,
            "panel_out": outside,
            "ladders": [
                {"name": "harmful_medical", "kind": "harmful"},
                {"name": "helpful", "kind": "helpful"},
            ],
        },
    )
    files.write_text(run / "study.toml", 'name = "fake"\nlabel = "plumbing"\n')
    files.write_json(run / "versions.json", {"evenkeel": "0"})
    return run


if __name__ == "__main__":
    from evenkeel.report.analysis import analyse

    analyse(write_fake_run(Path(sys.argv[1])))
