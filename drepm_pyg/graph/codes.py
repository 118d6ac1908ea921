"""Inner products of centred rows from 8-bit codes: products of integers are exact and several times as fast."""

import time
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg._arrays import large_empty, product_into, return_freed_memory, transposed
from drepm_pyg.graph.blocks import blocks_of, by_threads, slices
from drepm_pyg.graph.metrics import MOST
from drepm_pyg.graph.rows import FeatureRows
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["CodedGram", "coded_gram", "codes_fit", "codes_multiply", "codes_pay"]

_LARGEST = 127  # of a code: symmetric, as its kernels are fastest
_CACHED_BYTES = 1 << 20  # of float64 rows that are coded at a time: a thread's cache holds so many
_TILE = 1024  # rows and columns that are multiplied at a time (measured)
_SAMPLE = 512  # rows that tell where all of them lie
_PAYS = 2  # times as fast as float32, at the least: what codes leave open takes the rest
_PROBE = (256, 2048)  # rows and columns of the products that tell
_SUBNORMAL = 2.0**-24  # the smallest float16 number


class CodedGram(NamedTuple):
    r"""Inner products of rows, approximately.

    For :math:`i \ne j`

    .. math:: \mathbf{x}_i \cdot \mathbf{x}_j \approx \text{unit}\, h_{ij} + b_i + b_j, \quad
        b_i = \mathbf{x}_i \cdot \mathbf{c} - \tfrac{1}{2} \lVert \mathbf{c} \rVert^2

    where :math:`h_{ij}` stands for the product of :math:`\mathbf{z}_i = \mathbf{x}_i - \mathbf{c}` and
    :math:`\mathbf{z}_j`, with a centre :math:`\mathbf{c}` amid the rows. What is left out are products of coding errors
    with centred rows, so that rows far from 0, but near each other, lose nothing.

    Attributes:
        products: :math:`h`, float16 ``[C, C]``; 0 on the diagonal, which is known: ``squares``.
        unit: a power of two.
        offset: :math:`b`, float64 ``[C]``.
        squares: :math:`\lVert \mathbf{z}_i \rVert^2`, float64 ``[C]``.
        step: between two codes of a row, float64 ``[C]``; an entry of :math:`\mathbf{z}_i` is off by half of it.
        level: float64 ``[C]``; the product of two rows' levels is at least the size of what is stored for them, in its
            unit, and at least what float16 rounds to 0.
    """

    products: Tensor
    unit: float
    offset: NDArray[np.float64]
    squares: NDArray[np.float64]
    step: NDArray[np.float64]
    level: NDArray[np.float64]


@cache
def codes_multiply() -> bool:
    """Whether torch multiplies 8-bit integers as they are on this CPU.

    Some kernels add pairs of products up in 16 bits, which are too few: a product tells.
    """
    codes = _probe()
    return torch.equal(torch._int_mm(codes, codes.T).double(), codes.double() @ codes.double().T)


@cache
def codes_pay() -> bool:
    """Whether it does so much faster than NumPy multiplies float32 numbers."""
    codes = _probe()
    rows, out = codes.float(), torch.empty(len(codes), len(codes))
    coded, single = (lambda: torch._int_mm(codes, codes.T)), (lambda: product_into(rows, rows.flip(0), out))
    return codes_multiply() and _PAYS * _seconds(coded) < _seconds(single)


def codes_fit(width: int) -> bool:
    """Whether 32 bits hold the product of two rows of codes."""
    return width * _LARGEST**2 < 2**31


def coded_gram(rows: FeatureRows) -> CodedGram:
    """Code all rows and multiply them, half of the products; they take a quarter and half of what float32 takes."""
    size, width, centre = len(rows.ties), rows.width, _centre(rows)
    codes = torch.empty(size, width, dtype=torch.int8)
    offset, squares, step, shift, total = np.empty((5, size))

    def code(ids: NDArray[np.int64]) -> None:
        x = rows.double(ids)
        offset[ids] = x @ centre - centre @ centre / 2
        x -= centre
        squares[ids] = np.einsum("nf,nf->n", x, x)
        low, high = x.min(axis=1), x.max(axis=1)
        step[ids], shift[ids] = (high - low) / (2 * _LARGEST), (high + low) / 2
        x -= shift[ids, None]
        x *= np.divide(1, step[ids], out=np.zeros(len(ids)), where=step[ids] > 0)[:, None]
        np.rint(x, out=x)
        total[ids] = x.sum(axis=1)
        codes[ids[0] : ids[-1] + 1] = torch.from_numpy(x)

    list(by_threads(code, list(blocks_of(size, width, _CACHED_BYTES))))
    return_freed_memory()
    unit = 2.0 ** int(np.frexp(squares.max(initial=0.0))[1])
    length = np.sqrt(squares)
    # Rows are the shift plus the step times the code; all products with a shift are a product of two columns.
    pairs = np.stack([shift, shift * width / 2 + step * total], axis=1)
    products, cosine = _half(codes, length, step, pairs, unit)
    level = length * np.sqrt(cosine)
    return CodedGram(products, unit, offset, squares, step, np.sqrt(level**2 + 2 * _SUBNORMAL * unit))


def _centre(rows: FeatureRows) -> NDArray[np.float64]:
    """The mean of some rows that are no longer than most."""
    usual = np.flatnonzero(rows.squares <= np.quantile(rows.squares, MOST))
    return np.asarray(rows.double(usual[:: -(-len(usual) // _SAMPLE)]).mean(axis=0))


def _half(
    codes: Int[Tensor, "C F"],
    length: NDArray[np.float64],
    step: NDArray[np.float64],
    pairs: NDArray[np.float64],
    unit: float,
) -> tuple[Float[Tensor, "C C"], NDArray[np.float64]]:
    """Products over ``unit``, in float16, and for each row its largest cosine with another one."""
    size = len(codes)
    out = large_empty(size, size, dtype=torch.float16)
    inverse = np.divide(1, length, out=np.zeros(size), where=length > 0)[:, None]
    by, left = (torch.from_numpy(part * inverse).float() for part in (step[:, None], pairs))
    right, own = left.flip(1), torch.from_numpy(length / np.sqrt(unit)).float()
    cosine = torch.zeros(size)
    # Tables of one size, asked for once: the allocator would not use all that is freed again.
    integers, numbers = (large_empty(_TILE * _TILE, dtype=dtype) for dtype in (torch.int32, torch.float32))
    for rows in slices(0, size, _TILE):
        for columns in slices(rows.start, size, _TILE):
            shape = rows.stop - rows.start, columns.stop - columns.start
            coded, tile = (table[: shape[0] * shape[1]].view(shape) for table in (integers, numbers))
            torch._int_mm(codes[rows], codes[columns].T, out=coded)
            torch.mul(coded, by[rows], out=tile).mul_(by[columns].T).addmm_(left[rows], right[columns].T)
            if rows == columns:
                tile.fill_diagonal_(0)
            magnitude = torch.abs(tile, out=coded.view(torch.float32))  # what the integers took
            for part, dim in ((rows, 1), (columns, 0)):
                torch.maximum(cosine[part], magnitude.amax(dim), out=cosine[part])
            tile.mul_(own[rows, None]).mul_(own[columns])
            out[rows, columns] = tile
            if rows != columns:
                out[columns, rows] = transposed(tile[None])[0]
    return out, cosine.double().numpy()


def _probe() -> Int[Tensor, "N F"]:
    codes = torch.randint(-_LARGEST, _LARGEST + 1, _PROBE, generator=torch.Generator().manual_seed(0)).to(torch.int8)
    codes[0], codes[1] = _LARGEST, -_LARGEST
    return codes


def _seconds(call: Callable[[], object]) -> float:
    """The shortest of three times, after one that loads the kernel."""
    call()
    times = []
    for _ in range(3):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)
