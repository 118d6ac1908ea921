"""merge_graphs against dense sums."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric import EdgeIndex

from drepm_pyg.graph import knn_graphs, merge_graphs

SIZE = 6
EDGES = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)), max_size=15)


def graph(edges: list[tuple[int, int]], dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    edge_index = torch.tensor(edges, dtype=torch.long).reshape(-1, 2).T
    return edge_index, torch.arange(1, len(edges) + 1, dtype=dtype) / 4


def dense(edge_index: Tensor, edge_weight: Tensor) -> Tensor:
    matrix = torch.zeros(SIZE, SIZE, dtype=edge_weight.dtype)
    return matrix.index_put((edge_index[1], edge_index[0]), edge_weight, accumulate=True)


@given(EDGES, EDGES)
def test_the_sum_of_the_matrices(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    edge_index, weight = merge_graphs({"a": graph(a), "b": graph(b)}, {"a": 0.25, "b": 0.5})
    torch.testing.assert_close(dense(edge_index, weight), 0.25 * dense(*graph(a)) + 0.5 * dense(*graph(b)))
    edges = edge_index.T.tolist()
    assert sorted(map(tuple, edges)) == sorted(set(a) | set(b))
    ranked = sorted(zip(weight.tolist(), edges, strict=True), key=lambda one: (one[1][1], -one[0], one[1][0]))
    assert [edge for _, edge in ranked] == edges  # by centre, largest weight first, smaller neighbour first


def test_the_order_of_the_graphs_does_not_matter() -> None:
    a, b = graph([(0, 1), (2, 1)]), graph([(2, 1), (3, 0)])
    one = merge_graphs({"a": a, "b": b}, {"a": 0.1, "b": 0.9})
    other = merge_graphs({"b": b, "a": a}, {"b": 0.9, "a": 0.1})
    assert torch.equal(one[0], other[0])
    torch.testing.assert_close(one[1], other[1])


def test_a_weight_of_zero_adds_no_edges_and_no_weights_are_ones() -> None:
    edge_index, _ = graph([(0, 1), (2, 1)])
    merged, weight = merge_graphs({"a": (edge_index, None), "b": graph([(3, 4)])}, {"a": 0.5, "b": 0.0})
    assert torch.equal(merged, edge_index)
    assert weight.tolist() == [0.5, 0.5]


def test_what_knn_graphs_gives_is_taken() -> None:
    x = torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    plain, weighted = knn_graphs({"a": x, "b": x}, 2), knn_graphs({"a": x, "b": x}, 2, return_weight=True)
    merged, weight = merge_graphs(plain, {"a": 1.0, "b": 0.5})
    assert weight.tolist() == [1.5] * 18
    assert set(map(tuple, merged.T.tolist())) == set(map(tuple, plain["a"].T.tolist()))
    assert torch.equal(merge_graphs(weighted, {"a": 1.0, "b": 0.0})[0], weighted["a"][0])


def test_an_edge_index_of_pyg_is_taken() -> None:
    edge_index, weight = graph([(0, 1), (2, 1)])
    special = EdgeIndex(edge_index.contiguous())
    for one, other in (((special, weight), (edge_index, weight)), (special, edge_index)):
        merged, expected = merge_graphs({"a": one}, {"a": 0.5}), merge_graphs({"a": other}, {"a": 0.5})
        assert type(merged[0]) is Tensor
        assert torch.equal(merged[0], expected[0])
        assert torch.equal(merged[1], expected[1])


def test_counts_become_floats() -> None:
    merged = merge_graphs({"a": (torch.tensor([[0], [1]]), torch.tensor([3]))}, {"a": 2.0})
    assert merged[1].dtype == torch.float32
    assert merged[1].tolist() == [6.0]


@pytest.mark.errors
class TestErrors:
    def test_numbers(self) -> None:
        with pytest.raises(TypeError, match=r"'weights\['a'\]' must be a number \(got 'x'"):
            merge_graphs({"a": graph([])}, {"a": "x"})

    def test_names(self) -> None:
        with pytest.raises(ValueError, match=r"'weights' must name exactly the graphs \['a'\] \(got \['b'\]\)"):
            merge_graphs({"a": graph([])}, {"b": 1.0})

    @pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf")])
    def test_weights(self, bad: float) -> None:
        with pytest.raises(ValueError, match=r"'weights\['a'\]' must be a finite number of at least 0"):
            merge_graphs({"a": graph([])}, {"a": bad})

    def test_weights_that_leave_nothing(self) -> None:
        with pytest.raises(ValueError, match=r"'weights' must not all be 0 \(got \{'a': 0.0\}\)"):
            merge_graphs({"a": graph([])}, {"a": 0.0})
        with pytest.raises(TypeError, match=r"'weights\['a'\]' must be a number \(got None"):
            merge_graphs({"a": graph([])}, {"a": None})

    def test_lengths(self) -> None:
        with pytest.raises(
            ValueError, match=r"'the weights of graphs\['a'\]' must have one entry per edge \(got \[3\]"
        ):
            merge_graphs({"a": (graph([(0, 1), (1, 0)])[0], torch.ones(3))}, {"a": 1.0})

    @pytest.mark.parametrize(
        ("bad", "given"), [((graph([])[0], None, 1), "tuple of 3"), (3, "int"), (None, "NoneType")]
    )
    def test_what_is_no_graph(self, bad: object, given: str) -> None:
        with pytest.raises(
            TypeError, match=rf"'graphs\['a'\]' must be an edge_index, or a pair of it .* \(got a {given}\)"
        ):
            merge_graphs({"a": bad}, {"a": 1})

    def test_no_mapping(self) -> None:
        with pytest.raises(TypeError, match=r"'graphs' must map each modality to its graph \(got list\)"):
            merge_graphs([graph([])], {"a": 1})

    def test_names_of_several_types(self) -> None:
        with pytest.raises(ValueError, match=r"exactly the graphs \[1, 'b'\] \(got \[1\]\)"):
            merge_graphs({1: graph([]), "b": graph([])}, {1: 1.0})

    def test_ids(self) -> None:
        with pytest.raises(ValueError, match=r"'graphs\['a'\]' must hold ids of at least 0 \(got -1\)"):
            merge_graphs({"a": torch.tensor([[-1], [1]])}, {"a": 1})

    @pytest.mark.parametrize(
        ("bad", "error"),
        [([1], TypeError), (torch.tensor([torch.nan]), ValueError), (torch.ones(1, dtype=torch.cfloat), TypeError)],
    )
    def test_edge_weights(self, bad: object, error: type[Exception]) -> None:
        with pytest.raises(error, match=r"'the weights of graphs\['a'\]'"):
            merge_graphs({"a": (torch.tensor([[0], [1]]), bad)}, {"a": 1})
