"""normalize_graph against dense matrices, and against PyG's gcn_norm."""

import pytest
import torch
from torch import Tensor
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from drepm_pyg.graph import knn_graph, normalize_graph


@pytest.fixture
def graph(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    edge_index = torch.randint(9, (2, 40), generator=generator).unique(dim=1)
    edge_index = edge_index[:, edge_index[1] != 4]  # nothing arrives at node 4
    return edge_index, torch.rand(edge_index.size(1), generator=generator, dtype=torch.float64)


def dense(edge_index: Tensor, edge_weight: Tensor) -> Tensor:
    """S as the paper writes it: row = centre, column = neighbour."""
    matrix = torch.zeros(10, 10, dtype=edge_weight.dtype)
    matrix[edge_index[1], edge_index[0]] = edge_weight
    return matrix


def inverse(degree: Tensor, power: float) -> Tensor:
    return torch.where(degree > 0, degree**-power, 0.0).diag()


def test_sym_scales_both_ends_by_the_degree_of_the_row(graph: tuple[Tensor, Tensor]) -> None:
    s = dense(*graph)
    scale = inverse(s.sum(1), 0.5)
    torch.testing.assert_close(dense(*normalize_graph(*graph, num_nodes=10)), scale @ s @ scale)


def test_sym_is_gcn_norm(graph: tuple[Tensor, Tensor]) -> None:
    _, expected = gcn_norm(*graph, num_nodes=10, add_self_loops=False, flow="source_to_target")
    torch.testing.assert_close(normalize_graph(*graph, num_nodes=10)[1], expected)


def test_row_sums_are_one_where_anything_arrives(graph: tuple[Tensor, Tensor]) -> None:
    s = dense(*graph)
    weight = dense(*normalize_graph(*graph, num_nodes=10, mode="row"))
    torch.testing.assert_close(weight, inverse(s.sum(1), 1) @ s)
    torch.testing.assert_close(weight.sum(1), (s.sum(1) > 0).double())


def test_column_sums_are_one_where_anything_leaves(graph: tuple[Tensor, Tensor]) -> None:
    s = dense(*graph)
    weight = dense(*normalize_graph(*graph, num_nodes=10, mode="col"))
    torch.testing.assert_close(weight, s @ inverse(s.sum(0), 1))
    torch.testing.assert_close(weight.sum(0), (s.sum(0) > 0).double())


@pytest.mark.parametrize("loop", [False, True])
def test_every_edge_of_a_binary_k_graph_weighs_one_kth(loop: bool, generator: torch.Generator) -> None:
    edge_index = knn_graph(torch.randn(50, 4, generator=generator), 8, loop=loop)
    _, weight = normalize_graph(edge_index, num_nodes=50)
    torch.testing.assert_close(weight, torch.full((400,), 1 / 8))


def test_degree_zero_gives_weight_zero() -> None:
    # Nothing arrives at node 0, so that D^-1/2 of the source is 0.
    edge_index, weight = normalize_graph(torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
    assert weight.tolist() == [0, 1]
    zero = torch.zeros(2)
    for mode in ("sym", "row", "col"):
        assert normalize_graph(edge_index, zero, num_nodes=3, mode=mode)[1].tolist() == [0, 0]


def test_edges_stay_where_they_are(graph: tuple[Tensor, Tensor]) -> None:
    edge_index, weight = normalize_graph(*graph, num_nodes=10)
    assert torch.equal(edge_index, graph[0])
    assert weight.dtype == torch.float64


def test_no_edges() -> None:
    edge_index, weight = normalize_graph(torch.empty(2, 0, dtype=torch.long), num_nodes=3)
    assert (edge_index.shape, weight.shape) == ((2, 0), (0,))


def test_gradients_reach_the_weights(graph: tuple[Tensor, Tensor]) -> None:
    weight = (graph[1] + 0.1).requires_grad_()
    for mode in ("sym", "row", "col"):
        assert torch.autograd.gradcheck(lambda w, m=mode: normalize_graph(graph[0], w, num_nodes=10, mode=m)[1], weight)


def test_counts_are_weights() -> None:
    edge_index, count = torch.tensor([[1, 2, 0], [0, 0, 1]]), torch.tensor([3, 1, 2])
    _, weight = normalize_graph(edge_index, count, num_nodes=3, mode="row")
    assert weight.tolist() == [0.75, 0.25, 1.0]


@pytest.mark.errors
class TestErrors:
    edges = torch.tensor([[0, 1], [1, 2]])

    def test_weights(self) -> None:
        with pytest.raises(ValueError, match=r"'edge_weight' .*NaN"):
            normalize_graph(self.edges, torch.tensor([1.0, float("nan")]), num_nodes=3)
        with pytest.raises(TypeError, match="'edge_weight' must be a torch tensor"):
            normalize_graph(self.edges, [1.0, 1.0], num_nodes=3)

    def test_mode(self) -> None:
        with pytest.raises(ValueError, match=r"'mode' must be one of 'sym', 'row', 'col' \(got 'both'\)"):
            normalize_graph(self.edges, num_nodes=3, mode="both")

    def test_ids(self) -> None:
        with pytest.raises(ValueError, match=r"'edge_index' must hold ids in \[0, 2\) for 2 nodes \(got 0 to 2\)"):
            normalize_graph(self.edges, num_nodes=2)

    def test_lengths(self) -> None:
        with pytest.raises(ValueError, match=r"'edge_weight' must have one entry per edge \(got \[3\] for 2 edges\)"):
            normalize_graph(self.edges, torch.ones(3), num_nodes=3)

    def test_weights_are_real(self) -> None:
        with pytest.raises(TypeError, match=r"'edge_weight' must hold real numbers \(got torch.complex64\)"):
            normalize_graph(self.edges, torch.ones(2, dtype=torch.cfloat), num_nodes=3)

    def test_negative_degrees(self) -> None:
        with pytest.raises(ValueError, match=r"'edge_weight' must give degrees of at least 0 \(got -1"):
            normalize_graph(self.edges, torch.tensor([1.0, -1.0]), num_nodes=3)


@pytest.mark.parametrize("mode", ["sym", "row", "col"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_degrees_of_half_precision_are_summed_in_single(mode: str, dtype: torch.dtype) -> None:
    """float16 cannot add 1 to 2,048, bfloat16 not to 256."""
    ends = torch.arange(5000), torch.zeros(5000, dtype=torch.long)
    edge_index = torch.stack(ends if mode != "col" else ends[::-1])
    ones = torch.ones(5000, dtype=torch.float64)
    _, expected = normalize_graph(edge_index, ones, num_nodes=5000, mode=mode)
    _, weight = normalize_graph(edge_index, ones.to(dtype), num_nodes=5000, mode=mode)
    assert weight.dtype == dtype
    torch.testing.assert_close(weight.double(), expected, rtol=2 * torch.finfo(dtype).eps, atol=0)
