"""Few columns: the graph of a k-d tree is that of all products, and the definition's."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from drepm_pyg.graph import bipartite_knn_graph, knn_graph, user_knn_graph
from drepm_pyg.graph.metrics import METRICS
from drepm_pyg.graph.rows import FeatureRows
from drepm_pyg.graph.shortlist import with_room
from drepm_pyg.graph.space import Space
from drepm_pyg.graph.tree import tree_shortlists
from tests.graph.dense_reference import assert_exact, knn_edges


def points(kind: str, n: int, d: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator)
    if kind == "lattice":
        x = torch.cartesian_prod(*[torch.arange(round(n ** (1 / d)) + 1.0)] * d).reshape(-1, d)[:n]
    elif kind == "duplicates":
        x = x[torch.randint(0, n // 2, (n,), generator=generator)]
    elif kind == "without a direction":
        x[::7] = 0
    elif kind == "on two lines":
        x = x[:, :1] * torch.eye(d)[torch.arange(n) % 2 % d]
    elif kind == "far from 0":
        x += 1e4
    return x


KINDS = ["random", "lattice", "duplicates", "without a direction", "on two lines", "far from 0"]


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [1, 3, 10])
@pytest.mark.parametrize("loop", [False, True])
def test_it_is_the_graph_of_all_products(kind: str, d: int, metric: str, loop: bool) -> None:
    x = points(kind, 400, d)
    by_tree = knn_graph(x, 7, metric=metric, loop=loop, index="kdtree", return_weight=True)
    by_products = knn_graph(x, 7, metric=metric, loop=loop, index="blocks", return_weight=True)
    assert torch.equal(by_tree[0], by_products[0])
    assert torch.equal(by_tree[1], by_products[1])


@given(seed=st.integers(0, 999), kind=st.sampled_from(KINDS), metric=st.sampled_from(["cosine", "l2"]))
def test_it_is_the_definition(seed: int, kind: str, metric: str) -> None:
    rng = np.random.default_rng(seed)
    x = points(kind, int(rng.integers(6, 40)), int(rng.integers(1, 5)), seed)
    found = knn_graph(x, 5, metric=metric, index="kdtree")
    if kind == "lattice":
        assert torch.equal(found, knn_edges(x.numpy(), 5, metric))
    else:
        assert_exact(found, x.double().numpy(), 5, metric)


def test_auto_takes_it_for_distances_between_many_points() -> None:
    x = points("random", 500, 3)
    assert knn_graph(x, 5, metric="l2", return_info=True)[1].index == "kdtree"
    assert knn_graph(x, 5, return_info=True)[1].index == "kdtree"
    assert knn_graph(x, 5, metric="ip", return_info=True)[1].index == "gram"


def test_auto_takes_it_where_it_fits_the_budget_alone() -> None:
    x = points("random", 500, 3)
    few = knn_graph(x, 5, metric="l2", memory_budget=16 << 10, return_info=True)
    assert few[1].index == "blocks"
    assert torch.equal(few[0], knn_graph(x, 5, metric="l2"))
    assert knn_graph(points("random", 500, 30), 5, metric="l2", return_info=True)[1].index == "gram"


def test_every_point_of_a_lattice_is_decided_by_its_candidates() -> None:
    """Where many are equally far, more are listed: otherwise each point would be compared with all."""
    _, info = knn_graph(points("lattice", 1000, 3), 8, metric="l2", index="kdtree", return_info=True)
    assert info.exact
    assert info.searched_again < 50


def test_no_more_are_listed_than_ties_ask_for() -> None:
    """Shells of a lattice follow each other: that the last two listed are of one says nothing."""
    x = points("lattice", 1000, 3)
    rows = FeatureRows({"x": x}, np.arange(1000), block_bytes=1 << 20)
    space = Space(rows, METRICS["l2"], block_bytes=1 << 20)
    (lists,) = tree_shortlists(space, 11, 1 << 30)
    assert lists.index.shape[1] == 4 * with_room(11)


def test_it_serves_other_searches() -> None:
    x, y = points("random", 300, 3), points("random", 400, 3, seed=1)
    assert torch.equal(
        bipartite_knn_graph(x, y, 4, metric="l2", index="kdtree"),
        bipartite_knn_graph(x, y, 4, metric="l2", index="blocks"),
    )
    pairs = torch.stack([torch.arange(900) % 300, torch.arange(900) * 7 % 400])
    assert torch.equal(user_knn_graph(y, pairs, 300, 4, index="kdtree"), user_knn_graph(y, pairs, 300, 4, index="gram"))


@pytest.mark.errors
def test_an_inner_product_is_no_distance() -> None:
    with pytest.raises(ValueError, match=r"'index' must be another for metric='ip' \(got 'kdtree'"):
        knn_graph(points("random", 10, 3), 2, metric="ip", index="kdtree")
