"""Rows of a batch: checked, and of length 1."""

import torch

from drepm_pyg._checks import check_id_types, check_same_dtype, check_same_shape, check_tensors
from drepm_pyg.nn.functional.numerics import widen
from drepm_pyg.typing import Float, Tensor

__all__ = ["check_mask", "check_row_ids", "check_rows", "normalize_rows", "row_cosines"]

_HALVES = (torch.float16, torch.bfloat16)


def normalize_rows(x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    r"""Rows of length 1, in float32 at least.

    A zero row stays zero and its gradient is zero (``F.normalize`` would give :math:`10^{12}` times the incoming one);
    any other row gets length 1, however small or large. Rows of subnormal numbers alone count as zero.

    Raises:
        TypeError: where ``x`` is no tensor.

    Example:
        >>> normalize_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    check_tensors(x=x)
    x = widen(x)
    # The direction does not depend on the scale: dividing by a constant first keeps the squares in range.
    largest = x.detach().abs().amax(dim=-1, keepdim=True)
    nonzero = largest > torch.finfo(x.dtype).tiny
    x = x / largest.where(nonzero, 1.0)
    square = x.square().sum(dim=-1, keepdim=True)
    return x * torch.where(nonzero, square.where(nonzero, 1.0).rsqrt(), 0.0)


def row_cosines(x: Float[Tensor, "B D"], y: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
    """The cosine of each row of ``x`` with the same row of ``y``, 0 where one is zero, as are the gradients there."""
    return (normalize_rows(x) * normalize_rows(y)).sum(dim=-1)


def check_rows(**tensors: Tensor) -> None:
    """Matrices of one shape with at least one row, and of one type once half precision is widened to float32."""
    check_tensors(**tensors)
    name, first = next(iter(tensors.items()))
    if not first.is_floating_point():
        raise TypeError(f"'{name}' must be floating point (got {first.dtype}). Pass {name}.float().")
    if torch.compiler.is_compiling():
        torch._check(len(first) > 0)  # the number of distinct rows is a symbol there, which nothing may be decided on
    elif first.ndim != 2 or 0 in first.shape:
        raise ValueError(
            f"'{name}' must have the shape [B, D] with at least one row and column (got {list(first.shape)})."
        )
    check_same_shape(**tensors)
    # autocast sets rows of a table beside those of a product, which are half as wide: all are summed in one type.
    if len({torch.float32 if tensor.dtype in _HALVES else tensor.dtype for tensor in tensors.values()}) > 1:
        check_same_dtype(**tensors)


def check_mask(mask: Tensor, rows: int) -> None:
    """A bool matrix with a row and a column per pair."""
    check_tensors(mask=mask)
    if mask.dtype != torch.bool:
        raise TypeError(f"'mask' must be a bool tensor, True = not a negative (got {mask.dtype}). Pass mask.bool().")
    if mask.shape != (rows, rows):
        raise ValueError(
            f"'mask' must have the shape [{rows}, {rows}], a row per anchor and a column per positive (got "
            f"{list(mask.shape)})."
        )


def check_row_ids(rows: int, **ids: Tensor | None) -> None:
    """An integer per row, where given."""
    for name, tensor in ids.items():
        if tensor is not None:
            check_id_types(**{name: tensor})
            if tensor.shape != (rows,):
                raise ValueError(
                    f"'{name}' must have the shape [{rows}], the id of each row (got {list(tensor.shape)})."
                )
