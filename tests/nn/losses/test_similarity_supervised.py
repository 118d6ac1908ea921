"""The similarity-supervised signal (Eq. 12), against a matrix and against its factors."""

import math
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from drepm_pyg.nn.functional import FactoredSimilarity
from drepm_pyg.nn.losses import SimilaritySupervisedLoss
from tests import cases
from tests.nn.losses import formulas
from tests.random_tensors import draw
from tests.tolerance import TOLERANCE

REDUCTIONS = ("mean", "frobenius", "frobenius_per_row")


class TestSimilaritySupervisedLoss(cases.LossCase):
    cls = SimilaritySupervisedLoss
    kwargs: ClassVar[dict[str, Any]] = {"metric": "cosine", "reduction": "mean"}
    targets = ("similarity",)

    def inputs(self, rows: int = 6) -> dict[str, Tensor]:
        # not symmetric: nothing may be assumed of a target that someone else made
        return {"representation": draw(rows, 4), "similarity": draw(rows, rows, seed=1).tanh()}

    def reference(self, **inputs: Tensor) -> float:
        return formulas.similarity_supervised(**inputs, **self.kwargs)


class TestRawProducts(TestSimilaritySupervisedLoss):
    kwargs: ClassVar[dict[str, Any]] = {"metric": "dot", "reduction": "mean"}
    normalizes = False


class TestFrobenius(TestSimilaritySupervisedLoss):
    kwargs: ClassVar[dict[str, Any]] = {"metric": "cosine", "reduction": "frobenius"}


class TestFrobeniusPerRow(TestSimilaritySupervisedLoss):
    kwargs: ClassVar[dict[str, Any]] = {"metric": "dot", "reduction": "frobenius_per_row"}
    normalizes = False


def test_hand_worked() -> None:
    # cosines [[1, 0], [0, 1]] against [[1, 1/2], [1/2, 0]]: differences 0, 1/2, 1/2, 1
    representation, similarity = torch.tensor([[2.0, 0.0], [0.0, 5.0]]), torch.tensor([[1.0, 0.5], [0.5, 0.0]])
    expected = {"mean": 1.5 / 4, "frobenius": math.sqrt(1.5), "frobenius_per_row": math.sqrt(1.5) / 2}
    for reduction, value in expected.items():
        loss = SimilaritySupervisedLoss(reduction=reduction)
        assert loss(representation, similarity).item() == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("factored", [False, True])
def test_a_perfect_fit_has_gradient_zero(reduction: str, factored: bool) -> None:
    representation = torch.eye(4, 6).requires_grad_()
    target = FactoredSimilarity([torch.eye(4)]) if factored else torch.eye(4)
    loss = SimilaritySupervisedLoss(reduction=reduction)(representation, target)
    loss.backward()
    assert loss.item() == 0
    assert representation.grad is not None
    assert not representation.grad.any()


@pytest.mark.parametrize("metric", ["cosine", "dot"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("widths", [(5, 3), (40, 20)], ids=["narrow", "wide"])
def test_factors_are_the_matrix(metric: str, reduction: str, dtype: torch.dtype, widths: tuple[int, int]) -> None:
    features = [F.normalize(draw(30, width, seed=seed)) for seed, width in enumerate(widths)]
    cosines = 0.3 * features[0] @ features[0].T + 0.7 * features[1] @ features[1].T
    target = FactoredSimilarity([x.to(dtype) for x in features], weights=[0.3, 0.7])
    loss = SimilaritySupervisedLoss(metric=metric, reduction=reduction)
    values, gradients = [], []
    for similarity in (target, cosines.to(dtype)):
        representation = draw(30, 8, seed=9, dtype=dtype).requires_grad_()
        values.append(loss(representation, similarity))
        values[-1].backward()
        gradients.append(representation.grad)
    torch.testing.assert_close(*values, **TOLERANCE[dtype])
    torch.testing.assert_close(*gradients, **TOLERANCE[dtype])


@pytest.mark.parametrize("reduction", ["frobenius", "frobenius_per_row"])
def test_factors_keep_their_digits_near_a_perfect_fit(reduction: str) -> None:
    features = F.normalize(draw(200, 16)).float()
    representation = features + 1e-4 * draw(200, 16, seed=1).float()
    loss = SimilaritySupervisedLoss(reduction=reduction)
    exact = loss(representation.double(), features.double() @ features.double().T)
    torch.testing.assert_close(loss(representation, FactoredSimilarity([features])).double(), exact, rtol=1e-3, atol=0)


def test_gradient_by_factors_is_the_derivative() -> None:
    target = FactoredSimilarity([draw(5, 3), draw(5, 7, seed=1)])
    for reduction in REDUCTIONS:
        loss = SimilaritySupervisedLoss(reduction=reduction)
        assert torch.autograd.gradcheck(lambda z, loss=loss: loss(z, target), draw(5, 4, seed=2).requires_grad_())


def test_no_gradient_reaches_the_factors() -> None:
    features = draw(5, 3).requires_grad_()
    representation = draw(5, 4, seed=1).requires_grad_()
    SimilaritySupervisedLoss()(representation, FactoredSimilarity([features], weights=[0.5])).backward()
    assert features.grad is None


def test_half_rows_against_factors() -> None:
    features = F.normalize(draw(20, 6))
    representation = draw(20, 8, seed=1).bfloat16()
    value = SimilaritySupervisedLoss()(representation, FactoredSimilarity([features.float()]))
    expected = formulas.similarity_supervised(representation.double(), features @ features.T)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.compile
def test_factors_compile_whole() -> None:
    torch._dynamo.reset()
    loss = SimilaritySupervisedLoss(reduction="frobenius")
    target, representation = FactoredSimilarity([draw(6, 3)]), draw(6, 4, seed=1)
    compiled = torch.compile(lambda z: loss(z, target), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(representation), loss(representation, target))


@pytest.mark.errors
def test_inputs_that_do_not_fit_are_refused() -> None:
    loss = SimilaritySupervisedLoss()
    with pytest.raises(ValueError, match=r"'similarity' must have the shape \[4, 4\], a row and a column per row"):
        loss(torch.ones(4, 2), torch.ones(4, 3))
    with pytest.raises(ValueError, match=r"'similarity' must have the shape \[4, 4\].*\(got \[5, 5\]\)"):
        loss(torch.ones(4, 2), FactoredSimilarity([torch.ones(5, 2)]))
    with pytest.raises(TypeError, match=r"'similarity' must be a torch tensor .* \(got a NoneType\)"):
        loss(torch.ones(4, 2), None)
    with pytest.raises(ValueError, match=r"'representation' must have the shape \[B, D\] with at least one row"):
        loss(torch.ones(0, 2), torch.ones(0, 0))


@pytest.mark.errors
def test_bad_options_are_refused_when_built() -> None:
    with pytest.raises(ValueError, match=r"'metric' must be one of 'cosine', 'dot' \(got 'l2'\)"):
        SimilaritySupervisedLoss(metric="l2")
    with pytest.raises(ValueError, match=r"'reduction' must be one of 'mean', 'frobenius', 'frobenius_per_row'"):
        SimilaritySupervisedLoss(reduction="none")
