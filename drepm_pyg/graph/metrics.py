r"""The three measures of similarity, each with its exact score of a pair and the rounding error of its fast form.

The fast form is one matrix product of prepared rows :math:`y`; its scores and the exact ones are on one scale, larger
is nearer. ``reach`` is a bound on :math:`\lVert y \rVert`, so that the error of a pair is at most
:math:`\gamma\, p(\text{reach}_i)\, q(\text{reach}_j)` with :math:`\gamma` of :func:`rounding`.
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from drepm_pyg.graph.inner import Inner, inner_products
from drepm_pyg.typing import Tensor

__all__ = ["METRICS", "MOST", "NARROW", "Metric", "exponents", "rounding"]

Array = NDArray[np.float64]

# Products below float32's smallest number vanish; rows are scaled to at most 1, so this much covers them.
_TINY = 2.0**-50
_LOST_IN_PRODUCT = 2.0**-400  # of a squared norm: the product of two is then near float64's smallest number

#: Of the rows: what holds for so many is not left to a few that are far away.
MOST = 0.9

#: Up to this width the worst case of :func:`rounding` is the smaller bound.
NARROW = 64


def rounding(width: int | NDArray[np.int32] | NDArray[np.int64], unit: float, *, worst_case: bool = False) -> Any:
    r"""Relative error of a sum of ``width`` products (a number, or many) with unit round-off ``unit``.

    The worst case grows as ``width``; rounding errors that do not conspire grow as its square root (Higham and Mary,
    2019, "A new approach to probabilistic rounding error analysis", Theorem 2.4, here with :math:`\lambda = 8`).
    """
    return unit * ((width if worst_case else np.minimum(width, 8 * np.sqrt(width))) + 8)


@runtime_checkable
class Metric(Protocol):
    """What a search asks of a measure of similarity."""

    centred: bool
    scale_free: bool  # rows may be scaled by powers of two, each by its own

    def pair(self, a: Array, b: Array) -> Array:
        """Exact score of row n of ``a`` with row n of ``b``, ``[P, F]`` each."""

    def sums(self, a: Any, b: Any, inner: Inner = inner_products) -> Array:
        """What :meth:`of_sums` makes a score of ``[S, P]``; sums over parts of the columns add up.

        Args:
            a: rows, of whatever kind ``inner`` takes.
            b: the row that each of them is compared with.
            inner: the inner product of row n with row n.
        """

    def vanished(self, sums: Array) -> bool:
        """Whether squares of short rows are lost from these sums; their rows are to be scaled one by one."""

    def of_sums(self, sums: Array) -> Array:
        """The exact score of each pair from its sums."""

    def of_products(self, inner: Array, left: Array, right: Array) -> Array:
        """The exact score of each pair from its inner product and its squared norms, where these are exact."""

    def own(self, squares: Array) -> Array:
        """Score of rows with themselves, from their squared norms."""

    def scale(self, squares: Array) -> Array:
        """What each row is multiplied with for the matrix product, from its squared norm."""

    def adjust(self, scores: Tensor, base: Tensor, centre: Tensor) -> None:
        """Make products ``[*, C, B]`` scores, in place.

        Args:
            scores: products of prepared rows with those of a block of centres.
            base: squared norms of all prepared rows ``[*, C]``.
            centre: squared norms of the block's ``[*, B]``.
        """

    def spread(self, reach: Array) -> tuple[Array, Array]:
        """The factors p and q of the error bound."""

    def weight(self, score: Array, exponent: int) -> Array:
        """The number users see for a score of rows that were scaled by ``2 ** -exponent``."""


class Cosine:
    """Cosine similarity; a zero row's is 0 with anything."""

    centred = False
    scale_free = True

    def pair(self, a: Array, b: Array) -> Array:
        sums = self.sums(a, b)
        return self.of_sums(self.sums(_level(a), _level(b)) if self.vanished(sums) else sums)

    def sums(self, a: Any, b: Any, inner: Inner = inner_products) -> Array:
        return np.stack([inner(a, b), inner(a, a), inner(b, b)])

    def vanished(self, sums: Array) -> bool:
        return bool(sums[1:].min() < _LOST_IN_PRODUCT)

    def of_sums(self, sums: Array) -> Array:
        return self.of_products(*sums)

    def of_products(self, inner: Array, left: Array, right: Array) -> Array:
        norms = left * right
        # The root comes last: for integer features the quotient is of exact numbers, so that equal cosines tie.
        square = np.divide(inner * inner, norms, out=np.zeros_like(inner), where=norms > 0)
        return np.copysign(np.sqrt(np.minimum(square, 1)), inner)

    def own(self, squares: Array) -> Array:
        return (squares > 0).astype(np.float64)

    def scale(self, squares: Array) -> Array:
        return np.divide(1, np.sqrt(squares), out=np.zeros_like(squares), where=squares > 0)

    def adjust(self, scores: Tensor, base: Tensor, centre: Tensor) -> None:
        pass

    def spread(self, reach: Array) -> tuple[Array, Array]:
        return reach, reach

    def weight(self, score: Array, exponent: int) -> Array:
        return score


class InnerProduct:
    """Inner product."""

    centred = False
    scale_free = False

    def pair(self, a: Array, b: Array) -> Array:
        return self.of_sums(self.sums(a, b))

    def sums(self, a: Any, b: Any, inner: Inner = inner_products) -> Array:
        return inner(a, b)[None]

    def vanished(self, sums: Array) -> bool:
        return False

    def of_sums(self, sums: Array) -> Array:
        return sums[0]

    def of_products(self, inner: Array, left: Array, right: Array) -> Array:
        return inner

    def own(self, squares: Array) -> Array:
        return squares

    def scale(self, squares: Array) -> Array:
        return np.ones_like(squares)

    def adjust(self, scores: Tensor, base: Tensor, centre: Tensor) -> None:
        pass

    def spread(self, reach: Array) -> tuple[Array, Array]:
        return reach + _TINY, reach + _TINY

    def weight(self, score: Array, exponent: int) -> Array:
        with np.errstate(over="ignore"):  # the caller is told of weights that are infinite
            return np.ldexp(score, 2 * exponent)


class Euclidean:
    """Euclidean distance; the score is minus its square, the weight the distance itself."""

    centred = True
    scale_free = False

    def pair(self, a: Array, b: Array) -> Array:
        return self.of_sums(self.sums(a, b))

    def sums(self, a: Any, b: Any, inner: Inner = inner_products) -> Array:
        return inner(a - b, a - b)[None]

    def vanished(self, sums: Array) -> bool:
        return False

    def of_sums(self, sums: Array) -> Array:
        return -sums[0]

    def of_products(self, inner: Array, left: Array, right: Array) -> Array:
        return 2 * inner - left - right

    def own(self, squares: Array) -> Array:
        return np.zeros_like(squares)

    def scale(self, squares: Array) -> Array:
        return np.ones_like(squares)

    def adjust(self, scores: Tensor, base: Tensor, centre: Tensor) -> None:
        scores.mul_(2).sub_(base[..., :, None]).sub_(centre[..., None, :])

    def spread(self, reach: Array) -> tuple[Array, Array]:
        # (a + b)^2 <= 2 (a^2 + s)(b^2 + s) / s for every s > 0. What most squares are below keeps both factors small,
        # also beside a few rows that are far away.
        scale = float(np.quantile(reach**2, MOST)) + _TINY**2
        return 2 * (reach**2 + scale) / scale, reach**2 + scale

    def weight(self, score: Array, exponent: int) -> Array:
        with np.errstate(over="ignore"):
            return np.ldexp(np.sqrt(np.maximum(-score, 0)), exponent)


def exponents(rows: Array) -> NDArray[np.int32]:
    """The exponent of each row's largest entry."""
    return np.frexp(np.abs(rows).max(axis=1))[1]


def _level(rows: Array) -> Array:
    """Every row scaled by a power of two to a largest entry of about 1: the squares of short rows would vanish."""
    return np.ldexp(rows, -exponents(rows)[:, None])


METRICS: dict[str, Metric] = {"cosine": Cosine(), "ip": InnerProduct(), "l2": Euclidean()}
