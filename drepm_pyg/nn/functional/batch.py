"""What a batch of user-item pairs repeats: distinct ids, and negatives that are known positives."""

import torch

from drepm_pyg._checks import check_edge_index, check_id_vectors, check_same_shape
from drepm_pyg._memo import memoize
from drepm_pyg.typing import Bool, Int, Tensor

__all__ = ["distinct_rows", "false_negative_mask", "first_occurrences"]


def first_occurrences(ids: Int[Tensor, " B"]) -> Int[Tensor, " n"]:
    """The row of the first occurrence of each distinct id, ascending: ``ids[first_occurrences(ids)]`` are distinct.

    Raises:
        TypeError: where ``ids`` is no tensor of integers.
        ValueError: where it is no vector.

    Example:
        >>> first_occurrences(torch.tensor([5, 3, 5, 3, 9]))
        tensor([0, 1, 4])
    """
    check_id_vectors(ids=ids)
    order, is_first = _runs(ids)
    return order[is_first].sort().values


def distinct_rows(ids: Int[Tensor, " B"]) -> tuple[Int[Tensor, " n"], Int[Tensor, " B"]]:
    """The first row of each distinct id, ascending by id, and for every row the place of its id among them.

    Example:
        >>> distinct_rows(torch.tensor([5, 3, 5, 3, 9]))
        (tensor([1, 0, 4]), tensor([1, 0, 1, 0, 2]))
    """
    order, is_first = _runs(ids)
    place = torch.empty_like(order)
    place[order] = is_first.cumsum(0) - 1
    return order[is_first], place


def _runs(ids: Tensor) -> tuple[Tensor, Tensor]:
    """The rows by id, then by row; and where among them an id begins."""
    ordered, order = ids.sort(stable=True)
    is_first = torch.ones_like(ordered, dtype=torch.bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    return order, is_first


def false_negative_mask(
    user: Int[Tensor, " B"], item: Int[Tensor, " B"], edge_index: Int[Tensor, "2 E"]
) -> Bool[Tensor, "B B"]:
    r"""True at (b, c) where :math:`(u_b, i_c)` is a training pair and b is not c: no negative, but a known positive.

    Where the batch's own pairs are training pairs, a further row with the same item is such a column, too. The pairs
    are sorted once per ``edge_index`` tensor; a call then touches the training pairs of the batch's users alone.

    Args:
        user: users of the batch's pairs, long ``[B]``.
        item: items of the batch's pairs, long ``[B]``.
        edge_index: training pairs (row 0 users, row 1 items).

    Raises:
        TypeError: where the ids are no tensors of integers.
        ValueError: where the shapes do not fit.

    Example:
        >>> false_negative_mask(torch.tensor([0, 1]), torch.tensor([7, 8]), torch.tensor([[0, 0, 1], [7, 8, 8]]))
        tensor([[False,  True],
                [False, False]])
    """
    check_edge_index(edge_index)
    check_id_vectors(user=user, item=item)
    check_same_shape(user=user, item=item)
    known_user, known_item = memoize("training pairs by user", lambda: _by_user(edge_index), edge_index)
    row, pair = _join(user, known_user)
    column_item, column = item.sort(stable=True)
    hit, place = _join(known_item[pair], column_item)
    mask = torch.zeros(len(user), len(item), dtype=torch.bool, device=user.device)
    mask[row[hit], column[place]] = True
    return mask.fill_diagonal_(False)


def _by_user(edge_index: Tensor) -> tuple[Tensor, Tensor]:
    user, order = edge_index[0].sort(stable=True)
    return user, edge_index[1][order]


def _join(keys: Tensor, ordered: Tensor) -> tuple[Tensor, Tensor]:
    """Every (a, b) with ``keys[a] == ordered[b]``, where ``ordered`` ascends."""
    start = torch.searchsorted(ordered, keys)
    count = torch.searchsorted(ordered, keys, right=True) - start
    left = torch.arange(len(keys), device=keys.device).repeat_interleave(count)
    right = torch.arange(len(left), device=keys.device) + (start - (count.cumsum(0) - count))[left]
    return left, right
