"""FAISS as the source of candidates: exact where it is exact, completed where it finds too few."""

import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from drepm_pyg._checks import MissingExtraError
from drepm_pyg.graph import faiss_search, knn_graph, options, user_knn_graph

METRICS = ("cosine", "ip", "l2")


@pytest.fixture
def x(generator: torch.Generator) -> Tensor:
    centers = torch.randn(25, 16, generator=generator)
    return centers.repeat(24, 1) + 0.3 * torch.randn(600, 16, generator=generator)


@pytest.fixture
def faiss() -> object:
    return pytest.importorskip("faiss")


def overlap(a: Tensor, b: Tensor, num_nodes: int) -> float:
    return torch.isin(a[1] * num_nodes + a[0], b[1] * num_nodes + b[0]).float().mean().item()


@pytest.mark.usefixtures("faiss")
@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("metric", METRICS)
def test_flat_is_the_exact_graph(x: Tensor, metric: str, loop: bool) -> None:
    x[::5] = x[0]
    x[1::50] = 0
    edge_index, info = knn_graph(x, 8, metric=metric, loop=loop, index="flat", return_info=True)
    assert (info.index, info.exact) == ("flat", True)
    assert torch.equal(edge_index, knn_graph(x, 8, metric=metric, loop=loop))


@pytest.mark.usefixtures("faiss")
def test_a_row_that_an_index_misses_stands_where_it_ranks(generator: torch.Generator) -> None:
    x = torch.randn(400, 16, generator=generator)
    edge_index, distance = knn_graph(x, 5, metric="l2", index="HNSW4", loop=True, return_weight=True)
    assert torch.equal(edge_index[0].view(400, 5)[:, 0], torch.arange(400))
    assert (distance.view(400, 5).diff(dim=1) >= 0).all()


@pytest.mark.usefixtures("faiss")
@pytest.mark.parametrize("index", ["hnsw", "nsg"])
def test_a_walk_is_no_broader_than_the_rows(x: Tensor, index: str) -> None:
    """Of fewer rows than it is to look at, an NSG would seek others without end."""
    edge_index, info = knn_graph(x[:300], 60, index=index, return_info=True)
    assert next(iter(info.parameters.values())) <= 300
    assert overlap(edge_index, knn_graph(x[:300], 60), 300) > 0.95


@pytest.mark.parametrize("factory", ["SQ4", "IVF8,PQ4x4np", "PCA4,Flat"])
def test_a_code_leaves_as_many_candidates_to_be_scored_however_it_is_given(x: Tensor, faiss, factory: str) -> None:
    unit = torch.nn.functional.normalize(x).numpy()
    given = faiss.index_factory(16, factory, faiss.METRIC_INNER_PRODUCT)
    given.train(unit)
    exact = knn_graph(x, 5)
    by_name, by_index = (overlap(knn_graph(x, 5, index=index), exact, 600) for index in (factory, given))
    assert by_name == pytest.approx(by_index, abs=0.03)


@pytest.mark.usefixtures("faiss")
def test_a_refinement_is_no_reason_for_fewer_candidates(x: Tensor) -> None:
    plain, refined = (
        overlap(knn_graph(x, 5, index=index), knn_graph(x, 5), 600) for index in ("PQ4x4np", "PQ4x4np,RFlat")
    )
    assert refined >= plain - 0.01


def test_agrees_with_a_plain_flat_index(x: Tensor, faiss) -> None:
    unit = np.ascontiguousarray(torch.nn.functional.normalize(x).numpy())
    plain = faiss.IndexFlatIP(16)
    plain.add(unit)
    _, found = plain.search(unit, 6)
    # No duplicates here, so every row finds itself first.
    assert (found[:, 0] == np.arange(600)).all()
    assert torch.equal(knn_graph(x, 5)[0].view(600, 5), torch.from_numpy(found[:, 1:]))


@pytest.mark.usefixtures("faiss")
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("index", ["ivf", "hnsw", "IVF8,Flat", "HNSW16", "PQ8x4np", "SQ8"])
def test_approximate_indexes_give_whole_graphs(x: Tensor, index: str, metric: str) -> None:
    edge_index, info = knn_graph(x, 5, metric=metric, index=index, return_info=True)
    assert edge_index.shape == (2, 3000)
    assert (edge_index[0] != edge_index[1]).all()
    assert (info.index, info.exact) == (index, False)
    least = 0.95 if index in ("ivf", "hnsw") else 0.2
    assert overlap(edge_index, knn_graph(x, 5, metric=metric), 600) > least


@pytest.mark.usefixtures("faiss")
def test_rows_for_which_an_index_finds_too_few_are_searched_exactly(x: Tensor) -> None:
    # One list of sixty is probed: about ten of the forty neighbours are found.
    edge_index, info = knn_graph(x, 40, index="IVF60,Flat", return_info=True)
    assert info.searched_again > 0
    assert edge_index.shape == (2, 600 * 40)


@pytest.mark.parametrize("metric", METRICS)
def test_a_filled_index_is_searched_as_it_is(x: Tensor, faiss, metric: str) -> None:
    mask = torch.ones(600, dtype=torch.bool)
    mask[::7] = False
    x[::10] = x[0]
    x = 100 * x + 3
    index = faiss.IndexFlatL2(16) if metric == "l2" else faiss.IndexFlatIP(16)
    index.add(torch.nn.functional.normalize(x).numpy() if metric == "cosine" else x.numpy())
    found = knn_graph(x, 5, metric=metric, index=index, mask=mask)
    assert overlap(found, knn_graph(x, 5, metric=metric, mask=mask), 600) > 0.999
    assert index.ntotal == 600


@pytest.mark.parametrize("metric", METRICS)
def test_a_filled_index_of_rows_of_all_lengths_is_taken(x: Tensor, faiss, metric: str) -> None:
    """What it says of pairs is compared with their scores: rounded by it, and of rows that are scaled here."""
    x = x * torch.logspace(-12, 12, 600)[:, None] + (1e3 if metric == "l2" else 0)
    index = faiss.IndexFlatL2(16) if metric == "l2" else faiss.IndexFlatIP(16)
    index.add(torch.nn.functional.normalize(x).numpy() if metric == "cosine" else x.numpy())
    assert knn_graph(x, 5, metric=metric, index=index).shape == (2, 3000)


def test_an_empty_index_is_copied_before_it_is_filled(x: Tensor, faiss) -> None:
    index = faiss.IndexFlatIP(16)
    assert torch.equal(knn_graph(x, 5, index=index), knn_graph(x, 5))
    assert index.ntotal == 0


@pytest.mark.usefixtures("faiss")
def test_users_too(x: Tensor, generator: torch.Generator) -> None:
    pairs = torch.stack([torch.arange(80).repeat(4), torch.randint(600, (320,), generator=generator)])
    assert torch.equal(user_knn_graph(x, pairs, 80, 5, index="flat"), user_knn_graph(x, pairs, 80, 5))


@pytest.mark.usefixtures("faiss")
@pytest.mark.parametrize("metric", METRICS)
def test_the_way_to_a_gpu_with_a_cpu_in_its_place(x: Tensor, metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = []
    monkeypatch.setattr(options, "check_device", lambda device: None)
    monkeypatch.setattr(faiss_search, "on_gpu", lambda faiss, index, device: moved.append(str(device)) or index)
    edge_index, info = knn_graph(x, 8, metric=metric, index="flat", device="cuda", return_info=True)
    assert torch.equal(edge_index, knn_graph(x, 8, metric=metric))
    assert info.searched_again == 0  # products were found to be float32's
    assert set(moved) == {info.device} == {"cuda"}


@pytest.mark.parametrize("index", ["flat", "ivf"])
def test_the_way_to_several_gpus(x: Tensor, faiss, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def halves(faiss, whole, device):
        out = faiss.IndexShards(whole.d, False, index == "flat")  # as FAISS' own: successive ids but for IVF
        parts.append([faiss.clone_index(whole) for _ in range(2)])
        for place, part in enumerate(parts[-1]):
            if index == "flat":
                part.reset()
                part.add(whole.reconstruct_n(0, whole.ntotal)[place * whole.ntotal // 2 :][: whole.ntotal // 2])
            else:
                part.remove_ids(np.flatnonzero(np.arange(whole.ntotal) % 2 == place))
            out.add_shard(part)
        return out

    parts: list[list[object]] = []
    monkeypatch.setattr(options, "check_device", lambda device: None)
    monkeypatch.setattr(faiss_search, "on_gpu", halves)
    monkeypatch.setattr(faiss_search, "shared_out", lambda faiss, device: True)
    # A small budget: the rows are added in several blocks, which shards do not take.
    x = x.repeat(4, 1) + torch.arange(4).repeat_interleave(600)[:, None]
    found = knn_graph(x, 8, index=index, device="cuda", memory_budget=1 << 20)
    assert overlap(found, knn_graph(x, 8, index=index), 2400) > (0.999 if index == "flat" else 0.8)


@pytest.mark.errors
class TestErrors:
    def test_without_faiss_both_extras_are_named(self, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "faiss", None)
        with pytest.raises(MissingExtraError, match=r"index='ivf' needs FAISS.*drepm_pyg\[cpu\].*drepm_pyg\[gpu\]"):
            knn_graph(x, 5, index="ivf")
        assert knn_graph(x, 5).shape == (2, 3000)

    @pytest.mark.usefixtures("faiss")
    def test_a_string_that_is_no_index(self, x: Tensor) -> None:
        with pytest.raises(
            ValueError,
            match=r"'index' must be 'auto', 'exact', 'gram', 'blocks', .* \(got 'IFV8'; FAISS: could not parse",
        ):
            knn_graph(x, 5, index="IFV8")

    @pytest.mark.usefixtures("faiss")
    def test_too_few_rows_to_train(self, x: Tensor) -> None:
        with pytest.raises(ValueError, match=r"'index' must be .* \(got 'IVF100,Flat' for 20 distinct rows"):
            knn_graph(x[:20], 5, index="IVF100,Flat")

    @pytest.mark.usefixtures("faiss")
    def test_an_index_with_ids_of_its_own(self, x: Tensor) -> None:
        with pytest.raises(ValueError, match=r"must take 600 distinct rows, .* \(got IndexIDMap.* Leave 'IDMap' out"):
            knn_graph(x, 5, index="IDMap,Flat")

    @pytest.mark.usefixtures("faiss")
    def test_too_few_rows_for_the_graph_of_an_index(self, x: Tensor) -> None:
        with pytest.raises(ValueError, match=r"must take 50 distinct rows.* \(got IndexNSG.*index='exact'"):
            knn_graph(x[:50], 5, index="nsg")

    @pytest.mark.usefixtures("faiss")
    @pytest.mark.parametrize("index", ["nsg", "PCA8,NSG16,Flat"])
    def test_so_few_rows_that_faiss_may_end_the_process(self, x: Tensor, index: str) -> None:
        with pytest.raises(ValueError, match=r"must take 120 distinct rows.*fewer than 228 rows.*index='exact'"):
            knn_graph(x[:120], 5, metric="l2", index=index)

    @pytest.mark.parametrize(
        ("shift", "given"), [(1000, r"\(got 1\d\d\d to 1\d\d\d\)"), (-700, r"\(got -\d\d\d to -\d\d\d\)")]
    )
    def test_ids_that_are_no_rows(self, x: Tensor, faiss, shift: int, given: str) -> None:
        index = faiss.IndexIDMap(faiss.IndexFlatIP(16))
        index.add_with_ids(x.numpy(), np.arange(600) + shift)
        with pytest.raises(ValueError, match=r"must answer with ids of rows, 0 to 599 " + given):
            knn_graph(x, 5, index=index)

    @pytest.mark.usefixtures("faiss")
    def test_something_else(self, x: Tensor) -> None:
        with pytest.raises(TypeError, match=r"'index' must be a string or a faiss.Index \(got int\)"):
            knn_graph(x, 5, index=3)

    def test_an_index_of_another_width(self, x: Tensor, faiss) -> None:
        with pytest.raises(ValueError, match=r"'index' must be as wide as the features \(got 8, expected 16\)"):
            knn_graph(x, 5, index=faiss.IndexFlatIP(8))

    def test_an_index_of_another_metric(self, x: Tensor, faiss) -> None:
        with pytest.raises(ValueError, match=r"'index' must use faiss.METRIC_INNER_PRODUCT"):
            knn_graph(x, 5, index=faiss.IndexFlatL2(16))

    def test_an_untrained_index(self, x: Tensor, faiss) -> None:
        with pytest.raises(ValueError, match=r"'index' must be trained"):
            knn_graph(x, 5, index=faiss.index_factory(16, "IVF4,Flat", faiss.METRIC_INNER_PRODUCT))

    @pytest.mark.parametrize("factory", ["Flat", "IVF4,Flat", "HNSW16,Flat"])
    @pytest.mark.parametrize("metric", METRICS)
    def test_an_index_of_the_rows_in_another_order(self, x: Tensor, faiss, metric: str, factory: str) -> None:
        index = faiss.index_factory(16, factory, faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT)
        held = (torch.nn.functional.normalize(x) if metric == "cosine" else x).flip(0).numpy()
        index.train(held)
        index.add(held)
        with pytest.raises(ValueError, match=r"'index' must hold the vector of every node, in the order of the nodes"):
            knn_graph(x, 5, metric=metric, index=index)

    def test_an_index_of_vectors_that_are_not_of_length_1(self, x: Tensor, faiss) -> None:
        index = faiss.IndexFlatIP(16)
        index.add(x.numpy())
        with pytest.raises(ValueError, match=r"must hold .* cosine, of length 1 \(scores of \d+ of \d+ pairs"):
            knn_graph(x, 5, index=index)

    def test_an_index_of_other_rows(self, x: Tensor, faiss) -> None:
        index = faiss.IndexFlatIP(16)
        index.add(x[:50].numpy())
        with pytest.raises(ValueError, match=r"one vector per node \(got 50, expected 600\)"):
            knn_graph(x, 5, index=index)


@pytest.mark.errors
@pytest.mark.usefixtures("faiss")
@pytest.mark.parametrize(("index", "options"), [("ivfpq", {}), ("nsg", {"metric": "ip"})])
def test_a_name_that_these_rows_do_not_allow(index: str, options: dict[str, str], generator: torch.Generator) -> None:
    with pytest.raises(ValueError, match=rf"such rows and this metric allow \(got '{index}' .*\)\. 'exact' takes any"):
        knn_graph(torch.randn(200, 16, generator=generator), 3, index=index, **options)
