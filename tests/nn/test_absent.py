"""Rows that a mask calls absent: NaN and infinity there reach nobody."""

import pytest
import torch

from drepm_pyg.nn.absent import finite_where_absent

MASK = torch.tensor([True, False, True])


def features(absent: float = 2.0) -> torch.Tensor:
    return torch.tensor([[1.0, -1.0], [absent, 5.0], [3.0, 4.0]])


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_in_an_absent_row_becomes_zeros_in_a_copy(value: float) -> None:
    x = features(value)
    assert finite_where_absent(x, MASK).tolist() == [[1.0, -1.0], [0.0, 0.0], [3.0, 4.0]]
    assert not x[1, 0].isfinite()


def test_finite_features_are_not_copied() -> None:
    x = features()
    assert finite_where_absent(x, MASK) is x


def test_a_present_row_is_nobodys_to_mend() -> None:
    x = features()
    x[0, 0] = torch.nan
    assert finite_where_absent(x, MASK)[0, 0].isnan()
    assert finite_where_absent(x, None) is x


def test_learned_features_are_returned_as_they_are() -> None:
    x = features(torch.nan).requires_grad_()
    assert finite_where_absent(x, MASK) is x


def test_the_copy_is_made_once_and_anew_after_a_change() -> None:
    x = features(torch.nan)
    cleaned = finite_where_absent(x, MASK)
    assert finite_where_absent(x, MASK) is cleaned
    x[0, 0] = 7.0
    assert finite_where_absent(x, MASK)[0].tolist() == [7.0, -1.0]


def test_the_gradient_of_a_product_stays_finite() -> None:
    """A masked product of features with NaN would give the weight a gradient of NaN."""
    weight = torch.ones(2, 1, requires_grad=True)
    (finite_where_absent(features(torch.nan), MASK) @ weight * MASK.unsqueeze(1)).sum().backward()
    assert weight.grad is not None
    assert weight.grad.flatten().tolist() == [4.0, 3.0]


def test_torch_func_batches_it() -> None:
    xs = torch.stack([features(torch.nan), features()])
    found = torch.func.vmap(lambda x: finite_where_absent(x, MASK))(xs)
    assert found.tolist() == [[[1.0, -1.0], [0.0, 0.0], [3.0, 4.0]]] * 2
