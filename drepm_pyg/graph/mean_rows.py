"""The users' rows: means of their items' rows, computed where they are needed and never all at once."""

from collections.abc import Iterator
from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from drepm_pyg.graph.bags import Bags
from drepm_pyg.graph.blocks import blocks_of, by_threads, slices
from drepm_pyg.graph.inner import pair_sums, squared_norms
from drepm_pyg.graph.metrics import Metric
from drepm_pyg.graph.rows import FeatureRows, SingleRows
from drepm_pyg.graph.ties import Ties
from drepm_pyg.typing import Tensor

__all__ = ["MeanRows"]

_PANEL = 64  # columns at a time, at the most
_CACHED = 5 << 17  # float64 entries of so many columns of all items: a cache holds them
_USERS = 1024  # users at a time: their sums stay in cache, too
_LINE = 8  # float64 entries of a cache line
_PAIRS = 2048  # pairs that are scored at a time: both ends stay in cache
_FRACTION = 30  # binary digits behind the point of counts that are divided by what they have in common
_SHORT_SUM = 2.0**-600  # of the squared norm of a sum: the product of two such is no float64


class MeanRows:
    r"""Row means :math:`\mathbf{P} \mathbf{X}` with :math:`\mathbf{P} = \mathbf{D}_u^{-1} \mathbf{R}` (see
    :class:`Rows`).

    Users with the same items (or items with the same rows) in the same proportions have the same bits: sums run over
    the classes of identical items in ascending order, counted by whole numbers without a common divisor where that is
    possible. A pair that occurs twice counts twice, as in a scatter mean. Users without a present item
    of positive weight have no row.

    Args:
        items: the items' rows.
        user: long ``[E]``.
        item: long ``[E]``.
        weight: float64 ``[E]``, at least 0: what each pair counts.
        num_users: how many users there are.
        block_bytes: how much memory a block of float64 rows may take.

    Attributes:
        panels: the columns that are worked on at a time.
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
        self.device = torch.device("cpu")  # where sums are taken
        column = items.ties.class_of_node[item]
        counted = (column >= 0) & (weight > 0)
        user, column, weight = user[counted], column[counted], _levelled(user[counted], weight[counted], num_users)
        counts = csr_array((weight, (user, column)), shape=(num_users, len(items.ties)))
        counts.sum_duplicates()
        _without_common_divisor(counts)
        nodes = np.unique(user)
        self.ties = Ties.group(num_users, nodes, _labels(counts, nodes))
        self.counts = counts[self.ties.first]
        self.degree: NDArray[np.float64] = self.counts.sum(axis=1)
        self._block_bytes = block_bytes
        # By the number of all items, as sums of more columns round otherwise.
        columns = 1 << int(np.log2(min(max(_LINE, _CACHED // max(1, len(items.ties))), _PANEL)))
        self.panels = list(slices(0, self.width, columns))
        self._wide = list(slices(0, self.width, _PANEL // columns * columns))  # several panels, to score pairs by
        self._total = np.zeros(len(self.ties))  # squared norm of the sum, of which the mean is a part
        for block in blocks_of(len(self.ties), columns * torch.get_num_threads(), block_bytes):
            self._measure(block)
        self.squares = self._total / self.degree**2
        self._level = np.zeros(len(self.ties), dtype=np.int64)
        short = np.flatnonzero(self._total < _SHORT_SUM)
        self._level[short] = _Sums(self, short).level()

    def double(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Rows ``ids`` (class ids) in float64."""
        out, bags = np.empty((len(ids), self.width)), _Sums(self, ids)
        for columns in self.panels:
            np.divide(bags.sums(columns), self.degree[ids, None], out=out[:, columns])
        return out

    def tensor(self, ids: NDArray[np.int64]) -> Tensor:
        """See :class:`Rows`."""
        return torch.from_numpy(self.double(ids))

    def single(self) -> SingleRows | None:
        """See :class:`Rows`."""
        items = self.items.single()
        if items is None:
            return None
        bags, terms = Bags(self.counts), np.diff(self.counts.indptr).astype(np.int64)

        def columns(panel: slice) -> Tensor:
            return bags.sums(items.columns(panel))

        held, reach = items.held + len(self.ties), np.asarray(self.counts @ items.reach)
        return SingleRows(columns, held, 1 / self.degree, terms + 2, reach)  # weights are rounded, too

    def pair_scores(self, metric: Metric, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """See :class:`Rows`. Panels of columns of many users at once, as a user stands in many pairs."""
        held = max(1, self._block_bytes // (8 * _PANEL * torch.get_num_threads()))  # users
        step = len(left) if len(self.ties) <= held else max(1, held // 2)
        parts = slices(0, len(left), step)
        return np.concatenate([self._score(metric, left[part], right[part]) for part in parts])

    def _score(self, metric: Metric, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        ids, place = np.unique(np.stack([left, right]), return_inverse=True)
        place, bags, level = place.reshape(2, -1), _Sums(self, ids), self._level[ids, None]

        def read(columns: slice) -> NDArray[np.float64]:
            rows = bags.sums(columns)
            if not metric.scale_free:
                rows /= self.degree[ids, None]
            elif level.any():  # their squares would vanish
                rows = np.ldexp(rows, -level)
            return rows

        if not metric.centred:
            return metric.of_sums(pair_sums(place[0], place[1], len(ids), read, self._wide))
        parts = [place[:, start : start + _PAIRS] for start in range(0, place.shape[1], _PAIRS)]

        def sums(columns: slice) -> NDArray[np.float64]:
            return np.concatenate([metric.sums(*ends) for ends in _ends(read(columns), parts)], axis=1)

        # Added in the order of the columns, whichever thread is done first.
        return metric.of_sums(reduce(np.add, by_threads(sums, self._wide)))

    def _measure(self, ids: NDArray[np.int64]) -> None:
        """Squared norms of the sums."""
        bags = _Sums(self, ids)
        for squares in by_threads(bags.squares, self.panels):
            self._total[ids] += squares

    def origin(self) -> NDArray[np.float64]:
        """The items' mean row: users' rows lie around it, too."""
        return self.items.origin()


class _Sums:
    """The items of some users, added up panel by panel: every entry by the same steps, whoever else is asked for."""

    def __init__(self, rows: MeanRows, ids: NDArray[np.int64]) -> None:
        counts = rows.counts[ids]
        self.item_rows, self.panels = rows.items, rows.panels
        self.item_ids, column = np.unique(counts.indices.astype(np.int64), return_inverse=True)
        self.num_users = len(ids)
        shape = (len(ids), len(self.item_ids))
        matrix = csr_array((counts.data, column.astype(np.int32), counts.indptr.astype(np.int32)), shape=shape)
        self.blocks = [matrix[start : start + _USERS] for start in range(0, max(1, len(ids)), _USERS)]

    def sums(self, columns: slice) -> NDArray[np.float64]:
        """Some columns of the users' weighted sums ``[C, W]``, whole panels of them."""
        out = np.empty((self.num_users, columns.stop - columns.start))
        for panel in self.panels:
            if columns.start <= panel.start < columns.stop:
                place, start = slice(panel.start - columns.start, panel.stop - columns.start), 0
                for part in self._sums(panel):
                    out[start : start + len(part), place] = part
                    start += len(part)
        return out

    def squares(self, columns: slice) -> NDArray[np.float64]:
        """What a panel of columns adds to the squared norms ``[C]``."""
        return np.concatenate([squared_norms(rows) for rows in self._sums(columns)])

    def _sums(self, columns: slice) -> Iterator[NDArray[np.float64]]:
        table = self.item_rows.columns(self.item_ids, columns)
        # A row of the product depends on this row alone: SciPy adds its items up one after the other.
        return (np.asarray(block @ table) for block in self.blocks)

    def level(self) -> NDArray[np.int64]:
        """The exponent of each user's largest entry."""
        largest = np.zeros(self.num_users)
        for columns in self.panels:
            np.maximum(largest, np.abs(self.sums(columns)).max(axis=1), out=largest)
        return np.frexp(largest)[1].astype(np.int64)


def _levelled(user: NDArray[np.int64], weight: NDArray[np.float64], num_users: int) -> NDArray[np.float64]:
    """Each user's weights over a power of two, the largest from 1 to 2: means stay, and sums and squares in range."""
    largest = np.zeros(num_users)
    np.maximum.at(largest, user, weight)
    levelled: NDArray[np.float64] = np.ldexp(weight, 1 - np.frexp(largest)[1][user])
    return levelled


def _without_common_divisor(counts: csr_array) -> None:
    """Divide each row by what its entries have in common: who bought one thing twice has the mean of who did once.

    Where they are no multiples of a number, by the largest: of one item, and of items that count alike, 1 is left.
    """
    filled = np.flatnonzero(np.diff(counts.indptr))
    start, terms = counts.indptr[filled], np.diff(counts.indptr)[filled]
    _, exact = _whole(counts.data, start)
    counts.data /= np.repeat(np.where(exact, 1.0, np.maximum.reduceat(counts.data, start)), terms)
    whole, exact = _whole(counts.data, start)
    common = np.gcd.reduceat(whole.astype(np.int64), start)
    counts.data /= np.repeat(np.where(exact, np.ldexp(common.astype(np.float64), -_FRACTION), 1.0), terms)


def _whole(data: NDArray[np.float64], start: NDArray[np.integer]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Entries in units of a fraction, rounded, and of which rows none had to be."""
    # Entries are 1 to 2 at the most, times the row's length.
    whole: NDArray[np.float64] = np.rint(np.ldexp(data, _FRACTION))
    exact: NDArray[np.bool_] = np.logical_and.reduceat(np.ldexp(whole, -_FRACTION) == data, start)
    return whole, exact


def _ends(
    rows: NDArray[np.float64], parts: list[NDArray[np.int64]]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The two rows of each pair, part by part; a part lasts until the next one."""
    held = np.empty((2, min(_PAIRS, max(part.shape[1] for part in parts)), rows.shape[1]))
    for part in parts:
        left, right = held[:, : part.shape[1]]
        # Into memory that is at hand; without 'clip' NumPy would write into a copy of it.
        np.take(rows, part[0], axis=0, out=left, mode="clip")
        np.take(rows, part[1], axis=0, out=right, mode="clip")
        yield left, right


def _labels(counts: csr_array, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number for each row of the counts, equal for equal rows only."""
    indices, data = counts.indices.astype(np.int64), counts.data
    spans = zip(counts.indptr[nodes].tolist(), counts.indptr[nodes + 1].tolist(), strict=True)
    keys = (indices[start:stop].tobytes() + data[start:stop].tobytes() for start, stop in spans)
    seen: dict[bytes, int] = {}
    return np.fromiter((seen.setdefault(key, len(seen)) for key in keys), dtype=np.int64, count=len(nodes))
