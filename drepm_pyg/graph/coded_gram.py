"""The inner products of all rows from their 8-bit codes, in half of the memory that float32 takes."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg._arrays import large_empty, return_freed_memory, transposed
from drepm_pyg.graph.blocks import slices
from drepm_pyg.graph.codes import (
    CACHED_BYTES,
    CodedProducts,
    Codes,
    alike,
    code_errors,
    codes_serve,
    gram_work,
    listed_by_codes,
)
from drepm_pyg.graph.products import block_columns
from drepm_pyg.graph.rows import FeatureRows, Rows
from drepm_pyg.graph.shortlist import Shortlist, evenly, shortlists
from drepm_pyg.graph.space import Slack, Space
from drepm_pyg.typing import Float, Tensor

__all__ = ["HALF_UNIT", "CodedGram", "coded_gram", "coded_gram_serves", "coded_gram_shortlists"]

_TILE = 1024  # rows and columns that are multiplied at a time (measured)
_WORK = 4e10  # multiply-adds of float32 products; fewer take no longer than what codes leave open (measured)
_SUBNORMAL = 2.0**-24  # the smallest float16 number
#: Round-off of float16.
HALF_UNIT = 2.0**-11


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
        offset, squares, step: as of :class:`Codes`.
        level: float64 ``[C]``; the product of two rows' levels is a bound on :math:`|\text{unit}\, h_{ij}|`, and on the
            products that float16 rounds to 0.
    """

    products: Tensor
    unit: float
    offset: NDArray[np.float64]
    squares: NDArray[np.float64]
    step: NDArray[np.float64]
    level: NDArray[np.float64]


def coded_gram_serves(space: Space, rows: Rows) -> bool:
    """Whether a coded Gram matrix of these rows is worth its time, for themselves or for users of them."""
    return gram_work(rows) >= _WORK and codes_serve(space, rows)


def coded_gram(rows: FeatureRows) -> CodedGram:
    """Code all rows and multiply them, half of the products, or take what was kept.

    They take a third of the time and half of the memory that float32 products take.
    """
    if rows.kept is not None and CodedGram in rows.kept:
        kept: CodedGram = rows.kept[CodedGram]
        return kept
    coded = Codes(rows, block_bytes=CACHED_BYTES)
    return_freed_memory()
    length = np.sqrt(coded.squares)
    unit = 2.0 ** int(np.frexp(coded.squares.max(initial=0.0))[1])
    products, cosine = _half(coded, length, unit)
    level = length * np.sqrt(cosine)
    level = np.sqrt(level**2 + 2 * _SUBNORMAL * unit)
    gram = CodedGram(products, unit, coded.offset, coded.squares, coded.step, level)
    if rows.kept is not None:
        rows.kept[CodedGram] = gram
    return gram


def coded_gram_shortlists(space: Space, slack: Slack, count: int) -> Iterator[Shortlist] | None:
    """The rows of largest upper bound for every row of a whole space; None where codes leave too much open.

    Args:
        space: the rows.
        slack: factors of the error bound of float32 sums.
        count: how many are wanted.
    """
    rows = space.rows
    assert isinstance(rows, FeatureRows)  # whose Gram matrix is kept
    gram = coded_gram(rows)
    codes = space.scale * code_errors(gram.step, np.sqrt(gram.squares), shared=False)
    halves = np.sqrt(HALF_UNIT) * space.scale * gram.level
    p, q = (np.sqrt(codes**2 + halves**2 + single**2) for single in alike(*slack))
    listed = listed_by_codes(lambda some: _blocks(some, gram), space, (p, q), count, gram_work(rows))
    return None if listed is None else shortlists(_blocks(space, gram), space, (p, q), count, listed)


def _blocks(space: Space, gram: CodedGram) -> Iterator[tuple[slice, Float[Tensor, "C B"]]]:
    """Scores of all rows with blocks of the centres; a block lasts until the next one."""
    size = len(space)
    scale = torch.from_numpy(space.scale).float()
    left = torch.from_numpy(space.scale[:, None] * np.stack([gram.offset, np.ones(size)], axis=1)).float()
    own = torch.from_numpy(space.own).float()
    for block in slices(0, len(space.centres), block_columns(size)):
        ids = evenly(space, block)
        scores = gram.products[:, ids].float().mul_(gram.unit * scale[:, None]).mul_(scale[ids])
        scores.addmm_(left, left[ids].flip(1).T)
        scores[ids].diagonal().copy_(own[ids])
        yield block, scores


def _half(coded: Codes, length: NDArray[np.float64], unit: float) -> tuple[Float[Tensor, "C C"], NDArray[np.float64]]:
    """Products of centred rows over ``unit``, in float16, and for each row its largest cosine with another one."""
    size = len(coded)
    out = large_empty(size, size, dtype=torch.float16)
    out.zero_()  # all threads ask for its pages
    inverse = np.divide(1, length, out=np.zeros(size), where=length > 0)
    cosines, own = CodedProducts(coded, inverse, centred=True), torch.from_numpy(length / np.sqrt(unit)).float()
    largest = torch.zeros(size)
    # Tables of one size, asked for once: the allocator would not use all that is freed again.
    integers, numbers = (large_empty(_TILE * _TILE, dtype=dtype) for dtype in (torch.int32, torch.float32))
    for rows in slices(0, size, _TILE):
        for columns in slices(rows.start, size, _TILE):
            shape = rows.stop - rows.start, columns.stop - columns.start
            tile = numbers[: shape[0] * shape[1]].view(shape)
            cosines.into(tile, coded.codes[rows], rows, coded.codes[columns], columns, integers)
            if rows == columns:
                tile.fill_diagonal_(0)
            magnitude = torch.abs(tile, out=integers[: tile.numel()].view(shape).view(torch.float32))
            for part, dim in ((rows, 1), (columns, 0)):
                torch.maximum(largest[part], magnitude.amax(dim), out=largest[part])
            tile.mul_(own[rows, None]).mul_(own[columns])
            out[rows, columns] = tile
            if rows != columns:
                out[columns, rows] = transposed(tile[None])[0]
    return out, largest.double().numpy()
