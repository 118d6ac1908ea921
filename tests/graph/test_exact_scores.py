"""Rows of counts tie everywhere: the definition in exact fractions, and no pair is scored again for it."""

import numpy as np
import pytest
import torch
from torch import Tensor

from drepm_pyg.graph import knn_graph, rows
from tests.graph.dense_reference import knn_edges

METRICS = ["cosine", "ip", "l2"]


def multi_hot(n: int, d: int, share: float, seed: int = 0) -> Tensor:
    return (torch.rand(n, d, generator=torch.Generator().manual_seed(seed)) < share).float()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("factor", [1.0, 0.5, 0.25, 2.0**-9, 2.0**40])
def test_multi_hot_rows_on_any_scale(metric: str, factor: float) -> None:
    x = multi_hot(90, 30, 0.1)
    assert torch.equal(knn_graph(x * factor, 4, metric=metric), knn_edges(x.numpy(), 4, metric))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("largest", [3, 4_000, 5_000_000, 2**40])
def test_counts_of_any_size_are_ranked_as_by_pairs(metric: str, largest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-1, 2, (60, 6), generator=generator).double() * torch.tensor([1, 1, 1, 1, 1, largest])
    found = knn_graph(x, 4, metric=metric, return_weight=True)
    if largest <= 4_000:  # beyond, float64 scores tie that fractions tell apart
        assert torch.equal(found[0], knn_edges(x.numpy(), 4, metric))
    monkeypatch.setattr(rows, "_EXACT", -1.0)
    by_pairs = knn_graph(x, 4, metric=metric, return_weight=True)
    assert torch.equal(found[0], by_pairs[0])
    assert torch.equal(found[1], by_pairs[1])


@pytest.mark.parametrize("metric", METRICS)
def test_one_hot_rows_take_the_smallest_ids(metric: str) -> None:
    edge_index, info = knn_graph(torch.eye(80), 3, metric=metric, return_info=True)
    expected = np.array([[node for node in range(5) if node != centre][:3] for centre in range(80)])
    assert torch.equal(edge_index[0].view(80, 3), torch.from_numpy(expected))
    assert info.searched_again == 80
    assert info.rescored == 0


@pytest.mark.parametrize("metric", METRICS)
def test_products_of_counts_need_no_pairs(metric: str) -> None:
    x = multi_hot(400, 40, 0.05)
    exact = knn_graph(x, 5, metric=metric, return_info=True)[1]
    rounded = knn_graph(x * 0.3, 5, metric=metric, return_info=True)[1]  # no float holds a third of a digit
    assert exact.searched_again > 50
    assert exact.rescored < rounded.rescored


@pytest.mark.parametrize("budget", [1, 1 << 20, 1 << 30])
@pytest.mark.parametrize("metric", METRICS)
def test_the_budget_changes_nothing(metric: str, budget: int) -> None:
    x = multi_hot(300, 50, 0.04)
    assert torch.equal(knn_graph(x, 6, metric=metric, memory_budget=budget), knn_graph(x, 6, metric=metric))
