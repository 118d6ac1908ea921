"""Rows under a metric: prepared for matrix products, and scored exactly pair by pair."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg.graph.blocks import blocks_of
from drepm_pyg.graph.inner import squared_norms
from drepm_pyg.graph.metrics import NARROW, Metric, exponents, rounding
from drepm_pyg.graph.rows import FeatureRows, Rows
from drepm_pyg.typing import Float, Tensor

__all__ = ["Slack", "Space", "own_and_scale"]

_LOST_IN_SQUARE = 2.0**-900  # of a squared norm: squares of float64 entries vanish; those of narrower dtypes never do
_LIMIT = 1000  # of exponents: a scale is finite


#: Factors whose product bounds the error of fast scores: of each centre, of each neighbour.
Slack = tuple[NDArray[np.float64], NDArray[np.float64]]


class Space:
    """Rows under a metric, and which of them are searched for among which.

    Args:
        rows: the distinct rows.
        metric: how they are compared.
        block_bytes: how much memory a block of float64 rows may take.
        centres: ids of the rows whose neighbours are sought, ascending; default: all.
        base: ids of the rows that may be neighbours, in the order that decides ties; default: all.
        num_base_nodes: how many nodes there are that may be neighbours, those without a row included.

    Attributes:
        origin: a point amid the rows, which those of a centred metric are measured from; else 0.
        own: score of each row with itself.
        scale: what each row is multiplied with for the matrix product, unless it is centred.
        worst_case: whether errors of fast scores are bounded by the worst case, as those of narrow rows are; else as
            if they did not conspire.
    """

    def __init__(
        self,
        rows: Rows,
        metric: Metric,
        *,
        block_bytes: int,
        centres: NDArray[np.int64] | None = None,
        base: NDArray[np.int64] | None = None,
        num_base_nodes: int | None = None,
    ) -> None:
        self.rows, self.metric, self.block_bytes = rows, metric, block_bytes
        everything = np.arange(len(rows.ties))
        self.centres = everything if centres is None else centres
        self.base = everything if base is None else base
        self.num_base_nodes = rows.ties.num_nodes if num_base_nodes is None else num_base_nodes
        self.worst_case = rows.width <= NARROW
        self.origin = rows.origin() if metric.centred else np.zeros(rows.width)
        self.own, self.scale = own_and_scale(rows, metric, block_bytes)
        self.norms = np.sqrt(self._prepared_squares())

    def __len__(self) -> int:
        return len(self.rows.ties)

    def of(self, centres: NDArray[np.int64]) -> "Space":
        """The same rows with other centres."""
        view = copy.copy(self)
        view.centres = centres
        return view

    def bounded_by_worst_case(self) -> "Space":
        """The same rows, whatever rounding errors do."""
        view = copy.copy(self)
        view.worst_case = True
        return view

    @property
    def whole(self) -> bool:
        """Whether every row is searched for among all rows."""
        return len(self.base) == len(self) and np.array_equal(self.centres, self.base)

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.rows.width

    def prepared(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Rows ``ids`` as the matrix product takes them, in float64."""
        rows = self.rows.double(ids)
        if self.metric.centred:
            return rows - self.origin
        rows *= self.scale[ids][:, None]
        return rows

    def single(self, ids: NDArray[np.int64], device: torch.device) -> Float[Tensor, "C F"]:
        """Prepared rows ``ids`` in float32 on ``device``, prepared where the features lie."""
        out = torch.empty(len(ids), self.width, device=device)
        for block in blocks_of(len(ids), self.width, self.block_bytes):
            rows = self.rows.tensor(ids[block])
            if self.metric.centred:
                rows -= torch.from_numpy(self.origin).to(self.rows.device)
            else:
                rows *= torch.from_numpy(self.scale[ids[block]]).to(self.rows.device)[:, None]
            out[block[0] : block[-1] + 1] = rows
        return out

    def factors(self, device: torch.device) -> tuple[Float[Tensor, "C F"], NDArray[np.float64]]:
        r"""Float32 rows :math:`y` on ``device``, and :math:`s` such that row i, prepared, is :math:`s_i \mathbf{y}_i`.

        The features themselves where they serve, so that nothing is copied; otherwise prepared rows and ones.
        """
        given = self.rows.uncopied() if isinstance(self.rows, FeatureRows) and not self.metric.centred else None
        if given is None:
            return self.single(np.arange(len(self)), device), np.ones(len(self))
        return given.to(device), np.ldexp(self.scale, -self.rows.exponent)

    def slack(self, reach: NDArray[np.float64], unit: float) -> Slack:
        """The bound for products of rows with norms of ``reach`` at the most and a unit round-off ``unit``."""
        p, q = self.metric.spread(reach)
        gamma = rounding(self.width, unit, worst_case=self.worst_case)
        if self.metric.centred:
            # Centring rounds to the magnitude of the rows, which may be far from each other's distance.
            typical = float(np.sqrt(np.mean(reach**2))) + 2.0**-50
            gamma += 2.0**-50 * float(np.sqrt(self.rows.squares.max(initial=0.0))) / typical
        return gamma * p, q

    def score(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """Exact scores of pairs: float64, each from its two rows alone."""
        if not len(left):
            return np.zeros(0)
        own, other, place = self.pairs(left, right)
        return self.rows.pair_scores(self.metric, own, other)[place]

    def itself(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Exact scores of rows with themselves, to the bit what :meth:`score` gives two nodes of one row.

        ``own`` is made of squared norms, whose sums are cut into other parts: of inner products they may differ.
        """
        exact = self.metric.centred or self.metric.scale_free  # 0, and 0 or 1
        return self.own[ids] if exact else self.score(ids, ids)

    def pairs(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
        """Distinct pairs, the smaller id first, in ascending order, and the place of each given pair among them.

        A pair is the same both ways; sorted pairs share more rows, which a user's mean makes worth reading once.
        """
        pair = np.minimum(left, right) * len(self) + np.maximum(left, right)
        pair, place = np.unique(pair, return_inverse=True)
        return (*np.divmod(pair, len(self)), place)

    def _prepared_squares(self) -> NDArray[np.float64]:
        if not self.metric.centred:
            return self.own
        origin = torch.from_numpy(self.origin).to(self.rows.device)
        blocks = blocks_of(len(self), self.width, self.block_bytes)
        squares = (self.rows.tensor(block).sub_(origin).square_().sum(dim=1) for block in blocks)
        return np.concatenate([np.zeros(0), *(part.cpu().numpy() for part in squares)])


def own_and_scale(rows: Rows, metric: Metric, block_bytes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The score of each row with itself, and what it is multiplied with for the matrix product.

    Rows whose squares vanish beside those of the longest are measured on scales of their own, where a metric allows it.
    """
    own, scale = metric.own(rows.squares), metric.scale(rows.squares)
    short = np.flatnonzero(rows.squares < _LOST_IN_SQUARE) if metric.scale_free else np.zeros(0, np.int64)
    for block in blocks_of(len(short), rows.width, block_bytes):
        ids = short[block]
        lifted = rows.double(ids)
        exponent = exponents(lifted)
        squares = squared_norms(np.ldexp(lifted, -exponent[:, None]))
        own[ids] = metric.own(squares)
        scale[ids] = np.ldexp(metric.scale(squares), np.minimum(-exponent, _LIMIT))
    return own, scale
