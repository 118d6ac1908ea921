"""BPR (Eq. 14)."""

import math
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from drepm_pyg.nn.losses import BPRLoss
from tests import cases


class TestBPRLoss(cases.LossCase):
    cls = BPRLoss
    kwargs: ClassVar[dict[str, Any]] = {"reduction": "mean"}
    normalizes = False

    def inputs(self, rows: int = 6) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(0)
        pos_score, neg_score = torch.randn(2, rows, generator=generator, dtype=torch.float64)
        return {"pos_score": pos_score, "neg_score": neg_score}

    def reference(self, pos_score: Tensor, neg_score: Tensor) -> float:
        pairs = zip(pos_score.tolist(), neg_score.tolist(), strict=True)
        return sum(-math.log(1 / (1 + math.exp(n - p))) for p, n in pairs) / len(pos_score)


class TestSeveralNegatives(TestBPRLoss):
    def inputs(self, rows: int = 6) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(0)
        scores = torch.randn(rows, 4, generator=generator, dtype=torch.float64)
        return {"pos_score": scores[:, 0], "neg_score": scores[:, 1:]}

    def reference(self, pos_score: Tensor, neg_score: Tensor) -> float:
        columns = [super(TestSeveralNegatives, self).reference(pos_score, column) for column in neg_score.T]
        return sum(columns) / len(columns)


def test_hand_worked() -> None:
    # sigma(0) = 1/2 and sigma(ln 3) = 3/4
    pos_score, neg_score = torch.tensor([1.0, math.log(3.0)]), torch.tensor([1.0, 0.0])
    loss = BPRLoss(reduction="none")(pos_score, neg_score)
    torch.testing.assert_close(loss, torch.tensor([math.log(2), math.log(4 / 3)]))


def test_a_clear_margin_keeps_its_digits() -> None:
    margin = torch.tensor([30.0, -30.0], dtype=torch.float64)
    loss = BPRLoss(reduction="none")(margin, torch.zeros_like(margin))
    assert loss.tolist() == pytest.approx([math.log1p(math.exp(-30)), 30 + math.log1p(math.exp(-30))], rel=1e-14)


def test_reductions() -> None:
    pos_score, neg_score = torch.tensor([0.5, -1.0]), torch.tensor([[0.0, 1.0, 2.0], [0.0, 0.0, 3.0]])
    each = BPRLoss(reduction="none")(pos_score, neg_score)
    assert each.shape == (2, 3)
    torch.testing.assert_close(BPRLoss(reduction="sum")(pos_score, neg_score), each.sum())
    torch.testing.assert_close(BPRLoss()(pos_score, neg_score), each.mean())


@pytest.mark.errors
@pytest.mark.parametrize(
    ("positive", "negative", "message"),
    [
        ((3,), (2,), r"'pos_score' must be \[B\] and 'neg_score' \[B\] or \[B, n\] \(got \[3\] and \[2\]\)"),
        ((3, 1), (3, 1), r"'pos_score' must be \[B\]"),
        ((3,), (3, 2, 2), r"'pos_score' must be \[B\]"),
        ((0,), (0,), r"'neg_score' must hold at least one score \(got \[0\]\)"),
        ((3,), (3, 0), r"'neg_score' must hold at least one score \(got \[3, 0\]\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(positive: tuple[int, ...], negative: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BPRLoss()(torch.zeros(positive), torch.zeros(negative))


@pytest.mark.errors
def test_lists_are_no_tensors() -> None:
    with pytest.raises(TypeError, match=r"'pos_score' must be a torch tensor \(got a list\)"):
        BPRLoss()([1.0], [0.0])
    with pytest.raises(TypeError, match=r"'neg_score' must be a torch tensor \(got a list\)"):
        BPRLoss()(torch.ones(1), [0.0])


@pytest.mark.errors
def test_unknown_reduction_is_refused_when_built() -> None:
    with pytest.raises(ValueError, match=r"'reduction' must be one of 'mean', 'sum', 'none' \(got 'average'\)"):
        BPRLoss(reduction="average")
