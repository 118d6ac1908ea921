"""Sparse times dense: sums of a few rows of a table each."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.sparse import csr_array

from drepm_pyg.typing import Float, Tensor

__all__ = ["Bags", "weighted"]


def weighted(counts: csr_array, rows: NDArray[np.float64], columns: NDArray[np.float64] | None = None) -> csr_array:
    """A sparse matrix, its rows and columns multiplied by factors."""
    out = counts.copy()
    if columns is not None:
        out.data *= columns[out.indices]
    out.data *= np.repeat(rows, np.diff(out.indptr))
    return out


class Bags:
    """Sums of a few rows of a table each: a sparse matrix times tables that are narrow and many.

    Args:
        counts: the weight of each row of a table in each bag, ``[B, I]``.
        device: where tables are.
        dtype: of the tables.
    """

    def __init__(
        self,
        counts: csr_array,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.item = torch.from_numpy(counts.indices.astype(np.int32)).to(device)
        self.weight = torch.from_numpy(counts.data).to(device, dtype)
        self.bounds = counts.indptr.tolist()
        self._start = torch.from_numpy(counts.indptr.astype(np.int32)).to(device)

    def sums(self, table: Float[Tensor, "I B"], block: slice | None = None) -> Float[Tensor, "C B"]:
        """The sums of a block of the bags, or of all."""
        if block is None:
            block = slice(0, len(self._start) - 1)
        inside = self.inside(block)
        start = self._start[block] - inside.start
        return F.embedding_bag(self.item[inside], table, start, mode="sum", per_sample_weights=self.weight[inside])

    def inside(self, block: slice) -> slice:
        """Where a block's items and weights are."""
        return slice(self.bounds[block.start], self.bounds[block.stop])
