"""Is a published result still that of the code? `python -m evenkeel.study.stale RUN` exits with 1 when it is not.

A change of code that should change no number can be shown to change none without running a long study again: run a
shorter study with the code that made the result and with the code at hand, then

    python -m evenkeel.study.stale RUN --same OLD NEW

compares the two runs byte by byte and keeps the proof in RUN/verified.json, for exactly the code at hand.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from evenkeel.records.canonical import file_hash
from evenkeel.records.errors import UserError
from evenkeel.records.files import read_json, write_json
from evenkeel.study.graph import results_code
from evenkeel.study.run import STUDY, VERSIONS, read_run_study

VERIFIED = "verified.json"
COMPARED = (STUDY, "results.json", "results.csv", "transcripts.json")


def stale(run: Path) -> str:
    """Why the results in a run directory are not what the code at hand would compute; empty when they are."""
    made_by = read_json(run / VERSIONS).get("code")
    now = results_code(read_run_study(run).kind)
    if now in (made_by, proof(run).get("code")):
        return ""
    return f"{run}: made by code {made_by}, the code at hand is {now}. Run the study again to publish it."


def proof(run: Path) -> dict[str, Any]:
    """What `verify` has kept, for a result that its own code has since left behind; {} without."""
    return read_json(run / VERIFIED) if (run / VERIFIED).exists() else {}


def verify(run: Path, old: Path, new: Path) -> None:
    """Keep the proof that two runs of one study, by the code of `run` and by the code at hand, are equal.

    Raises UserError when they are by other code, of other studies, or differ in a byte.
    """
    made_by, now = read_json(run / VERSIONS).get("code"), results_code(read_run_study(run).kind)
    for folder, code in ((old, made_by), (new, now)):
        found = read_json(folder / VERSIONS).get("code")
        if found != code:
            raise UserError(
                f"made by code {found}, not {code}", file=folder, fix="Run the study with that code."
            )
    for name in COMPARED:
        if file_hash(old / name) != file_hash(new / name):
            raise UserError(f"{name} differs from that of {old}", file=new, fix="Run the long study again.")
    study = read_run_study(old)
    write_json(run / VERIFIED, {
        "code": now, "made_by": made_by, "study": study.title, "equal": {name: file_hash(new / name) for name in COMPARED},
    })  # fmt: skip


def main(arguments: list[str]) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m evenkeel.study.stale", description=__doc__.splitlines()[0]
    )
    parser.add_argument("run", type=Path)
    parser.add_argument(
        "--same", type=Path, nargs=2, metavar=("OLD", "NEW"), help="runs by its code and by this one"
    )
    chosen = parser.parse_args(arguments)
    try:
        if chosen.same:
            verify(chosen.run, *chosen.same)
    except UserError as error:
        print(error)
        return 1
    why = stale(chosen.run)
    kept = proof(chosen.run)
    shown = f'; "{kept["study"]}" has the same bytes under both' if kept and not why else ""
    print(why or f"{chosen.run}: what the code at hand computes{shown}")
    return 1 if why else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
