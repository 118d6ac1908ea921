"""The k best items of every user, by blocks: the matrix of all scores is never held."""

from collections.abc import Iterator
from typing import NamedTuple

import torch

from drepm_pyg._checks import check_at_least, check_pairs, check_same_dtype, check_tensors
from drepm_pyg.evaluation.coarse import coarse_products
from drepm_pyg.evaluation.scoring import Products, Score, products
from drepm_pyg.evaluation.selection import largest
from drepm_pyg.typing import Float, Int, Real, Tensor

__all__ = ["Exclusion", "TopK", "best_of", "check_k", "rank_blocks", "topk"]

#: Bytes of a block of scores, which stay in cache while they are selected from (measured).
_BLOCK_BYTES = 12 << 20
_SELDOM = 1 / 4  # of a block's users: where coarse scores leave out more, they are given up for the blocks that follow


class TopK(NamedTuple):
    """The best items of each user, best first, in the order of :func:`torch.topk`.

    Shapes:
        scores: float ``[U, k]``; ids: long ``[U, k]``. A user with fewer candidates has -inf and -1 at the end.
    """

    scores: Tensor
    ids: Tensor


class Exclusion:
    """Pairs (row, item) that no ranking shows, sorted once so that those of a row are a slice.

    Args:
        pairs: long ``[2, E]``, row 0 rows of the user table, row 1 items.
        num_rows: number of rows.
    """

    def __init__(self, pairs: Int[Tensor, "2 E"], num_rows: int) -> None:
        row, order = pairs[0].sort()
        self.item = pairs[1][order]
        self.count = torch.bincount(row, minlength=num_rows)
        self.start = self.count.cumsum(0) - self.count

    def of(self, rows: Int[Tensor, " B"]) -> tuple[Int[Tensor, " E"], Int[Tensor, " E"]]:
        """The pairs of these rows, one row after the other: its place among them, and the item."""
        count = self.count[rows]
        place = torch.arange(len(rows), device=rows.device).repeat_interleave(count)
        shift = self.start[rows] - (count.cumsum(0) - count)
        return place, self.item[torch.arange(len(place), device=rows.device) + shift[place]]


def topk(
    user: Real[Tensor, "U D"],
    item: Real[Tensor, "I D"],
    k: int,
    *,
    exclude: Int[Tensor, "2 E"] | None = None,
    batch_size: int | None = None,
) -> TopK:
    r"""The ``k`` items with the largest :math:`\hat{y}_{ui} = e_u \cdot e_i` for every row of ``user`` (Eq. 16).

    Equal scores are ordered by the smaller id. Users are scored in blocks, so that the peak memory does not depend on
    U times I.

    Args:
        user: float or integer ``[U, D]``.
        item: float or integer ``[I, D]``.
        k: items per user, at most I.
        exclude: long ``[2, E]`` pairs (row of ``user``, item) to leave out.
        batch_size: users per block; None: chosen by size.

    Returns:
        scores and ids, ``[U, k]`` each; a user with fewer than ``k`` candidates has -inf and -1 at the end.

    Raises:
        ValueError: where shapes do not fit, ids are out of range, ``k`` is larger than I, or a table is not finite.

    Example:
        >>> topk(torch.eye(2), torch.tensor([[1.0, 0.0], [2.0, 1.0]]), 1).ids
        tensor([[1],
                [1]])
    """
    check_tensors(user=user, item=item)
    check_same_dtype(user=user, item=item)
    score = products(user, item)
    check_k(k, len(item))
    excluded = None
    if exclude is not None:
        check_pairs(exclude, len(user), len(item), name="exclude")
        excluded = Exclusion(exclude, len(user))
    rows = torch.arange(len(user), device=user.device)
    return best_of(score, rows, len(item), k, excluded, batch_size)


def best_of(
    score: Score,
    rows: Int[Tensor, " U"],
    num_items: int,
    k: int,
    exclude: Exclusion | None,
    batch_size: int | None = None,
) -> TopK:
    """:func:`topk` of what was checked before: the blocks of :func:`rank_blocks` as one."""
    blocks = [best for _, best in rank_blocks(score, rows, num_items, k, exclude, batch_size)]
    return TopK(torch.cat([best.scores for best in blocks]), torch.cat([best.ids for best in blocks]))


def check_k(k: int, num_items: int, *, name: str = "k") -> None:
    """``k``, the argument ``name`` or one of it, must be between 1 and the number of items."""
    check_at_least(1, **{name: k})
    if k > num_items:
        raise ValueError(f"'{name}' must be at most the number of items (got {k} for {num_items} items). Lower it.")


def rank_blocks(
    score: Score,
    rows: Int[Tensor, " U"],
    num_items: int,
    k: int,
    exclude: Exclusion | None,
    batch_size: int | None = None,
) -> Iterator[tuple[Tensor, TopK]]:
    """Yield blocks of ``rows`` with their best items; what ``score(rows)`` gives, ``[B, I]``, is not changed."""
    k = int(k)  # NumPy's narrow integers overflow
    coarse, exact = coarse_products(score, len(rows), k), _Exact(score)
    if batch_size is None:
        batch_size = max(16, _BLOCK_BYTES // ((4 if coarse is None else 2) * num_items))
    check_at_least(1, batch_size=batch_size)
    batch_size = int(batch_size)  # and torch splits by none of them
    blocks = rows.split(batch_size)
    place, item = (rows[:0], rows[:0]) if exclude is None else exclude.of(rows)
    bounds = torch.searchsorted(place, torch.arange(len(blocks) + 1, device=rows.device) * batch_size).tolist()
    for number, block in enumerate(blocks):
        hidden = slice(bounds[number], bounds[number + 1])
        pairs = place[hidden] - number * batch_size, item[hidden]
        if coarse is None:
            values, ids = exact.best(block, *pairs, k)
        else:
            values, ids, some = coarse.best(block, *pairs, k)
            if len(some):
                values[some], ids[some] = exact.best(block[some], *_among(some, len(block), *pairs), k)
            coarse = coarse if len(some) <= _SELDOM * len(block) else None
        yield block, TopK(values, ids.masked_fill(values == -torch.inf, -1))


class _Exact:
    """The best items by all scores of a user."""

    def __init__(self, score: Score) -> None:
        self._score = score
        self._used: Tensor | None = None

    def best(
        self, rows: Int[Tensor, " B"], place: Int[Tensor, " E"], item: Int[Tensor, " E"], k: int
    ) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"]]:
        """The ``k`` best of each row but for hidden pairs (place among the rows, item)."""
        if isinstance(self._score, Products):
            scores = self._used = self._score.block(rows, self._used)
        else:
            scores = self._score(rows)
            scores = scores.clone() if len(place) else scores
        if len(place):
            scores[place, item] = -torch.inf
        return largest(scores, k)


def _among(
    some: Int[Tensor, " S"], count: int, place: Int[Tensor, " E"], item: Int[Tensor, " E"]
) -> tuple[Int[Tensor, " E2"], Int[Tensor, " E2"]]:
    """Of pairs (place among ``count`` rows, item) those of some rows, by the place among these."""
    new = place.new_full((count,), -1)
    new[some] = torch.arange(len(some), device=some.device)
    kept = new[place] >= 0
    return new[place[kept]], item[kept]
