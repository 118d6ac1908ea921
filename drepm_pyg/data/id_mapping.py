"""Original ids and titles beside the dense ids: ``u_id_mapping.csv`` and ``i_id_mapping.csv``."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drepm_pyg._checks import CorruptFileError
from drepm_pyg._files import replaced
from drepm_pyg.data.table_checks import check_cells

__all__ = ["IdMapping", "read_mapping", "write_mapping"]

_TITLES = ("title", "name")


@dataclass(frozen=True)
class IdMapping:
    """What a mapping file says of the ids 0 to ``size`` - 1; no file: nothing of none."""

    file: str = ""
    size: int = 0
    original_id: list[str] | None = None
    title: list[str] | None = None

    def check_covers(self, size: int) -> None:
        """The file, where there is one, must list as many ids as the rest of the data set."""
        if self.file and self.size != size:
            raise CorruptFileError(
                f"'{self.file}' lists {self.size:,} ids, the other files name {size:,}. Was it truncated?"
            )


def read_mapping(path: Path, id_column: str) -> IdMapping:
    """Read a mapping (separated by tabs or commas) where it exists.

    The dense ids stand in ``id_column``. ``title`` (or ``name``) gives the titles; ``asin``, the first other column
    whose name ends in ``id``, or the only other one the original ids. Columns beyond these are left aside.
    """
    import pandas as pd

    if not path.exists():
        return IdMapping()
    try:
        with path.open(encoding="utf-8-sig") as file:
            separator = "\t" if "\t" in file.readline() else ","
        frame = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        check_cells(frame, path.name)
        frame = frame.set_index(frame[id_column].astype(int)).sort_index()
    except CorruptFileError:
        raise
    except (pd.errors.EmptyDataError, pd.errors.ParserError, KeyError, ValueError) as error:
        raise CorruptFileError(
            f"'{path.name}' must be a table with an integer column '{id_column}': {error}"
        ) from error
    if frame.index.tolist() != list(range(len(frame))):
        raise CorruptFileError(
            f"'{path.name}': the column '{id_column}' must list every id from 0 to {len(frame) - 1} once."
        )
    titles = [name for name in _TITLES if name in frame]
    others = [name for name in frame if name != id_column and name not in titles]
    named = ["asin"] if "asin" in others else [name for name in others if str(name).lower().endswith("id")]
    ids = named or (others if len(others) == 1 else [])
    return IdMapping(
        file=path.name,
        size=len(frame),
        original_id=frame[ids[0]].tolist() if ids else None,
        title=frame[titles[0]].tolist() if titles else None,
    )


def write_mapping(path: Path, id_column: str, store: Any) -> None:
    """Write the original ids and titles of a node type; the file lists every id, also those without interactions."""
    import pandas as pd

    columns: dict[str, list[str] | range] = {id_column: range(store.num_nodes)}
    for name in ("user_id", "item_id", "title"):
        if store.get(name) is not None:
            columns[name] = store[name]
    # pandas would leave a carriage return bare, which ends a line.
    bare = any("\r" in str(cell) for cells in columns.values() for cell in cells)
    with replaced(path) as file:
        pd.DataFrame(columns).to_csv(
            file, sep="\t", index=False, quoting=csv.QUOTE_NONNUMERIC if bare else csv.QUOTE_MINIMAL
        )
