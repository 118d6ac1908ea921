"""All rows among themselves, from half of the products: the graph of the definition, whatever the tiles."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from drepm_pyg.graph import knn_graph, tile_products, triangle, user_knn_graph
from tests.graph.dense_reference import assert_exact, knn_edges

METRICS = ["cosine", "ip", "l2"]


@pytest.fixture
def tiny_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many tiles of few rows."""
    for name, value in {"_ROWS": 1, "TILE": 32, "_LEAST": 16}.items():
        monkeypatch.setattr(triangle, name, value)
    for name, value in {"_TILES": 3, "_WIDE": 70}.items():
        monkeypatch.setattr(tile_products, name, value)


def features(kind: str, n: int, d: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator)
    if kind == "integers":  # many exact ties
        x = torch.randint(-1, 2, (n, d), generator=generator).float()
    elif kind == "duplicates":
        x = x[torch.randint(0, 1 + n // 3, (n,), generator=generator)]
    elif kind == "zeros":
        x[::5] = 0
    elif kind == "unlike lengths":  # bounds differ, so that they are listed by
        x *= torch.logspace(-6, 6, n)[:, None]
    elif kind == "nearer and nearer":  # every tile beats all before it
        x = torch.linspace(0, 1, n)[:, None].square() * torch.ones(d) + 1e-4 * x
    elif kind == "further and further":
        x = torch.linspace(1, 0, n)[:, None].square() * torch.ones(d) + 1e-4 * x
    return x


KINDS = ["random", "integers", "duplicates", "zeros", "unlike lengths", "nearer and nearer", "further and further"]


@pytest.mark.usefixtures("tiny_tiles")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(KINDS),
    metric=st.sampled_from(METRICS),
    n=st.integers(7, 150),
    d=st.sampled_from([1, 3, 12, 70]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    budget=st.sampled_from([1, 1 << 14, 1 << 18, 1 << 30]),
)
def test_it_is_the_definition(
    seed: int, kind: str, metric: str, n: int, d: int, dtype: torch.dtype, budget: int
) -> None:
    x = features(kind, n, d, seed).to(dtype)
    found = knn_graph(x, 5, metric=metric, index="blocks", memory_budget=budget)
    if kind == "integers":
        assert torch.equal(found, knn_edges(x.numpy(), 5, metric))
    else:
        assert_exact(found, x.double().numpy(), 5, metric)


@pytest.mark.usefixtures("tiny_tiles")
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("budget", [1 << 14, 1 << 30])
def test_users_from_their_means(metric: str, budget: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 20, generator=generator)
    pairs = torch.stack([torch.arange(600) % 200, torch.randint(0, 60, (600,), generator=generator)])
    by_blocks = user_knn_graph(
        x, pairs, 200, 7, metric=metric, index="blocks", memory_budget=budget, return_weight=True
    )
    by_gram = user_knn_graph(x, pairs, 200, 7, metric=metric, index="gram", return_weight=True)
    assert torch.equal(by_blocks[0], by_gram[0])
    assert torch.equal(by_blocks[1], by_gram[1])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("width", [16, 300])
def test_auto_takes_it_for_many_rows(metric: str, width: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5000, width, generator=generator)
    x[4500:] = x[torch.randint(0, 4500, (500,), generator=generator)]
    x[::100] = 0
    by_blocks, weight, info = knn_graph(x, 10, metric=metric, return_weight=True, return_info=True)
    assert info.index == "blocks"
    by_gram = knn_graph(x, 10, metric=metric, index="gram", return_weight=True)
    assert torch.equal(by_blocks, by_gram[0])
    assert torch.equal(weight, by_gram[1])


def test_rows_of_features_that_stay_on_disk_are_read_by_shelves() -> None:
    x = torch.randn(4500, 200, generator=torch.Generator().manual_seed(0))
    assert torch.equal(knn_graph(x, 10, memory_budget=3 << 20), knn_graph(x, 10))


def test_what_torch_is_set_to_multiply_by_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some CPUs then round factors to bfloat16; where a product tells so, NumPy makes them all."""
    x = torch.randn(4500, 40, generator=torch.Generator().manual_seed(0))
    expected = knn_graph(x, 10)
    torch.set_float32_matmul_precision("medium")
    try:
        assert torch.equal(knn_graph(x, 10), expected)
    finally:
        torch.set_float32_matmul_precision("highest")
    monkeypatch.setattr(tile_products, "keeps_float32", lambda device: False)
    assert torch.equal(knn_graph(x, 10), expected)


@pytest.mark.parametrize("metric", METRICS)
def test_many_neighbours_begin_with_the_few(metric: str) -> None:
    """Where many are listed, merging those of every tile takes longer than all products: another route."""
    x = features("random", 4200, 16, 0)
    few, by = knn_graph(x, 3, metric=metric, return_info=True)
    many, otherwise = knn_graph(x, 200, metric=metric, return_info=True)
    assert (by.index, otherwise.index) == ("blocks", "gram")
    assert torch.equal(many[0].view(-1, 200)[:, :3], few[0].view(-1, 3))
