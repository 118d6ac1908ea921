"""Products by blocks of rows: values and gradients are those of the product at once."""

import pytest
import torch

from drepm_pyg.nn.tall_product import tall_product


@pytest.mark.parametrize("shape", [(0, 4), (5, 4), (6, 4), (2, 3, 4)])
def test_blocks_do_not_matter(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drepm_pyg.nn.tall_product._ROWS", 2)
    draw = torch.Generator().manual_seed(3)
    values = [torch.randn(size, generator=draw, dtype=torch.float64) for size in (shape, (4, 3))]
    found, plain = ([value.clone().requires_grad_() for value in values] for _ in range(2))
    product, expected = tall_product(*found), plain[0] @ plain[1]
    torch.testing.assert_close(product, expected)
    product.square().sum().backward()
    expected.square().sum().backward()
    for ours, theirs in zip(found, plain, strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)
