"""Numbers of rows, each from its own row, or its two, alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["Inner", "inner_products", "row_marks", "squared_norms"]

#: The inner product of row n with row n, in float64, from these two rows alone.
Inner = Callable[[Any, Any], NDArray[np.float64]]


def inner_products(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Row n times row n; einsum sums a row the same way whatever stands around it, a BLAS need not."""
    return np.asarray(np.einsum("nf,nf->n", a, b))


def squared_norms(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared norm of each row."""
    return inner_products(rows, rows)


def row_marks(rows: Float[Tensor, "N F"]) -> Int[Tensor, " N"]:
    """A number for each float64 row, the same for equal rows: its bits times odd factors, modulo 2 ** 64."""
    generator = np.random.default_rng(0)
    factor = torch.from_numpy(generator.integers(-(2**63), 2**63, rows.size(1), dtype=np.int64) | 1).to(rows.device)
    return ((rows + 0.0).view(torch.int64) * factor).sum(dim=1)  # adding 0.0: -0.0 and 0.0 are equal
