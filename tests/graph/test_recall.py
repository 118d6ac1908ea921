"""Recall: what is reported is what a comparison with the exact graph gives, and what is asked for is reached."""

import logging

import numpy as np
import pytest
import torch
from torch import Tensor

from drepm_pyg.graph import bipartite_knn_graph, find, knn_graph, on_disk_index, user_knn_graph

pytest.importorskip("faiss")


@pytest.fixture
def x(generator: torch.Generator) -> Tensor:
    centers = torch.randn(60, 16, generator=generator)
    return centers.repeat(50, 1) + 0.5 * torch.randn(3000, 16, generator=generator)


def recall(found: Tensor, exact: Tensor, k: int) -> float:
    a, b = found[0].view(-1, k), exact[0].view(-1, k)
    return (a[:, :, None] == b[:, None]).any(1).float().mean().item()


@pytest.mark.parametrize("index", ["ivf", "hnsw", "nsg", "ivfpq", "IVF60,SQ8"])
def test_the_measured_recall_is_that_of_the_graph(x: Tensor, index: str) -> None:
    found, info = knn_graph(x, 5, index=index, measure_recall=3000, return_info=True)
    assert info.recall == pytest.approx(recall(found, knn_graph(x, 5), 5), abs=1e-6)


def test_a_sample_estimates_it(x: Tensor) -> None:
    found, info = knn_graph(x, 5, index="IVF150,Flat", measure_recall=500, return_info=True)
    assert info.recall == pytest.approx(recall(found, knn_graph(x, 5), 5), abs=0.05)
    assert info.recall < 0.95


def test_the_recall_of_a_batch_is_that_of_its_rows(generator: torch.Generator) -> None:
    """The rows of a small graph weigh no more than those of a large one."""
    x = torch.randn(3000, 16, generator=generator)
    batch = (torch.arange(3000) >= 2800).long()
    options = {"index": "IVF50,Flat", "batch": batch}
    found, info = knn_graph(x, 5, measure_recall=3000, return_info=True, **options)
    assert info.recall == pytest.approx(recall(found, knn_graph(x, 5, batch=batch), 5), abs=1e-6)
    assert info.recall < 0.95


def test_exact_routes_find_all(x: Tensor) -> None:
    assert knn_graph(x, 5, measure_recall=10, return_info=True)[1].recall == 1
    assert knn_graph(x, 5, index="flat", measure_recall=10, return_info=True)[1].recall == 1
    assert knn_graph(x, 5, return_info=True)[1].recall is None


@pytest.mark.parametrize("index", ["ivf", "hnsw", "nsg", "ivfpq", "IVF60,Flat"])
def test_a_target_is_reached_with_no_more_effort_than_it_takes(x: Tensor, index: str) -> None:
    exact = knn_graph(x, 5)
    low, low_info = knn_graph(x, 5, index=index, target_recall=0.5, return_info=True)
    high, high_info = knn_graph(x, 5, index=index, target_recall=0.97, return_info=True)
    assert recall(low, exact, 5) > 0.45
    assert recall(high, exact, 5) > 0.95
    assert high_info.recall >= 0.97
    effort = next(iter(low_info.parameters))
    assert low_info.parameters[effort] <= high_info.parameters[effort]


@pytest.mark.parametrize("index", ["IVF60,PQ8x4np,RFlat", "PCA8,IVF60,PQ4x4np,Refine(SQ8)", "IVF60_HNSW8,Flat"])
def test_what_lies_around_an_index_does_not_keep_it_from_looking_further(x: Tensor, index: str) -> None:
    info = knn_graph(x, 5, index=index, target_recall=0.97, return_info=True)[1]
    assert info.parameters["nprobe"] > 1
    assert info.recall >= 0.97


@pytest.mark.parametrize("split", ["IndexShards", "IndexReplicas"])
def test_every_shard_or_replica_looks_further(x: Tensor, split: str) -> None:
    import faiss

    unit = torch.nn.functional.normalize(x).numpy()
    whole, parts = getattr(faiss, split)(16), []
    for rows in (unit[:1500], unit[1500:]) if split == "IndexShards" else (unit, unit):
        parts.append(faiss.index_factory(16, "IVF30,Flat", faiss.METRIC_INNER_PRODUCT))
        parts[-1].train(unit)
        parts[-1].add(rows)
        whole.add_shard(parts[-1]) if split == "IndexShards" else whole.add_replica(parts[-1])
    info = knn_graph(x, 5, index=whole, target_recall=0.97, return_info=True)[1]
    assert info.recall >= 0.97
    assert {part.nprobe for part in parts} == {info.parameters["nprobe"]}


def test_codes_are_tuned_with_as_many_candidates_as_are_searched(
    generator: torch.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    y = torch.randn(1000, 16, generator=generator)
    with caplog.at_level(logging.INFO, logger="drepm_pyg"):
        _, info = knn_graph(y, 5, index="IVF4,PQ1x2np", target_recall=0.7, measure_recall=1000, return_info=True)
    *tuned, last = [float(record.args[1]) for record in caplog.records if "exact neighbours" in record.msg]
    assert last == info.recall
    assert tuned[-1] == pytest.approx(info.recall, abs=0.02)
    assert tuned[-1] >= 0.7
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_target_out_of_reach_is_said(x: Tensor, caplog: pytest.LogCaptureFixture) -> None:
    coarse = torch.randn(3000, 16, generator=torch.Generator().manual_seed(1))
    with caplog.at_level(logging.WARNING):
        info = knn_graph(coarse, 5, index="PQ2x4np", target_recall=0.99, return_info=True)[1]
    assert "0.9900 was asked for" in caplog.text
    assert info.recall < 0.99


def test_across_two_sets_and_among_users(x: Tensor) -> None:
    info = bipartite_knn_graph(x, x[:400] + 0.1, 5, index="ivf", target_recall=0.9, return_info=True)[1]
    assert info.recall >= 0.9
    pairs = torch.stack([torch.arange(6000) % 2000, torch.randint(0, 3000, (6000,))])
    found, info = user_knn_graph(x, pairs, 2000, 5, index="ivf", target_recall=0.9, return_info=True)
    assert info.recall >= 0.9
    assert recall(found, user_knn_graph(x, pairs, 2000, 5), 5) > 0.85


def test_auto_is_exact_until_that_takes_too_long(
    x: Tensor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="drepm_pyg"):
        assert knn_graph(x, 5, return_info=True)[1].exact
        said = "index='auto' is 'gram', which is exact, for 3,000 x 3,000 rows of width 16, cosine, on cpu"
        assert said in caplog.text
        monkeypatch.setattr(find, "_EXACT_WORK", 1e6)
        info = knn_graph(x, 5, return_info=True)[1]
    assert (info.index, info.exact) == ("ivf", False)
    assert info.recall >= 0.95
    assert "is 'ivf' tuned for a recall of 0.95" in caplog.text
    assert knn_graph(x, 5, index="blocks", return_info=True)[1].exact


def test_the_routes_may_be_chosen(x: Tensor) -> None:
    graphs = []
    for index in ("gram", "blocks"):
        graph, info = knn_graph(x, 5, index=index, return_info=True)
        assert info.index == index
        graphs.append(graph)
    assert torch.equal(*graphs)


@pytest.mark.parametrize("metric", ["cosine", "ip", "l2"])
def test_an_index_on_disk(x: Tensor, metric: str, tmp_path) -> None:
    import faiss

    # Blocks of a thousandth of the rows: many files are merged.
    index = on_disk_index(x.numpy(), tmp_path, metric=metric, memory_budget=1 << 16)
    assert index.ntotal == 3000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.faiss", "lists.ivfdata"]
    found, info = knn_graph(x, 5, metric=metric, index=index, target_recall=0.97, return_info=True)
    assert info.recall >= 0.97
    assert recall(found, knn_graph(x, 5, metric=metric), 5) > 0.95
    again = faiss.read_index(str(tmp_path / "index.faiss"))
    again.nprobe = index.nprobe
    assert torch.equal(knn_graph(x, 5, metric=metric, index=again), knn_graph(x, 5, metric=metric, index=index))


@pytest.mark.parametrize("form", [torch.bfloat16, torch.float16, torch.float64])
def test_an_index_on_disk_of_any_floats(x: Tensor, form: torch.dtype, tmp_path) -> None:
    x = x[:500].to(form).requires_grad_()
    index = on_disk_index(x, tmp_path)
    assert knn_graph(x, 5, index=index, target_recall=0.95, return_info=True)[1].recall >= 0.95


@pytest.mark.parametrize("scale", [1e-30, 1e60])
def test_an_index_on_disk_for_the_cosine_does_not_care_for_length(x: Tensor, scale: float, tmp_path) -> None:
    import faiss

    short = on_disk_index(scale * x[:500].double(), tmp_path / "short")
    plain = on_disk_index(x[:500].double(), tmp_path / "plain")
    unit = torch.nn.functional.normalize(x[:50]).numpy()
    short.nprobe = plain.nprobe = plain.nlist
    np.testing.assert_allclose(short.search(unit, 3)[0], plain.search(unit, 3)[0], rtol=1e-5)
    assert isinstance(short, faiss.IndexIVFFlat)


def test_an_index_on_disk_is_found_from_elsewhere(x: Tensor, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    import faiss

    monkeypatch.chdir(tmp_path)
    on_disk_index(x[:500], "here")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert faiss.read_index("../here/index.faiss").ntotal == 500
    (tmp_path / "here").rename(tmp_path / "moved")
    moved = str(tmp_path / "moved" / "index.faiss")
    assert faiss.read_index(moved, faiss.IO_FLAG_ONDISK_SAME_DIR).ntotal == 500


@pytest.mark.errors
def test_an_index_on_disk_needs_finite_rows_and_fewer_lists(x: Tensor, tmp_path) -> None:
    with pytest.raises(ValueError, match=r"'lists' must be at most the number of rows, 3000 \(got 4000\)"):
        on_disk_index(x, tmp_path, lists=4000)
    with pytest.raises(ValueError, match=r"'x' must have a row at least \(got \[0, 16\]\)"):
        on_disk_index(x[:0], tmp_path)
    for scale, metric in ((1e60, "l2"), (1e19, "l2"), (1e19, "ip")):  # FAISS ends the process at what overflows
        with pytest.raises(ValueError, match=r"'x' must hold values of at most 2.31e\+18 .* Scale it down"):
            on_disk_index(scale * x.double(), tmp_path, metric=metric)
    with pytest.raises(TypeError, match=r"'directory' must be a path \(got 5, a int\)"):
        on_disk_index(x, 5)
    x[7, 0] = float("inf")
    with pytest.raises(ValueError, match=r"'x' holds NaN or infinite values in 1 of \d+ rows .*\(first: \[7\]\)"):
        on_disk_index(x, tmp_path)
    x[7, 0], x[2998, 0] = 0.0, float("nan")  # not among those that the lists are trained with: found block by block
    with pytest.raises(ValueError, match=r"first: \[2998\]"):
        on_disk_index(x, tmp_path / "late", lists=8, memory_budget=1 << 14)
    assert not list((tmp_path / "late").iterdir())


def test_an_approximate_index_is_called_so(x: Tensor, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="drepm_pyg"):
        knn_graph(x, 5, index="flat")
        assert "approximate" not in caplog.text
        knn_graph(x, 5, index="ivf")
    assert "ivf is approximate: measure_recall=" in caplog.text
