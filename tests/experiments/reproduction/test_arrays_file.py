"""Named arrays in a file: what was written, or an error that names the file."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

from drepm_pyg._checks import CorruptFileError
from drepm_pyg.experiments.reproduction.arrays_file import read_arrays, write_arrays


def test_arrays_are_read_as_written(tmp_path: Path) -> None:
    write_arrays(tmp_path / "x.npz", {"a": np.arange(3), "b": np.ones((2, 2))})
    read = read_arrays(tmp_path / "x.npz")
    assert {name: array.tolist() for name, array in read.items()} == {"a": [0, 1, 2], "b": [[1, 1], [1, 1]]}


@pytest.mark.errors
def test_a_damaged_byte_anywhere_is_told_or_changes_nothing(tmp_path: Path) -> None:
    arrays = {"a": np.arange(30), "b": np.ones(4)}
    write_arrays(tmp_path / "x.npz", arrays)
    whole = (tmp_path / "x.npz").read_bytes()
    for place in range(0, len(whole), 3):
        (tmp_path / "x.npz").write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with contextlib.suppress(CorruptFileError):
            read = read_arrays(tmp_path / "x.npz")
            assert all(np.array_equal(read[name], arrays[name]) for name in read)


@pytest.mark.errors
def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"x\.npz"):
        read_arrays(tmp_path / "x.npz")
