"""NumPy's own files, ``.npy``, where they lie."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from drepm_pyg._checks import CorruptFileError
from drepm_pyg._files import NO_ARRAY
from drepm_pyg.typing import PathLike

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["map_array"]


def map_array(path: PathLike) -> "NDArray[Any]":
    """The array of a ``.npy`` file, memory-mapped copy-on-write: nothing is read before it is used.

    No change reaches the file; still the array is writable, so that torch may take it as it lies.

    Raises:
        FileNotFoundError: where there is no such file.
        CorruptFileError: where the file is no ``.npy`` file, is truncated, or holds Python objects.
    """
    file = Path(path)
    if not file.is_file():
        reason = "is a folder" if file.is_dir() else "does not exist"
        raise FileNotFoundError(f"'{file}' {reason}. Pass a .npy file.")
    with file.open("rb") as stream:
        if stream.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
            raise CorruptFileError(f"'{file}' is no .npy file. Pass one array, as numpy.save writes it.")
    try:
        array: NDArray[Any] = np.load(file, mmap_mode="c", allow_pickle=False)
        return array
    except NO_ARRAY as error:
        if "Python objects" in str(error):
            raise CorruptFileError(
                f"'{file}' holds Python objects. Save numbers: numpy.save(..., x.astype('f4'))."
            ) from error
        raise CorruptFileError(f"'{file}' cannot be read as a .npy array ({error}). Was the file truncated?") from error
