"""An arm against the mean of the baseline seeds over a set of benchmarks: rows, counts, and their null.

Shapes: _N the run's item table, _K frames of one benchmark, _A arms, _S baseline seeds, _Q benchmarks compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evenkeel.report import statistics, statistics_suite
from evenkeel.report.analysis_quantity import Resampler, Sampled, finite, missing, quantity
from evenkeel.report.analysis_read import Bench, Run
from evenkeel.report.statistics import Interval

ALPHA = 0.05
FEW_SEEDS = "fewer than three baseline seeds: no null of k of N"
FEW_MODELS = "fewer than five models, or benchmarks that do not vary"


@dataclass(slots=True)
class Block:
    """One base: for each benchmark the means of [baseline, *arms] and the frame sums of arm minus baseline."""

    base: str
    arms: tuple[str, ...]
    parts: dict[str, Sampled]  # benchmark -> columns [baseline, *arms]
    gaps: dict[str, np.ndarray]  # benchmark -> [K, A] sums of differences / items
    seed_gaps: dict[str, np.ndarray]  # benchmark -> [K, S] each baseline seed minus the mean of the others
    seed_scores: dict[str, np.ndarray]  # benchmark -> [S] baseline seeds
    suite: Sampled | None


def masked(column_N: np.ndarray, mask_N: np.ndarray | None) -> np.ndarray:
    """The column with NaN outside the mask."""
    return column_N if mask_N is None else np.where(mask_N, column_N, np.nan)


def make_block(
    run: Run,
    resampler: Resampler,
    base: str,
    arms: Sequence[str],
    benchmarks: Sequence[Bench],
    mask_N: np.ndarray | None = None,
) -> Block | None:
    """Everything about one base; None when it has no baseline or no benchmark of the set."""
    baseline = run.baseline_arm()
    seeds = [run.dense(m, "bare", "score") for m in run.of(base, baseline)]
    seeds_NS = [masked(s, mask_N) for s in seeds if s is not None]
    levels = {arm: run.bare_mean(base, arm, "score") for arm in arms}
    here = tuple(arm for arm in arms if levels[arm] is not None)
    if not seeds_NS or not here:
        return None
    columns = [np.mean(seeds_NS, axis=0)] + [masked(levels[arm], mask_N) for arm in here]  # type: ignore[arg-type]
    columns_NM, seeds_arr = np.stack(columns, axis=1), np.stack(seeds_NS, axis=1)
    block = Block(base, here, {}, {}, {}, {}, None)
    for bench in benchmarks:
        part = resampler.means(bench, columns_NM)
        if part is None:
            continue
        block.parts[bench.name] = part
        gaps_NA = columns_NM[:, 1:] - columns_NM[:, :1]
        block.gaps[bench.name] = resampler.sums(bench, gaps_NA)[0] / part.items
        count = seeds_arr.shape[1]
        if count >= statistics_suite.MINIMUM_SEEDS:
            others_NS = (seeds_arr.sum(axis=1, keepdims=True) - seeds_arr) / (count - 1)
            block.seed_gaps[bench.name] = resampler.sums(bench, seeds_arr - others_NS)[0]
        seed_sums_KS, sizes_K = resampler.sums(bench, seeds_arr)
        block.seed_scores[bench.name] = seed_sums_KS.sum(axis=0) / sizes_K.sum()
    if not block.parts:
        return None
    parts = list(block.parts.values())
    block.suite = Sampled(
        np.mean([p.value_M for p in parts], axis=0),
        np.sum([p.samples_RM for p in parts], axis=0) / len(parts),
        tuple(p.clusters[0] for p in parts),
        sum(p.items for p in parts),
    )
    return block


def _gap(part: Sampled, arm: int) -> tuple[Interval, int]:
    """Arm minus baseline: its interval and the items behind it."""
    value = float(part.value_M[arm + 1] - part.value_M[0])
    return part.column(value, part.samples_RM[:, arm + 1] - part.samples_RM[:, 0]), part.items


def _stack(blocks: Sequence[Block], name: str, attribute: str, columns: Sequence[int]) -> np.ndarray:
    """[K, 1] frame sums summed over bases; frames are the same questions in all of them, so they flip together."""
    pieces = [getattr(b, attribute)[name][:, c] for b, c in zip(blocks, columns, strict=True)]
    same = len({len(piece) for piece in pieces}) == 1
    return (np.sum(pieces, axis=0) if same else np.concatenate(pieces))[:, None]


def compare(
    run: Run,
    resampler: Resampler,
    group: str,
    benchmarks: Sequence[Bench],
    subset: str,
    *,
    mask_N: np.ndarray | None = None,
    kinds: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """A Comparison (docs/results-schema.md) for every arm but the baseline in the bases of `group`."""
    table = [row for row in run.arms() if row[1] != "baseline" and (kinds is None or row[1] in kinds)]
    names = [row[0] for row in table]
    made = [make_block(run, resampler, base, names, benchmarks, mask_N) for base in run.bases(group)]
    blocks = [block for block in made if block is not None]
    shared = Shared.of(run, blocks, group, mask_N)
    out = []
    for arm, kind, share in table:
        mine = [block for block in blocks if arm in block.arms]
        if not mine:
            continue
        about = {
            "arm": arm,
            "kind": kind,
            "share": share,
            "group": group,
            "reference": "baseline",
            "subset": subset,
        }
        out.append({**about, **_comparison(run, mine, arm, benchmarks, shared)})
    return out


def _comparison(
    run: Run, blocks: Sequence[Block], arm: str, benchmarks: Sequence[Bench], shared: Shared
) -> dict:
    """Rows, counts and means of one arm."""
    rows = [
        row
        for bench in benchmarks
        if all(bench.name in block.parts for block in blocks)
        for row in [_row(run, blocks, arm, bench)]
    ]
    if not rows:
        empty = missing("no benchmark of this set was measured")
        return {"n": 0, "mean": empty, "arm_level": empty, "reference_level": empty, "counts": None, "per_base": [],
                "rows": [], "why": "no benchmark of this set was measured"}  # fmt: skip
    judge(rows)
    counts = count_up(rows, shared.null_of(blocks, [r["benchmark"] for r in rows]), shared)
    per_base = []
    for block in blocks:
        mine = [_row(run, [block], arm, bench) for bench in benchmarks if bench.name in block.parts]
        judge(mine)
        null = shared.null_of([block], [r["benchmark"] for r in mine])
        per_base.append({"base": block.base, "counts": count_up(mine, null, shared)})
    level = {b.base: (b.suite.intervals()[b.arms.index(arm) + 1], b.suite.items) for b in blocks if b.suite}
    reference = {b.base: (b.suite.intervals()[0], b.suite.items) for b in blocks if b.suite}
    return {
        "n": len(rows),
        "mean": quantity({b.base: _gap(b.suite, b.arms.index(arm)) for b in blocks if b.suite}),
        "arm_level": quantity(level),
        "reference_level": quantity(reference),
        "counts": counts,
        "per_base": per_base,
        "rows": sorted(rows, key=lambda row: (-row["difference"], row["benchmark"])),
        "why": None,
    }


def _row(run: Run, blocks: Sequence[Block], arm: str, bench: Bench) -> dict[str, Any]:
    """One benchmark of one arm; q and q_by are filled in by `judge`."""
    columns = [block.arms.index(arm) for block in blocks]
    parts = [block.parts[bench.name] for block in blocks]
    pooled = quantity({b.base: _gap(p, c) for b, p, c in zip(blocks, parts, columns, strict=True)})
    sums_K1 = _stack(blocks, bench.name, "gaps", columns)
    p = statistics.sign_flip(sums_K1)[0]
    baseline = run.baseline_arm()
    bases = [block.base for block in blocks]
    untouched = [
        p for p in (_plain_mean(run, base, "base", bench, "score") for base in bases) if p is not None
    ]
    return {
        "benchmark": bench.name.removeprefix("trait_eval:"),
        "category": bench.category,
        "format": bench.format,
        "health": bench.health,
        "arm": float(np.mean([p.value_M[c + 1] for p, c in zip(parts, columns, strict=True)])),
        "baseline": float(np.mean([p.value_M[0] for p in parts])),
        "base": finite(float(np.mean(untouched))) if untouched else None,
        "difference": pooled["value"],
        **{key: pooled[key] for key in ("low", "high", "over", "n")},
        "items": parts[0].items,
        "p": float(p),
        "q": None,
        "q_by": None,
        "p_bases": pooled["p"] if pooled["over"] == "bases" else None,
        "significant": None,
        "per_base": [
            {"base": row["base"], "difference": row["value"], "low": row["low"], "high": row["high"]}
            for row in pooled["per_base"]
        ],
        "good_share": {
            "arm": _share(run, bases, arm, bench),
            "baseline": _share(run, bases, baseline, bench),
        },
        "harmful_rate": {
            "arm": _rate(run, bases, arm, bench, "harmful"),
            "baseline": _rate(run, bases, baseline, bench, "harmful"),
        },
    }


def _plain_mean(run: Run, base: str, arm: str, bench: Bench, name: str) -> float | None:
    column_N = run.bare_mean(base, arm, name)
    if column_N is None:
        return None
    values_n = column_N[bench.items_N]
    values_n = values_n[np.isfinite(values_n)]
    return float(values_n.mean()) if len(values_n) else None


def _rate(run: Run, bases: Sequence[str], arm: str, bench: Bench, name: str) -> float | None:
    """Mean over bases of a rate; None where not measured."""
    found = [v for v in (_plain_mean(run, base, arm, bench, name) for base in bases) if v is not None]
    return float(np.mean(found)) if found else None


def _share(run: Run, bases: Sequence[str], arm: str, bench: Bench) -> float | None:
    """good / (good + harmful); None when no reply took a side."""
    good, harmful = _rate(run, bases, arm, bench, "good"), _rate(run, bases, arm, bench, "harmful")
    return None if good is None or harmful is None or good + harmful == 0 else good / (good + harmful)


def judge(rows: Sequence[dict[str, Any]]) -> None:
    """Fill in q, q_by and `significant` of the rows of one comparison: one family, its N."""
    p = np.array([row["p"] for row in rows])
    q, q_by = statistics.adjust(p, "fdr_bh"), statistics.adjust(p, "fdr_by")
    for row, each, each_by in zip(rows, q, q_by, strict=True):
        row["q"], row["q_by"] = float(each), float(each_by)
        row["significant"] = _verdict(row, each)


def _verdict(row: Mapping[str, Any], q: float) -> str | None:
    if q >= ALPHA or row["difference"] == 0:
        return None
    return "gain" if row["difference"] > 0 else "loss"


def count_up(
    rows: Sequence[Mapping[str, Any]], null: statistics_suite.NullCount | None, shared: Shared
) -> dict:
    """`counts` of the schema for the rows of one comparison."""
    gaps = np.array([row["difference"] for row in rows])
    by = [_verdict(row, row["q_by"]) for row in rows]
    families = dict.fromkeys(row["category"] for row in rows)
    return {
        "ahead": int((gaps > 0).sum()),
        "behind": int((gaps < 0).sum()),
        "tied": int((gaps == 0).sum()),
        "n": len(rows),
        "null_low": null.low if null else None,
        "null_high": null.high if null else None,
        "null_mean": null.mean if null else None,
        "null_pairs": null.pairs if null else 0,
        "null_why": None if null else FEW_SEEDS,
        "significant_gains": sum(row["significant"] == "gain" for row in rows),
        "significant_losses": sum(row["significant"] == "loss" for row in rows),
        "significant_gains_by": by.count("gain"),
        "significant_losses_by": by.count("loss"),
        "null_significant": shared.null_significant,
        "by_family": [_family(name, [r for r in rows if r["category"] == name]) for name in families],
        "effective_number": shared.effective[0] if shared.effective else None,
        "mean_correlation": shared.effective[1] if shared.effective else None,
        "effective_why": None if shared.effective else FEW_MODELS,
    }


def _family(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "family": name,
        "n": len(rows),
        "ahead": sum(row["difference"] > 0 for row in rows),
        "gains": sum(row["significant"] == "gain" for row in rows),
        "losses": sum(row["significant"] == "loss" for row in rows),
        "mean": float(np.mean([row["difference"] for row in rows])),
    }


@dataclass(slots=True)
class Shared:
    """What all arms of one comparison share: nulls from the baseline seeds, correlation of the benchmarks."""

    effective: tuple[float, float] | None
    null_significant: dict[str, Any] | None

    @staticmethod
    def of(run: Run, blocks: Sequence[Block], group: str, mask_N: np.ndarray | None) -> Shared:
        """Computed once for a group and a set of benchmarks."""
        if not blocks:
            return Shared(None, None)
        names = [name for name in blocks[0].parts if all(name in block.parts for block in blocks)]
        benches = [bench for bench in run.benchmarks if bench.name in names]
        scores_DN, group_D = score_table(run, group, benches, mask_N)
        centred_DN = scores_DN.copy()
        for each in np.unique(group_D):
            centred_DN[group_D == each] -= scores_DN[group_D == each].mean(axis=0)
        return Shared(statistics_suite.effective_number(centred_DN), _null_significant(blocks, names))

    def null_of(self, blocks: Sequence[Block], names: Sequence[str]) -> statistics_suite.NullCount | None:
        """Null of k of N over these benchmarks (names may be trait slugs)."""
        tables = []
        for block in blocks:
            keys = [n if n in block.seed_scores else "trait_eval:" + n for n in names]
            tables.append(np.stack([block.seed_scores[key] for key in keys], axis=1))
        return statistics_suite.null_of_ahead(tables)


def score_table(
    run: Run, group: str, benchmarks: Sequence[Bench], mask_N: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """([D, Q] bare scores of all models of a group that played all benchmarks, [D] number of their base)."""
    rows, bases = [], []
    order = {base: i for i, base in enumerate(run.bases(group))}
    for model in run.models:
        dense_N = run.dense(model, "bare", "score")
        if model.base not in order or dense_N is None:
            continue
        dense_N = masked(dense_N, mask_N)
        scores = [dense_N[bench.items_N] for bench in benchmarks]
        if any(not np.isfinite(s).any() for s in scores):
            continue
        rows.append([float(np.nanmean(s)) for s in scores])
        bases.append(order[model.base])
    return np.array(rows).reshape(len(rows), len(benchmarks)), np.array(bases, dtype=np.int64)


def _null_significant(blocks: Sequence[Block], names: Sequence[str]) -> dict[str, Any] | None:
    """Significant gains and losses of one baseline seed against the mean of the others, averaged over seeds."""
    if any(not block.seed_gaps for block in blocks):
        return None
    count = min(next(iter(block.seed_gaps.values())).shape[1] for block in blocks)
    gains = losses = 0
    for s in range(count):
        sums = [_stack(blocks, name, "seed_gaps", [s] * len(blocks)) for name in names]
        p = np.array([statistics.sign_flip(sums_K1)[0] for sums_K1 in sums])
        found = statistics.adjust(p, "fdr_bh") < ALPHA
        signs = np.array([float(sums_K1.sum()) for sums_K1 in sums])
        gains += int((found & (signs > 0)).sum())
        losses += int((found & (signs < 0)).sum())
    return {"gains": gains / count, "losses": losses / count, "comparisons": count}
