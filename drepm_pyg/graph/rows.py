"""Feature rows as a search reads them: in float64, scaled, masked or not, duplicates once."""

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg.graph.blocks import blocks_of, by_threads, slices
from drepm_pyg.graph.features import Features, check_matrix, common_width, select, taken
from drepm_pyg.graph.inner import pair_sums, row_marks, squared_norms
from drepm_pyg.graph.metrics import MOST, Metric
from drepm_pyg.graph.ties import Ties
from drepm_pyg.typing import Float, Tensor

__all__ = ["FeatureRows", "Rows", "SingleRows"]

_CACHED_BYTES = 1 << 20  # of float64 rows that are read and measured: a thread's cache holds so many
_READ_BYTES = 1 << 24  # of float64 rows that are read at once
_COLUMNS = 64  # that pairs are multiplied by at a time: those of many rows stay in cache (measured)
_VANISHING = 2.0**-400  # of a squared norm
_MODERATE = 20  # a norm is moderate between 2 to the power of minus this and of this
_FRACTION = 2  # binary digits behind the point that are shifted away, such as those of half a star
#: Squared norms of whole numbers whose products are float32 numbers; and float64 ones, four of them added up, too.
_EXACT_SINGLE, _EXACT = 2.0**24, 2.0**50


class SingleRows(NamedTuple):
    """Rows in float32, some columns at a time, but for factors.

    Attributes:
        columns: some columns of all rows, ``[C, W]``.
        held: how many rows a table has, those that it is made of included.
        factor: what each is to be multiplied by, float64 ``[C]``.
        terms: how many numbers an entry sums up, each rounded, long ``[C]``.
        reach: norm of the sums of these magnitudes at the most, float64 ``[C]``.
    """

    columns: Callable[[slice], Tensor]
    held: int
    factor: NDArray[np.float64]
    terms: NDArray[np.int64]
    reach: NDArray[np.float64]


@runtime_checkable  # the shape checker asks
class Rows(Protocol):
    """Distinct float64 rows, one a class of identical nodes.

    They are scaled by ``2 ** -exponent``, which is exact, so that nothing overflows.

    Attributes:
        ties: which nodes each row stands for.
        width: the number of columns.
        device: where :meth:`tensor` gives rows.
        exponent: the power of two that was divided out.
        squares: float64 squared norm of each row.
    """

    ties: Ties
    width: int
    device: torch.device
    exponent: int
    squares: NDArray[np.float64]

    def double(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Rows ``ids``, the same bits whichever rows they are asked with."""

    def tensor(self, ids: NDArray[np.int64]) -> Tensor:
        """Rows ``ids`` in float64, a copy, on ``device``."""

    def origin(self) -> NDArray[np.float64]:
        """A point amid the rows, to measure distances from."""

    def single(self) -> SingleRows | None:
        """All rows in float32; None where they are not on the CPU."""

    def pair_scores(self, metric: Metric, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """Exact scores of pairs of rows, each from its two rows alone; ``left`` ascends, there is one pair at least."""


class FeatureRows:
    """The rows of a feature matrix, or of several one after the other (see :class:`Rows`).

    Args:
        parts: float ``[N_p, F]`` by their argument's name, tensors or arrays; read in blocks, never copied whole.
        nodes: ids of the rows that take part, ascending; what the others hold is never looked at.
        block_bytes: how much memory a block of float64 rows may take.

    Attributes:
        kept: Gram matrices for the next graph, by what they are of; None: they are not kept.

    Raises:
        TypeError: if a part is no dense floating-point matrix.
        ValueError: if a shape is wrong, or a row that takes part holds NaN or infinity.
    """

    def __init__(self, parts: Mapping[str, Features], nodes: NDArray[np.int64], *, block_bytes: int) -> None:
        for name, x in parts.items():
            check_matrix(x, name)
        self.width = common_width(parts)
        self._names, self._block_bytes = list(parts), block_bytes
        self.device = self._place(parts)
        self._parts = [x.detach().to(self.device) if isinstance(x, torch.Tensor) else x for x in parts.values()]
        self._starts = np.cumsum([0, *(len(x) for x in self._parts)])
        self.exponent = self._scan(nodes)
        self.kept: dict[object, Any] | None = None
        self._group(nodes)

    def tensor(self, ids: NDArray[np.int64]) -> Tensor:
        """See :class:`Rows`."""
        return torch.from_numpy(self.double(ids))

    def within(self, nodes: NDArray[np.int64]) -> "FeatureRows":
        """The same rows on the same scale, for some of the nodes alone."""
        view = copy.copy(self)
        view.kept = None
        view.ties = Ties.group(self.ties.num_nodes, nodes, self.ties.classes(nodes))
        view.squares = self.squares[self.ties.classes(view.ties.first)]
        return view

    def double(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Rows ``ids`` (class ids) in float64."""
        return self._scaled(self.ties.first[ids])

    def uncopied(self) -> Tensor | None:
        """The features as they are given, where a float32 product of them is as good as one of scaled rows.

        That is one contiguous float32 matrix, all rows distinct and in use, and no norm (but 0) so far from 1 that
        products would overflow or vanish. They are 2 to the power of ``exponent`` times these rows.
        """
        x = self._parts[0]
        if len(self._parts) > 1 or len(self.ties) < len(x):
            return None
        level = np.frexp(self.squares[self.squares > 0])[1] + 2 * self.exponent
        if np.abs(level).max(initial=0) > 2 * _MODERATE:
            return None
        if isinstance(x, torch.Tensor):
            return x if x.dtype == torch.float32 and x.is_contiguous() else None
        wanted = x.dtype == np.float32 and x.flags.c_contiguous and x.flags.writeable  # by torch
        # To NumPy one row is contiguous whatever its strides, also those of x[::-1], which torch refuses.
        wanted = wanted and min(x.strides) >= 0
        return torch.from_numpy(x) if wanted else None

    @cached_property
    def exact_dtype(self) -> type[np.floating[Any]] | None:
        """Float32, or else float64, if it holds all sums of products of two rows: those of counts, or of half stars."""
        digits = self.exponent + _FRACTION  # shifted by so many, scaled rows are whole numbers
        largest = np.ldexp(self.squares.max(initial=0.0), 2 * digits)
        if largest > _EXACT:
            return None
        blocks = (self.double(block) for block in blocks_of(len(self.ties), self.width, self._block_bytes))
        shifted = (np.ldexp(rows, digits, out=rows) for rows in blocks)
        if not all(np.array_equal(rows, np.rint(rows)) for rows in shifted):
            return None
        return np.float32 if largest <= _EXACT_SINGLE else np.float64

    def origin(self) -> NDArray[np.float64]:
        """The mean of all rows but the longest, which may be far from the others."""
        total = torch.zeros(self.width, dtype=torch.float64, device=self.device)
        ids = np.flatnonzero(self.squares <= np.quantile(self.squares, MOST)) if len(self.ties) else np.arange(0)
        for block in blocks_of(len(ids), self.width, self._block_bytes):
            total += self.tensor(ids[block]).sum(dim=0)
        return np.asarray(total.cpu().numpy() / max(1, len(ids)))

    def columns(self, ids: NDArray[np.int64], columns: slice) -> NDArray[np.float64]:
        """Some columns of rows ``ids`` in float64."""
        return self._scaled(self.ties.first[ids], columns)

    def single(self) -> SingleRows | None:
        """See :class:`Rows`."""
        size = len(self.ties)
        ones = np.ones(size)
        on_cpu = self.device.type == "cpu"
        return SingleRows(self._single, size, ones, ones.astype(np.int64), np.sqrt(self.squares)) if on_cpu else None

    def _single(self, columns: slice) -> Float[Tensor, "C W"]:
        """Some columns of all rows in float32, each entry rounded once."""
        nodes = self.ties.first
        if abs(self.exponent) > _MODERATE or any(x.dtype.itemsize > 4 for x in self._parts):
            return torch.from_numpy(self._scaled(nodes, columns).astype(np.float32))
        return torch.from_numpy(self._read(nodes, columns, np.float32)).mul_(2.0**-self.exponent)

    def pair_scores(self, metric: Metric, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """See :class:`Rows`."""
        if not metric.centred and self._moderate:
            held = max(1, self._block_bytes // (8 * _COLUMNS * torch.get_num_threads()))  # rows
            step = len(left) if len(self.ties) <= held else max(1, held // 2)
            sums = [self._pair_sums(left[part], right[part]) for part in slices(0, len(left), step)]
            return metric.of_sums(np.concatenate(sums, axis=1))
        step = max(1, self._block_bytes // (32 * self.width * torch.get_num_threads()))

        def score(part: slice) -> NDArray[np.float64]:
            ids, place = np.unique(np.stack([left[part], right[part]]), return_inverse=True)
            rows, place = self.double(ids), place.reshape(2, -1)
            return metric.pair(rows[place[0]], rows[place[1]])

        return np.concatenate(list(by_threads(score, list(slices(0, len(left), step)))))

    @cached_property
    def _moderate(self) -> bool:
        """Whether products of squared norms are far from vanishing, but for those of a zero row."""
        short = np.flatnonzero(self.squares < _VANISHING)
        return len(short) == 0 or (len(short) == 1 and not self.double(short).any())  # equal rows are one

    def _pair_sums(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """By columns, as a row stands in many pairs; cut alike for every call."""
        ids, place = np.unique(np.stack([left, right]), return_inverse=True)
        own, other = place.reshape(2, -1)
        whole = self.double(ids) if 8 * len(ids) * self.width <= _READ_BYTES else None

        def read(panel: slice) -> NDArray[np.float64]:
            return self.columns(ids, panel) if whole is None else np.ascontiguousarray(whole[:, panel])

        return pair_sums(own, other, len(ids), read, list(slices(0, self.width, _COLUMNS)))

    def _group(self, nodes: NDArray[np.int64]) -> None:
        blocks = blocks_of(len(nodes), self.width, self._block_bytes)
        found = [self._measure(nodes[block]) for block in blocks]
        squares = np.concatenate([np.zeros(0), *(part[0] for part in found)])
        marks = np.concatenate([np.zeros(0, np.int64), *(part[1] for part in found)])
        self.ties = Ties.group(int(self._starts[-1]), nodes, self._labels(nodes, marks))
        self.squares = squares[np.searchsorted(nodes, self.ties.first)]

    def _measure(self, nodes: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Squared norms of scaled rows, and a number for each that is the same for equal rows."""
        parts = [nodes[block] for block in blocks_of(len(nodes), self.width, _CACHED_BYTES)]
        squares = np.concatenate(list(by_threads(lambda part: squared_norms(self._scaled(part)), parts)))
        return squares, squares.view(np.int64)

    @staticmethod
    def _place(parts: Mapping[str, Features]) -> torch.device:
        """Where rows are read and measured."""
        return torch.device("cpu")

    def _read(
        self, nodes: NDArray[np.int64], columns: slice = slice(None), dtype: type[np.floating[Any]] = np.float64
    ) -> NDArray[Any]:
        if len(self._parts) == 1:
            return taken(self._parts[0][:, columns], nodes, dtype)
        out = np.empty((len(nodes), len(range(self.width)[columns])), dtype)
        for inside, x, own in self._split(nodes):
            out[inside] = taken(x[:, columns], own, dtype)
        return out

    def _split(self, nodes: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Features, NDArray[np.int64]]]:
        """For each matrix which of the nodes are its rows, by place, and their numbers in it."""
        part = np.searchsorted(self._starts, nodes, side="right") - 1
        for place, x in enumerate(self._parts):
            inside = np.flatnonzero(part == place)
            yield inside, x, nodes[inside] - self._starts[place]

    def _scaled(self, nodes: NDArray[np.int64], columns: slice = slice(None)) -> NDArray[np.float64]:
        rows = self._read(nodes, columns)
        if self.exponent:
            rows *= 2.0**-self.exponent  # as exact as ldexp, and ten times as fast
        return rows

    def _scan(self, nodes: NDArray[np.int64]) -> int:
        """Refuse what is not finite; return the exponent of the largest magnitude."""
        largest = 0.0
        for name, x, start in zip(self._names, self._parts, self._starts, strict=False):
            own, bad = nodes[(nodes >= start) & (nodes < start + len(x))] - start, []
            for block in blocks_of(len(own), self.width, self._block_bytes):
                rows = select(x, own[block])
                magnitude = max(-float(rows.min()), float(rows.max()))  # NaN where one is among them
                if np.isfinite(magnitude):
                    largest = max(largest, magnitude)
                else:
                    bad += own[block][~np.isfinite(taken(x, own[block])).all(axis=1)].tolist()
            if bad:
                raise ValueError(
                    f"'{name}' holds NaN or infinite values in {len(bad)} of {len(x)} rows "
                    f"(first: {bad[:5]}). Repair these rows, or mask them."
                )
        return min(max(int(np.frexp(largest)[1]), -1000), 1000)  # so that its power of two is a float64, too

    def _labels(self, nodes: NDArray[np.int64], marks: NDArray[np.int64]) -> NDArray[np.int64]:
        """A number for each row, equal for equal rows only; rows whose mark is their own need no look at them."""
        _, label, count = np.unique(marks, return_inverse=True, return_counts=True)
        open_ = np.flatnonzero(count[label] > 1)
        if len(open_):  # rows of one norm need not be alike: a second mark tells of every bit
            blocks = blocks_of(len(open_), 2 * self.width, self._block_bytes)
            second = [row_marks(torch.from_numpy(self._read(nodes[open_[block]]))).numpy() for block in blocks]
            label[open_] = len(count) + np.unique(np.concatenate(second), return_inverse=True)[1]
        while len(open_):  # once, unless different rows have the same mark
            open_ = open_[np.argsort(label[open_], kind="stable")]
            first = open_[np.searchsorted(label[open_], label[open_])]
            other = np.zeros(len(open_), dtype=bool)
            for block in blocks_of(len(open_), 2 * self.width, self._block_bytes):
                row, model = self._read(nodes[open_[block]]), self._read(nodes[first[block]])
                other[block] = (row != model).any(axis=1)
            open_ = open_[other]
            label[open_] = label.max() + 1 + np.unique(label[open_], return_inverse=True)[1]
        return label
