"""The k largest of each row, equal ones by the smaller column: torch.topk leaves their order open."""

import torch

from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["largest"]


def largest(scores: Float[Tensor, "B I"], k: int) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"]]:
    """Values and columns of the ``k`` largest entries of each row, largest first, equal ones by the smaller column.

    Args:
        scores: without NaN.
        k: between 1 and the number of columns.
    """
    # One more than asked for: a tie that crosses the border shows in the last two values.
    values, ids = _unordered_ties(scores, min(k + 1, scores.size(1)))
    tied = (values[:, 1:] == values[:, :-1]).any(dim=1).nonzero().flatten()
    values, ids = values[:, :k], ids[:, :k]
    if len(tied):
        values[tied], ids[tied] = _settle(scores[tied], values[tied, -1:], k)
    return values, ids


def _unordered_ties(scores: Float[Tensor, "B I"], k: int) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"]]:
    """``scores.topk(k)`` in two steps: the k largest lie in the k groups of columns with the largest maxima.

    With g groups of s entries, two selections of g and k s entries replace one of g s; s = sqrt(I / k) is the best.
    """
    rows, columns = scores.shape
    size = int((columns / k) ** 0.5)
    if size < 4:  # nothing to win
        return scores.topk(k, dim=1)
    groups = columns // size
    whole = groups * size
    # Group j holds the columns j, j + g, j + 2g, ...: maxima are taken over whole rows of memory.
    grouped = scores[:, :whole].view(rows, size, groups)
    group = grouped.amax(dim=1).topk(k, dim=1, sorted=False).indices
    entries = grouped.gather(2, group.unsqueeze(1).expand(-1, size, -1)).flatten(1)
    # The few columns beyond the groups are candidates, too.
    values, place = torch.cat([entries, scores[:, whole:]], dim=1).topk(k, dim=1)
    ids = place.div(k, rounding_mode="floor") * groups + group.gather(1, place % k)
    return values, torch.where(place < k * size, ids, place - k * size + whole)


def _settle(
    scores: Float[Tensor, "B I"], last: Float[Tensor, "B 1"], k: int
) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"]]:
    """All that is above the k-th value ``last``, and of what equals it the smallest columns."""
    above, equal = scores > last, scores == last
    chosen = above | (equal & (equal.cumsum(dim=1, dtype=torch.int32) <= k - above.sum(dim=1, keepdim=True)))
    ids = chosen.nonzero()[:, 1].view(-1, k)
    values, order = scores.gather(1, ids).sort(dim=1, descending=True, stable=True)
    return values, ids.gather(1, order)
