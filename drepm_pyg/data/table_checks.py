"""What can be wrong with a table that pandas has read from a file."""

from typing import TYPE_CHECKING

from drepm_pyg._checks import CorruptFileError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_cells"]


def check_cells(frame: "pd.DataFrame", file: str) -> None:
    """No row may have more cells than the header: pandas takes the first ones for its index and moves the others up."""
    import pandas as pd

    if not isinstance(frame.index, pd.RangeIndex):
        raise CorruptFileError(f"'{file}' has rows with more cells than its header.")
