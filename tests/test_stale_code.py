"""The hash that calls published results stale covers every module that the workers and the analysis import."""

import ast
from pathlib import Path

import evenkeel
from evenkeel.study.graph import ANALYSING, ATTACKING
from evenkeel.study.materials import CODE

ROOT = Path(evenkeel.__file__).parent
# What runs stages, not what computes in them; its effect on a number is covered by the kill tests.
RUNNERS = {"study/stages.py", "study/config.py", "study/materials.py", "__init__.py"}


def imported(path: Path) -> set[str]:
    """Files of the package that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            file = ROOT.parent / (name.replace(".", "/") + ".py")
            if name.startswith("evenkeel.") and file.exists():
                found.add(file.relative_to(ROOT).as_posix())
    return found


def reached(start: str) -> set[str]:
    """Everything that a module imports, directly or not."""
    seen, open_ones = set(), {start}
    while open_ones:
        seen |= open_ones
        open_ones = {name for one in open_ones for name in imported(ROOT / one)} - seen
    return seen


def covered(name: str, parts: tuple[str, ...]) -> bool:
    return any(name == part or name.startswith(part + "/") for part in parts)


def test_the_code_hash_covers_what_computes_results():
    parts = (*ATTACKING, *ANALYSING, *CODE["microworld"])
    starts = ("study/work.py", "microworld/materials.py", "report/analysis.py")
    missing = {
        name
        for start in starts
        for name in reached(start)
        if not covered(name, parts) and name not in RUNNERS
    }
    assert not missing, "add them to TRAINING, MEASURING or ANALYSING in study/graph.py"


def test_the_check_can_fail():
    parts = tuple(part for part in ATTACKING if part != "grading/aggregate.py")
    assert not covered("grading/aggregate.py", parts)
    assert "grading/aggregate.py" in reached("study/work.py")
