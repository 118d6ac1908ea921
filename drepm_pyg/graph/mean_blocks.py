"""Scores of users from the inner products of items: C = P G P^T, two sparse products a block."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from drepm_pyg._arrays import transposed
from drepm_pyg.graph.blocks import slices
from drepm_pyg.graph.mean_rows import MeanRows
from drepm_pyg.graph.products import LANES, block_columns
from drepm_pyg.graph.space import Space
from drepm_pyg.typing import Float, Tensor

__all__ = ["Bags", "mean_blocks"]


class Bags:
    """Rows of P, their columns multiplied by ``factor``, the rows by ``scale``: sums of a few rows of a table.

    Args:
        rows: the users' rows.
        ids: which of them.
        factor: float64 ``[I]``.
        scale: float64, of all users.
        device: where tables are.
        dtype: of the tables.
    """

    def __init__(
        self,
        rows: MeanRows,
        ids: NDArray[np.int64],
        factor: NDArray[np.float64],
        scale: NDArray[np.float64],
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        counts = rows.counts[ids]
        weight = counts.data * factor[counts.indices] * np.repeat(scale[ids], np.diff(counts.indptr))
        self.item = torch.from_numpy(counts.indices.astype(np.int32)).to(device)
        self.weight = torch.from_numpy(weight).to(device, dtype)
        self.bounds = counts.indptr.tolist()
        self._start = torch.from_numpy(counts.indptr.astype(np.int32)).to(device)

    def sums(self, table: Float[Tensor, "I B"], block: slice | None = None) -> Float[Tensor, "C B"]:
        """The sums of a block of the users, or of all."""
        if block is None:
            block = slice(0, len(self._start) - 1)
        inside = self.inside(block)
        start = self._start[block] - inside.start
        return F.embedding_bag(self.item[inside], table, start, mode="sum", per_sample_weights=self.weight[inside])

    def inside(self, block: slice) -> slice:
        """Where a block's items and weights are."""
        return slice(self.bounds[block.start], self.bounds[block.stop])


def mean_blocks(
    sums: Callable[[slice], Float[Tensor, "B I"]], space: Space, num_items: int, bags: Bags
) -> Iterator[tuple[slice, Float[Tensor, "C B"]]]:
    """Blocks of P G P^T: scores of the base rows with a block of centres.

    Args:
        sums: rows of P G for the centres of a block.
        space: the users.
        num_items: how many rows and columns G has.
        bags: rows of P for the base.
    """
    columns = block_columns(max(1, len(space.base), num_items))
    # A table for each thread to transpose, as long as they have whole lanes, and all of them together stay in cache.
    stack = max(1, min(torch.get_num_threads(), columns // LANES)) if bags.item.device.type == "cpu" else 1
    step = columns // stack // LANES * LANES or columns
    for block in slices(0, len(space.centres), stack * step):
        half = sums(block)
        # The last users may be too few for all tables.
        tables = half.view(stack, step, -1) if len(half) == stack * step else half.unsqueeze(0)
        parts = slices(block.start, block.stop, tables.size(1))
        for table, part in zip(transposed(tables), parts, strict=True):
            yield part, bags.sums(table)
