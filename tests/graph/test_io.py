"""Graphs as files: what is written is read, and what cannot be read is said."""

import pickle
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from drepm_pyg._checks import CorruptFileError, MissingExtraError
from drepm_pyg.graph import read_graph, write_graph
from drepm_pyg.graph.formats import FORMATS

SUFFIXES = [".npz", ".pt", ".parquet"]


def path_of(folder: Path, suffix: str) -> Path:
    """A file that can be written here."""
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    return folder / f"g{suffix}"


def test_the_centre_is_the_row_and_the_target(tmp_path: Path) -> None:
    # As such graphs are published: the self loop first, a cosine and a normalised weight beside the ids.
    np.savez(tmp_path / "g.npz", row=[0, 0, 1], col=[0, 2, 1], cos=np.float32([1, 0.5, 1]), sym=[0.5, 0.5, 1])
    assert read_graph(tmp_path / "g.npz", num_nodes=3).tolist() == [[0, 2, 1], [0, 0, 1]]
    edge_index, weight = read_graph(tmp_path / "g.npz", num_nodes=3, weight="cos")
    assert edge_index.dtype == torch.long
    assert weight.tolist() == [1, 0.5, 1]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("weighted", [False, True])
def test_round_trip(tmp_path: Path, suffix: str, weighted: bool, generator: torch.Generator) -> None:
    path = path_of(tmp_path, suffix)
    edge_index = torch.randint(7, (2, 20), generator=generator)
    weight = torch.rand(20, generator=generator) if weighted else None
    write_graph(path, edge_index, weight)
    assert torch.equal(read_graph(path, num_nodes=7), edge_index)
    if weight is not None:
        assert torch.equal(read_graph(path, num_nodes=7, weight="weight")[1], weight)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_edges(tmp_path: Path, suffix: str) -> None:
    path = path_of(tmp_path, suffix)
    write_graph(path, torch.empty(2, 0, dtype=torch.long))
    assert read_graph(str(path), num_nodes=0).shape == (2, 0)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_weights_in_bfloat16_and_with_gradients(tmp_path: Path, suffix: str) -> None:
    edge_index, weight = torch.tensor([[1, 0], [0, 1]]), torch.tensor([0.5, 0.25], dtype=torch.bfloat16)
    write_graph(path_of(tmp_path, suffix), edge_index, weight)
    assert read_graph(path_of(tmp_path, suffix), num_nodes=2, weight="weight")[1].tolist() == [0.5, 0.25]
    torch.save({"edge_index": edge_index, "edge_weight": weight.requires_grad_()}, tmp_path / "g.pt")
    assert read_graph(tmp_path / "g.pt", num_nodes=2, weight="weight")[1].tolist() == [0.5, 0.25]


def test_a_torch_file_becomes_a_data_of_pyg(tmp_path: Path) -> None:
    edge_index, weight = torch.tensor([[1, 2], [0, 0]]), torch.tensor([0.5, 0.25])
    write_graph(tmp_path / "g.pt", edge_index, weight)
    data = Data.from_dict(torch.load(tmp_path / "g.pt", weights_only=True))
    assert torch.equal(data.edge_index, edge_index)
    assert torch.equal(data.edge_weight, weight)


def test_a_parquet_file_is_a_table_of_edges(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pandas as pd

    write_graph(tmp_path / "g.parquet", torch.tensor([[1, 2], [0, 0]]), torch.tensor([0.5, 0.25]))
    table = pd.read_parquet(tmp_path / "g.parquet")
    assert table.to_dict("list") == {"row": [0, 0], "col": [1, 2], "weight": [0.5, 0.25]}


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "g.npz"
    write_graph(path, torch.tensor([[0], [1]]))

    def disk_full(file: BinaryIO, arrays: object) -> None:
        file.write(b"the first bytes")
        raise OSError("no space left")

    monkeypatch.setitem(FORMATS, ".npz", replace(FORMATS[".npz"], save=disk_full))
    with pytest.raises(OSError, match=r"no space left"):
        write_graph(path, torch.tensor([[1], [0]]))
    assert read_graph(path, num_nodes=2).tolist() == [[0], [1]]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.errors
class TestErrors:
    def write(self, folder: Path, **arrays: object) -> Path:
        np.savez(folder / "g.npz", **arrays)
        return folder / "g.npz"

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            read_graph(tmp_path / "g.npz", num_nodes=3)

    def test_missing_arrays_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(CorruptFileError, match=r"'g.npz' lacks \['col'\] \(it holds \['row', 'val'\]\)"):
            read_graph(self.write(tmp_path, row=[0], val=[1.0]), num_nodes=3)
        with pytest.raises(CorruptFileError, match=r"'g.npz' lacks \['cos'\]"):
            read_graph(self.write(tmp_path, row=[0], col=[0]), num_nodes=3, weight="cos")

    @pytest.mark.parametrize("size", [0, 10, 200, -1])
    def test_truncated_files(self, tmp_path: Path, size: int) -> None:
        path = self.write(tmp_path, row=np.arange(99), col=np.arange(99))
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(CorruptFileError, match=r"'g.npz' cannot be read as an npz file .* Was it truncated"):
            read_graph(path, num_nodes=99)

    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize("place", [0.3, 0.5, 0.7])
    def test_flipped_bytes(self, tmp_path: Path, suffix: str, place: float, generator: torch.Generator) -> None:
        path = path_of(tmp_path, suffix)
        write_graph(path, torch.randint(9999, (2, 9999), generator=generator))
        content = bytearray(path.read_bytes())
        content[int(place * len(content))] ^= 1  # an id that is as good as any
        path.write_bytes(content)
        with pytest.raises(CorruptFileError, match=rf"'g\{suffix}' cannot be read"):
            read_graph(path, num_nodes=9999)

    def test_a_header_that_is_no_python(self, tmp_path: Path) -> None:
        header = b"{'descr': '<i8', 'fortran_order': False, 'shape': (3,, ((('}\n"
        with zipfile.ZipFile(tmp_path / "g.npz", "w") as archive:
            for key in ("row", "col"):
                archive.writestr(f"{key}.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
        with pytest.raises(CorruptFileError, match=r"'g.npz' cannot be read as an npz file"):
            read_graph(tmp_path / "g.npz", num_nodes=3)

    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize("size", [0, 10, -20])
    def test_truncated_files_of_every_format(self, tmp_path: Path, suffix: str, size: int) -> None:
        path = path_of(tmp_path, suffix)
        write_graph(path, torch.arange(99).repeat(2, 1))
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(CorruptFileError, match=rf"'g\{suffix}' cannot be read as an? \w+ file .* Was it truncated"):
            read_graph(path, num_nodes=99)

    def test_a_text_that_is_called_a_torch_file(self, tmp_path: Path) -> None:
        for text in ("hello world", "h", "{}", "garbage\n", "\x00\x01", "cos\nsystem"):
            (tmp_path / "g.pt").write_text(text)
            with pytest.raises(CorruptFileError, match=r"'g.pt' (cannot be read as a torch file|holds no graph)"):
                read_graph(tmp_path / "g.pt", num_nodes=5)

    def test_weights_that_are_none(self, tmp_path: Path) -> None:
        torch.save({"edge_index": torch.tensor([[1], [0]]), "edge_weight": "heavy"}, tmp_path / "g.pt")
        with pytest.raises(CorruptFileError, match=r"'weight' of 'g.pt' must be a tensor \(got a str\)"):
            read_graph(tmp_path / "g.pt", num_nodes=2, weight="weight")
        with pytest.raises(TypeError, match="'edge_weight' must be a torch tensor"):
            write_graph(tmp_path / "h.npz", torch.tensor([[1], [0]]), [1.0])

    def test_a_torch_file_without_a_graph(self, tmp_path: Path) -> None:
        torch.save({"adj": torch.eye(2)}, tmp_path / "g.pt")
        with pytest.raises(CorruptFileError, match=r"'g.pt' holds no graph. Expected a dictionary with 'edge_index'"):
            read_graph(tmp_path / "g.pt", num_nodes=2)

    def test_a_torch_file_that_would_run_code(self, tmp_path: Path) -> None:
        torch.save({"edge_index": Path("x")}, tmp_path / "g.pt")
        with pytest.raises(CorruptFileError, match=r"'g.pt' cannot be read as a torch file"):
            read_graph(tmp_path / "g.pt", num_nodes=2)

    def test_weights_that_a_file_lacks(self, tmp_path: Path) -> None:
        write_graph(tmp_path / "g.pt", torch.tensor([[0], [1]]))
        with pytest.raises(CorruptFileError, match=r"'g.pt' lacks \['weight'\] \(it holds \['row', 'col'\]\)"):
            read_graph(tmp_path / "g.pt", num_nodes=2, weight="weight")

    def test_another_suffix(self, tmp_path: Path) -> None:
        with pytest.raises(
            ValueError, match=r"'g.csv' must end in one of \['.npz', '.parquet', '.pt'\] \(got '.csv'\)"
        ):
            write_graph(tmp_path / "g.csv", torch.tensor([[0], [1]]))

    def test_parquet_without_pyarrow(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(MissingExtraError, match=r'A Parquet file needs .*pip install "drepm_pyg\[parquet\]"'):
            write_graph(tmp_path / "g.parquet", torch.tensor([[0], [1]]))

    def test_an_array_alone(self, tmp_path: Path) -> None:
        np.save(tmp_path / "g.npy", np.arange(3))
        with pytest.raises(CorruptFileError, match=r"'g.npy' is no npz file"):
            read_graph(tmp_path / "g.npy", num_nodes=3)

    def test_pickled_objects_are_not_loaded(self, tmp_path: Path) -> None:
        with pytest.raises(CorruptFileError, match=r"'g.npz' cannot be read"):
            read_graph(self.write(tmp_path, row=np.array([None]), col=[0]), num_nodes=3)

    @pytest.mark.parametrize("bad", [[0, 3], [-1, 0]])
    def test_ids_out_of_range(self, tmp_path: Path, bad: list[int]) -> None:
        with pytest.raises(ValueError, match=r"'col' of 'g.npz' must hold ids in \[0, 3\) for 3 nodes \(got"):
            read_graph(self.write(tmp_path, row=[0, 1], col=bad), num_nodes=3)

    def test_ids_that_are_no_integers(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"'row' of 'g.npz' must be a vector of integers \(got float64"):
            read_graph(self.write(tmp_path, row=[0.5], col=[1]), num_nodes=3)

    def test_lengths(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"must be of one length \(got 'row' \[2\], 'col' \[1\]\)"):
            read_graph(self.write(tmp_path, row=[0, 1], col=[1]), num_nodes=3)
        with pytest.raises(ValueError, match=r"'edge_weight' must have one entry per edge"):
            write_graph(tmp_path / "g.npz", torch.tensor([[0], [1]]), torch.ones(2))

    def test_weights_that_are_not_finite(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"'cos' of 'g.npz' must hold finite numbers"):
            read_graph(self.write(tmp_path, row=[0], col=[1], cos=[np.nan]), num_nodes=3, weight="cos")

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"'path' names a folder that does not exist \('.*no'\)"):
            write_graph(tmp_path / "no" / "g.npz", torch.tensor([[0], [1]]))

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_nothing_is_written_that_is_not_read(self, tmp_path: Path, suffix: str) -> None:
        path, edges = path_of(tmp_path, suffix), torch.tensor([[0], [1]])
        with pytest.raises(ValueError, match=r"'edge_index' must hold ids of at least 0 \(got -1\)"):
            write_graph(path, edges - 1)
        for bad in (torch.nan, torch.inf):
            with pytest.raises(ValueError, match="'edge_weight' holds NaN or infinite values"):
                write_graph(path, edges, torch.tensor([bad]))
        for dtype in (torch.bool, torch.cfloat):
            with pytest.raises(TypeError, match=rf"'edge_weight' must hold .* \(got {dtype}\)"):
                write_graph(path, edges, torch.ones(1, dtype=dtype))
        assert list(tmp_path.iterdir()) == []

    def test_folders_and_what_is_no_path(self, tmp_path: Path) -> None:
        edges, folder = torch.tensor([[0], [1]]), tmp_path / "g.npz"
        folder.mkdir()
        for call in (lambda: write_graph(folder, edges), lambda: read_graph(folder, num_nodes=2)):
            with pytest.raises(IsADirectoryError, match=r"'path' must be a file \(got '.*g.npz', a folder\)"):
                call()
        for call in (lambda: write_graph(3, edges), lambda: read_graph(3, num_nodes=2)):
            with pytest.raises(TypeError, match=r"'path' must be a path \(got 3, a int\)"):
                call()

    @pytest.mark.parametrize(("suffix", "content"), [(".npz", pickle.dumps([1])), (".pt", b"garbage\n")])
    def test_nobody_is_told_to_load_what_is_unsafe(self, tmp_path: Path, suffix: str, content: bytes) -> None:
        (tmp_path / f"g{suffix}").write_bytes(content)
        with pytest.raises(
            CorruptFileError, match=rf"'g\{suffix}' cannot be read as an? \w+ file \([^`]*\). Was it trunc"
        ):
            read_graph(tmp_path / f"g{suffix}", num_nodes=2)
