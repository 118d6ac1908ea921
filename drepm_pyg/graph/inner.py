"""Numbers of rows, each from its own row, or its two, alone."""

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg._arrays import csr_pattern
from drepm_pyg.graph.blocks import by_threads, slices
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["Inner", "inner_products", "pair_products", "pair_sums", "row_marks", "squared_norms"]

#: The inner product of row n with row n, in float64, from these two rows alone.
Inner = Callable[[Any, Any], NDArray[np.float64]]

_PAIRS = 4096
_NEAR = 1 << 14  # right rows at a time: those of some columns stay in cache (measured)
_PANEL = 4096  # columns at a time: einsum cuts longer rows by its buffer of 8192, each in another place


def inner_products(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Row n times row n; einsum sums a row the same way whatever stands around it, a BLAS need not."""
    sums = (np.einsum("nf,nf->n", a[:, panel], b[:, panel]) for panel in slices(0, a.shape[1], _PANEL))
    return np.asarray(reduce(np.add, sums))


def pair_sums(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    num_rows: int,
    read: Callable[[slice], NDArray[np.float64]],
    panels: Sequence[slice],
) -> NDArray[np.float64]:
    """Inner products of many pairs of rows of a table, and the squared norms of their ends, each from its rows alone.

    A product that is sampled at the pairs reads rows where they lie: a ninth of the time that two tables of the pairs'
    rows and :func:`inner_products` take. A row times itself is its squared norm to the bit.

    Args:
        left: the one row of each pair, ascending; no pair twice.
        right: the other one.
        num_rows: how many rows there are.
        read: some columns of all rows.
        panels: the columns; sums depend on how they are cut.

    Returns:
        float64 ``[3, P]``: products, squared norms of the left rows, of the right ones.
    """
    everyone = np.arange(num_rows)
    patterns = [*_patterns(left, right, num_rows), *_patterns(everyone, everyone, num_rows, len(left))]

    def sums(panel: slice) -> NDArray[np.float64]:
        table, out = torch.from_numpy(read(panel)), np.empty(len(left) + num_rows)
        for rows, place, pattern in patterns:
            out[place] = torch.sparse.sampled_addmm(pattern, table, table[rows].T).values().numpy()
        return out

    # Added in the order of the columns, whichever thread is done first. Of few pairs threads take longer to start.
    parts = by_threads(sums, panels) if len(left) > _PAIRS else map(sums, panels)
    inner, squares = np.split(reduce(np.add, parts), [len(left)])
    return np.stack([inner, squares[left], squares[right]])


def pair_products(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    num_rows: int,
    read: Callable[[slice], Float[Tensor, "C W"]],
    panels: Sequence[slice],
) -> NDArray[np.float64]:
    """Inner products of many pairs of rows of a float32 table, summed in float32 over each panel of columns alone.

    Args:
        left: the one row of each pair, ascending; no pair twice.
        right: the other one.
        num_rows: how many rows there are.
        read: some columns of all rows.
        panels: the columns.
    """
    patterns = list(_patterns(left, right, num_rows, dtype=torch.float32))
    sums = [torch.zeros(pattern.values().shape, dtype=torch.float64) for _, _, pattern in patterns]
    for table in map(read, panels):
        for total, (rows, _, pattern) in zip(sums, patterns, strict=True):
            total += torch.sparse.sampled_addmm(pattern, table, table[rows].T).values()
    out = np.empty(len(left))
    for total, (_, place, _) in zip(sums, patterns, strict=True):
        out[place] = total.numpy()
    return out


def _patterns(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    num_rows: int,
    first: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Iterator[tuple[slice, NDArray[np.int64], Tensor]]:
    """Pairs by their right row: a slice of these, the places of its pairs, and where they are in a matrix."""
    for rows in slices(0, num_rows, _NEAR):
        pairs = np.flatnonzero((right >= rows.start) & (right < rows.stop))
        start = torch.from_numpy(np.searchsorted(left[pairs], np.arange(num_rows + 1)))
        column, shape = torch.from_numpy(right[pairs] - rows.start), (num_rows, rows.stop - rows.start)
        yield rows, first + pairs, csr_pattern(start, column, shape, dtype)


def squared_norms(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared norm of each row."""
    return inner_products(rows, rows)


def row_marks(rows: Float[Tensor, "N F"]) -> Int[Tensor, " N"]:
    """A number for each float64 row, the same for equal rows, and hardly ever for others: a sum of scrambled bits."""
    generator = np.random.default_rng(0)
    factor = torch.from_numpy(generator.integers(-(2**63), 2**63, rows.size(1), dtype=np.int64) | 1).to(rows.device)
    bits = (rows + 0.0).view(torch.int64)  # adding 0.0: -0.0 and 0.0 are equal
    # Numbers of few digits, such as 1 and -1, differ in high bits alone, and products carry no bit downwards.
    bits ^= bits >> 32
    bits *= factor
    bits ^= bits >> 32
    return bits.sum(dim=1)
