"""The one-way data flow, read from the imports themselves (those inside functions too)."""

import ast
from pathlib import Path

import evenkeel

ROOT = Path(evenkeel.__file__).parent
LAYERS = (
    "records",
    "engines",
    "scenarios",
    "grading",
    "training",
    "benchmarks",
    "persistence",
    "report",
    "study",
    "cli",
)
REPORT_READS = {"records"}  # analysis and report read run directories and nothing else
WORLDS = ("microworld", "text")  # kinds of study, beside study's own materials
WORLD_LOADER = {"study/materials.py", "cli.py"}  # the loader table, and `evenkeel microworld ...`


def modules():
    for path in sorted(ROOT.rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def layer_of(name):
    return name.split("/")[0].removesuffix(".py").replace("__main__", "cli")


def imported_layers(tree):
    """(layer, line) of every import of the package, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            parts = [node.module] if node.module != "evenkeel" else [f"evenkeel.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            parts = [alias.name for alias in node.names]
        else:
            continue
        for part in parts:
            pieces = part.split(".")
            if pieces[0] == "evenkeel" and len(pieces) > 1 and pieces[1] in (*LAYERS, *WORLDS):
                yield pieces[1], node.lineno


def test_no_module_imports_from_a_layer_above_its_own():
    wrong = []
    for name, tree in modules():
        own = layer_of(name)
        if own not in LAYERS:
            continue
        for layer, line in imported_layers(tree):
            if layer in WORLDS or LAYERS.index(layer) > LAYERS.index(own):
                wrong.append(f"{name}:{line} imports {layer}")
    assert not wrong


def test_the_report_reads_run_directories_only():
    wrong = [
        f"{name}:{line} imports {layer}"
        for name, tree in modules()
        if layer_of(name) == "report"
        for layer, line in imported_layers(tree)
        if layer not in REPORT_READS | {"report"}
    ]
    assert not wrong


def test_the_kinds_of_study_stand_under_study():
    wrong = [
        f"{name}:{line} imports {layer}"
        for name, tree in modules()
        if layer_of(name) in WORLDS
        for layer, line in imported_layers(tree)
        if layer == "cli" or (layer in WORLDS and layer != layer_of(name))
    ]
    assert not wrong


def test_only_the_loader_table_names_a_kind_of_study():
    naming = {
        name
        for name, tree in modules()
        if layer_of(name) not in WORLDS
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and any(f"evenkeel.{world}" in node.value for world in WORLDS)
    }
    assert naming <= WORLD_LOADER


def test_every_folder_is_a_layer():
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert folders <= {*LAYERS, *WORLDS}


def test_files_and_functions_stay_small():
    """One concept a file, a function fits on a screen and a half."""
    large = []
    for name, tree in modules():
        lines = len((ROOT / name).read_text().splitlines())
        if lines > 400:
            large.append(f"{name}: {lines} lines")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1
                if length > 80:
                    large.append(f"{name}: {node.name} has {length} lines")
    assert not large
