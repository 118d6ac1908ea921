"""Rows of features that a mask calls absent: whatever stands in them must not reach a weight."""

import torch

from drepm_pyg._memo import memoize
from drepm_pyg.nn.functional.numerics import is_transformed
from drepm_pyg.typing import Bool, Float, Tensor

__all__ = ["finite_where_absent"]


def finite_where_absent(x: Float[Tensor, "N F"], mask: Bool[Tensor, " N"] | None) -> Float[Tensor, "N F"]:
    r"""``x``, or a copy with zeros in the absent rows where one of them holds NaN or infinity.

    Masking the product is not enough: the gradient :math:`X^\top G` multiplies a NaN by the zero of its masked row.

    Args:
        x: features; learned ones (with a gradient) are finite and returned as they are.
        mask: True = present; None = all are.
    """
    if mask is None:
        return x
    if is_transformed():  # nothing may be decided on numbers there
        return x.masked_fill(~mask.unsqueeze(1), 0)
    if x.requires_grad:
        return x

    def build() -> Tensor | None:
        absent = x[~mask]
        return None if torch.isfinite(absent).all() else x.masked_fill(~mask.unsqueeze(1), 0)

    cleaned = memoize("finite where absent", build, x, mask)
    return x if cleaned is None else cleaned
