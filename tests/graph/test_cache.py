"""A cached graph is the one its inputs would give, however the file fares."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from drepm_pyg.graph.cache import cached, fingerprint

GRAPH = torch.tensor([[1, 0], [0, 1]]), torch.tensor([0.25, 0.5])


class Builder:
    """Counts how often it is asked."""

    calls = 0

    def __call__(self) -> tuple[Tensor, Tensor]:
        self.calls += 1
        return GRAPH


def test_the_second_time_comes_from_disk(tmp_path: Path) -> None:
    make = Builder()
    for _ in range(2):
        edge_index, weight = cached(tmp_path / "new" / "folder", "key", 2, torch.float32, make)
        assert torch.equal(edge_index, GRAPH[0])
        assert torch.equal(weight, GRAPH[1])
    assert make.calls == 1
    cached(tmp_path / "new" / "folder", "other", 2, torch.float32, make)
    assert make.calls == 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_weights_come_back_as_they_were(tmp_path: Path, dtype: torch.dtype) -> None:
    graph = GRAPH[0], torch.tensor([1 / 3, 2 / 3], dtype=dtype)
    for _ in range(2):
        weight = cached(tmp_path, "key", 2, dtype, lambda: graph)[1]
        assert weight.dtype == dtype
        assert torch.equal(weight, graph[1])


@pytest.mark.parametrize("size", [0, 50, -1])
def test_a_truncated_file_is_built_anew(tmp_path: Path, size: int) -> None:
    make = Builder()
    cached(tmp_path, "key", 2, torch.float32, make)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:size])
    assert torch.equal(cached(tmp_path, "key", 2, torch.float32, make)[0], GRAPH[0])
    cached(tmp_path, "key", 2, torch.float32, make)
    assert make.calls == 2


def test_a_file_of_another_graph_is_built_anew(tmp_path: Path) -> None:
    make = Builder()
    np.savez(tmp_path / "key.npz", row=[9999], col=[0], weight=[1.0])
    for _ in range(2):
        assert torch.equal(cached(tmp_path, "key", 2, torch.float32, make)[0], GRAPH[0])
    assert make.calls == 1


def test_weights_that_overflow_are_not_kept(tmp_path: Path) -> None:
    graph = GRAPH[0], torch.tensor([0.5, torch.inf])
    for _ in range(2):
        assert cached(tmp_path, "key", 2, torch.float32, lambda: graph)[1] is graph[1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.errors
def test_a_file_is_no_folder(tmp_path: Path) -> None:
    make = Builder()
    (tmp_path / "file").touch()
    for directory in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ValueError, match=r"'cache_dir' must be a folder \(got '.*file.*', a file or below one\)"):
            cached(directory, "key", 2, torch.float32, make)
    assert make.calls == 0


def test_writers_at_the_same_time_do_no_harm(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        graphs = list(pool.map(lambda _: cached(tmp_path, "key", 2, torch.float32, Builder()), range(32)))
    assert all(torch.equal(edge_index, GRAPH[0]) for edge_index, _ in graphs)
    assert [file.name for file in tmp_path.iterdir()] == ["key.npz"]


def test_the_key_depends_on_every_byte_and_parameter() -> None:
    x = torch.arange(12.0).view(6, 2)
    mask = torch.ones(6, dtype=torch.bool)
    changed = x.clone()
    changed[5, 1] += 1
    keys = [
        fingerprint({"x": x, "mask": None}, {"k": 10}),
        fingerprint({"x": changed, "mask": None}, {"k": 10}),
        fingerprint({"x": x.view(4, 3), "mask": None}, {"k": 10}),
        fingerprint({"x": x.view(torch.int32), "mask": None}, {"k": 10}),
        fingerprint({"x": x, "mask": mask}, {"k": 10}),
        fingerprint({"x": x, "mask": None}, {"k": 1}),
        fingerprint({"x": x, "mask": None}, {"k": 10, "loop": True}),
    ]
    assert len(set(keys)) == len(keys)


def test_the_key_depends_on_content_alone() -> None:
    x = torch.rand(50, 3)
    key = fingerprint({"x": x}, {"k": 1, "loop": False})
    assert fingerprint({"x": x.T.contiguous().T}, {"loop": False, "k": 1}) == key
    assert fingerprint({"x": x.half()}, {}) == fingerprint({"x": x.half().clone()}, {})
    assert fingerprint({"x": x.bfloat16()}, {}) != fingerprint({"x": x.half()}, {})
    assert fingerprint({"x": np.asfortranarray(x)}, {}) == fingerprint({"x": x.numpy()}, {})
