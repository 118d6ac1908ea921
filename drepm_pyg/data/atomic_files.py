"""RecBole's "atomic files": tab-separated tables with typed headers such as ``user_id:token``."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

from drepm_pyg._checks import CorruptFileError, check_choice
from drepm_pyg.data.archive import Archive
from drepm_pyg.data.table_checks import check_cells
from drepm_pyg.typing import PathLike

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_atomic_files"]

KINDS = ("inter", "item", "user", "kg", "link")
_TYPES = ("token", "token_seq", "float", "float_seq")


def read_atomic_files(
    path: PathLike, *, name: str | None = None, kinds: Collection[str] = KINDS
) -> "dict[str, pd.DataFrame]":
    """The tables of a data set in RecBole's format, by kind (``inter``, ``item``, ``user``, ``kg``, ``link``).

    Args:
        path: a directory, zip or wheel that holds them somewhere (a zip is read in place), or the ``.inter`` file,
            which has the others beside it. Hidden files (``._films.inter``) do not count.
        name: the data set, where there are several.
        kinds: the tables to read; one that is not there is left out of the result.

    Returns:
        Tables whose columns have lost their types' suffix. Tokens are strings as they stand in the file, floats are
        float64, sequences are lists of these.

    Raises:
        FileNotFoundError: there is no ``.inter`` file, or several and no ``name``.
        CorruptFileError: the zip is damaged or unsafe, or a table has no typed header, no rows or unreadable cells.
    """
    for kind in kinds:
        check_choice(KINDS, kinds=kind)
    path = Path(path)
    is_table = path.suffix == ".inter"
    if is_table:
        path, name = path.parent, name or path.stem
    archive = Archive(path, recursive=not is_table)
    present = [member for member in map(PurePosixPath, archive.names()) if not member.name.startswith(".")]
    found = [member for member in present if member.suffix == ".inter" and name in (None, member.stem)]
    if len(found) != 1:
        listed = sorted(member.stem for member in present if member.suffix == ".inter")
        raise FileNotFoundError(
            f"'{path}' must hold one data set{f' named {name!r}' if name else ''} in RecBole's format (.inter files: "
            f"{listed}). Pass 'name' to choose one."
        )
    tables = {}
    for kind in kinds:
        member = found[0].with_suffix(f".{kind}")
        if member in present:
            with archive.open(str(member)) as file:
                tables[kind] = _read_table(file, member.name)
    return tables


def _read_table(file: IO[bytes], name: str) -> "pd.DataFrame":
    import pandas as pd

    try:
        header = file.readline().decode("utf-8-sig").rstrip("\r\n").split("\t")
        names, _, types = zip(*(field.rpartition(":") for field in header), strict=True)
        if not all(names) or not set(types) <= set(_TYPES):
            raise CorruptFileError(
                f"'{name}' must have a header of names with types such as 'user_id:token' (got {header})."
            )
        repeated = [column for column, count in Counter(names).items() if count > 1]
        if repeated:
            raise CorruptFileError(
                f"'{name}' must have a header that names each column once (got {repeated} more than once)."
            )
        frame = _read_cells(
            file, list(names), [column for column, kind in zip(names, types, strict=True) if kind == "float"]
        )
        check_cells(frame, name)
        if frame.empty:
            raise CorruptFileError(f"'{name}' has a header, but no rows. Was the file truncated?")
        for column, kind in zip(names, types, strict=True):
            if kind.endswith("_seq"):
                convert = float if kind == "float_seq" else str
                frame[column] = [[convert(part) for part in cell.split()] for cell in frame[column]]
    except CorruptFileError:
        raise
    except (ValueError, pd.errors.ParserError) as error:
        raise CorruptFileError(f"'{name}' cannot be read as a table ({error}). Was the file truncated?") from error
    return frame


def _read_cells(file: IO[bytes], names: list[str], floats: list[str]) -> "pd.DataFrame":
    import pandas as pd

    def read(**options: Any) -> "pd.DataFrame":
        # Tokens are taken literally: "NA" is an artist, and a quotation mark is part of a title.
        # From the header on, so that pandas counts the lines as an editor does.
        file.seek(0)
        form: dict[str, Any] = {"sep": "\t", "header": None, "skiprows": 1, "quoting": 3, "keep_default_na": False}
        return pd.read_csv(file, names=names, **form, **options)

    try:
        empty = {column: [""] for column in floats}
        return read(dtype={column: float if column in empty else str for column in names}, na_values=empty)
    except ValueError:
        frame = read(dtype=str)
    for column in floats:
        frame[column] = pd.to_numeric(frame[column]).astype(float)  # says what is no number, and in which row
    return frame
