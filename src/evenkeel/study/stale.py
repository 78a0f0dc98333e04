"""Is a published result still that of the code? `python -m evenkeel.study.stale RUN` exits with 1 when it is not."""

from __future__ import annotations

import sys
from pathlib import Path

from evenkeel.records.files import read_json
from evenkeel.study.graph import results_code
from evenkeel.study.run import VERSIONS, read_run_study


def stale(run: Path) -> str:
    """Why the results in a run directory are not what the code at hand would compute; empty when they are."""
    made_by = read_json(run / VERSIONS).get("code")
    now = results_code(read_run_study(run).kind)
    if made_by == now:
        return ""
    return f"{run}: made by code {made_by}, the code at hand is {now}. Run the study again to publish it."


if __name__ == "__main__":
    why = stale(Path(sys.argv[1]))
    print(why or f"{sys.argv[1]}: made by the code at hand")
    sys.exit(1 if why else 0)
