"""Blocks of the matrix of all inner products: from the whole Gram matrix, computed half, or row block by row block."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg._arrays import large_empty, product_into, transpose_into
from drepm_pyg.graph.blocks import blocks_of, slices
from drepm_pyg.graph.rows import FeatureRows
from drepm_pyg.graph.space import Space
from drepm_pyg.typing import Float, Tensor

__all__ = [
    "LANES",
    "block_columns",
    "gram",
    "gram_blocks",
    "gram_of",
    "keeps_float32",
    "product_blocks",
    "unit_roundoff",
]

_CACHED = 1 << 22  # entries of a block of scores: about 16 MB, so that what follows the product finds it in cache
#: Columns: torch takes the maxima of so many side by side, and of what is left one by one.
LANES = 32

_PANEL = 2048  # rows of the Gram matrix that are multiplied at a time: measured
_LEAST = 1 << 16  # bytes: blocks of single rows would take a product each
_BLOCK_BYTES = 1 << 27  # of a block of scores that is computed for itself: large enough for the BLAS


def gram(y: Float[Tensor, "C F"]) -> Float[Tensor, "C C"]:
    """All inner products of the rows of ``y``; each is computed once and mirrored, half the work of ``y @ y.T``."""
    out = large_empty(len(y), len(y), dtype=y.dtype, device=y.device)
    out.zero_()  # all threads ask for its pages; in a product one of them would
    panels = list(slices(0, len(y), _PANEL))
    for panel in panels:
        product_into(y[panel], y[panel], out[panel, panel])
    for panel in panels[:-1]:
        product_into(y[panel], y[panel.stop :], out[panel, panel.stop :])
    # Not each after its product: the threads of the BLAS wait for the next one by spinning.
    for panel in panels[:-1]:
        transpose_into(out[panel, panel.stop :], out[panel.stop :, panel])
    return out


def gram_of(space: Space, device: torch.device) -> tuple[Float[Tensor, "C C"], NDArray[np.float64]]:
    """A Gram matrix of all rows, prepared but for the factors that its rows and columns are to be multiplied by."""
    kept = space.rows.kept if isinstance(space.rows, FeatureRows) else None
    key = space.metric, device
    found: tuple[Tensor, NDArray[np.float64]] | None = None if kept is None else kept.get(key)
    if found is None:
        rows, factor = space.factors(device)
        found = gram(rows), factor
        if kept is not None:
            kept[key] = found
    return found


def gram_blocks(products: Float[Tensor, "C C"], factor: NDArray[np.float64]) -> Iterator[tuple[slice, Tensor]]:
    """Column blocks of a Gram matrix, rows and columns multiplied by ``factor``; a block lasts until the next one."""
    by = torch.from_numpy(factor).float().to(products.device)
    step = block_columns(max(1, len(products)))
    buffer = large_empty(len(products) * min(step, len(products)), device=products.device)
    for block in slices(0, len(products), step):
        scores = buffer[: len(products) * len(by[block])].view(len(products), -1)
        yield block, torch.mul(products[:, block], by[:, None], out=scores).mul_(by[block])


def block_columns(entries: int) -> int:
    """Columns of a block of scores, each of so many entries: whole lanes, unless one of them is too long."""
    columns = _CACHED / entries
    return round(columns / LANES) * LANES or max(1, int(columns))


def product_blocks(space: Space, device: torch.device, budget: int) -> Iterator[tuple[slice, Tensor]]:
    """Blocks ``[N, B]`` of inner products of the base rows with a block of centres, within ``budget`` bytes.

    A block lasts until the next one. Rows that take more than half of the budget are prepared anew for every block.
    """
    num_rows, width, budget = len(space.base), space.width, max(budget, _LEAST)
    held = 4 * num_rows * width <= budget // 2
    whole = space.single(space.base, device) if held else None
    step = max(1, min(len(space.centres), min(budget // 8, _BLOCK_BYTES) // (4 * (num_rows + width))))
    # One buffer for all blocks: the allocator keeps large pieces that are freed and asked for again and again.
    buffer = large_empty(num_rows * step, device=device)
    for block in slices(0, len(space.centres), step):
        # All rows are searched for among themselves: what is prepared already serves both ends.
        centres = whole[block] if whole is not None and space.whole else space.single(space.centres[block], device)
        scores = buffer[: num_rows * len(centres)].view(num_rows, len(centres))
        if whole is not None:
            product_into(whole, centres, scores)
        else:
            for part in blocks_of(num_rows, width, budget // 8):
                product_into(space.single(space.base[part], device), centres, scores[part[0] : part[-1] + 1])
        yield block, scores


def unit_roundoff(device: torch.device) -> float:
    """Unit round-off of a float32 product on ``device``: on a CPU, of one that is not left to torch's settings."""
    return 2.0**-24 if device.type == "cpu" or keeps_float32(device) else 2.0**-8


def keeps_float32(device: torch.device) -> bool:
    """Whether torch multiplies float32 numbers as they are.

    It may be set, in more than one way, to round the factors to TF32 or bfloat16: a product tells.
    """
    probe = torch.full((256, 256), 1 + 2.0**-12, device=device)
    return torch.equal(probe @ torch.eye(256, device=device), probe)
