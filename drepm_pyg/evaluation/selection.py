"""The k largest of each row, equal ones by the smaller column: torch.topk leaves their order open.

A block of scores ``[B, I]`` lies in panels ``[S, B, G]``: panel s holds the columns s G to (s + 1) G, and what the last
one has too many is -inf. The entries at one place of all panels are a group, whose maximum is taken over whole panels.
"""

import torch
from torch.nn import functional as F

from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["in_panels", "largest", "num_panels"]

_SHARE = 0.6  # an entry of a chosen group is looked up and selected from, a maximum only selected from (measured)


def num_panels(columns: int, k: int) -> int:
    """The number S of panels with which :func:`largest` has least to do.

    With groups of S entries, two selections from I / S maxima and from k S entries replace one from I; were an entry of
    both as dear, S = sqrt(I / k) would be the best.
    """
    return max(1, int(_SHARE * (columns / k) ** 0.5))


def in_panels(scores: Float[Tensor, "B I"], count: int) -> Float[Tensor, "S B G"]:
    """A copy of the scores in ``count`` panels."""
    rows, columns = scores.shape
    width = -(-columns // count)
    return F.pad(scores, (0, count * width - columns), value=-torch.inf).view(rows, count, width).transpose(0, 1)


def largest(panels: Float[Tensor, "S B G"], k: int) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"]]:
    """Values and columns of the ``k`` largest entries of each row, largest first, equal ones by the smaller column.

    Args:
        panels: without NaN.
        k: at least 1, at most the number of columns and the width G of a panel.
    """
    # One more than asked for: a tie that crosses the border shows in the last two values.
    values, ids = _unordered_ties(panels, min(k + 1, panels.size(2)))
    tied = (values[:, 1:] == values[:, :-1]).any(dim=1).nonzero().flatten()
    values, ids = values[:, :k], ids[:, :k]
    if len(tied):
        rows = panels[:, tied].transpose(0, 1).flatten(1)
        values[tied], ids[tied] = _settle(rows, values[tied, -1:], k)
    return values, ids


def _unordered_ties(panels: Float[Tensor, "S B G"], k: int) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"]]:
    """In two steps: the k largest lie in the k groups with the largest maxima."""
    count, _, width = panels.shape
    if count == 1:
        return panels[0].topk(k, dim=1)
    group = panels.amax(dim=0).topk(k, dim=1, sorted=False).indices
    entries = panels.gather(2, group.expand(count, -1, -1)).transpose(0, 1).flatten(1)
    values, place = entries.topk(k, dim=1)
    return values, place.div(k, rounding_mode="floor") * width + group.gather(1, place % k)


def _settle(
    scores: Float[Tensor, "B I"], last: Float[Tensor, "B 1"], k: int
) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"]]:
    """All that is above the k-th value ``last``, and of what equals it the smallest columns."""
    above, equal = scores > last, scores == last
    chosen = above | (equal & (equal.cumsum(dim=1, dtype=torch.int32) <= k - above.sum(dim=1, keepdim=True)))
    ids = chosen.nonzero()[:, 1].view(-1, k)
    values, order = scores.gather(1, ids).sort(dim=1, descending=True, stable=True)
    return values, ids.gather(1, order)
