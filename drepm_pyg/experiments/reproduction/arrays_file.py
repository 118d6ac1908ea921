"""Named arrays in a file of a run's folder, written whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drepm_pyg._checks import CorruptFileError
from drepm_pyg._files import NO_ARCHIVE, replaced

__all__ = ["read_arrays", "write_arrays"]


def write_arrays(file: Path, arrays: Mapping[str, Any]) -> None:
    """Write a compressed ``.npz``; a call that is killed leaves what was there."""
    with replaced(file) as hidden, hidden.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def read_arrays(file: Path) -> dict[str, NDArray[Any]]:
    """The arrays by name.

    Raises:
        FileNotFoundError: where there is no such file.
        CorruptFileError: where the file is truncated or damaged.
    """
    with file.open("rb") as stream:  # NumPy leaves a file open that it cannot read
        try:
            with np.load(stream, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except NO_ARCHIVE as error:
            raise CorruptFileError(f"'{file}' cannot be read ({error}). Was the file truncated?") from error
