"""Products with the own transpose, strip by strip, are the plain products."""

import pytest
import torch

from drepm_pyg.nn.functional import FactoredSimilarity
from drepm_pyg.nn.functional.gram import add_gram_, gram_squared_norm
from tests.random_tensors import draw


@pytest.mark.parametrize("rows", [1, 255, 256, 257, 600])
def test_strips_add_up_to_the_whole_product(rows: int) -> None:
    x, y = draw(rows, 5), draw(rows, 700, seed=1)
    total = add_gram_(x @ x.T, y)
    torch.testing.assert_close(total, x @ x.T + y @ y.T)


@pytest.mark.parametrize("shape", [(1, 7), (300, 40), (40, 300), (513, 520)])
def test_the_norm_needs_no_matrix(shape: tuple[int, int]) -> None:
    x = draw(*shape)
    torch.testing.assert_close(gram_squared_norm(x), (x @ x.T).square().sum())
    assert gram_squared_norm(x.float()).dtype == torch.float64


@pytest.mark.parametrize("width", [30, 400])
def test_a_factored_distance_and_its_gradient_are_those_of_the_matrix(width: int) -> None:
    z, factor = draw(300, 8).requires_grad_(), draw(300, width, seed=1)
    by_factors = FactoredSimilarity([factor]).squared_distance(z)
    plain = (z @ z.T - factor @ factor.T).square().sum()
    torch.testing.assert_close(by_factors, plain)
    torch.testing.assert_close(*(torch.autograd.grad(loss, z)[0] for loss in (by_factors, plain)))
