"""A similarity matrix by its factors: users' features over their items', weights per row, a part of the rows."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from drepm_pyg.nn.functional import (
    FactoredSimilarity,
    PooledRows,
    normalize_rows,
    similarity_distance,
    similarity_supervised,
)
from tests.conftest import TOLERANCE

USERS, ITEMS = 9, 12


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pooled(width: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Means of the items' features by user, cosine-scaled: P, X, 1 / n and the rows themselves."""
    incidence = (draw(USERS, ITEMS, seed=99) > 0).double()
    mean = incidence / incidence.sum(1, keepdim=True)
    features = draw(ITEMS, width, seed=seed)
    scale = 1 / (mean @ features).norm(dim=1)
    return mean, features, scale, F.normalize(mean @ features)


def test_the_matrix_is_the_weighted_sum_of_the_products() -> None:
    x, y = draw(5, 3), draw(5, 8, seed=1)
    target = FactoredSimilarity([x, y], weights=[0.25, 3.0])
    assert target.shape == (5, 5)
    torch.testing.assert_close(target.dense(), 0.25 * x @ x.T + 3 * y @ y.T)
    torch.testing.assert_close(FactoredSimilarity([x]).dense(), x @ x.T)


def test_weights_of_masked_modalities_keep_the_diagonal_at_one() -> None:
    x, y = F.normalize(draw(4, 3)), F.normalize(draw(4, 5, seed=1))
    has_y = torch.tensor([1.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    of_y = 0.7 * has_y / (0.3 + 0.7 * has_y)
    dense = FactoredSimilarity([x, y], weights=[1 - of_y, of_y]).dense()
    torch.testing.assert_close(dense.diagonal(), torch.ones(4, dtype=torch.float64))
    for b, c in ((0, 2), (0, 1), (1, 3)):
        expected = ((1 - of_y[b]) * (1 - of_y[c])).sqrt() * (x[b] @ x[c]) + (of_y[b] * of_y[c]).sqrt() * (y[b] @ y[c])
        torch.testing.assert_close(dense[b, c], expected)


@pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_coo])
@pytest.mark.parametrize("width", [4, 700], ids=["narrow", "wide"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_pooled_rows_are_the_rows_they_stand_for(layout: torch.layout, width: int, dtype: torch.dtype) -> None:
    mean, features, scale, rows = pooled(width)
    own = F.normalize(draw(USERS, 3, seed=5))
    weight = torch.linspace(0.2, 0.8, USERS, dtype=torch.float64)
    sparse = mean.to(dtype).to_sparse(layout=layout)
    target = FactoredSimilarity(
        [PooledRows(sparse, features.to(dtype), scale.to(dtype)), own.to(dtype)], weights=[weight, 0.5]
    )
    matrix = FactoredSimilarity([rows, own], weights=[weight, 0.5]).dense()
    torch.testing.assert_close(target.dense(), matrix.to(dtype), **TOLERANCE[dtype])
    distances, gradients = [], []
    for similarity in (target, matrix.to(dtype)):
        z = draw(USERS, 6, seed=7).to(dtype).requires_grad_()
        distances.append(similarity_distance(z, similarity))
        distances[-1].backward()
        gradients.append(z.grad)
    torch.testing.assert_close(*distances, **TOLERANCE[dtype])
    torch.testing.assert_close(*gradients, **TOLERANCE[dtype])


def test_some_rows_are_the_part_of_the_matrix() -> None:
    mean, features, scale, _ = pooled(4)
    target = FactoredSimilarity([PooledRows(mean.to_sparse(), features, scale), draw(USERS, 3)], weights=[0.4, 0.6])
    rows = torch.tensor([7, 0, 3])
    torch.testing.assert_close(target[rows].dense(), target.dense()[rows][:, rows])


@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_the_distance_is_the_squared_norm_of_the_differences(metric: str) -> None:
    z, x = draw(6, 4), draw(6, 3, seed=1)
    z_compared = normalize_rows(z) if metric == "cosine" else z
    for similarity in (x @ x.T, FactoredSimilarity([x])):
        gap = similarity_supervised(z, similarity, metric=metric)
        torch.testing.assert_close(gap, z_compared @ z_compared.T - x @ x.T)
        torch.testing.assert_close(similarity_distance(z, similarity, metric=metric), gap.square().sum())


def test_the_distance_of_a_matrix_has_one_derivative() -> None:
    z = draw(3, 2).requires_grad_()
    with pytest.raises(RuntimeError, match="'similarity_distance' has a first derivative only"):
        torch.autograd.grad(similarity_distance(z, torch.eye(3)), z, create_graph=True)


@pytest.mark.errors
def test_factors_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'factors' must be matrices \[B, F\] with the same rows \(got \[\]\)"):
        FactoredSimilarity([])
    with pytest.raises(ValueError, match=r"with the same rows \(got \[\(3, 2\), \(4, 2\)\]\)"):
        FactoredSimilarity([torch.ones(3, 2), torch.ones(4, 2)])
    with pytest.raises(ValueError, match=r"'weights' must have one entry per factor \(got 1 for 2\)"):
        FactoredSimilarity([torch.ones(3, 2), torch.ones(3, 2)], weights=[1.0])
    with pytest.raises(ValueError, match=r"'pool' must be sparse \(COO or CSR\) \[B, I\]"):
        PooledRows(torch.ones(3, 4), torch.ones(4, 2), torch.ones(3))
    with pytest.raises(ValueError, match=r"'features' \[I, F\] and 'scale' \[B\] \(got \[3, 4\]"):
        PooledRows(torch.ones(3, 4).to_sparse(), torch.ones(5, 2), torch.ones(3))
