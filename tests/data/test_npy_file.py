"""A .npy file as an array: mapped, writable, and never written to."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from drepm_pyg._checks import CorruptFileError
from drepm_pyg.data.npy_file import map_array


def test_no_change_reaches_the_file(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(6.0).reshape(3, 2))
    array = map_array(str(tmp_path / "x.npy"))
    assert isinstance(array, np.memmap)
    array += 1
    assert array.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert np.load(tmp_path / "x.npy").tolist() == [[0, 1], [2, 3], [4, 5]]


def save_objects(file: Path) -> None:
    np.save(file, np.array([{}, {}], dtype=object), allow_pickle=True)


def save_half(file: Path) -> None:
    np.save(file, np.ones(8))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])


def save_no_python(file: Path) -> None:
    np.save(file, np.ones(8))
    file.write_bytes(file.read_bytes().replace(b"(8,)", b"((8,"))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda file: file.write_text("1,2\n"), "x.npy' is no .npy file. Pass one array"),
        (lambda file: file.write_bytes(b""), "x.npy' is no .npy file. Pass one array"),
        (save_objects, r"x.npy' holds Python objects. Save numbers: numpy.save\(..., x.astype\('f4'\)\)"),
        (save_half, r"x.npy' cannot be read as a .npy array \(.*\). Was the file truncated\?"),
        (save_no_python, r"x.npy' cannot be read as a .npy array \(.*\). Was the file truncated\?"),
    ],
    ids=["text", "empty", "objects", "half", "no Python"],
)
def test_what_holds_no_array_is_refused(make: Callable[[Path], object], text: str, tmp_path: Path) -> None:
    make(tmp_path / "x.npy")
    with pytest.raises(CorruptFileError, match=text):
        map_array(tmp_path / "x.npy")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"x\.npy' does not exist. Pass a \.npy file"):
        map_array(tmp_path / "x.npy")
    with pytest.raises(FileNotFoundError, match=r"' is a folder\. Pass a \.npy file"):
        map_array(tmp_path)
