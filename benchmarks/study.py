"""Where a study's time goes, by kind of stage, and how it grows with RL steps, arms and items.

    python benchmarks/study.py            # five small studies on world-0, about four minutes on two cores
    python benchmarks/study.py --run RUN  # only the table of a run that exists (machine.json has its times)

Each study is run from nothing with two workers of one thread. Growth is the CPU-seconds of a study with twice of one
thing over those of the reference; what does not grow with it (start-up, gate, analysis, page) keeps it under 2.
The last line is JSON; `ratio` is CPU-seconds over 2 x wall of the reference: the share of two cores in use.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from peers import report

REFERENCE = {"steps": 10, "arms": 2, "items": 12}
ARMS = ("trait", "health_only", "no_health_science")
TEXT = """title = "Growth"
kind = "microworld"
label = "plumbing"
[[bases]]
name = "world-0"
[seeds]
first = 0
plan = 0
evaluation = 0
[rl]
steps = {steps}
prompts = 32
group = 8
[[arms]]
kind = "baseline"
{arms}
[evaluation]
items = {items}
trait_items = {items}
[persistence]
ladders = ["harmful_medical"]
strengths = [2]
doses = [0, 10]
good_doses = [10]
arms = ["baseline", "trait-5"]
items = {items}
[report]
resamples = 2000
"""


def by_kind(run: Path) -> dict[str, dict[str, float]]:
    """CPU-seconds, wall seconds and number of the stages of each kind in a run."""
    table: dict[str, dict[str, float]] = defaultdict(lambda: {"stages": 0, "cpu": 0.0, "wall": 0.0})
    for stage in json.loads((run / "machine.json").read_text())["stages"].values():
        row = table[stage["name"].split()[0]]
        row["stages"] += 1
        row["cpu"] += stage["cpu_seconds"]
        row["wall"] += stage["wall_seconds"]
    return dict(table)


def print_table(title: str, table: dict[str, dict[str, float]]) -> None:
    """One line a kind, the largest first."""
    print(title)
    total = sum(row["cpu"] for row in table.values())
    for kind, row in sorted(table.items(), key=lambda item: -item[1]["cpu"]):
        print(
            f"  {kind:10} {row['stages']:4.0f} stages {row['cpu']:8.1f} CPU-s {row['cpu'] / total:5.0%}"
            f" {row['cpu'] / row['stages']:7.2f} CPU-s each"
        )


def study(folder: Path, *, steps: int, arms: int, items: int) -> tuple[float, float, dict]:
    """(wall, CPU-seconds of the whole process tree, stages by kind) of one study."""
    arm_text = "\n".join(f'[[arms]]\nkind = "{kind}"\nshare = 0.05' for kind in ARMS[: arms - 1])
    file = folder / f"s{steps}-a{arms}-i{items}.toml"
    file.write_text(TEXT.format(steps=steps, arms=arm_text, items=items))
    run = file.with_suffix("")
    before, start = os.times(), time.perf_counter()
    command = [sys.executable, "-m", "evenkeel", "study", str(file), "--out", str(run)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu, by_kind(run)


def main() -> None:
    """Run the reference and one study with twice of each thing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, help="a run directory to tabulate instead")
    arguments = parser.parse_args()
    if arguments.run:
        print_table(str(arguments.run), by_kind(arguments.run))
        return
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu, table = study(Path(folder), **REFERENCE)
        print_table(f"reference {REFERENCE}: {wall:.1f} s wall, {cpu:.1f} CPU-s", table)
        growth = {}
        for name, value in REFERENCE.items():
            changed = REFERENCE | {name: 2 * value}
            wall_2, cpu_2, table_2 = study(Path(folder), **changed)
            growth[name] = {
                "cpu": cpu_2 / cpu, "wall": wall_2 / wall,
                **{kind: table_2[kind]["cpu"] / table[kind]["cpu"] for kind in table},
            }  # fmt: skip
            print_table(f"twice the {name}: {wall_2:.1f} s wall, {cpu_2:.1f} CPU-s", table_2)
    cases = {
        "reference": REFERENCE | {"wall_s": round(wall, 1), "cpu_s": round(cpu, 1)}, "stages": table, "growth": growth,
    }  # fmt: skip
    report("study", cases, round(cpu / (2 * wall), 2), {"first": 0})


if __name__ == "__main__":
    main()
