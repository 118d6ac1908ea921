"""Numbers of rows, each from its own row, or its two, alone."""

import warnings
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg.graph.blocks import slices
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["Inner", "PairProducts", "inner_products", "row_marks", "squared_norms"]

#: The inner product of row n with row n, in float64, from these two rows alone.
Inner = Callable[[Any, Any], NDArray[np.float64]]

_NEAR = 1 << 14  # right rows at a time: those of some columns stay in cache (measured)
_PANEL = 4096  # columns at a time: einsum cuts longer rows by its buffer of 8192, each in another place


def inner_products(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Row n times row n; einsum sums a row the same way whatever stands around it, a BLAS need not."""
    panels = (slice(start, start + _PANEL) for start in range(0, a.shape[1], _PANEL))
    return np.asarray(reduce(np.add, (np.einsum("nf,nf->n", a[:, panel], b[:, panel]) for panel in panels)))


class PairProducts:
    """Inner products of many pairs of rows of a table, in float64 and each from its two rows alone.

    A product that is sampled at the pairs reads rows where they lie: a quarter of the time that two tables of the
    pairs' rows and :func:`inner_products` take.

    Args:
        left: the one row of each pair, ascending.
        right: the other one.
        num_rows: how many rows there are.
    """

    def __init__(self, left: NDArray[np.int64], right: NDArray[np.int64], num_rows: int) -> None:
        self._parts: list[tuple[slice, NDArray[np.int64], Tensor]] = []
        self._size = len(left)
        for part in slices(0, num_rows, _NEAR):
            pairs = np.flatnonzero((right >= part.start) & (right < part.stop))
            start = torch.from_numpy(np.searchsorted(left[pairs], np.arange(num_rows + 1)))
            column = torch.from_numpy(right[pairs] - part.start)
            shape, values = (num_rows, part.stop - part.start), torch.zeros(len(pairs), dtype=torch.float64)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*Sparse", UserWarning)  # of the layout, which torch calls beta
                self._parts.append((part, pairs, torch.sparse_csr_tensor(start, column, values, shape)))

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The products of these rows, or of some of their columns."""
        table, out = torch.from_numpy(rows), np.empty(self._size)
        for part, pairs, pattern in self._parts:
            out[pairs] = torch.sparse.sampled_addmm(pattern, table, table[part].T).values().numpy()
        return out


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
