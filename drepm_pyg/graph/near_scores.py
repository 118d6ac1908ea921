"""Scores of pairs from float32 sums of few columns each: closer than fast scores, cheaper than exact ones."""

import numpy as np
from numpy.typing import NDArray

from drepm_pyg.graph.blocks import slices
from drepm_pyg.graph.inner import pair_products
from drepm_pyg.graph.metrics import rounding
from drepm_pyg.graph.space import Space

__all__ = ["NearScores"]

_PANEL, _NARROWEST = 64, 16  # columns at a time: those of many rows stay in cache; fewer are read too often
_UNIT = 2.0**-24
#: Of rows whose norm, beside the longest one's, is below the first number, float32 may lose entries: they are taken to
#: reach the second, so that nothing is decided by them.
_SHORT, _LOST = 2.0**-40, 2.0**100


class NearScores:
    r"""Scores of pairs, and how far they may be off.

    Products of a panel of columns are summed in float32, those of all panels in float64. Where entries of row
    :math:`\mathbf{y}_i` are sums of :math:`t_i` rounded terms, and :math:`a_i` is the norm of the sums of their
    magnitudes, a pair is off by

    .. math:: \gamma_{64} \lVert \mathbf{y}_i \rVert \lVert \mathbf{y}_j \rVert + 2^{-24} (t_i + t_j)\, a_i a_j

    at the most, however rounding errors are distributed; a float32 product of all columns is off by more.

    Args:
        space: the rows.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._rows = None if space.metric.centred else space.rows.single()
        if self._rows is not None:
            self._columns = min(_PANEL, space.block_bytes // self._rows.held)
            reach = self._rows.reach
            reach = np.where((reach > 0) & (reach < _SHORT), _LOST, reach)
            with np.errstate(over="ignore"):
                self._factor = space.scale * self._rows.factor
                self._norms, self._reach = (space.metric.spread(part) for part in (space.norms, self._factor * reach))

    @property
    def serve(self) -> bool:
        """Whether there are such sums, and memory for them."""
        return self._rows is not None and self._columns >= min(_NARROWEST, self._space.width)

    def errors(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """A bound on the error of each."""
        assert self._rows is not None  # the caller asked
        (p, q), (a, b) = self._norms, self._reach
        terms = self._rows.terms[left] + self._rows.terms[right]
        with np.errstate(over="ignore", invalid="ignore"):
            products = rounding(_PANEL, _UNIT, worst_case=True) * (p[left] * q[right])
            return np.asarray(products + _UNIT * terms * (a[left] * b[right]))

    def of(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """Scores of pairs, in any order."""
        assert self._rows is not None
        own, other, place = self._space.pairs(left, right)
        panels = list(slices(0, self._space.width, self._columns))
        inner = pair_products(own, other, len(self._space), self._rows.columns, panels)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray((self._factor[own] * inner * self._factor[other])[place])
