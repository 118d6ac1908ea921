"""Similarities looked up in a larger matrix: the values and the gradient are those of the matrix itself."""

import numpy as np
import pytest
import torch
from torch import Tensor

from drepm_pyg.nn.functional import IndexedSimilarity, similarity_distance, similarity_supervised
from tests.random_tensors import draw


@pytest.fixture
def matrix() -> Tensor:
    x = draw(12, 5)
    return x @ x.T


IDS = torch.tensor([7, 2, 11, 2, 0])


def test_it_is_the_part_of_the_matrix(matrix: Tensor) -> None:
    target = IndexedSimilarity(matrix, IDS)
    assert target.shape == (5, 5)
    assert target.dtype == torch.float64
    assert torch.equal(target.dense(), matrix[IDS][:, IDS])
    assert target.dense(torch.float32).dtype == torch.float32
    rows = torch.tensor([4, 0])
    assert torch.equal(target[rows].dense(), matrix[IDS[rows]][:, IDS[rows]])


@pytest.mark.parametrize("strip", [1, 2, 3, 256])
@pytest.mark.parametrize("metric", ["cosine", "dot"])
def test_value_and_gradient_are_those_of_the_matrix(
    matrix: Tensor, strip: int, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drepm_pyg.nn.functional.gram._STRIP", strip)
    found, expected = draw(5, 4, seed=1).requires_grad_(), draw(5, 4, seed=1).requires_grad_()
    value = similarity_distance(found, IndexedSimilarity(matrix, IDS), metric=metric)
    by_hand = similarity_supervised(expected, matrix[IDS][:, IDS], metric=metric).square().sum()
    torch.testing.assert_close(value, by_hand)
    (3 * value).backward()
    (3 * by_hand).backward()
    torch.testing.assert_close(found.grad, expected.grad)


def test_gradcheck(matrix: Tensor) -> None:
    target = IndexedSimilarity(matrix, IDS)
    assert torch.autograd.gradcheck(target.squared_distance, draw(5, 3, seed=2).requires_grad_())


def test_no_row_is_no_distance(matrix: Tensor) -> None:
    assert IndexedSimilarity(matrix, IDS[:0]).squared_distance(draw(0, 3)) == 0


def test_without_a_gradient_to_find_the_value_is_the_same(matrix: Tensor) -> None:
    target, z = IndexedSimilarity(matrix, IDS), draw(5, 3)
    with torch.no_grad():
        assert target.squared_distance(z) == target.squared_distance(z.clone().requires_grad_())


@pytest.mark.errors
def test_a_matrix_that_is_not_square_is_refused(matrix: Tensor) -> None:
    with pytest.raises(
        ValueError, match=r"'matrix' must be square \[N, N\] and 'ids' \[B\] \(got \[12, 11\] and \[5\]\)"
    ):
        IndexedSimilarity(matrix[:, :11], IDS)


@pytest.mark.errors
def test_a_second_derivative_is_refused(matrix: Tensor) -> None:
    z = draw(5, 3).requires_grad_()
    value = IndexedSimilarity(matrix, IDS).squared_distance(z)
    with pytest.raises(RuntimeError, match="'similarity_distance' has a first derivative only"):
        torch.autograd.grad(value, z, create_graph=True)


@pytest.mark.compile
def test_compiles(matrix: Tensor) -> None:
    def distance(z: Tensor) -> Tensor:
        return similarity_distance(z, IndexedSimilarity(matrix, IDS))

    z = draw(5, 4)
    compiled = torch.compile(distance, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(z), distance(z))


@pytest.mark.errors
@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        ({"matrix": np.eye(3)}, TypeError, r"'matrix' must be a torch tensor \(got a ndarray\)"),
        ({"matrix": torch.eye(3).long()}, TypeError, r"'matrix' must be floating point \(got torch.int64\)"),
        ({"ids": [0, 1]}, TypeError, r"'ids' must be a torch tensor \(got a list\)"),
        ({"ids": torch.tensor([0.0])}, TypeError, r"'ids' must hold integer ids \(got torch.float32\)"),
        (
            {"ids": torch.tensor([0, 3])},
            ValueError,
            r"'ids' must hold ids in \[0, 3\) .* rows of 'matrix' \(got 0 to 3\)",
        ),
        ({"ids": torch.tensor([-1])}, ValueError, r"'ids' must hold ids in \[0, 3\) .* \(got -1 to -1\)"),
    ],
)
def test_arguments_that_do_not_fit_are_named(wrong: dict[str, object], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        IndexedSimilarity(**{"matrix": torch.eye(3), "ids": torch.tensor([0]), **wrong})


@pytest.mark.errors
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16])
def test_ids_by_which_torch_looks_nothing_up_are_refused(matrix: Tensor, dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match="'ids' must hold ids in int64 or int32"):
        IndexedSimilarity(matrix, IDS.to(dtype))
