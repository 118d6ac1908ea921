"""Scores of users from coded products of items, and how far off they are."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg._arrays import SPARSE_COST
from drepm_pyg.graph.codes import CodedGram, coded_gram, codes_fit, codes_pay
from drepm_pyg.graph.mean_blocks import Bags, mean_blocks
from drepm_pyg.graph.mean_rows import MeanRows
from drepm_pyg.graph.metrics import MOST
from drepm_pyg.graph.rows import FeatureRows
from drepm_pyg.graph.shortlist import Shortlist, largest, shortlists, with_room
from drepm_pyg.graph.space import Space
from drepm_pyg.typing import Float, Tensor

__all__ = ["CODED_SPEED", "coded_shortlists", "codes_serve", "gram_work"]

#: Coded products, coding included, are so many times as fast as float32 ones (measured).
CODED_SPEED = 3

_WORK = 1 << 38  # multiply-adds of float32 products; fewer take no longer than what codes leave open (measured)
_SAMPLE = 256  # users by whom is told how much codes leave open
_NEARLY_ALL, _LISTED = 0.99, 256  # of the users, whose candidates are listed at once; candidates at the most
_HEAVIEST = 2.0**15  # of a user's weights together: no sum of products overflows in float16
_UNIT = 2.0**-11  # round-off of float16
_LEAST = 2.0**-40  # ratio of steps and length, where rows have no steps
_LAMBDA = 8  # larger errors, if they do not conspire, have a probability of 2 exp(-32)

Slack = tuple[NDArray[np.float64], NDArray[np.float64]]


def gram_work(items: FeatureRows) -> float:
    """Multiply-adds of all products of items, each of which serves both of its ends."""
    return len(items.ties) ** 2 * items.width / 2


def codes_serve(space: Space) -> bool:
    """Whether the items' products may come from 8-bit codes, and are worth coding for.

    What a pair counts must be a float16 number, as whole numbers are, and errors are bounded as if they did not
    conspire.
    """
    rows = space.rows
    assert isinstance(rows, MeanRows)
    if space.metric.centred or space.worst_case or gram_work(rows.items) < _WORK or not codes_fit(rows.width):
        return False
    counts = rows.counts.data
    as_given = rows.degree.max(initial=0.0) < _HEAVIEST and np.array_equal(counts.astype(np.float16), counts)
    return bool(as_given) and codes_pay()


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
    needed = _needed(space, gram, scale, slack, count)
    beyond = np.maximum(needed - count, 0).mean() * len(space.centres)
    longest = int(np.quantile(needed, _NEARLY_ALL))
    if longest > _LISTED or beyond * rows.width * SPARSE_COST > gram_work(rows.items) * (1 - 1 / CODED_SPEED):
        return None
    return shortlists(_blocks(space, gram, scale), space, slack, count, max(with_room(count), longest))


def _slack(rows: MeanRows, gram: CodedGram, scale: NDArray[np.float64], slack: Slack) -> Slack:
    r"""Factors of the error bound: of codes, of float16 products, of their float16 sums, and of float32 sums.

    With the sums :math:`\mathbf{Z}_u = \sum_i w_{ui} \mathbf{z}_i` and errors of codes of up to half a step
    :math:`d_i`, the product of two users is off by no more than :math:`\tfrac{\lambda}{2} \sqrt{2 (\lVert \mathbf{Z}_u
    \rVert^2 D_v^2 + \lVert \mathbf{Z}_v \rVert^2 D_u^2)}`, :math:`D_u^2 = \sum_i w_{ui}^2 d_i^2`, but with a
    probability of :math:`2 e^{-\lambda^2/2}` (Hoeffding's inequality; the factor 2 as users may share items). The
    rounding of products is bounded in the same way, by their levels. Sums of such bounds are bounded by the product of
    roots (Cauchy and Schwarz).
    """
    offset = np.asarray(rows.counts @ gram.offset)
    length = np.sqrt(np.maximum(rows.squares * rows.degree**2 - 2 * rows.degree * offset, 0))
    squared = rows.counts.power(2)
    coded, level = (np.sqrt(np.asarray(squared @ part**2)) for part in (gram.step, gram.level))
    filled = length > 0
    # Of two users' ratios both are raised to what most are below, so that the larger one alone counts.
    most = max(_LEAST, float(np.quantile(coded[filled] / length[filled], MOST)) if filled.any() else 0.0)
    codes = np.maximum(coded, most * length) * np.sqrt(_LAMBDA / most)
    products = np.sqrt(_LAMBDA * _UNIT * np.sqrt(2)) * level
    sums = _alike(_LAMBDA * _UNIT * np.asarray(rows.counts @ gram.level), level)
    p, q = (
        np.sqrt((codes**2 + products**2 + half**2) * scale**2 + single**2)
        for half, single in zip(sums, _alike(*slack), strict=True)
    )
    return p, q


def _alike(p: NDArray[np.float64], q: NDArray[np.float64]) -> Slack:
    """Factors of the same products, of one size."""
    ratio = float(np.sqrt(p.mean() / q.mean()))
    return p / ratio, q * ratio


def _needed(space: Space, gram: CodedGram, scale: NDArray[np.float64], slack: Slack, count: int) -> NDArray[np.int64]:
    """How many rows a list must hold for the ``count`` best to be certain, for some of the centres."""
    some = space.of(space.centres[:: -(-len(space.centres) // _SAMPLE)])
    p, q = slack[0][some.centres], slack[1][space.base]
    room = torch.from_numpy(p * (q.mean() + q.max())).float()  # of the last one that is wanted, and of any other one
    needed = []
    for block, scores in _blocks(some, gram, scale):
        last = largest(scores, min(count, len(scores)))[0][:, -1]
        needed.append((scores >= last - room[block]).sum(0).numpy())
    return np.concatenate(needed)


def _blocks(space: Space, gram: CodedGram, scale: NDArray[np.float64]) -> Iterator[tuple[slice, Float[Tensor, "C B"]]]:
    rows = space.rows
    assert isinstance(rows, MeanRows)
    base = Bags(rows, space.base, np.ones(len(gram.offset)), scale)
    return mean_blocks(_CodedSums(rows, space.centres, gram, scale), space, len(gram.offset), base)


class _CodedSums:
    """Rows of P G for some users, multiplied by their ``scale``."""

    def __init__(self, rows: MeanRows, ids: NDArray[np.int64], gram: CodedGram, scale: NDArray[np.float64]) -> None:
        self._gram, counts, own = gram, rows.counts[ids], scale[ids]
        self._bags = Bags(rows, ids, np.ones(len(gram.offset)), np.ones(len(scale)), dtype=torch.float16)
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
