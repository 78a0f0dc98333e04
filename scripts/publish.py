"""Copy what a reader needs of a finished run into results/NAME, for the repository: no checkpoints, no rows.

    python scripts/publish.py RUN results/microworld-full --command "evenkeel study microworld-full"

report.html, results.json (compressed), results.csv, transcripts.json, study.toml, versions.json and the gates as they are;
every plan once (arms of one kind share theirs over bases and seeds), every ledger and every step's metrics, compressed;
COMMAND.md says what made them and how to check it. machine.json stays behind but for hardware and seconds: it holds paths.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

AS_THEY_ARE = (
    "report.html",
    "results.csv",
    "transcripts.json",
    "study.toml",
    "versions.json",
)


def read(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text())


def packed(path: Path, content: bytes) -> None:
    """gzip with no time or name in it: equal content, equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0))


def seconds(run: Path) -> tuple[dict[str, dict[str, float]], str]:
    """CPU and wall seconds by kind of stage, and the hardware, without any path."""
    machine = read(run / "machine.json")
    table: dict[str, dict[str, float]] = defaultdict(
        lambda: {"stages": 0, "cpu_seconds": 0.0, "wall_seconds": 0.0}
    )
    for stage in machine["stages"].values():
        row = table[stage["name"].split()[0]]
        row["stages"] += 1
        row["cpu_seconds"] += stage["cpu_seconds"]
        row["wall_seconds"] += stage["wall_seconds"]
    first = machine["sessions"][0]
    return dict(table), f"{first['usable_cores']} cores, {first['cpu']}"


def publish(run: Path, out: Path, command: str) -> None:
    """Write the folder anew."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name in AS_THEY_ARE:
        shutil.copyfile(run / name, out / name)
    packed(out / "results.json.gz", (run / "results.json").read_bytes())
    index = read(run / "index.json")
    ledgers, gates, plans = {}, {}, {}
    for base in index["bases"]:
        gates[base["name"]] = read(run / base["gate"] / "gate.json")
    for model in index["models"]:
        if not model["train"]:
            continue
        folder = run / model["train"]
        ledgers[model["id"]] = read(folder / "ledger.json")
        plan = (folder / "plan.json").read_bytes()
        name = f"{model['arm']}-{ledgers[model['id']]['identity']['plan']}"
        plans[model["id"]] = name
        packed(out / "plans" / f"{name}.json.gz", plan)
        packed(
            out / "steps" / f"{model['id'].replace('/', '.')}.jsonl.gz", (folder / "steps.jsonl").read_bytes()
        )
    for name, content in (("ledgers", ledgers), ("gates", gates), ("plans", plans)):
        (out / f"{name}.json").write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    table, hardware = seconds(run)
    lines = [
        f"# {out.name}", "", f"Made by `{command}` on {hardware}; one thread a worker. Seeds and sizes are in `study.toml`,",
        "versions and the hash of the code in `versions.json`; `python -m evenkeel.study.stale` says whether the code has",
        "changed since. `plans.json` names each model's plan in `plans/`; `steps/` has every model's metrics, a line a step.", "",
        "| stages | number | CPU-seconds | wall seconds, summed |", "|---|---|---|---|",
        *(f"| {kind} | {row['stages']} | {row['cpu_seconds']:.0f} | {row['wall_seconds']:.0f} |"
          for kind, row in sorted(table.items())),
        f"| all | {sum(row['stages'] for row in table.values())} | {sum(row['cpu_seconds'] for row in table.values()):.0f} | |",
    ]  # fmt: skip
    (out / "COMMAND.md").write_text("\n".join(lines) + "\n")


def main() -> None:
    """Parse and publish."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--command", required=True, help="what made the run")
    arguments = parser.parse_args()
    publish(arguments.run, arguments.out, arguments.command)
    size = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
    print(f"{arguments.out}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
