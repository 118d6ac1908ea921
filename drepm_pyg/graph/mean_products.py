"""Inner products of users from those of items: C = P G P^T, two sparse products a block, no [U, F] matrix."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from drepm_pyg._arrays import large_empty, transpose_into
from drepm_pyg.graph.find import How, feature_route, fits_budget
from drepm_pyg.graph.mean_rows import MeanRows
from drepm_pyg.graph.metrics import rounding
from drepm_pyg.graph.products import CACHED, gram_of, unit_roundoff
from drepm_pyg.graph.shortlist import Shortlist, shortlists
from drepm_pyg.graph.space import Space
from drepm_pyg.typing import Float, Tensor

__all__ = ["mean_route"]

_SPARSE = 60


def mean_route(space: Space, how: How, count: int) -> tuple[str, Iterable[Shortlist]]:
    """Inner products of users as P G P^T, or from blocks of means: what is cheaper, within the memory budget.

    G, if it was not kept, takes a multiply-add per pair of items and column (each product serves both halves), the
    sparse products of a block one per entry of P and item, then user, and the direct way one per pair of users and
    column. An entry of a sparse product takes as long as ``_SPARSE`` multiply-adds of a dense one.
    """
    rows, device = space.rows, how.device
    assert isinstance(rows, MeanRows)  # the caller made them
    items = rows.items
    fits = fits_budget(len(items.ties), items.width, how.memory_budget)
    sparse = rows.counts.nnz * (len(items.ties) + len(space.base)) * len(space.centres) / max(1, len(space))
    made = items.kept is not None and (space.metric, device) in items.kept
    by_gram = (0 if made else len(items.ties) ** 2 * items.width / 2) + _SPARSE * sparse
    directly = len(space.centres) * len(space.base) * items.width
    if how.index == "blocks" or (how.index in ("auto", "exact") and not (fits and by_gram < directly)):
        # No Gram matrix of the users here: a row of theirs is itself a sum.
        return feature_route(space, replace(how, index="blocks"), count)
    source = Space(items, space.metric, block_bytes=space.block_bytes)
    by = space.metric.scale(items.squares)
    length = np.divide(1, by, out=np.zeros_like(by), where=by > 0)  # a row is its prepared form times this
    scale = space.metric.scale(rows.squares) / rows.degree
    unit = unit_roundoff(device)
    # Rounding is relative to the items' norms, which may exceed the norm of their mean.
    reach = np.asarray(rows.counts @ (length * source.norms)) * scale
    p, q = space.slack(reach, unit)
    # A product is summed over the columns, then over the items of either user: 1 + a + b <= (1 + a) (1 + b).
    sums = 1 + rounding(np.diff(rows.counts.indptr), unit) / rounding(items.width, unit)
    p, q = p * sums, q * sums
    products, factor = gram_of(source, device)
    return "gram", shortlists(_mean_blocks(products, space, rows, length * factor, scale), space, (p, q), count)


def _mean_blocks(
    products: Float[Tensor, "I I"],
    space: Space,
    rows: MeanRows,
    factor: NDArray[np.float64],
    scale: NDArray[np.float64],
) -> Iterator[tuple[slice, Tensor]]:
    """Blocks of P G P^T, with P's columns multiplied by ``factor``, its rows by ``scale``.

    Both sides are sparse, so a bag of rows of G, then of the block's transpose.
    """
    device = products.device
    item, start, weight = _bags(rows, space.base, factor, scale, device)
    own_item, own_start, own_weight = _bags(rows, space.centres, factor, scale, device)
    bounds = own_start.tolist()
    step = max(1, CACHED // max(1, len(space.base), products.size(0)))
    buffer = large_empty(len(products) * min(step, len(space.centres)), device=device)
    for first in range(0, len(space.centres), step):
        block = slice(first, min(first + step, len(space.centres)))
        inside = slice(bounds[block.start], bounds[block.stop])
        offsets = own_start[block] - bounds[block.start]
        half = F.embedding_bag(own_item[inside], products, offsets, mode="sum", per_sample_weights=own_weight[inside])
        table = buffer[: half.numel()].view(-1, len(half))
        transpose_into(half, table)
        yield block, F.embedding_bag(item, table, start[:-1], mode="sum", per_sample_weights=weight)


def _bags(
    rows: MeanRows,
    ids: NDArray[np.int64],
    factor: NDArray[np.float64],
    scale: NDArray[np.float64],
    device: torch.device,
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of P, scaled, as columns, starts and values."""
    counts = rows.counts[ids]
    weight = counts.data * factor[counts.indices] * np.repeat(scale[ids], np.diff(counts.indptr))
    return (
        torch.from_numpy(counts.indices.astype(np.int32)).to(device),
        torch.from_numpy(counts.indptr.astype(np.int32)).to(device),
        torch.from_numpy(weight.astype(np.float32)).to(device),
    )
