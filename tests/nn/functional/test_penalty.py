"""The two forms of the L2 penalty."""

import pytest
import torch

from drepm_pyg.nn.functional import L2_FORMS, embedding_l2


def test_hand_worked() -> None:
    # lengths 5 and 13, two rows
    user, item = torch.tensor([[3.0, 0.0], [0.0, 4.0]]), torch.tensor([[5.0, 0.0], [12.0, 0.0]])
    assert L2_FORMS == ("half_squared", "norm")
    assert embedding_l2(user, item).item() == pytest.approx((25 + 169) / 2 / 2)
    assert embedding_l2(user, item, form="norm").item() == pytest.approx((5 + 13) / 2)


def test_tables_of_different_size_are_divided_by_the_rows_of_the_last() -> None:
    user, item = torch.ones(3, 3), torch.ones(4, 4)
    assert embedding_l2(user, item).item() == pytest.approx((9 + 16) / 2 / 4)
    assert embedding_l2(user, item, form="norm").item() == pytest.approx((3 + 4) / 4)


@pytest.mark.parametrize("form", L2_FORMS)
def test_gradient_is_the_derivative(form: str) -> None:
    x, y = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    leaves = (x.requires_grad_(), y.requires_grad_())
    assert torch.autograd.gradcheck(lambda *rows: embedding_l2(*rows, form=form), leaves)


@pytest.mark.parametrize("form", L2_FORMS)
def test_all_zero_rows_have_gradient_zero(form: str) -> None:
    x = torch.zeros(3, 2, requires_grad=True)
    embedding_l2(x, form=form).backward()
    assert x.grad is not None
    assert x.grad.tolist() == torch.zeros(3, 2).tolist()


@pytest.mark.parametrize("form", L2_FORMS)
def test_large_tables_keep_their_digits(form: str) -> None:
    x = torch.rand(20_000, 64, generator=torch.Generator().manual_seed(0))
    exact = embedding_l2(x.double(), form=form)
    assert embedding_l2(x, form=form).item() == pytest.approx(exact.item(), rel=1e-6)
    assert embedding_l2(x.half(), form=form).dtype == torch.float32


@pytest.mark.errors
def test_inputs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'form' must be one of 'half_squared', 'norm' \(got 'l1'\)"):
        embedding_l2(torch.ones(1, 1), form="l1")
    with pytest.raises(ValueError, match=r"'rows' must hold at least one tensor with rows \(got \[\]\)"):
        embedding_l2()
    with pytest.raises(ValueError, match=r"'rows' must hold at least one tensor with rows \(got \[\[0, 4\]\]\)"):
        embedding_l2(torch.ones(0, 4))


@pytest.mark.errors
def test_rows_are_tensors_one_by_one() -> None:
    x = torch.ones(2, 3)
    with pytest.raises(TypeError, match=r"'rows' must be tensors, .* \(got a list\)\. Pass embedding_l2\(\*rows\)"):
        embedding_l2([x, x])
    with pytest.raises(TypeError, match=r"'rows\[1\]' must be a torch tensor \(got a float\)"):
        embedding_l2(x, 1.0)
    with pytest.raises(ValueError, match="'rows' must hold at least one tensor with rows"):
        embedding_l2(torch.tensor(1.0))
