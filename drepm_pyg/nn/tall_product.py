"""The product of many wide rows with a narrow matrix, as raw features times W are."""

import itertools
from collections.abc import Callable
from typing import Any

import torch

from drepm_pyg._arrays import large_empty, transpose_into
from drepm_pyg._memo import memoize
from drepm_pyg.nn.functional.numerics import is_traced
from drepm_pyg.typing import Float, Tensor

__all__ = ["tall_product"]

_ROWS = 1024  # at a time: measured, a third less time than all 7,050 at once (4,096 to 64 columns, two cores)
_LOOKED_AT = 64  # entries that tell whether frozen features are what they were
_KEPT_BYTES = 1 << 30  # the largest frozen features that are kept a second time


def tall_product(x: Float[Tensor, "*N F"], weight: Float[Tensor, "F D"]) -> Float[Tensor, "*N D"]:
    """``x @ weight``; on a CPU by blocks of rows, between which the BLAS keeps ``weight`` in cache.

    The gradient of ``weight`` is such a product, too, of the transpose of ``x``: frozen features of up to 1 GiB that
    are seen again are kept transposed, which takes two thirds of the time. In-place changes of them are noticed; those
    through NumPy or ``x.data``, which torch does not count, only where they touch the table as a whole.
    """
    if is_traced() or x.ndim != 2 or len(x) <= _ROWS or x.device.type != "cpu":
        return x @ weight
    frozen = not x.requires_grad and x.dtype == weight.dtype and x.nbytes <= _KEPT_BYTES
    if frozen and weight.requires_grad and not torch.is_autocast_enabled("cpu"):
        return _frozen_product(x, weight)
    return _by_rows(x, weight)


def _by_rows(x: Tensor, weight: Tensor) -> Tensor:
    return torch.cat([rows @ weight for rows in x.split(_ROWS)])


class _FrozenProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return _by_rows(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        (x,) = ctx.saved_tensors
        times = memoize("gradients of a tall product", itertools.count, x)
        if next(times) == 0:  # a batch that never comes again, maybe
            return None, x.T @ grad
        turned = memoize("transpose", lambda: transpose_into(x, large_empty(*x.shape[::-1], dtype=x.dtype)), x)
        if not _seems_transposed(turned, x):
            transpose_into(x, turned)
        return None, _by_rows(turned, grad)


def _seems_transposed(turned: Tensor, x: Tensor) -> bool:
    """A look at some entries: NumPy, and ``x.data``, change a tensor without its count of changes."""
    row, column = (torch.arange(_LOOKED_AT) * size // _LOOKED_AT for size in x.shape)
    return torch.allclose(turned[column, row], x[row, column], rtol=0, atol=0, equal_nan=True)


_frozen_product: Callable[[Tensor, Tensor], Tensor] = _FrozenProduct.apply
