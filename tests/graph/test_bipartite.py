"""Search across two sets of rows, against the definition."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from drepm_pyg.graph import bipartite_knn_graph, knn_graph
from tests.graph.dense_reference import score

METRICS = ("cosine", "ip", "l2")


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(METRICS), st.sampled_from(["auto", "blocks"]))
def test_is_the_k_best_of_the_base(seed: int, metric: str, index: str) -> None:
    rng = torch.Generator().manual_seed(seed)
    x = torch.randint(-2, 3, (25, 3), generator=rng).float()
    query = torch.randint(-2, 3, (12, 3), generator=rng).float()
    mask, query_mask = torch.rand(25, generator=rng) > 0.2, torch.rand(12, generator=rng) > 0.2
    nodes = torch.nonzero(mask).flatten().tolist()
    expected = []
    for centre in torch.nonzero(query_mask).flatten().tolist():
        order = sorted(nodes, key=lambda node: (-score(metric, query[centre].tolist(), x[node].tolist()), node))
        expected += [(node, centre) for node in order[:4]]
    found = bipartite_knn_graph(x, query, 4, metric=metric, index=index, mask=mask, query_mask=query_mask)
    assert [tuple(edge) for edge in found.T.tolist()] == expected


@pytest.mark.parametrize("metric", METRICS)
def test_a_set_with_itself_is_the_graph_with_loops(metric: str, generator: torch.Generator) -> None:
    x = torch.nn.functional.normalize(
        torch.randn(300, 8, generator=generator)
    )  # the inner product, too, is largest at home
    assert torch.equal(bipartite_knn_graph(x, x, 5, metric=metric), knn_graph(x, 5, metric=metric, loop=True))


@pytest.mark.parametrize("metric", METRICS)
def test_a_filled_index_holds_the_base(metric: str, generator: torch.Generator) -> None:
    faiss = pytest.importorskip("faiss")
    x, query = torch.randn(500, 8, generator=generator), torch.randn(90, 8, generator=generator)
    x[::7] = x[0]
    mask = torch.arange(500) % 5 != 1
    index = faiss.IndexFlatL2(8) if metric == "l2" else faiss.IndexFlatIP(8)
    index.add((torch.nn.functional.normalize(x) if metric == "cosine" else x).numpy())
    # Masked rows are in the index, so that it may find too few others; those are then searched exactly.
    found = bipartite_knn_graph(x, query, 5, metric=metric, index=index, mask=mask)
    assert (found[1] == torch.arange(90).repeat_interleave(5)).all()
    assert mask[found[0]].all()
    exact = bipartite_knn_graph(x, query, 5, metric=metric, mask=mask)
    assert (found == exact).float().mean() > 0.95


def test_weights_and_cut_off(generator: torch.Generator) -> None:
    x, query = torch.randn(50, 4, generator=generator), torch.randn(9, 4, generator=generator)
    edge_index, weight = bipartite_knn_graph(x, query, 6, metric="l2", return_weight=True)
    torch.testing.assert_close(weight, (x[edge_index[0]] - query[edge_index[1]]).norm(dim=1))
    near, info = bipartite_knn_graph(x, query, 6, metric="l2", radius=1.0, return_info=True)
    assert torch.equal(near, edge_index[:, weight <= 1.0])
    assert info.exact


def test_works_in_message_passing(generator: torch.Generator) -> None:
    from torch_geometric.nn import SimpleConv

    x, query = torch.randn(20, 4, generator=generator), torch.randn(6, 4, generator=generator)
    edge_index = bipartite_knn_graph(x, query, 3)
    mean = SimpleConv("mean")((x, query), edge_index)
    torch.testing.assert_close(mean, x[edge_index[0].view(6, 3)].mean(1))


@pytest.mark.errors
class TestErrors:
    def test_k_larger_than_the_base(self) -> None:
        with pytest.raises(ValueError, match=r"'k' must be at most the number of rows of 'x', 3 \(got 4\)"):
            bipartite_knn_graph(torch.eye(3), torch.eye(3), 4)

    def test_other_widths(self) -> None:
        with pytest.raises(ValueError, match=r"must be of one width \(got 'x' 3, 'query' 4\)"):
            bipartite_knn_graph(torch.eye(3), torch.eye(4), 1)

    def test_the_matrix_with_the_fault_is_named(self) -> None:
        query = torch.eye(3)
        query[1, 1] = float("nan")
        with pytest.raises(ValueError, match=r"'query' holds NaN or infinite values in 1 of 3 rows \(first: \[1\]\)"):
            bipartite_knn_graph(torch.eye(3), query, 1)

    def test_no_matrix(self) -> None:
        with pytest.raises(TypeError, match="'query' must be a torch tensor"):
            bipartite_knn_graph(torch.eye(3), [[1.0, 2.0, 3.0]], 1)  # type: ignore[call-overload]


def test_weights_are_as_wide_as_the_base(generator: torch.Generator) -> None:
    x: Tensor = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    assert bipartite_knn_graph(x, x.half(), 2, return_weight=True)[1].dtype == torch.float64
