"""Rankings by bfloat16 products, where a CPU multiplies them faster: they tell which few items are to be scored."""

from functools import cache

import numpy as np
import torch
from torch.nn import functional as F

from drepm_pyg._arrays import csr_pattern, shortest_seconds
from drepm_pyg._device import on_the_cpu
from drepm_pyg.evaluation.scoring import Products, Score
from drepm_pyg.evaluation.selection import LANES, best, candidates, group_maxima, is_short
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["CoarseProducts", "bfloat16_multiplies", "bfloat16_pays", "coarse_products"]

_UNIT, _SINGLE = 2.0**-8, 2.0**-24  # round-off of bfloat16, and of float32, in which products are summed
_MODERATE = 20  # the largest entry of a table is between 2 to the power of minus this and of this
_VANISHED, _LOST = 2.0**-126, 2.0**-60  # smaller numbers are taken as 0; and what a norm may lose by that
_SHIFT = 16  # bits of a float32 number that a bfloat16 number lacks
_LARGEST = 2**15 - 1  # the bits of no score
_PROBE = (256, 64, 4096)  # users, columns and items of the products that tell
_PAYS = 1.5  # times as fast as float32, at the least
_WORTH = 1 << 25  # scores; of fewer, the probe takes what is saved (measured)


class CoarseProducts:
    r"""Inner products of two float32 tables in bfloat16, and in float32 of the pairs that these leave open.

    Of factors rounded to bfloat16, with sums in float32, a product is off by :math:`\delta_u = 2^{-7}
    \lVert \mathbf{e}_u \rVert \max_i \lVert \mathbf{e}_i \rVert` and what float32 rounds at the most, and is then
    rounded itself. Where k items reach :math:`\tau`, the k best are among those that reach
    :math:`(1 - 2^{-7}) \tau - 2 \delta_u`.

    Args:
        exact: the tables.
    """

    def __init__(self, exact: Products) -> None:
        width = exact.user.size(1)
        self._user, self._item = exact.user, F.pad(exact.item, (0, 0, 0, -len(exact.item) % LANES))
        self._rounded = self._user.bfloat16(), self._item.bfloat16().T
        user, item = (torch.linalg.vector_norm(x, dim=1).double() + _LOST for x in (exact.user, exact.item))
        relative = 2 * _UNIT + _UNIT**2 + 2 * width * _SINGLE  # those of the norms, too
        self._error = relative * item.max() * user + width * _VANISHED * 2.0**_MODERATE
        self._used: Tensor | None = None

    def best(
        self, rows: Int[Tensor, " B"], place: Int[Tensor, " E"], item: Int[Tensor, " E"], k: int
    ) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"], Int[Tensor, " L"]]:
        """The ``k`` best items of users, and which rows are left out: with too few of positive score, or too many.

        Args:
            rows: the users.
            place: of each pair that is hidden, which of the rows.
            item: and which item.
            k: how many.
        """
        columns = len(self._item)
        if self._used is None or len(self._used) < len(rows):
            self._used = self._user.new_empty(len(rows), columns, dtype=torch.bfloat16)
        user, items = self._rounded
        coarse = torch.mm(user.index_select(0, rows), items, out=self._used[: len(rows)])
        bits = coarse.view(torch.int16)  # in the order of the scores that are not negative, and others are below
        bits[place, item] = -1
        position, count, left_out = candidates(bits, self._threshold(bits, rows, k), k)
        return *best(self._scores(rows, position, count), position, count, columns, k), left_out

    def _threshold(self, bits: Int[Tensor, "B P"], rows: Int[Tensor, " B"], k: int) -> Int[Tensor, " B"]:
        """The bits of a score that all of the ``k`` best of a row reach.

        Where it is not above 0, which is the score of columns that only fill up a lane, or where an item of every group
        reaches it, they are the bits of no score: the row is left out.
        """
        ordered = np.sort(group_maxima(bits, k).numpy(), axis=1)
        reached, least = (torch.from_numpy(ordered[:, place].copy()) for place in (-k, 0))
        value = reached.clamp(min=0).view(torch.bfloat16).double()
        lowest = (1 - 2 * _UNIT) * value - 2 * self._error[rows]
        down = (lowest.float().view(torch.int32) >> _SHIFT).to(torch.int16)  # towards 0
        return down.masked_fill((down <= 0) | (down <= least), _LARGEST)

    def _scores(
        self, rows: Int[Tensor, " B"], position: Int[Tensor, " T"], count: Int[Tensor, " B"]
    ) -> Float[Tensor, " T"]:
        """Float32 scores of some pairs, each from its two rows alone."""
        columns = len(self._item)
        column = position - (torch.arange(len(rows), device=rows.device) * columns).repeat_interleave(count)
        pattern = csr_pattern(F.pad(count.cumsum(0), (1, 0)), column, (len(rows), columns))
        return torch.sparse.sampled_addmm(pattern, self._user.index_select(0, rows), self._item.T).values()


def coarse_products(score: Score, num_users: int, k: int) -> CoarseProducts | None:
    """Coarse products of the tables that are ranked by; None where they do not serve, or save nothing."""
    if not isinstance(score, Products) or score.user.dtype != torch.float32 or score.user.device.type != "cpu":
        return None
    num_items = len(score.item)
    if num_users * num_items < _WORTH or is_short(num_items, k) or not score.item.numel():
        return None
    largest = torch.stack([table.abs().max() for table in (score.user, score.item)])
    moderate = bool((torch.frexp(largest).exponent.abs() <= _MODERATE).all())
    return CoarseProducts(score) if moderate and bfloat16_pays() else None


@cache
def bfloat16_multiplies() -> bool:
    """Whether torch sums products of bfloat16 numbers in float32 on this CPU, and rounds the sums once."""
    user, item = _probe()
    exact = user.double() @ item.double().T
    bound = _UNIT * exact.abs() + user.size(1) * _SINGLE * (user.double().abs() @ item.double().abs().T)
    return bool(((user @ item.T).double() - exact).abs().le(bound).all())


@cache
def bfloat16_pays() -> bool:
    """Whether torch multiplies bfloat16 numbers at least ``_PAYS`` times as fast as float32 numbers on this CPU."""
    coarse, single = ([table.to(dtype) for table in _probe()] for dtype in (torch.bfloat16, torch.float32))
    products = (lambda: coarse[0] @ coarse[1].T), (lambda: single[0] @ single[1].T)
    return bfloat16_multiplies() and _PAYS * shortest_seconds(products[0]) < shortest_seconds(products[1])


@on_the_cpu
def _probe() -> list[Tensor]:
    users, columns, items = _PROBE
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(rows, columns, generator=generator).bfloat16() for rows in (users, items)]
