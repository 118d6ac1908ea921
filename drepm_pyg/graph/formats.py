"""The file formats of graphs: named arrays in and out."""

import pickle
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg._checks import CorruptFileError, require
from drepm_pyg._files import NO_ARCHIVE

__all__ = ["FORMATS", "Format", "as_array", "is_graph_file"]

Arrays = dict[str, NDArray[Any]]

#: What the weights that ``write_graph`` is given are called in a file, and in PyG.
_WEIGHT, _PYG_WEIGHT = "weight", "edge_weight"

#: NumPy parses headers by `ast`, which in CPython 3.11 may fail in two threads at once (SystemError).
_HEADERS = threading.Lock()

#: What the readers raise for bytes that are no such file; unpickling may fail in many ways.
_UNREADABLE = (*NO_ARCHIVE, pickle.UnpicklingError, AttributeError)


@dataclass(frozen=True)
class Format:
    """One way to keep named arrays in a file.

    Attributes:
        name: what to call such a file.
        load: the arrays that are asked for, of those that the file holds.
        save: write arrays to an open file.
        package: what must be installed, from the extra of ``extra``.
        extra: see ``package``.
    """

    name: str
    load: Callable[[BinaryIO, str, list[str]], Arrays]
    save: Callable[[BinaryIO, Arrays], None]
    package: str | None = None
    extra: str = ""

    def check_installed(self) -> None:
        """Raise :class:`MissingExtraError` where what the format needs is not installed."""
        if self.package is not None:
            require(self.package, extra=self.extra, purpose=f"{self.name[0].upper()}{self.name[1:]} file")

    def read(self, path: Path, keys: list[str]) -> Arrays:
        """The arrays ``keys`` of a file.

        Raises:
            FileNotFoundError: if there is no such file.
            IsADirectoryError: if it is a folder.
            CorruptFileError: if it cannot be read as this format, or lacks an array.
            MissingExtraError: if the format needs a package that is not installed.
        """
        self.check_installed()
        if path.is_dir():
            raise IsADirectoryError(f"'path' must be a file (got '{path}', a folder).")
        try:
            with path.open("rb") as file:
                return self.load(file, path.name, keys)
        except (FileNotFoundError, CorruptFileError):
            raise
        except _UNREADABLE as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            # Without NumPy's and torch's ways to load what is unsafe.
            reason = reason.partition(" If you trust")[0].partition(" In PyTorch")[0].rstrip(".")
            raise CorruptFileError(
                f"'{path.name}' cannot be read as {self.name} file ({reason}). Was it truncated?"
            ) from error


def as_array(tensor: torch.Tensor) -> NDArray[Any]:
    """A tensor for NumPy, which lacks bfloat16: that becomes float32."""
    tensor = tensor.detach().cpu()
    array: NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array


def _check_keys(name: str, keys: list[str], held: list[str]) -> None:
    missing = [key for key in keys if key not in held]
    if missing:
        raise CorruptFileError(f"'{name}' lacks {missing} (it holds {held}).")


def _load_npz(file: BinaryIO, name: str, keys: list[str]) -> Arrays:
    archive = np.load(file, allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise CorruptFileError(f"'{name}' is no npz file. Expected an archive with 'row' and 'col'.")
    _check_keys(name, keys, archive.files)
    with _HEADERS:
        return {key: archive[key] for key in keys}


def _save_npz(file: BinaryIO, arrays: Arrays) -> None:
    # As np.savez_compressed, but for the level: a third of the time, and a twentieth more bytes.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for key, array in arrays.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def _load_pt(file: BinaryIO, name: str, keys: list[str]) -> Arrays:
    if zipfile.is_zipfile(file):  # torch writes check sums and does not look at them
        damaged = zipfile.ZipFile(file).testzip()
        if damaged is not None:
            raise zipfile.BadZipFile(f"the check sum of '{damaged}' does not fit")
    file.seek(0)
    content = torch.load(file, map_location="cpu", weights_only=True)
    tensors = content if isinstance(content, dict) else {}
    edge_index = tensors.get("edge_index")
    if not isinstance(edge_index, torch.Tensor) or edge_index.ndim != 2 or edge_index.size(0) != 2:
        raise CorruptFileError(f"'{name}' holds no graph. Expected a dictionary with 'edge_index' [2, E].")
    held = {_WEIGHT if key == _PYG_WEIGHT else key: value for key, value in tensors.items() if key != "edge_index"}
    held |= {"row": edge_index[1], "col": edge_index[0]}
    _check_keys(name, keys, list(held))
    for key in keys:
        if not isinstance(held[key], torch.Tensor):
            raise CorruptFileError(f"'{key}' of '{name}' must be a tensor (got a {type(held[key]).__name__}).")
    return {key: as_array(held[key]) for key in keys}


def _save_pt(file: BinaryIO, arrays: Arrays) -> None:
    tensors = {"edge_index": torch.from_numpy(np.stack([arrays["col"], arrays["row"]]))}
    if _WEIGHT in arrays:
        tensors[_PYG_WEIGHT] = torch.from_numpy(arrays[_WEIGHT].copy())
    torch.save(tensors, file)


def _load_parquet(file: BinaryIO, name: str, keys: list[str]) -> Arrays:
    from pyarrow.parquet import ParquetFile

    table = ParquetFile(file, page_checksum_verification=True)
    _check_keys(name, keys, table.schema_arrow.names)
    columns = table.read(columns=keys)
    return {key: columns[key].to_numpy() for key in keys}


def _save_parquet(file: BinaryIO, arrays: Arrays) -> None:
    from pyarrow import table
    from pyarrow.parquet import write_table

    write_table(table(arrays), file, write_page_checksum=True)


#: By suffix.
FORMATS = {
    ".npz": Format("an npz", _load_npz, _save_npz),
    ".pt": Format("a torch", _load_pt, _save_pt),
    ".parquet": Format("a Parquet", _load_parquet, _save_parquet, package="pyarrow", extra="parquet"),
}


def is_graph_file(path: Any) -> bool:
    """Whether ``path`` names a file that :func:`~drepm_pyg.graph.read_graph` reads."""
    return Path(str(path)).suffix in FORMATS
