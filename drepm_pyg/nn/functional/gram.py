r"""Products :math:`A A^\top`, strip by strip: the result is symmetric, so that half of it is never multiplied out."""

import torch

from drepm_pyg._arrays import transpose_into
from drepm_pyg.typing import Float, Tensor

__all__ = ["add_gram_", "gram_squared_norm", "squared_norm", "strip_rows"]

_STRIP = 256  # rows of the result at a time: products of this height run at full rate, and the strip stays in cache


def strip_rows(x: Float[Tensor, "B D"]) -> int:
    """How many rows of a B x B matrix to work on at a time: all of them but on a CPU, where calls cost little."""
    return _STRIP if x.device.type == "cpu" else max(1, len(x))


def add_gram_(total: Float[Tensor, "N N"], x: Float[Tensor, "N F"]) -> Float[Tensor, "N N"]:
    r"""Add :math:`X X^\top` to a symmetric matrix in place."""
    for start in range(0, len(x), _STRIP):
        stop = min(start + _STRIP, len(x))
        total[start:stop, :stop].addmm_(x[start:stop], x[:stop].T)
        transpose_into(total[start:stop, :start], total[:start, start:stop])
    return total


def gram_squared_norm(x: Float[Tensor, "N F"]) -> Float[Tensor, ""]:
    r""":math:`\|X X^\top\|_F^2` in float64, from whichever of :math:`X X^\top` and :math:`X^\top X` is smaller."""
    if x.size(1) < x.size(0):  # equal norms: the squares of the singular values are the same
        x = x.T
    total = x.new_zeros((), dtype=torch.promote_types(x.dtype, torch.float64))
    for start in range(0, len(x), _STRIP):
        own = x[start : start + _STRIP]
        total = total + squared_norm(own @ own.T) + 2 * squared_norm(own @ x[:start].T)
    return total


def squared_norm(x: Float[Tensor, "R C"]) -> Float[Tensor, ""]:
    r""":math:`\|X\|_F^2` in float64: row norms read the matrix once and write no float64 copy of it."""
    return torch.linalg.vector_norm(x, dim=1).double().square().sum()
