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


def test_frozen_features_are_turned_once_when_they_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drepm_pyg.nn.tall_product._ROWS", 2)
    calls = []

    def watched(x: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
        calls.append(x)
        return out.copy_(x.T)

    monkeypatch.setattr("drepm_pyg.nn.tall_product.transpose_into", watched)
    draw = torch.Generator().manual_seed(3)
    x, upstream = torch.randn(7, 4, generator=draw), torch.randn(7, 3, generator=draw)
    turned = []
    for step in range(6):
        if step == 4:
            x.mul_(2)  # what was kept no longer holds
        weight = torch.randn(4, 3, generator=draw).requires_grad_()
        (gradient,) = torch.autograd.grad(tall_product(x, weight), weight, upstream)
        torch.testing.assert_close(gradient, x.T @ upstream)
        turned.append(len(calls))
    assert turned == [0, 1, 1, 1, 1, 2]


def test_features_that_are_changed_behind_torch_are_turned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drepm_pyg.nn.tall_product._ROWS", 2)
    x, upstream = torch.randn(7, 4, generator=torch.Generator().manual_seed(3)), torch.ones(7, 3)
    shared = x.numpy()
    for step in range(6):
        if step == 3:
            shared -= shared.mean(0)
        if step == 5:
            x.data.mul_(10)
        weight = torch.ones(4, 3, requires_grad=True)
        (gradient,) = torch.autograd.grad(tall_product(x, weight), weight, upstream)
        torch.testing.assert_close(gradient, x.T @ upstream)


def test_features_beyond_the_limit_are_not_kept_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drepm_pyg.nn.tall_product._ROWS", 2)
    monkeypatch.setattr("drepm_pyg.nn.tall_product._KEPT_BYTES", 7 * 4 * 4 - 1)
    monkeypatch.setattr("drepm_pyg.nn.tall_product.transpose_into", None)  # not called
    x, weight = torch.ones(7, 4), torch.ones(4, 3, requires_grad=True)
    for _ in range(3):
        (gradient,) = torch.autograd.grad(tall_product(x, weight).sum(), weight)
        assert torch.equal(gradient, torch.full((4, 3), 7.0))


def test_frozen_features_have_second_derivatives_and_mixed_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drepm_pyg.nn.tall_product._ROWS", 2)
    draw = torch.Generator().manual_seed(3)
    x, weight = (torch.randn(size, generator=draw, dtype=torch.float64) for size in ((5, 4), (4, 3)))
    assert torch.autograd.gradgradcheck(lambda weight: tall_product(x, weight).square(), weight.requires_grad_())
    single = weight.detach().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        product = tall_product(x.float(), single)
    assert product.dtype == torch.bfloat16
    product.sum().backward()
    torch.testing.assert_close(single.grad, x.float().sum(0)[:, None].expand(4, 3), rtol=2e-2, atol=2e-2)
