"""A similarity matrix by its factors: weights per row, a part of the rows, the distance without the matrix."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from drepm_pyg.nn.functional import (
    SSS_METRICS,
    FactoredSimilarity,
    IndexedSimilarity,
    normalize_rows,
    similarity_distance,
    similarity_supervised,
)
from tests.random_tensors import draw
from tests.tolerance import TOLERANCE


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


@pytest.mark.parametrize("width", [4, 700], ids=["narrow", "wide"])
@pytest.mark.parametrize("accurate", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_distance_and_gradient_are_those_of_the_matrix(width: int, accurate: bool, dtype: torch.dtype) -> None:
    weight = torch.linspace(0.2, 0.8, 9, dtype=torch.float64)
    factors = F.normalize(draw(9, width)).to(dtype), F.normalize(draw(9, 3, seed=5)).to(dtype)
    target = FactoredSimilarity(factors, weights=[weight, 0.5])
    distances, gradients = [], []
    for similarity in (target, target.dense()):
        z = draw(9, 6, seed=7, dtype=dtype).requires_grad_()
        distances.append(similarity_distance(z, similarity, accurate=accurate))
        distances[-1].backward()
        gradients.append(z.grad)
    torch.testing.assert_close(*distances, **TOLERANCE[dtype])
    torch.testing.assert_close(*gradients, **TOLERANCE[dtype])


def test_factors_of_two_types_have_the_wider_one() -> None:
    target = FactoredSimilarity([draw(3, 2, dtype=torch.float32), draw(3, 4)])
    assert target.dtype == target.dense().dtype == torch.float64
    assert target.dense(torch.float32).dtype == torch.float32


def test_some_rows_are_the_part_of_the_matrix() -> None:
    target = FactoredSimilarity([draw(9, 4), draw(9, 3, seed=1)], weights=[0.4, 0.6])
    rows = torch.tensor([7, 0, 3])
    torch.testing.assert_close(target[rows].dense(), target.dense()[rows][:, rows])


def test_no_gradient_reaches_the_factors() -> None:
    factor, z = draw(3, 2).requires_grad_(), draw(3, 4, seed=1).requires_grad_()
    similarity_distance(z, FactoredSimilarity([factor, 2 * factor])).backward()
    assert z.grad is not None
    assert factor.grad is None


@pytest.mark.parametrize("metric", SSS_METRICS)
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


@pytest.mark.errors
def test_a_target_of_another_kind_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"'similarity' must be a torch tensor \[B, B\] or an ImplicitSimilarity \(got a list\)"
    ):
        similarity_distance(draw(3, 2), [[1.0]])


@pytest.mark.errors
@pytest.mark.parametrize(
    ("weight", "error", "text"),
    [
        (-1.0, ValueError, r"'weights\[1\]' must be a finite number of at least 0 \(got -1.0\)"),
        (torch.tensor([1.0, -2.0, 1.0]), ValueError, r"'weights\[1\]' must hold numbers of at least 0 \(got -2.0\)"),
        (torch.tensor([1.0, torch.nan, 1.0]), ValueError, r"'weights\[1\]' must hold numbers of .* \(got nan\)"),
        (torch.ones(2), ValueError, r"'weights\[1\]' must be a number or have the shape \[3\] \(got \[2\]\)"),
        (torch.ones(3, 1), ValueError, r"'weights\[1\]' must be a number or have the shape \[3\] \(got \[3, 1\]\)"),
        ([1.0, 1.0, 1.0], TypeError, r"'weights\[1\]' must be a torch tensor \(got a list\)"),
        ("x", TypeError, r"'weights\[1\]' must be a torch tensor \(got a str\)"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weight: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        FactoredSimilarity([torch.ones(3, 2), torch.ones(3, 2)], weights=[1.0, weight])


@pytest.mark.errors
def test_factors_are_tensors_of_floating_point_numbers() -> None:
    with pytest.raises(TypeError, match=r"'factors\[1\]' must be a torch tensor \(got a ndarray\)"):
        FactoredSimilarity([torch.ones(3, 2), np.ones((3, 2))])
    with pytest.raises(TypeError, match=r"'factors\[0\]' must be a torch tensor \(got a list\)"):
        FactoredSimilarity([[[1.0], [2.0]]])
    with pytest.raises(TypeError, match=r"'factors\[0\]' must be floating point \(got torch.int64\)"):
        FactoredSimilarity([torch.ones(3, 2).long()])
    with pytest.raises(TypeError, match=r"'weights' must be a list or a tuple \(got 0.5\)"):
        FactoredSimilarity([torch.ones(3, 2)], weights=0.5)


def test_a_weight_may_be_a_tensor_without_a_dimension() -> None:
    x = draw(3, 2)
    torch.testing.assert_close(FactoredSimilarity([x], weights=[torch.tensor(0.25)]).dense(), 0.25 * x @ x.T)


@pytest.mark.parametrize("similarity", ["matrix", "factored", "indexed"])
def test_torch_func_differentiates_and_batches_it(similarity: str) -> None:
    matrix = draw(9, 3, seed=1) @ draw(9, 3, seed=1).T
    target = {
        "matrix": matrix[:5, :5],
        "factored": FactoredSimilarity([draw(5, 3, seed=1)]),
        "indexed": IndexedSimilarity(matrix, torch.arange(5)),
    }[similarity]
    z, batch = draw(5, 4).requires_grad_(), draw(2, 5, 4, seed=2)

    def distance(z: Tensor) -> Tensor:
        return similarity_distance(z, target)

    (expected,) = torch.autograd.grad(distance(z), z)
    torch.testing.assert_close(torch.func.grad(distance)(z.detach()), expected)
    torch.testing.assert_close(torch.func.vmap(distance)(batch), torch.stack([distance(one) for one in batch]))

    def gap(z: Tensor) -> Tensor:
        return similarity_supervised(z, target)

    (expected,) = torch.autograd.grad(gap(z).square().sum(), z)
    torch.testing.assert_close(torch.func.grad(lambda z: gap(z).square().sum())(z.detach()), expected)
    torch.testing.assert_close(torch.func.vmap(gap)(batch), torch.stack([gap(one) for one in batch]))
    tangent = draw(5, 4, seed=3)
    _, slope = torch.func.jvp(distance, (z.detach(),), (tangent,))
    torch.testing.assert_close(slope, (torch.autograd.grad(distance(z), z)[0] * tangent).sum())


def test_no_gradient_reaches_a_dense_target() -> None:
    assert not similarity_supervised(torch.eye(3), torch.eye(3, requires_grad=True)).requires_grad
