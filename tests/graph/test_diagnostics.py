"""The numbers about graphs: worked by hand, against sets and SciPy, and what must not change them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import skew
from torch import Tensor
from torch_geometric import EdgeIndex

from drepm_pyg.graph import (
    connected_components,
    degree_histogram,
    hubness,
    jaccard,
    knn_graph,
    mutual_share,
    recall_at_k,
)

SIZE = 7
EDGES = st.sets(st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)), max_size=20)
STAR = [(0, 1), (0, 2), (0, 3), (1, 0)]  # (neighbour, centre): everybody's neighbour is 0, whose own is 1


def graph(edges: object) -> Tensor:
    return torch.tensor(list(edges), dtype=torch.long).reshape(-1, 2).T  # type: ignore[call-overload]


def permuted(edge_index: Tensor, generator: torch.Generator, size: int = SIZE) -> Tensor:
    renamed = torch.randperm(size, generator=generator)[edge_index]
    return renamed[:, torch.randperm(edge_index.size(1), generator=generator)]


def test_a_star_by_hand() -> None:
    star = graph(STAR)
    assert degree_histogram(star, 4).tolist() == [2, 1, 0, 1]  # N_k = 3, 1, 0, 0
    # Mean 1, deviations 2, 0, -1, -1: third moment 6/4, variance 6/4.
    assert hubness(star, 4) == pytest.approx((6 / 4) / (6 / 4) ** 1.5)
    assert mutual_share(star) == pytest.approx(2 / 4)
    assert connected_components(star, 6) == 3


def test_self_loops_and_empty_graphs() -> None:
    loops, none = graph([(0, 0), (1, 1)]), graph([])
    assert degree_histogram(loops, 3).tolist() == [3]
    assert hubness(loops, 3) == hubness(none, 3) == hubness(none, 0) == 0
    assert math.isnan(mutual_share(loops))
    assert connected_components(loops, 3) == 3
    assert connected_components(none, 0) == 0
    assert jaccard(none, none) == 1
    assert jaccard(none, loops) == 0
    assert math.isnan(recall_at_k(loops, none))
    assert recall_at_k(none, loops) == 0


@given(EDGES)
def test_the_skewness_is_scipys(edges: set[tuple[int, int]]) -> None:
    occurrence = np.bincount([a for a, b in edges if a != b], minlength=SIZE).astype(float)
    expected = skew(occurrence) if len(set(occurrence)) > 1 else 0.0
    assert hubness(graph(edges), SIZE) == pytest.approx(expected, abs=1e-9)


@given(EDGES)
def test_the_histogram_counts_every_node_and_every_edge(edges: set[tuple[int, int]]) -> None:
    counts = degree_histogram(graph(edges), SIZE)
    assert counts.sum() == SIZE
    assert (counts * torch.arange(len(counts))).sum() == sum(a != b for a, b in edges)


@given(EDGES)
def test_components_by_merging_sets(edges: set[tuple[int, int]]) -> None:
    group = list(range(SIZE))
    for a, b in edges:
        group = [group[a] if member == group[b] else member for member in group]
    assert connected_components(graph(edges), SIZE) == len(set(group))


@given(EDGES, EDGES)
def test_comparisons_are_those_of_sets(a: set[tuple[int, int]], b: set[tuple[int, int]]) -> None:
    assert jaccard(graph(a), graph(b)) == pytest.approx(len(a & b) / len(a | b) if a | b else 1)
    others = {edge for edge in a if edge[0] != edge[1]}
    if others:
        assert mutual_share(graph(a)) == pytest.approx(sum(edge[::-1] in others for edge in others) / len(others))
    if b:
        shares = [
            sum(edge in a for edge in b if edge[1] == centre) / sum(edge[1] == centre for edge in b)
            for centre in {edge[1] for edge in b}
        ]
        assert recall_at_k(graph(a), graph(b)) == pytest.approx(sum(shares) / len(shares))


def test_names_and_order_of_nodes_and_edges_do_not_matter(generator: torch.Generator) -> None:
    edge_index = knn_graph(torch.randn(40, 3, generator=generator), 4)
    other = permuted(edge_index, generator, 40)
    assert hubness(other, 40) == pytest.approx(hubness(edge_index, 40))
    assert torch.equal(degree_histogram(other, 40), degree_histogram(edge_index, 40))
    assert mutual_share(other) == pytest.approx(mutual_share(edge_index))
    assert connected_components(other, 40) == connected_components(edge_index, 40)


def test_a_graph_is_itself(generator: torch.Generator) -> None:
    edge_index = knn_graph(torch.randn(40, 3, generator=generator), 4)
    assert jaccard(edge_index, edge_index.flip(1)) == 1
    assert recall_at_k(edge_index.flip(1), edge_index) == 1
    twice = torch.cat([edge_index, edge_index], dim=1)
    assert jaccard(twice, edge_index) == recall_at_k(twice, edge_index) == recall_at_k(edge_index, twice) == 1


def test_a_graph_made_symmetric_is_mutual(generator: torch.Generator) -> None:
    edge_index = knn_graph(torch.randn(40, 3, generator=generator), 4)
    assert mutual_share(torch.cat([edge_index, edge_index.flip(0)], dim=1)) == 1


@pytest.mark.parametrize("edges", [[], [(0, 1)], [(0, 0)], STAR])
def test_an_edge_index_of_pyg_is_a_graph_however_few_its_edges(edges: list[tuple[int, int]]) -> None:
    plain = graph(edges)
    given = EdgeIndex(plain.contiguous(), sparse_size=(SIZE, SIZE))
    assert mutual_share(given) == pytest.approx(mutual_share(plain), nan_ok=True)
    assert jaccard(given, plain) == jaccard(plain, given) == 1
    assert recall_at_k(given, given) == pytest.approx(recall_at_k(plain, plain), nan_ok=True)


@pytest.mark.errors
def test_faiss_mark_of_nothing_found_is_no_neighbour() -> None:
    some, none = torch.tensor([[2], [0]]), torch.tensor([[-1], [1]])
    for diagnostic in (recall_at_k, jaccard):
        with pytest.raises(ValueError, match=r"'(approx|graph_a)' must hold ids of at least 0 \(got -1"):
            diagnostic(none, some)
        with pytest.raises(TypeError, match=r"'(exact|graph_b)' must be a long tensor \(got ndarray\)"):
            diagnostic(some, some.numpy())
    with pytest.raises(ValueError, match=r"'edge_index' must hold ids of at least 0"):
        mutual_share(torch.tensor([[-1, 0], [1, 2]]))


@pytest.mark.errors
def test_ids_out_of_range_are_named() -> None:
    for diagnostic in (hubness, degree_histogram, connected_components):
        with pytest.raises(ValueError, match=r"'edge_index' must hold ids in \[0, 2\) for 2 nodes \(got 0 to 3\)"):
            diagnostic(graph(STAR), 2)
    with pytest.raises(ValueError, match=r"'graph_a' must have the shape \[2, E\]"):
        jaccard(torch.zeros(3, 2, dtype=torch.long), graph(STAR))


def test_an_exact_edge_that_stands_twice_counts_once() -> None:
    assert recall_at_k(torch.tensor([[1], [0]]), torch.tensor([[1, 1, 2], [0, 0, 0]])) == 0.5
