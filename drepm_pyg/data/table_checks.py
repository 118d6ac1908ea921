"""What can be wrong with a table that pandas has read from a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from drepm_pyg._checks import CorruptFileError
from drepm_pyg.typing import Int, Tensor

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_cells", "integers", "numbers"]

_TOO_MANY = 2**31  # no table has so many rows: a larger id is no place in a list


def check_cells(frame: "pd.DataFrame", file: str) -> None:
    """No row may have more cells than the header: pandas takes the first ones for its index and moves the others up."""
    import pandas as pd

    if not isinstance(frame.index, pd.RangeIndex):
        raise CorruptFileError(f"'{file}' has rows with more cells than its header.")


def integers(path: Path, column: "pd.Series[int]") -> Int[Tensor, " E"]:
    """A column of ids of the table in ``path``: whole numbers from 0 on, none of them empty."""
    empty = np.flatnonzero(column.isna())
    if len(empty):
        raise CorruptFileError(
            f"'{path.name}' has {len(empty):,} rows without '{column.name}' (first: line {_line(path, empty[0])}). "
            "Was the file truncated?"
        )
    if column.dtype.kind not in "iu":
        raise CorruptFileError(
            f"'{path.name}': '{column.name}' must hold integers (got {_first(path, column, whole=True)}). Map "
            "string ids to integers from 0 first, or read RecBole's format with read_recbole."
        )
    if int(column.min()) < 0:
        raise CorruptFileError(f"'{path.name}': '{column.name}' must not be negative (got {column.min()}).")
    if int(column.max()) >= _TOO_MANY:
        raise CorruptFileError(
            f"'{path.name}': '{column.name}' must be less than {_TOO_MANY:,} (got {column.max()} in line "
            f"{_line(path, int(column.to_numpy().argmax()))}). Number users and items from 0 on, without gaps."
        )
    return torch.tensor(column.to_numpy(np.int64))


def numbers(path: Path, column: "pd.Series[float]") -> "np.ndarray[tuple[int], np.dtype[np.number]]":
    """A column of ratings or time stamps of the table in ``path``."""
    if column.dtype.kind not in "iuf":
        raise CorruptFileError(f"'{path.name}': '{column.name}' must hold numbers (got {_first(path, column)}).")
    return column.to_numpy()


def _line(path: Path, row: int) -> int:
    """Where a row of the table stands in the file: line 1 is the header, and pandas passes over blank lines."""
    with path.open(encoding="utf-8-sig") as file:
        lines = [number for number, line in enumerate(file, start=1) if line.strip(" \r\n")]
    return lines[row + 1]


def _first(path: Path, column: "pd.Series[Any]", *, whole: bool = False) -> str:
    """The first cell that is no number, or no whole one that an integer holds, and its line."""
    import pandas as pd

    read = pd.to_numeric(column, errors="coerce").astype(float)
    wrong = read.isna() | (read % 1 != 0) | (read.abs() >= _TOO_MANY) if whole else read.isna()
    place = int(wrong.to_numpy().argmax())  # all are whole where they are written as 1.0: the first one
    return f"'{column.iloc[place]}' in line {_line(path, place)}"
