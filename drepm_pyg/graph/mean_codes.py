"""Scores of users from coded products of items, and how far off they are."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg._arrays import return_freed_memory
from drepm_pyg.graph.bags import Bags, weighted
from drepm_pyg.graph.coded_gram import HALF_UNIT, CodedGram, coded_gram, coded_gram_serves
from drepm_pyg.graph.codes import DEVIATIONS, alike, code_errors, gram_work, listed_by_codes
from drepm_pyg.graph.mean_blocks import mean_blocks
from drepm_pyg.graph.mean_rows import MeanRows
from drepm_pyg.graph.shortlist import Shortlist, shortlists
from drepm_pyg.graph.space import Slack, Space
from drepm_pyg.typing import Float, Tensor

__all__ = ["coded_shortlists", "codes_serve_users"]

_HEAVIEST = 2.0**15  # of a user's weights together: no sum of products overflows in float16


def codes_serve_users(space: Space) -> bool:
    """Whether users' products may come from codes of the items: what a pair counts must be a float16 number, too."""
    rows = space.rows
    assert isinstance(rows, MeanRows)
    counts = rows.counts.data
    as_given = rows.degree.max(initial=0.0) < _HEAVIEST and np.array_equal(counts.astype(np.float16), counts)
    return bool(as_given) and coded_gram_serves(space, rows.items)


def coded_shortlists(space: Space, scale: NDArray[np.float64], slack: Slack, count: int) -> Iterator[Shortlist] | None:
    """The base rows of largest upper bound for every user; None where codes leave too much open.

    Args:
        space: the users.
        scale: what the sum of a user's rows is multiplied with, float64.
        slack: factors of the error bound of float32 sums.
        count: how many are wanted.
    """
    rows = space.rows
    assert isinstance(rows, MeanRows)
    gram = coded_gram(rows.items)
    slack = _slack(rows, gram, scale, slack)
    work = gram_work(rows.items)
    listed = listed_by_codes(lambda some: _blocks(some, gram, scale), space, slack, count, work)
    return_freed_memory()
    return None if listed is None else shortlists(_blocks(space, gram, scale), space, slack, count, listed)


def _slack(rows: MeanRows, gram: CodedGram, scale: NDArray[np.float64], slack: Slack) -> Slack:
    r"""Factors of the error bound: of codes, of float16 products, of their float16 sums, and of float32 sums.

    Codes err as those of the sums :math:`\sum_i w_{ui} \mathbf{z}_i` would, of the step :math:`\sqrt{\sum_i w_{ui}^2
    d_i^2}`. The rounding of products is bounded in the same way, by their levels; sums of such bounds by the product of
    roots (Cauchy and Schwarz).
    """
    offset = np.asarray(rows.counts @ gram.offset)
    length = np.sqrt(np.maximum(rows.squares * rows.degree**2 - 2 * rows.degree * offset, 0))
    squared = rows.counts.power(2)
    coded, level = (np.sqrt(np.asarray(squared @ part**2)) for part in (gram.step, gram.level))
    codes = code_errors(coded, length, shared=True)
    products = np.sqrt(DEVIATIONS * HALF_UNIT * np.sqrt(2)) * level
    sums = alike(DEVIATIONS * HALF_UNIT * np.asarray(rows.counts @ gram.level), level)
    p, q = (
        np.sqrt((codes**2 + products**2 + half**2) * scale**2 + single**2)
        for half, single in zip(sums, alike(*slack), strict=True)
    )
    return p, q


def _blocks(space: Space, gram: CodedGram, scale: NDArray[np.float64]) -> Iterator[tuple[slice, Float[Tensor, "C B"]]]:
    rows = space.rows
    assert isinstance(rows, MeanRows)
    base = Bags(weighted(rows.counts[space.base], scale[space.base]))
    return mean_blocks(_CodedSums(rows, space.centres, gram, scale), space, len(gram.offset), base)


class _CodedSums:
    """Rows of P G for some users, multiplied by their ``scale``."""

    def __init__(self, rows: MeanRows, ids: NDArray[np.int64], gram: CodedGram, scale: NDArray[np.float64]) -> None:
        self._gram, counts, own = gram, rows.counts[ids], scale[ids]
        self._bags = Bags(counts, dtype=torch.float16)
        user = np.repeat(np.arange(len(ids)), np.diff(counts.indptr))
        self._user, self._item = torch.from_numpy(user), torch.from_numpy(counts.indices.astype(np.int64))
        self._diagonal = torch.from_numpy(counts.data * gram.squares[counts.indices] * own[user]).float()
        self._unit = torch.from_numpy(own * gram.unit).float()[:, None]
        offset = np.asarray(counts @ gram.offset)
        self._left = torch.from_numpy(np.stack([offset, rows.degree[ids]], axis=1) * own[:, None]).float()
        self._right = torch.from_numpy(np.stack([np.ones(len(gram.offset)), gram.offset])).float()

    def __call__(self, block: slice) -> Float[Tensor, "B I"]:
        sums = self._bags.sums(self._gram.products, block).float().mul_(self._unit[block])
        inside = self._bags.inside(block)
        place = (self._user[inside] - block.start) * sums.size(1) + self._item[inside]
        sums.view(-1).index_add_(0, place, self._diagonal[inside])
        return sums.addmm_(self._left[block], self._right)
