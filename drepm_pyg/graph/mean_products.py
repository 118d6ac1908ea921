"""Inner products of users from those of items: C = P G P^T, two sparse products a block, no [U, F] matrix."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from drepm_pyg.graph.build import feature_route
from drepm_pyg.graph.mean_rows import MeanRows
from drepm_pyg.graph.metrics import METRICS, rounding
from drepm_pyg.graph.products import gram, unit_roundoff
from drepm_pyg.graph.rows import blocks_of, squared_norms
from drepm_pyg.graph.shortlist import Shortlist, shortlists
from drepm_pyg.graph.space import Space
from drepm_pyg.typing import Float, Tensor

__all__ = ["mean_route"]

_CACHED = 1 << 22  # entries of a block of scores: about 16 MB, so that what follows finds it in cache


def mean_route(space: Space, device: torch.device, count: int, budget: int) -> tuple[str, Iterable[Shortlist]]:
    """Inner products of users as P G P^T while the items' Gram matrix G fits the budget, else from blocks of means."""
    rows = space.rows
    assert isinstance(rows, MeanRows)  # the caller made them
    items = rows.items
    if 4 * len(items.ties) * (len(items.ties) + items.width) > budget:
        return feature_route(space, device, count, budget)
    y = np.empty((len(items.ties), items.width), dtype=np.float32)
    length = np.empty(len(y))
    for block in blocks_of(len(y), items.width):
        centred = items.double(block) - space.center
        y[block[0] : block[-1] + 1] = centred
        length[block] = np.sqrt(squared_norms(centred))
    # What the metric makes of a user's row it makes of the user's weights: the cosine divides by the mean's norm.
    scale = np.ones(len(space)) if space.metric is not METRICS["cosine"] else _inverse(np.sqrt(rows.squares))
    scale = scale / rows.degree
    unit = unit_roundoff(device)
    # Rounding is relative to the items' norms, which may exceed the norm of their mean.
    reach = np.asarray(rows.counts @ length) * scale
    p, q = space.slack(reach, unit)
    p = p * (1 + 2 * rounding(int(np.diff(rows.counts.indptr).max()), unit) / rounding(items.width, unit))
    products = gram(torch.from_numpy(y).to(device))
    return "gram", shortlists(_mean_blocks(products, rows, scale), space, (p, q), count)


def _inverse(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(1, values, out=np.zeros_like(values), where=values > 0)


def _mean_blocks(
    products: Float[Tensor, "I I"], rows: MeanRows, scale: NDArray[np.float64]
) -> Iterator[tuple[slice, Tensor]]:
    """Blocks of P G P^T: both factors are sparse, so a bag of rows of G, then of the block's transpose."""
    device = products.device
    counts = rows.counts
    item = torch.from_numpy(counts.indices.astype(np.int32)).to(device)
    start = torch.from_numpy(counts.indptr.astype(np.int32)).to(device)
    weight = torch.from_numpy((counts.data * np.repeat(scale, np.diff(counts.indptr))).astype(np.float32)).to(device)
    bounds = counts.indptr.tolist()
    step = max(1, _CACHED // max(1, len(rows.ties), products.size(0)))
    for first in range(0, len(rows.ties), step):
        block = slice(first, min(first + step, len(rows.ties)))
        inside = slice(bounds[block.start], bounds[block.stop])
        offsets = start[block] - bounds[block.start]
        half = F.embedding_bag(item[inside], products, offsets, mode="sum", per_sample_weights=weight[inside])
        half = half.T.contiguous()
        yield block, F.embedding_bag(item, half, start[:-1], mode="sum", per_sample_weights=weight)
