"""Rows under a metric: prepared for matrix products, and scored exactly pair by pair."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg.graph.metrics import Metric, rounding
from drepm_pyg.graph.rows import Rows, blocks_of, squared_norms

__all__ = ["Space"]


class Space:
    """Rows under a metric.

    Args:
        rows: the distinct rows.
        metric: how they are compared.
        block_bytes: how much memory a block of float64 rows may take.
    """

    def __init__(self, rows: Rows, metric: Metric, *, block_bytes: int) -> None:
        self.rows, self.metric, self.block_bytes = rows, metric, block_bytes
        self.center = rows.mean() if metric.centred else np.zeros(rows.width)
        self.norms = np.sqrt(self._prepared_squares())

    def __len__(self) -> int:
        return len(self.rows.ties)

    @property
    def width(self) -> int:
        """The number of columns."""
        return self.rows.width

    def prepared(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Rows ``ids`` as the matrix product takes them, in float64."""
        rows = self.rows.double(ids)
        return self.metric.prepare(rows - self.center if self.metric.centred else rows, self.rows.squares[ids])

    def single(self) -> NDArray[np.float32]:
        """All prepared rows in float32."""
        out = np.empty((len(self), self.width), dtype=np.float32)
        for block in blocks_of(len(self), self.width):
            out[block[0] : block[-1] + 1] = self.prepared(block)
        return out

    def slack(self, reach: NDArray[np.float64], unit: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Factors whose product bounds the error of fast scores: of the centre, of the neighbour."""
        p, q = self.metric.spread(reach)
        gamma = rounding(self.width, unit)
        if self.metric.centred:
            # Centring rounds to the magnitude of the rows, which may be far from each other's distance.
            typical = float(np.sqrt(np.mean(reach**2))) + 2.0**-50
            gamma += 2.0**-50 * float(np.sqrt(self.rows.squares.max(initial=0.0))) / typical
        return gamma * p, q

    def score(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """Exact scores of pairs: float64, each from its two rows alone."""
        # A pair is the same both ways; sorted pairs share more rows, which a user's mean makes worth reading once.
        pair = np.minimum(left, right) * len(self) + np.maximum(left, right)
        pair, place = np.unique(pair, return_inverse=True)
        threads = torch.get_num_threads()
        step = max(1, self.block_bytes // (32 * self.width * threads))
        parts = [pair[start : start + step] for start in range(0, len(pair), step)]
        with ThreadPoolExecutor(threads) as pool:  # NumPy releases the lock; a part is one thread's
            scores = list(pool.map(self._score, parts))
        return np.concatenate([np.zeros(0), *scores])[place]

    def _score(self, pair: NDArray[np.int64]) -> NDArray[np.float64]:
        ids, position = np.unique(np.divmod(pair, len(self)), return_inverse=True)
        rows, position = self.rows.double(ids), position.reshape(2, -1)
        return self.metric.pair(rows[position[0]], rows[position[1]])

    def _prepared_squares(self) -> NDArray[np.float64]:
        if not self.metric.centred:
            return self.metric.own(self.rows.squares)
        blocks = blocks_of(len(self), self.width)
        return np.concatenate([np.zeros(0), *(squared_norms(self.prepared(block)) for block in blocks)])
