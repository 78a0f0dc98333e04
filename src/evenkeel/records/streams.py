"""Random streams addressed by what they are for, never by arrival or batch position.

`key("rollout", seed, step, slot, sample)` names a stream; `uniforms(keys, t)` is its t-th number. The generator
is SplitMix64 (Steele et al. 2014) on key + t, so a whole batch is one vectorised expression.
"""

from __future__ import annotations

import hashlib

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def key(*parts: str | int) -> int:
    """A 64-bit stream key from what the stream is for."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def uniforms(keys_B: np.ndarray, t: int | np.ndarray) -> np.ndarray:
    """The t-th uniform number in [0, 1) of each stream; `keys_B` is uint64, the result float64."""
    with np.errstate(over="ignore"):
        x = keys_B.astype(np.uint64) + _GOLDEN * (np.asarray(t, dtype=np.uint64) + np.uint64(1))
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(11)).astype(np.float64) * 2.0**-53


def generator(*parts: str | int) -> np.random.Generator:
    """A numpy generator for the stream with this name."""
    return np.random.Generator(np.random.Philox(key(*parts)))
