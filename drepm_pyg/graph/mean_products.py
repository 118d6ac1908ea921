"""Inner products of users from those of items: C = P G P^T, two sparse products a block, no [U, F] matrix."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from drepm_pyg._arrays import SPARSE_COST
from drepm_pyg.graph.bags import Bags, weighted
from drepm_pyg.graph.coded_gram import CodedGram
from drepm_pyg.graph.codes import CODED_SPEED, gram_work
from drepm_pyg.graph.find import How, by_tree, feature_route, fits_budget
from drepm_pyg.graph.mean_blocks import mean_blocks
from drepm_pyg.graph.mean_codes import coded_shortlists, codes_serve_users
from drepm_pyg.graph.mean_rows import MeanRows
from drepm_pyg.graph.metrics import rounding
from drepm_pyg.graph.products import gram_of, unit_roundoff
from drepm_pyg.graph.shortlist import Shortlist, shortlists, with_room
from drepm_pyg.graph.space import Space
from drepm_pyg.graph.triangle import triangle_pays

__all__ = ["mean_route"]


def mean_route(space: Space, how: How, count: int) -> tuple[str, Iterable[Shortlist]]:
    """Inner products of users as P G P^T, or from blocks of means: what is cheaper, within the memory budget.

    G, if it was not kept, takes a multiply-add per pair of items and column (each product serves both halves; those of
    8-bit codes take less), the sparse products of a block one per entry of P and item, then user, and the direct way
    one per pair of users and column, or half of them. An entry of a sparse product takes as long as ``SPARSE_COST``
    multiply-adds of a dense one.
    """
    rows, device = space.rows, how.device
    assert isinstance(rows, MeanRows)  # the caller made them
    items = rows.items
    made = items.kept is not None and (space.metric, device) in items.kept
    sparse = rows.counts.nnz * (len(items.ties) + len(space.base)) * len(space.centres) / max(1, len(space))
    halves = 2 if triangle_pays(space, device, with_room(count)) else 1
    directly = len(space.centres) * len(space.base) * items.width / halves

    def by_gram(entry_bytes: int, work: float) -> bool:
        if how.index not in ("auto", "exact"):
            return bool(how.index == "gram")
        fits = fits_budget(len(items.ties), items.width, how.memory_budget, entry_bytes=entry_bytes)
        return fits and work + SPARSE_COST * sparse < directly

    if by_tree(space, how):
        return feature_route(space, how, count)
    work = 0.0 if items.kept is not None and CodedGram in items.kept else gram_work(items) / CODED_SPEED
    coded = not made and device.type == "cpu" and by_gram(2, work) and codes_serve_users(space)
    single = by_gram(4, 0.0 if made else gram_work(items))
    if coded or single:
        source = Space(items, space.metric, block_bytes=space.block_bytes)
        by = source.scale
        length = np.divide(1, by, out=np.zeros_like(by), where=by > 0)  # a row is its prepared form times this
        scale = space.scale / rows.degree
        unit = unit_roundoff(device)
        slack = space.slack(_reach(space, length * source.norms, scale, unit), unit)
        if coded and (lists := coded_shortlists(space, scale, slack, count)) is not None:
            return "gram", lists
        if single:
            products, factor = gram_of(source, device)
            counts = weighted(rows.counts, scale, length * factor)
            own, base = (Bags(counts[ids], device) for ids in (space.centres, space.base))
            blocks = mean_blocks(lambda block: own.sums(products, block), space, len(products), base)
            return "gram", shortlists(blocks, space, slack, count)
    # No Gram matrix of the users here: a row of theirs is itself a sum.
    return feature_route(space, replace(how, index="blocks"), count)


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
