"""Scores of users from the inner products of items: C = P G P^T, two sparse products a block."""

from collections.abc import Callable, Iterator

import torch

from drepm_pyg._arrays import transposed
from drepm_pyg.graph.bags import Bags
from drepm_pyg.graph.blocks import slices
from drepm_pyg.graph.products import LANES, block_columns
from drepm_pyg.graph.space import Space
from drepm_pyg.typing import Float, Tensor

__all__ = ["mean_blocks"]


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
        del half, tables, table  # before the next ones are asked for
