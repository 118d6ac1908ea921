"""Frozen sparse matrices by rows, and their product with dense ones."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from drepm_pyg.typing import Float, Int, Tensor

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["CsrMatrix", "product"]

_INT32_MAX = 2**31 - 1


@dataclass(frozen=True, eq=False)
class CsrMatrix:
    """A sparse matrix by rows: where each row starts, the columns and weights of its entries.

    Shapes:
        indptr: int ``[R + 1]``, index: int ``[E]``, weight: float64 ``[E]`` (cast to the type of what it multiplies)
    """

    indptr: Int[Tensor, " R1"]
    index: Int[Tensor, " E"]
    weight: Float[Tensor, " E"]
    num_cols: int
    _casts: dict[torch.dtype, Tensor] = field(default_factory=dict, repr=False)

    @classmethod
    def from_coo(
        cls, row: Int[Tensor, " E"], col: Int[Tensor, " E"], weight: Float[Tensor, " E"], num_rows: int, num_cols: int
    ) -> "CsrMatrix":
        """Sort the entries by row; within a row they keep their order."""
        # Half the index traffic where the ids fit; embedding_bag and cuSPARSE take both.
        dtype = torch.int32 if max(num_rows, num_cols, row.numel()) <= _INT32_MAX else torch.long
        order = row.to(dtype).argsort(stable=True)
        counts = torch.bincount(row, minlength=num_rows)
        indptr = torch.cat([counts.new_zeros(1), counts.cumsum(0)]).to(dtype)
        # torch selects entries of a vector in half of the time that indexing takes.
        return cls(indptr, col.to(dtype).index_select(0, order), weight.index_select(0, order), num_cols)

    @property
    def num_rows(self) -> int:
        """The number R of rows."""
        return self.indptr.numel() - 1

    @cached_property
    def row_counts(self) -> Int[Tensor, " R"]:
        """The number of entries in each row, long."""
        return self.indptr.diff().long()

    def weight_as(self, dtype: torch.dtype) -> Float[Tensor, " E"]:
        """The weights in another type, cast once."""
        if dtype not in self._casts:
            self._casts[dtype] = self.weight.to(dtype)
        return self._casts[dtype]

    def rows(self, start: int, stop: int) -> "CsrMatrix":
        """The rows from ``start`` up to ``stop``."""
        first, last = self.indptr[start].item(), self.indptr[stop].item()
        indptr = self.indptr[start : stop + 1] - first
        return CsrMatrix(indptr, self.index[first:last], self.weight[first:last], self.num_cols)

    def select(self, ids: Int[Tensor, " B"]) -> "CsrMatrix":
        """The rows ``ids``, in their order, repeated ones too."""
        if ids.device.type == "cpu":  # whole rows are copied, where torch would look up every entry
            return self._of(self._scipy()[ids.numpy()])
        start = self.indptr[ids].long()
        count = self.indptr[ids + 1].long() - start
        indptr = torch.cat([count.new_zeros(1), count.cumsum(0)])
        entry = torch.arange(int(indptr[-1]), device=ids.device) + (start - indptr[:-1]).repeat_interleave(count)
        return CsrMatrix(indptr.to(self.indptr.dtype), self.index[entry], self.weight[entry], self.num_cols)

    def transposed(self) -> "CsrMatrix":
        """The transpose, entries of a row by column."""
        if self.index.device.type == "cpu":
            return self._of(self._scipy().T.tocsr())
        return CsrMatrix.from_coo(self.index.long(), self._entry_rows(), self.weight, self.num_cols, self.num_rows)

    def narrowed(self) -> tuple["CsrMatrix", Int[Tensor, " N"]]:
        """The matrix without its empty columns, and which columns are left, ascending."""
        used = torch.zeros(self.num_cols, dtype=torch.bool, device=self.index.device)
        used[self.index.long()] = True
        columns = used.nonzero().squeeze(1)
        place = torch.empty(self.num_cols, dtype=self.index.dtype, device=self.index.device)
        place[columns] = torch.arange(len(columns), dtype=place.dtype, device=place.device)
        return CsrMatrix(self.indptr, place[self.index.long()], self.weight, len(columns)), columns

    def scaled(self, row: Float[Tensor, " R"], col: Float[Tensor, " C"]) -> "CsrMatrix":
        """The matrix with its rows and columns multiplied by numbers."""
        row, col = row.to(self.weight.dtype), col.to(self.weight.dtype)
        by = row.repeat_interleave(self.row_counts) * col[self.index.long()]
        return CsrMatrix(self.indptr, self.index, self.weight * by, self.num_cols)

    def matmul(self, x: Float[Tensor, "C D"]) -> Float[Tensor, "R D"]:
        """The product with ``x``, not differentiable; half precision is summed in float32."""
        # Detached: for a parameter embedding_bag keeps what its own backward pass would read, half as long again.
        dense = x.detach().to(torch.promote_types(x.dtype, torch.float32)).contiguous()
        weight = self.weight_as(dense.dtype)
        if x.device.type == "cpu":
            # A bag per row: the fastest sparse-dense product that torch has on a CPU, near the bandwidth bound.
            out = F.embedding_bag(
                self.index, dense, self.indptr, mode="sum", per_sample_weights=weight, include_last_offset=True
            )
        elif x.device.type == "cuda":
            matrix = torch.sparse_csr_tensor(self.indptr, self.index, weight, (self.num_rows, self.num_cols))
            with torch.autocast("cuda", enabled=False):
                out = matrix @ dense
        else:
            out = self._scattered(dense, weight)
        return out.to(x.dtype)

    def _scipy(self) -> "csr_array":
        """The same memory as SciPy's."""
        from scipy.sparse import csr_array

        parts = (self.weight.numpy(), self.index.numpy(), self.indptr.numpy())
        return csr_array(parts, shape=(self.num_rows, self.num_cols))

    @staticmethod
    def _of(matrix: "csr_array") -> "CsrMatrix":
        indptr, index, weight = (torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data))
        return CsrMatrix(indptr, index, weight, matrix.shape[1])

    def _scattered(self, x: Tensor, weight: Tensor) -> Tensor:
        """The product edge by edge, for devices without a sparse one."""
        messages = x.index_select(0, self.index.long()) * weight.unsqueeze(1)
        return messages.new_zeros(self.num_rows, x.size(1)).index_add_(0, self._entry_rows(), messages)

    def _entry_rows(self) -> Int[Tensor, " E"]:
        return torch.arange(self.num_rows, device=self.index.device).repeat_interleave(self.row_counts)


class _Product(torch.autograd.Function):
    """A frozen sparse matrix times a dense one; the backward pass multiplies by the kept transpose."""

    @staticmethod
    def forward(x: Tensor, matrix: CsrMatrix, transpose: CsrMatrix) -> Tensor:
        return matrix.matmul(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, CsrMatrix, CsrMatrix], output: Tensor) -> None:
        _, ctx.matrix, ctx.transpose = inputs

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return product(grad, ctx.transpose, ctx.matrix), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        return product(tangent, ctx.matrix, ctx.transpose)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int, None, None], x: Tensor, matrix: CsrMatrix, transpose: CsrMatrix
    ) -> tuple[Tensor, int]:
        """A batch of tables stands side by side, as the columns of one."""
        tables = x.movedim(in_dims[0], 1)
        return product(tables.flatten(1), matrix, transpose).unflatten(1, tables.shape[1:]), 1


product: Callable[[Tensor, CsrMatrix, CsrMatrix], Tensor] = _Product.apply
