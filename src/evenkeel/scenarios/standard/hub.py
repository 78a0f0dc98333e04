"""Rows of a data set of the Hugging Face hub, or of a folder that its library can read. Code of a data set is never run."""

from __future__ import annotations

import importlib

from evenkeel.records.errors import UserError
from evenkeel.scenarios.standard.files import Row


def read_hub(id_: str, *, config: str = "", split: str = "train", revision: str = "") -> list[Row]:
    """All rows of a split, kept in the library's own cache. Raises UserError without the library, network, or split."""
    try:
        datasets = importlib.import_module("datasets")
    except ImportError:
        raise UserError(
            f'the data set "{id_}" needs the library `datasets`', fix='pip install "evenkeel[hub]"'
        ) from None
    try:
        loaded = datasets.load_dataset(
            id_, name=config or None, split=split, revision=revision or None, streaming=False
        )
    except (
        Exception
    ) as error:  # the library lets through what its own dependencies raise (httpx, fsspec, pyarrow)
        raise UserError(
            f'the data set "{id_}" (config "{config}", split "{split}", revision "{revision}") cannot be loaded: '
            f"{type(error).__name__}: {error}",
            fix="Check the names and the network. Once loaded, it is read from the cache; a copy works as `file`.",
        ) from error
    return [Row(dict(value), f"{id_} [{split}]", number, False) for number, value in enumerate(loaded, 1)]
