"""A similarity matrix as part of a larger one: looked up, compared and forgotten strip by strip."""

from collections.abc import Callable
from typing import Any

import torch

from drepm_pyg._checks import check_ids, check_row_numbers, check_tensors
from drepm_pyg.nn.functional.gram import squared_norm, strip_rows
from drepm_pyg.nn.functional.implicit import ImplicitSimilarity
from drepm_pyg.nn.functional.numerics import full_precision, is_traced, refuse_second_derivative
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["IndexedSimilarity"]


class IndexedSimilarity(ImplicitSimilarity):
    r"""A target :math:`T_{bc} = S_{n_b n_c}` by the similarities :math:`S` of all nodes and the ids :math:`n` of some.

    :math:`S` must be symmetric, which is not checked. Then so is :math:`Z Z^\top - T`, and its squared norm and the
    gradient

    .. math:: \nabla_Z \|Z Z^\top - T\|^2 = 4 (Z Z^\top - T) Z

    take the entries on and below the diagonal alone, in one pass over strips of rows: of a matrix that is not
    symmetric the others are ignored. Differentiable once.

    Args:
        matrix: :math:`S`, float ``[N, N]``, symmetric; no gradient reaches it.
        ids: :math:`n`, long ``[B]``.

    Raises:
        TypeError: where ``matrix`` is no tensor of floating-point numbers, or ``ids`` is none of int64 or int32.
        ValueError: where the shapes do not fit, or an id is out of range (on a GPU, which would have to wait for the
            answer, torch's own error comes later).

    Example:
        >>> matrix = torch.tensor([[1.0, 0.2, 0.3], [0.2, 1.0, 0.4], [0.3, 0.4, 1.0]])
        >>> IndexedSimilarity(matrix, torch.tensor([2, 0])).dense()
        tensor([[1.0000, 0.3000],
                [0.3000, 1.0000]])
    """

    def __init__(self, matrix: Float[Tensor, "N N"], ids: Int[Tensor, " B"]) -> None:
        check_tensors(matrix=matrix)
        check_row_numbers(ids=ids)
        if not matrix.is_floating_point():
            raise TypeError(f"'matrix' must be floating point (got {matrix.dtype}). Pass matrix.float().")
        if matrix.ndim != 2 or matrix.size(0) != matrix.size(1) or ids.ndim != 1:
            raise ValueError(
                f"'matrix' must be square [N, N] and 'ids' [B] (got {list(matrix.shape)} and {list(ids.shape)})."
            )
        if ids.device.type == "cpu" and not is_traced():
            check_ids(len(matrix), what="rows of 'matrix'", ids=ids)
        self.matrix, self.ids = matrix.detach(), ids

    @property
    def shape(self) -> tuple[int, int]:
        """Of the part."""
        return len(self.ids), len(self.ids)

    @property
    def dtype(self) -> torch.dtype:
        """Of the matrix."""
        return self.matrix.dtype

    def dense(self, dtype: torch.dtype | None = None) -> Float[Tensor, "B B"]:
        """The part as a matrix, in its own type or another one."""
        return self.matrix[self.ids.unsqueeze(1), self.ids].to(dtype or self.dtype)

    def __getitem__(self, rows: Tensor) -> "IndexedSimilarity":
        """The matrix of some rows and the same columns."""
        return IndexedSimilarity(self.matrix, self.ids[rows])

    def squared_distance(self, z: Float[Tensor, "B D"], *, accurate: bool = False) -> Float[Tensor, ""]:
        r""":math:`\|Z Z^\top - T\|_F^2` in the type of ``z``; the entries' differences are accurate as they are."""
        if is_traced():
            return (z @ z.T - self.dense(z.dtype)).square().sum()
        ids, order = self.ids.sort()  # a matrix larger than the caches is read faster so, and any order serves
        return _distance(z.index_select(0, order), self.matrix, ids)


class _Distance(torch.autograd.Function):
    """The gradient is made with the value, while a strip is in cache: nothing of size B x B is kept."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, matrix: Tensor, ids: Tensor) -> Tensor:
        slope = torch.zeros_like(z) if ctx.needs_input_grad[0] else None
        total = torch.zeros((), dtype=torch.float64, device=z.device)
        step = strip_rows(z)
        for start in range(0, len(z), step):
            stop = min(start + step, len(z))
            own = z[start:stop]
            gap = (own @ z[:stop].T).sub_(matrix[ids[start:stop].unsqueeze(1), ids[:stop]])
            left = gap[:, :start]  # of the diagonal's square; it stands once more above the diagonal
            total += squared_norm(gap[:, start:]) + 2 * squared_norm(left)
            if slope is not None:
                slope[start:stop].addmm_(gap, z[:stop])
                slope[:start].addmm_(left.T, own)
        ctx.save_for_backward(slope)
        return total.to(z.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        refuse_second_derivative("similarity_distance")
        (slope,) = ctx.saved_tensors
        with full_precision(slope):
            return 4 * grad * slope, None, None


_distance: Callable[[Tensor, Tensor, Tensor], Tensor] = _Distance.apply
