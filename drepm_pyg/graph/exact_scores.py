"""Scores of some centres with all base rows in float64: for the few that fast scores leave undecided."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg.graph.blocks import slices
from drepm_pyg.graph.rows import FeatureRows
from drepm_pyg.graph.space import Space

__all__ = ["ExactScores"]

_DOUBLE = 2.0**-53


class ExactScores:
    """Scores in float64, and how far off they may be.

    Those of counts are the exact scores of pairs, as the sums of their products are not rounded in any order. Among
    other rows those without a common non-zero column, such as one-hot rows, have the product 0 and no error.

    Args:
        space: the rows.
        budget: bytes that the base rows may take; more of them are read anew for every call.
    """

    def __init__(self, space: Space, budget: int) -> None:
        self.space = space
        self._dtype = space.rows.exact_dtype if isinstance(space.rows, FeatureRows) else None
        self._parts = list(slices(0, len(space.base), max(1, space.block_bytes // (8 * space.width))))
        held = 8 * len(space.base) * space.width <= budget
        self._held = [self._read(space.base[part]) for part in self._parts] if held else None
        self._p, self._q = space.slack(space.norms, _DOUBLE)
        self._squares = torch.from_numpy(space.norms**2)

    def of(self, centres: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Scores ``[R, N]`` of the centres (ids) with the base rows, and a bound on the error of each."""
        space, queries = self.space, self._read(centres)
        scores = np.empty((len(centres), len(space.base)))
        for part, rows in self._base():
            scores[:, part] = queries @ rows.T
        if self._dtype is not None:
            own = space.rows.squares
            scores = space.metric.of_products(scores, own[centres, None], own[space.base])
            return scores, np.broadcast_to(np.zeros(1), scores.shape)
        slack = self._p[centres, None] * self._q[space.base]
        if not space.metric.centred and not queries.all():
            for part, rows in self._base():
                slack[:, part] *= np.abs(queries) @ np.abs(rows).T > 0
        base, centre = (self._squares[torch.from_numpy(ids)] for ids in (space.base, centres))
        space.metric.adjust(torch.from_numpy(scores).T, base, centre)
        return scores, slack

    def _base(self) -> Iterator[tuple[slice, NDArray[np.floating]]]:
        rows = self._held or (self._read(self.space.base[part]) for part in self._parts)
        return zip(self._parts, rows, strict=True)

    def _read(self, ids: NDArray[np.int64]) -> NDArray[np.floating]:
        if self._dtype is None:
            return self.space.prepared(ids)
        return self.space.rows.double(ids).astype(self._dtype, copy=False)
