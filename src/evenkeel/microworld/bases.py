"""The bases that ship with the package: four worlds, their four shuffled controls, and a pair of nano ones for tests."""

from __future__ import annotations

from pathlib import Path

from evenkeel.microworld.pretrain import PretrainConfig
from evenkeel.records.errors import UserError, did_you_mean

FOLDER = Path(__file__).parent / "bases"
NANO = PretrainConfig(width=48, layers=2, heads=2, hidden=128, steps=150, batch=32, introduced=75)
CONFIGS = {
    **{f"world-{n}": PretrainConfig(seed=n) for n in range(4)},
    **{f"control-{n}": PretrainConfig(seed=n, shuffled=True) for n in range(4)},
    "nano": NANO,
    "nano-control": PretrainConfig(**{**{f: getattr(NANO, f) for f in NANO.__slots__}, "shuffled": True}),
}
"""How each shipped base was made; `evenkeel microworld pretrain NAME` makes it again."""


def base_folder(name: str) -> Path:
    """Where a shipped base lies. Raises UserError naming those that exist."""
    folder = FOLDER / name
    if name not in CONFIGS or not (folder / "model.safetensors").exists():
        shipped = sorted(path.name for path in FOLDER.glob("*") if (path / "model.safetensors").exists())
        raise UserError(
            f'no microworld base "{name}" is shipped',
            fix=f"{did_you_mean(name, shipped)}. Make one with `evenkeel microworld pretrain`, or name its folder.",
        )
    return folder
