"""Rows as 8-bit codes: products of integers are exact, and several times as fast where a processor has them."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg._arrays import product_into, shortest_seconds
from drepm_pyg.graph.blocks import blocks_of, by_threads
from drepm_pyg.graph.metrics import MOST
from drepm_pyg.graph.rows import Rows
from drepm_pyg.graph.shortlist import Blocks, sample, trial, with_room
from drepm_pyg.graph.space import Slack, Space
from drepm_pyg.typing import Float, Int, Tensor

__all__ = [
    "CACHED_BYTES",
    "CODED_SPEED",
    "DEVIATIONS",
    "CodedProducts",
    "Codes",
    "alike",
    "code_errors",
    "codes_multiply",
    "codes_pay",
    "codes_serve",
    "gram_work",
    "listed_by_codes",
]

_LARGEST = 127  # of a code: symmetric, as its kernels are fastest
#: Float64 rows that are coded at a time: a thread's cache holds so many bytes.
CACHED_BYTES = 1 << 20
_SAMPLE, _SAMPLE_ENTRIES = 512, 1 << 21  # rows that tell where all of them lie, and their entries
#: Columns and multiply-adds of float32 products; of fewer, what codes leave open takes as long (measured).
_WIDE, _WORK = 2048, 2.5e10
_OPEN_COST = 20  # a pair that codes leave open takes as long as so many multiply-adds a column (measured)
_PAYS = 2  # times as fast as float32, at the least: what codes leave open takes the rest
_PROBE = (256, 2048)  # rows and columns of the products that tell
_SCALE = 2.0**60  # of a row; larger ones belong to rows so short that codes decide nothing, and may overflow float32
_LEAST = 2.0**-40  # ratio of steps and length, where rows have no steps
#: Coded products, coding included, are so many times as fast as float32 ones (measured).
CODED_SPEED = 3
_NEARLY_ALL, _LISTED = 0.99, 256  # of the centres, whose candidates are listed at once; candidates at the most
_STRAIN = 0.4  # of errors that do not conspire the largest one of thousands takes a quarter of its bound
#: Errors in their deviations: if they do not conspire, larger ones have a probability of 2 exp(-32).
DEVIATIONS = 8


class Codes:
    r"""Rows as codes :math:`\mathbf{q}` of 8 bits, about a centre :math:`\mathbf{c}` amid them.

    .. math:: \mathbf{x}_i - \mathbf{c} = \mathbf{z}_i \approx m_i + d_i \mathbf{q}_i

    Args:
        rows: the rows.
        block_bytes: how much memory a thread's block of float64 rows may take.

    Attributes:
        codes: :math:`\mathbf{q}`, int8 ``[C, F]``.
        offset: :math:`b_i = \mathbf{x}_i \cdot \mathbf{c} - \tfrac{1}{2} \lVert \mathbf{c} \rVert^2`, float64 ``[C]``.
        squares: :math:`\lVert \mathbf{z}_i \rVert^2`, float64 ``[C]``.
        step: :math:`d_i`, float64 ``[C]``; an entry is off by half of it at the most.
        pairs: float64 ``[C, 2]``; ``pairs @ pairs[:, ::-1].T`` is what products have beside
            :math:`d_i d_j\, \mathbf{q}_i \cdot \mathbf{q}_j`.
    """

    def __init__(self, rows: Rows, *, block_bytes: int) -> None:
        size, width, centre = len(rows.ties), rows.width, _centre(rows)
        self.codes = torch.empty(size, width, dtype=torch.int8)
        self.offset, self.squares, self.step, shift, total = np.empty((5, size))

        def code(ids: NDArray[np.int64]) -> None:
            x = rows.double(ids)
            self.offset[ids] = x @ centre - centre @ centre / 2
            x -= centre
            self.squares[ids] = np.einsum("nf,nf->n", x, x)
            low, high = x.min(axis=1), x.max(axis=1)
            self.step[ids], shift[ids] = (high - low) / (2 * _LARGEST), (high + low) / 2
            x -= shift[ids, None]
            x *= np.divide(1, self.step[ids], out=np.zeros(len(ids)), where=self.step[ids] > 0)[:, None]
            np.rint(x, out=x)
            total[ids] = x.sum(axis=1)
            self.codes[ids[0] : ids[-1] + 1] = torch.from_numpy(x)

        list(by_threads(code, list(blocks_of(size, width, block_bytes))))
        # (m_i + d_i q_i)(m_j + d_j q_j), summed over the columns, less d_i d_j q_i q_j.
        self.pairs = np.stack([shift, shift * width / 2 + self.step * total], axis=1)

    def __len__(self) -> int:
        return len(self.codes)


class CodedProducts:
    """Inner products of coded rows, each multiplied by a factor of its own, tile by tile.

    Args:
        rows: the rows.
        factor: float64 ``[C]``.
        centred: of the rows less their centre.
    """

    def __init__(self, rows: Codes, factor: NDArray[np.float64], *, centred: bool) -> None:
        left, right = rows.pairs, rows.pairs[:, ::-1]
        if not centred:
            ones = np.ones(len(rows))
            left, right = np.column_stack([left, rows.offset, ones]), np.column_stack([right, ones, rows.offset])
        self._by, self._left, self._right = (
            torch.from_numpy(part * factor[:, None]).float() for part in (rows.step[:, None], left, right)
        )

    def into(
        self,
        out: Float[Tensor, "R C"],
        z: Int[Tensor, "R F"],
        rows: slice,
        y: Int[Tensor, "C F"],
        columns: slice,
        integers: Int[Tensor, " S"],
    ) -> Float[Tensor, "R C"]:
        """Products of the ``rows``, whose codes are ``z``, with the ``columns``, whose codes are ``y``, into ``out``.

        ``integers`` is memory for as many int32 numbers as ``out`` has entries.
        """
        coded = integers[: out.numel()].view(out.shape)
        torch._int_mm(z, y.T, out=coded)
        torch.mul(coded, self._by[rows], out=out).mul_(self._by[columns].T)
        return out.addmm_(self._left[rows], self._right[columns].T)


@cache
def codes_multiply() -> bool:
    """Whether torch multiplies 8-bit integers as they are on this CPU.

    It may have no such product, and some kernels add pairs of products up in 16 bits, which are too few: a product
    tells.
    """
    codes = _probe()
    try:
        found = torch._int_mm(codes, codes.T)
    except (AttributeError, RuntimeError):
        return False
    return torch.equal(found.double(), codes.double() @ codes.double().T)


@cache
def codes_pay() -> bool:
    """Whether torch multiplies 8-bit integers at least ``_PAYS`` times as fast as NumPy multiplies float32 numbers."""
    codes = _probe()
    rows, out = codes.float(), torch.empty(len(codes), len(codes))
    coded, single = (lambda: torch._int_mm(codes, codes.T)), (lambda: product_into(rows, rows.flip(0), out))
    return codes_multiply() and _PAYS * shortest_seconds(coded) < shortest_seconds(single)


def codes_serve(space: Space, rows: Rows) -> bool:
    """Whether products of these rows, or of sums of them, are worth coding for.

    Cosines and inner products are, of wide rows that are many; errors are bounded as if they did not conspire.
    """
    possible = not (space.metric.centred or space.worst_case) and rows.width * _LARGEST**2 < 2**31  # of int32 sums
    possible &= float(space.scale.max(initial=0.0)) < _SCALE
    return possible and len(space.centres) > 0 and rows.width >= _WIDE and gram_work(rows) >= _WORK and codes_pay()


def gram_work(rows: Rows) -> float:
    """Multiply-adds of all products of rows, each of which serves both of its ends."""
    return len(rows.ties) ** 2 * rows.width / 2


def listed_by_codes(
    blocks: Callable[[Space], Blocks], space: Space, slack: Slack, count: int, work: float, *, more: float = 1.0
) -> int | None:
    """How many candidates to list, by a sample; None where codes leave more open than they save, or errors conspire.

    Args:
        blocks: scores by codes, of a space with some of the centres.
        space: the rows.
        slack: factors of the error bound.
        count: how many are wanted.
        work: multiply-adds of the products in float32.
        more: how many times as many candidates to list as the sample needs.
    """
    some = sample(space)
    needed, strain = trial(blocks(some), some, slack, count)
    needed *= more
    listed, beyond = int(np.quantile(needed, _NEARLY_ALL)), float(np.maximum(needed - count, 0).mean())
    left_open = beyond * len(space.centres) * space.width * _OPEN_COST
    if strain > _STRAIN or listed > _LISTED or left_open > work * (1 - 1 / CODED_SPEED):
        return None
    return max(with_room(count), listed)


def code_errors(step: NDArray[np.float64], length: NDArray[np.float64], *, shared: bool) -> NDArray[np.float64]:
    r"""Factors of a bound on what codes make of products: that of two rows is off by their product at the most.

    With errors of up to half a step, and if they do not conspire, a product is off by no more than
    :math:`\tfrac{\lambda}{2} \sqrt{\lVert \mathbf{z}_i \rVert^2 d_j^2 + \lVert \mathbf{z}_j \rVert^2 d_i^2}` but with
    a probability of :math:`2 e^{-\lambda^2/2}` (Hoeffding's inequality).

    Args:
        step: steps of the codes, float64 ``[C]``; of sums of rows the root of the squares' sum.
        length: norms of the centred rows, float64 ``[C]``.
        shared: whether two rows may have errors in common, as two sums of the same rows.
    """
    filled = length > 0
    # Of two rows' ratios both are raised to what most are below, so that the larger one alone counts.
    most = max(_LEAST, float(np.quantile(step[filled] / length[filled], MOST)) if filled.any() else 0.0)
    return np.maximum(step, most * length) * np.sqrt(DEVIATIONS / (most if shared else np.sqrt(2) * most))


def alike(p: NDArray[np.float64], q: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two factors of the same products, scaled to one mean.

    A sum of several such products is at most the product of the roots of the factors' summed squares (Cauchy and
    Schwarz), and not far from it where the factors are of one size.
    """
    ratio = float(np.sqrt(p.mean() / q.mean()))
    return p / ratio, q * ratio


def _centre(rows: Rows) -> NDArray[np.float64]:
    """The mean of some rows that are no longer than most."""
    usual = np.flatnonzero(rows.squares <= np.quantile(rows.squares, MOST))
    number = max(1, min(_SAMPLE, _SAMPLE_ENTRIES // rows.width))
    return np.asarray(rows.double(usual[:: -(-len(usual) // number)]).mean(axis=0))


def _probe() -> Int[Tensor, "N F"]:
    codes = torch.randint(-_LARGEST, _LARGEST + 1, _PROBE, generator=torch.Generator().manual_seed(0)).to(torch.int8)
    codes[0], codes[1] = _LARGEST, -_LARGEST
    return codes
