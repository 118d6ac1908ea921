"""InfoNCE by strips of rows: neither the height of a strip nor which side learns changes a value or a gradient."""

import pytest
import torch
from torch import Tensor

from drepm_pyg.nn.functional import info_nce
from drepm_pyg.nn.functional.contrast import _plain_info_nce

ROWS = 7


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("strip", [1, 2, 3, 7, 256])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("learning", [(True, True), (True, False), (False, True), (False, False)])
def test_strips_are_the_plain_formula(
    strip: int, masked: bool, learning: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drepm_pyg.nn.functional.gram._STRIP", strip)
    mask = draw(ROWS, ROWS, seed=3) > 0.5 if masked else None
    found, plain = (
        [draw(ROWS, 4, seed=side).requires_grad_(learns) for side, learns in enumerate(learning)] for _ in range(2)
    )
    value = info_nce(*found, temperature=0.5, normalize=False, mask=mask)
    expected = _plain_info_nce(*plain, 2.0, mask)
    torch.testing.assert_close(value, expected)
    if not any(learning):
        return
    slope = draw(ROWS, seed=5)
    value.backward(slope)
    expected.backward(slope)
    for ours, theirs in zip(found, plain, strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_one_table_may_be_both_sides() -> None:
    found, plain = draw(ROWS, 4).requires_grad_(), draw(ROWS, 4).requires_grad_()
    info_nce(found, found, temperature=1.0, normalize=False).sum().backward()
    _plain_info_nce(plain, plain, 1.0, None).sum().backward()
    torch.testing.assert_close(found.grad, plain.grad)
