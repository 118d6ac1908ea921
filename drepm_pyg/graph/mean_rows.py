"""The users' rows: means of their items' rows, computed where they are needed and never all at once."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from drepm_pyg.graph.rows import FeatureRows, blocks_of, squared_norms
from drepm_pyg.graph.ties import Ties

__all__ = ["MeanRows"]


class MeanRows:
    r"""Row means :math:`\mathbf{P} \mathbf{X}` with :math:`\mathbf{P} = \mathbf{D}_u^{-1} \mathbf{R}` (see
    :class:`Rows`).

    Users with the same items (or items with the same rows) have the same bits: sums run over the classes of identical
    items in ascending order. A pair that occurs twice counts twice, as in a scatter mean. Users without a present item
    of positive weight have no row.

    Args:
        items: the items' rows.
        user: long ``[E]``.
        item: long ``[E]``.
        weight: float64 ``[E]``, at least 0: what each pair counts.
        num_users: how many users there are.
        block_bytes: how much memory a block of float64 rows may take.
    """

    def __init__(
        self,
        items: FeatureRows,
        user: NDArray[np.int64],
        item: NDArray[np.int64],
        weight: NDArray[np.float64],
        num_users: int,
        *,
        block_bytes: int,
    ) -> None:
        self.items, self.width, self.exponent = items, items.width, items.exponent
        column = items.ties.class_of_node[item]
        counted = (column >= 0) & (weight > 0)
        user, column, weight = user[counted], column[counted], weight[counted]
        counts = csr_array((weight, (user, column)), shape=(num_users, len(items.ties)))
        counts.sum_duplicates()
        nodes = np.unique(user)
        self.ties = Ties.group(num_users, nodes, _keys(counts, nodes))
        self.counts = counts[self.ties.first]
        self.degree: NDArray[np.float64] = self.counts.sum(axis=1)
        fits = 8 * len(items.ties) * self.width <= block_bytes
        self._held = items.double(np.arange(len(items.ties))) if fits else None
        blocks = blocks_of(len(self.ties), self.width, block_bytes)
        self.squares = np.concatenate([np.zeros(0), *(squared_norms(self.double(block)) for block in blocks)])

    def double(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Rows ``ids`` (class ids) in float64."""
        counts = self.counts[ids]
        if self._held is not None:
            total = counts @ self._held
        else:
            items, column = np.unique(counts.indices.astype(np.int64), return_inverse=True)
            total = csr_array((counts.data, column, counts.indptr), (len(ids), len(items))) @ self.items.double(items)
        return np.asarray(total) / self.degree[ids, None]

    def mean(self) -> NDArray[np.float64]:
        """The items' mean row: users' rows lie around it, too."""
        return self.items.mean()


def _keys(counts: csr_array, nodes: NDArray[np.int64]) -> "list[bytes]":
    indices, data = counts.indices.astype(np.int64), counts.data
    spans = zip(counts.indptr[nodes].tolist(), counts.indptr[nodes + 1].tolist(), strict=True)
    return [indices[start:stop].tobytes() + data[start:stop].tobytes() for start, stop in spans]
