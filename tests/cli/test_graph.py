"""``drepm graph``: three formats, a description that holds, a picture, and errors before the search."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from drepm_pyg.cli import main
from drepm_pyg.data import read_mmrec, similar
from drepm_pyg.graph import edge_homophily, hubness, knn_graph, mutual_share, read_graph


@pytest.fixture
def features(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32))
    return tmp_path / "x.npy"


def described(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert main(["graph", *map(str, arguments), "--format", "json"]) == 0
    record: dict[str, Any] = json.loads(capsys.readouterr().out)
    return record


def test_a_graph_from_a_feature_file(features: Path) -> None:
    assert main(["graph", str(features), "--k", "3", "--out", str(features.with_suffix(".npz"))]) == 0
    written = read_graph(features.with_suffix(".npz"), num_nodes=40)
    assert torch.equal(written, knn_graph(torch.from_numpy(np.load(features)), 3))


@pytest.mark.parametrize("suffix", [".npz", ".pt", ".parquet"])
def test_the_suffix_is_the_format(features: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    out = features.with_suffix(suffix)
    described(capsys, features, "--k", 3, "--out", out, "--weight", "true")
    edge_index, weight = knn_graph(torch.from_numpy(np.load(features)), 3, return_weight=True)
    assert torch.equal(read_graph(out, num_nodes=40), edge_index)
    assert torch.equal(read_graph(out, num_nodes=40, weight="weight")[1], weight)


def test_the_summary_describes_the_graph(features: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = described(capsys, features, "--k", 3, "--out", features.with_suffix(".npz"), "--loop", "true")
    edge_index, weight = knn_graph(torch.from_numpy(np.load(features)), 3, loop=True, return_weight=True)
    others = edge_index[0] != edge_index[1]
    assert record["edges"] == 120
    assert record["mean similarity"] == pytest.approx(float(weight[others].double().mean()))
    assert record["hubness (skewness of times a neighbour)"] == pytest.approx(hubness(edge_index, 40))
    assert record["mutual edges"] == pytest.approx(mutual_share(edge_index))
    assert sum(record["nodes by times a neighbour"].values()) == 40
    assert record["most often a neighbour"] == int(edge_index[0, others].bincount().max())
    assert record["exact"] is True


@pytest.mark.parametrize("form", ["<f2", ">f4", ">f8", "fortran"])
def test_every_floating_array_is_read(features: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.load(features)
    other = np.asfortranarray(x) if form == "fortran" else x.astype(form)
    np.save(features.parent / "y.npy", other)
    described(capsys, features.parent / "y.npy", "--k", 3, "--out", features.parent / "y.npz")
    expected = knn_graph(torch.from_numpy(other.astype(np.float64)), 3)
    assert torch.equal(read_graph(features.parent / "y.npz", num_nodes=40), expected)


def test_ranges_of_the_histogram_double(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # On a circle, ever farther apart: the nearest of each is the one before, and of row 0 row 1.
    angle = np.array([0, 1, 3, 7, 15, 31, 63])
    np.save(tmp_path / "x.npy", np.stack([np.cos(angle / 60), np.sin(angle / 60)], axis=1))
    record = described(capsys, tmp_path / "x.npy", "--k", 1, "--out", tmp_path / "g.npz")
    assert record["nodes by times a neighbour"] == {"0": 1, "1": 5, "2-3": 1}  # rows 6; 0, 2-5; 1


def test_rows_that_take_no_part_are_not_described(
    features: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.load(features)
    mask = np.arange(len(x)) % 3 != 0
    np.save(tmp_path / "mask.npy", mask)
    np.save(tmp_path / "some.npy", x[mask])
    arguments = ["--k", 4, "--out", tmp_path / "g.npz"]
    masked = described(capsys, features, *arguments, "--mask", tmp_path / "mask.npy")
    assert {**masked, "seconds": 0} == {**described(capsys, tmp_path / "some.npy", *arguments), "seconds": 0}


@pytest.mark.parametrize("options", [["--metric", "l2", "--radius", 0], ["--min_similarity", 2]])
def test_a_graph_without_neighbours_has_a_histogram(
    features: Path, options: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    record = described(capsys, features, "--k", 2, "--out", features.with_suffix(".npz"), *options)
    assert record["nodes by times a neighbour"] == {"0": 40}


def test_products_beyond_float32_are_drawn_without_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    np.save(tmp_path / "x.npy", np.float32(1e20) * np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32))
    options = ["--metric", "ip", "--plot", tmp_path / "g.png"]
    described(capsys, tmp_path / "x.npy", "--k", 2, "--out", tmp_path / "g.npz", *options)
    assert (tmp_path / "g.png").stat().st_size > 0


def test_options_reach_the_search(features: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = features.with_suffix(".npz")
    options = ["--metric", "ip", "--min_similarity", "1.5", "--mutual", "true", "--measure_recall", "10"]
    record = described(capsys, features, "--k", 4, "--out", out, *options)
    x = torch.from_numpy(np.load(features))
    assert torch.equal(read_graph(out, num_nodes=40), knn_graph(x, 4, metric="ip", min_similarity=1.5, mutual=True))
    assert record["recall"] == 1
    record = described(capsys, features, "--k", 4, "--out", out, "--metric", "l2", "--symmetric", "union")
    assert torch.equal(read_graph(out, num_nodes=40), knn_graph(x, 4, metric="l2", symmetric="union"))
    assert record["mutual edges"] == 1
    assert record["mean distance"] > 0


def test_nothing_is_left_of_the_graph(features: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plot = features.with_suffix(".png")
    pytest.importorskip("matplotlib")
    arguments = ["--out", features.with_suffix(".npz"), "--min_similarity", "2", "--plot", plot]
    record = described(capsys, features, "--k", 2, *arguments)
    assert record["edges"] == record["most often a neighbour"] == 0
    assert record["mean similarity"] is None
    assert record["mutual edges"] is None
    assert record["connected components"] == 40
    assert plot.stat().st_size > 0


def test_homophily_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], written: Callable[..., Path]
) -> None:
    pytest.importorskip("matplotlib")
    shop = written()
    arguments = ["--k", 5, "--out", tmp_path / "g.npz", "--interactions", shop, "--plot", tmp_path / "g.png"]
    record = described(capsys, shop / "text_feat.npy", *arguments)
    data = read_mmrec(shop)
    data[similar("item", "text")].edge_index = read_graph(tmp_path / "g.npz", num_nodes=40)
    assert not math.isnan(record["homophily"])
    assert record["homophily"] == pytest.approx(edge_homophily(data, "text"))
    assert (tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")


def test_no_edges_have_no_homophily(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], written: Callable[..., Path]
) -> None:
    shop = written()
    arguments = ["--k", 5, "--out", tmp_path / "g.npz", "--interactions", shop, "--min_similarity", 2]
    assert described(capsys, shop / "text_feat.npy", *arguments)["homophily"] is None


@pytest.mark.parametrize("form", ["table", "csv"])
def test_the_histogram_stands_in_one_cell(features: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", str(features), "--out", str(features.with_suffix(".npz")), "--format", form]) == 0
    captured = capsys.readouterr()
    assert "8-15: " in captured.out
    assert "{" not in captured.out
    assert captured.err == ""  # no bar where stderr is no terminal


@pytest.mark.errors
class TestErrors:
    def fails(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
        assert main(["graph", *map(str, arguments)]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1
        return captured.err

    def test_outputs_are_checked_before_the_search(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        # The features are not there: an error about the output shows that it was looked at first.
        x = tmp_path / "x.npy"
        assert "'g.csv' must end in one of" in self.fails(capsys, x, "--out", tmp_path / "g.csv")
        assert "a folder that does not exist" in self.fails(capsys, x, "--out", tmp_path / "no" / "g.npz")
        plot = tmp_path / "g.pdf"
        assert "'--plot' must end in .png" in self.fails(capsys, x, "--out", tmp_path / "g.npz", "--plot", plot)
        (tmp_path / "folder.npz").mkdir()
        assert "'--out' must be a file" in self.fails(capsys, x, "--out", tmp_path / "folder.npz")
        plot = tmp_path / "no" / "g.png"
        assert "'--plot' names a folder" in self.fails(capsys, x, "--out", tmp_path / "g.npz", "--plot", plot)
        assert "x.npy' does not exist" in self.fails(capsys, x, "--out", tmp_path / "g.npz")

    @pytest.mark.skipif(not Path("/proc").is_dir(), reason="a folder into which not even root writes")
    def test_a_folder_that_takes_no_files(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        x = tmp_path / "x.npy"  # not there: said before it is looked for
        error = self.fails(capsys, x, "--out", "/proc/g.npz")
        assert "'--out' names a folder that takes no files ('/proc': " in error
        error = self.fails(capsys, x, "--out", tmp_path / "g.npz", "--plot", "/proc/g.png")
        assert "'--plot' names a folder that takes no files ('/proc': " in error
        assert list(tmp_path.iterdir()) == []

    def test_the_file_at_fault_is_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        np.save(tmp_path / "x.npy", np.ones((20, 3), int))
        error = self.fails(capsys, tmp_path / "x.npy", "--out", tmp_path / "g.npz")
        assert f"{tmp_path / 'x.npy'}: 'x' must hold floating-point features (got int64)" in error
        whole = (tmp_path / "x.npy").read_bytes()
        (tmp_path / "half.npy").write_bytes(whole[: len(whole) // 2])
        assert "Was the file truncated?" in self.fails(capsys, tmp_path / "half.npy", "--out", tmp_path / "g.npz")
        np.savez(tmp_path / "x.npz", np.ones((20, 3)))
        (tmp_path / "x.txt").write_text("1 2 3")
        for name in ("x.npz", "x.txt"):
            error = self.fails(capsys, tmp_path / name, "--out", tmp_path / "g.npz")
            assert f"{name}' is no .npy file. Pass one array" in error

    def test_what_is_no_array_of_numbers(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "g.npz"
        assert "is a folder. Pass a .npy file" in self.fails(capsys, tmp_path, "--out", out)
        np.save(tmp_path / "x.npy", np.array([{}, {}], dtype=object), allow_pickle=True)
        assert "x.npy' holds Python objects" in self.fails(capsys, tmp_path / "x.npy", "--out", out)

    def test_a_number_alone(self, features: Path, capsys: pytest.CaptureFixture[str]) -> None:
        np.save(features, np.float32(1))
        for more in ([], ["--interactions", features.parent / "shop"]):
            error = self.fails(capsys, features, "--out", features.with_suffix(".npz"), *more)
            assert "'x' must have the shape [N, F] with F of at least 1 (got [])" in error

    def test_interactions_of_other_items(
        self, features: Path, capsys: pytest.CaptureFixture[str], written: Callable[..., Path]
    ) -> None:
        shop = written(num_items=30)
        error = self.fails(capsys, features, "--out", features.with_suffix(".npz"), "--interactions", shop)
        assert "has 30 items, but there are 40 rows of features" in error
        assert not features.with_suffix(".npz").exists()  # said before the search

    def test_a_metric_that_is_none(self, features: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["graph", str(features), "--out", "g.npz", "--metric", "dot"]) == 2
        assert "metric" in capsys.readouterr().err
