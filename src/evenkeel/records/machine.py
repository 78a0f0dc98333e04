"""What the results depend on (versions, CPU type) and what they must not (times, paths, hardware load).

`versions()` goes to versions.json and is the same for equal environments; `machine()` goes to machine.json,
the only file of a run with times or paths.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from evenkeel import __version__

LIBRARIES = ("torch", "numpy", "scipy", "statsmodels", "transformers", "tokenizers", "safetensors", "altair")


def cpu_name() -> str:
    """Model name of the processor, as the kernel tells it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, Any]:
    """Python, package and library versions and the CPU type: what bit-identity is promised for."""
    found = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {
        "evenkeel": __version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "cpu": cpu_name(),
        "libraries": found,
    }


def machine() -> dict[str, Any]:
    """Hardware and paths of this session."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "memory_bytes": pages,
        "python": sys.executable,
        "package": str(package_folder()),
    }


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_bytes(folder: Path) -> int:
    """Free space on the disk of the nearest existing parent."""
    folder = Path(folder).absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def package_folder() -> Path:
    """Where the package's own files lie."""
    return Path(__file__).resolve().parent.parent


@cache
def _tree_hash(part: str) -> str:
    root = package_folder() / part
    files = [root] if root.is_file() else sorted(root.rglob("*"))
    digest = hashlib.sha256()
    for path in files:
        parts = path.relative_to(package_folder()).parts
        if "bases" in parts or "__pycache__" in parts:  # checkpoints are hashed by who uses them
            continue
        if path.is_file():
            digest.update(str(path.relative_to(package_folder())).encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def module_names(folder: str, start: str) -> tuple[str, ...]:
    """Modules of a folder of the package whose name starts so, as `code_hash` takes them."""
    return tuple(f"{folder}/{path.name}" for path in sorted((package_folder() / folder).glob(f"{start}*.py")))


def code_hash(parts: Iterable[str]) -> str:
    """Hash of the source and data files of some folders of the package; a stage's inputs contain it."""
    return hashlib.sha256("".join(_tree_hash(part) for part in sorted(set(parts))).encode()).hexdigest()[:16]
