"""Rows of length 1."""

import pytest
import torch
from torch.nn import functional as F

from drepm_pyg.nn.functional import normalize_rows
from tests.random_tensors import draw


def test_hand_worked() -> None:
    assert normalize_rows(torch.tensor([[3.0, -4.0]])).tolist() == [[pytest.approx(0.6), pytest.approx(-0.8)]]


def test_it_is_torchs_where_torchs_is_defined() -> None:
    x = draw(6, 4)
    torch.testing.assert_close(normalize_rows(x), F.normalize(x))
    assert torch.autograd.gradcheck(normalize_rows, x.requires_grad_())


@pytest.mark.parametrize("scale", [1e-37, 1e-20, 1e20, 1e37])
def test_the_scale_of_a_row_does_not_matter(scale: float) -> None:
    x = draw(6, 4).float()
    torch.testing.assert_close(normalize_rows(scale * x), normalize_rows(x))


def test_zero_rows_stay_zero_with_gradient_zero() -> None:
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    y = normalize_rows(x)
    (y * torch.tensor([1.0, 2.0])).sum().backward()
    assert y[0].tolist() == [0, 0]
    assert x.grad is not None
    assert x.grad[0].tolist() == [0, 0]
    assert x.grad[1].any()


def test_half_rows_become_float32() -> None:
    x = torch.full((2, 300), 300.0, dtype=torch.float16)  # their squared length overflows in float16
    assert normalize_rows(x).dtype == torch.float32
    torch.testing.assert_close(normalize_rows(x).norm(dim=1), torch.ones(2))


@pytest.mark.errors
def test_lists_are_no_rows() -> None:
    with pytest.raises(TypeError, match=r"'x' must be a torch tensor \(got a list\)"):
        normalize_rows([[3.0, 4.0]])
