"""Inner products of users from those of items: C = P G P^T, two sparse products a block, no [U, F] matrix."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from drepm_pyg._arrays import SPARSE_COST, transposed
from drepm_pyg.graph.blocks import slices
from drepm_pyg.graph.find import How, by_tree, feature_route, fits_budget
from drepm_pyg.graph.mean_rows import MeanRows
from drepm_pyg.graph.metrics import rounding
from drepm_pyg.graph.products import LANES, block_columns, gram_of, unit_roundoff
from drepm_pyg.graph.shortlist import Shortlist, shortlists
from drepm_pyg.graph.space import Space
from drepm_pyg.graph.triangle import triangle_pays
from drepm_pyg.typing import Float, Tensor

__all__ = ["mean_route"]


def mean_route(space: Space, how: How, count: int) -> tuple[str, Iterable[Shortlist]]:
    """Inner products of users as P G P^T, or from blocks of means: what is cheaper, within the memory budget.

    G, if it was not kept, takes a multiply-add per pair of items and column (each product serves both halves), the
    sparse products of a block one per entry of P and item, then user, and the direct way one per pair of users and
    column, or half of them. An entry of a sparse product takes as long as ``SPARSE_COST`` multiply-adds of a dense one.
    """
    rows, device = space.rows, how.device
    assert isinstance(rows, MeanRows)  # the caller made them
    items = rows.items
    fits = fits_budget(len(items.ties), items.width, how.memory_budget)
    sparse = rows.counts.nnz * (len(items.ties) + len(space.base)) * len(space.centres) / max(1, len(space))
    made = items.kept is not None and (space.metric, device) in items.kept
    by_gram = (0 if made else len(items.ties) ** 2 * items.width / 2) + SPARSE_COST * sparse
    directly = len(space.centres) * len(space.base) * items.width / (2 if triangle_pays(space, device, count) else 1)
    if by_tree(space, how):
        return feature_route(space, how, count)
    if how.index == "blocks" or (how.index in ("auto", "exact") and not (fits and by_gram < directly)):
        # No Gram matrix of the users here: a row of theirs is itself a sum.
        return feature_route(space, replace(how, index="blocks"), count)
    source = Space(items, space.metric, block_bytes=space.block_bytes)
    by = source.scale
    length = np.divide(1, by, out=np.zeros_like(by), where=by > 0)  # a row is its prepared form times this
    scale = space.scale / rows.degree
    unit = unit_roundoff(device)
    p, q = space.slack(_reach(space, length * source.norms, scale, unit), unit)
    products, factor = gram_of(source, device)
    return "gram", shortlists(_mean_blocks(products, space, rows, length * factor, scale), space, (p, q), count)


def _reach(space: Space, norms: NDArray[np.float64], scale: NDArray[np.float64], unit: float) -> NDArray[np.float64]:
    r"""What the error of a product of two users is relative to, by user.

    The products of items of the norms :math:`n_i`, counted :math:`w_{ui}` times, have errors relative to
    :math:`a_u a_v`, :math:`a_u = \sum_i w_{ui} n_i`. If they do not conspire they add up as their squares do:
    :math:`a_u^2 = \sqrt 2 \sum_i w_{ui}^2 n_i^2`, with the root of 2 as a product may occur twice. Those of the two
    sums over items are relative to the whole, :math:`(c_u + c_v)\, b_u b_v`, :math:`b_u = \sum_i w_{ui} n_i`. By the
    inequality of Cauchy and Schwarz both together are at most the product of these roots.
    """
    rows = space.rows
    assert isinstance(rows, MeanRows)
    whole = np.asarray(rows.counts @ norms) * scale
    if space.worst_case:
        products = whole**2
    else:
        squared = rows.counts.copy()
        # Multiplied before it is squared: the norm may be as short as the scale is long.
        squared.data = (squared.data * norms[squared.indices] * np.repeat(scale, np.diff(squared.indptr))) ** 2
        products = np.sqrt(2) * squared.sum(axis=1)
    sums = rounding(np.diff(rows.counts.indptr), unit, worst_case=space.worst_case)
    sums /= rounding(rows.width, unit, worst_case=space.worst_case)
    typical = float(sums.mean())
    return np.asarray(np.sqrt(products + (sums**2 / typical + typical) * whole**2))


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
    columns = block_columns(max(1, len(space.base), len(products)))
    # A table for each thread to transpose, as long as they have whole lanes, and all of them together stay in cache.
    stack = max(1, min(torch.get_num_threads(), columns // LANES)) if device.type == "cpu" else 1
    step = columns // stack // LANES * LANES or columns
    for block in slices(0, len(space.centres), stack * step):
        inside = slice(bounds[block.start], bounds[block.stop])
        offsets = own_start[block] - bounds[block.start]
        half = F.embedding_bag(own_item[inside], products, offsets, mode="sum", per_sample_weights=own_weight[inside])
        # The last users may be too few for all tables.
        tables = half.view(stack, step, -1) if len(half) == stack * step else half.unsqueeze(0)
        parts = slices(block.start, block.stop, tables.size(1))
        for table, part in zip(transposed(tables), parts, strict=True):
            yield part, F.embedding_bag(item, table, start[:-1], mode="sum", per_sample_weights=weight)


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
