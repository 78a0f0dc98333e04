"""The hash that calls published results stale covers every module that the workers and the analysis import."""

import ast
from pathlib import Path

import pytest

import evenkeel
from evenkeel.records.files import write_json, write_text
from evenkeel.study.config import find_study
from evenkeel.study.graph import ANALYSING, ATTACKING
from evenkeel.study.materials import CODE
from evenkeel.study.stale import main

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


@pytest.fixture
def three_runs(tmp_path, monkeypatch):
    """A published run by old code, and a short study's run by that code and by the code at hand."""
    monkeypatch.setattr("evenkeel.study.stale.results_code", lambda kind: "new")
    study = find_study("nano")[0]
    for name, code in (("published", "old"), ("old", "old"), ("new", "new")):
        folder = tmp_path / name
        write_json(folder / "versions.json", {"code": code})
        write_text(folder / "study.toml", study)
        for file in ("results.json", "results.csv", "transcripts.json"):
            write_text(folder / file, f"the same {file}")
    return tmp_path


def test_equal_runs_by_both_codes_clear_a_published_result(three_runs, capsys):
    published, old, new = (str(three_runs / name) for name in ("published", "old", "new"))
    assert main([published]) == 1
    assert main([published, "--same", old, new]) == 0
    assert '"Nano" has the same bytes under both' in capsys.readouterr().out
    assert main([published]) == 0


@pytest.mark.parametrize(
    "spoil, told",
    [
        (lambda runs: write_text(runs / "new" / "results.json", "another"), "results.json differs"),
        (
            lambda runs: write_json(runs / "new" / "versions.json", {"code": "older"}),
            "made by code older, not new",
        ),
        (
            lambda runs: write_json(runs / "old" / "versions.json", {"code": "new"}),
            "made by code new, not old",
        ),
        (
            lambda runs: write_text(runs / "new" / "study.toml", find_study("microworld")[0]),
            "study.toml differs",
        ),
    ],
)
def test_what_is_not_shown_to_be_equal_stays_stale(three_runs, capsys, spoil, told):
    spoil(three_runs)
    published, old, new = (str(three_runs / name) for name in ("published", "old", "new"))
    assert main([published, "--same", old, new]) == 1
    assert told in capsys.readouterr().out
    assert main([published]) == 1
