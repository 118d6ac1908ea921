"""The k largest of each row, equal ones by the smaller column: torch.topk leaves their order open.

Every entry is compared with a threshold, and only those that reach it are selected from. Columns are dealt out to
groups like cards; each of the k groups with the largest maxima has an entry that reaches the smallest of these maxima:
as a threshold it leaves at least k entries, and of a row in no particular order few more.
"""

import numpy as np
import torch

from drepm_pyg.typing import Bool, Float, Int, Real, Tensor

__all__ = ["LANES", "best", "candidates", "group_maxima", "is_short", "largest"]

_GROUPS = 2.5  # per entry asked for: of more, the k-th maximum takes longer than a lower threshold's entries (measured)
_DEPTH = 3  # entries of a group; of fewer, torch.topk of the whole row is as fast (measured)
_MANY = 4  # times k entries at the threshold or above, at most, or a lane; ties are what leaves more
_BYTES, _SHIFT = 8, 3  # comparisons, a byte each, that are looked at together as one integer; and the logarithm
#: Columns: maxima are taken side by side, of so many groups or of a multiple.
LANES = 64
_HALF, _LOW = 32, (1 << 32) - 1  # bits of half a sort key, a score above and its place below; and the lower half


def largest(scores: Float[Tensor, "B I"], k: int) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"]]:
    """Values and columns of the ``k`` largest entries of each row, largest first, equal ones by the smaller column.

    Args:
        scores: without NaN.
        k: at least 1, at most the number of columns.
    """
    if len(scores) == 0 or is_short(scores.size(1), k):
        return _of_whole_rows(scores, k)
    scores = scores.contiguous()
    position, count, crowded = candidates(scores, _threshold(scores, k), k)
    values, ids = best(scores.view(-1).index_select(0, position), position, count, scores.size(1), k)
    if len(crowded):
        values[crowded], ids[crowded] = _of_whole_rows(scores[crowded], k)
    return values, ids


def _groups_of(k: int) -> int:
    """How many groups tell what ``k`` entries reach."""
    return LANES * -(-int(_GROUPS * k) // LANES)


def is_short(columns: int, k: int) -> bool:
    """Whether rows of so many columns are selected from as they are."""
    return columns < _DEPTH * _groups_of(k)


def group_maxima(scores: Real[Tensor, "B I"], k: int) -> Real[Tensor, "B G"]:
    """The largest entry of each group of columns; ``k`` of these or more reach the ``k``-th largest of them."""
    groups = _groups_of(k)
    depth = scores.size(1) // groups
    return scores[:, : depth * groups].unflatten(1, (depth, groups)).amax(1)


def _threshold(scores: Float[Tensor, "B I"], k: int) -> Float[Tensor, " B"]:
    """What at least ``k`` entries of a row reach; infinite where ties would let many more do so."""
    maxima, more = group_maxima(scores, k), k + k // 2
    groups = maxima.size(1)
    if maxima.device.type == "cpu":  # NumPy sorts all in half of the time that torch takes to select, on two cores
        ordered = torch.from_numpy(np.sort(maxima.numpy(), axis=1))
        threshold, beyond = ordered[:, groups - k], ordered[:, groups - more - 1]
    else:
        ordered = maxima.topk(more + 1, dim=1).values
        threshold, beyond = ordered[:, k - 1], ordered[:, more]
    return threshold.masked_fill(threshold == beyond, torch.inf)


def candidates(
    scores: Real[Tensor, "B I"], threshold: Real[Tensor, " B"], k: int
) -> tuple[Int[Tensor, " T"], Int[Tensor, " B"], Int[Tensor, " C"]]:
    """The entries that reach the threshold.

    Returns:
        their places in the scores read row by row, how many each row has, and the crowded rows, to which the threshold
        leaves too few, or so many that it saves nothing: they have none.
    """
    rows, columns = scores.shape
    reaches = torch.empty(-(-scores.numel() // _BYTES), _BYTES, dtype=torch.bool, device=scores.device)
    reaches[-1:] = False
    _at_least(scores, threshold[:, None], reaches.view(-1)[: scores.numel()].view_as(scores))
    word = reaches.view(torch.int64).view(-1).nonzero().squeeze(1)
    byte = reaches.index_select(0, word).view(-1).nonzero().squeeze(1)
    position = (word << _SHIFT).index_select(0, byte >> _SHIFT).add_(byte & (_BYTES - 1))
    start = torch.searchsorted(position, torch.arange(rows + 1, device=scores.device) * columns)
    count = start.diff()
    is_crowded = (count < k) | (count > max(_MANY * k, LANES))
    crowded = is_crowded.nonzero().squeeze(1)
    if len(crowded):
        position = position[~is_crowded.repeat_interleave(count)]
        count = count.masked_fill(is_crowded, 0)
    return position, count, crowded


def _at_least(scores: Real[Tensor, "B I"], threshold: Real[Tensor, "B 1"], out: Bool[Tensor, "B I"]) -> None:
    if scores.device.type == "cpu":  # in a quarter of the time that torch takes on two cores
        np.greater_equal(scores.numpy(), threshold.numpy(), out=out.numpy())
    else:
        torch.ge(scores, threshold, out=out)


def best(
    value: Float[Tensor, " T"], position: Int[Tensor, " T"], count: Int[Tensor, " B"], columns: int, k: int
) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"]]:
    """:func:`largest` of the candidates alone; rows without any are to be filled in.

    Args:
        value: their scores.
        position: their places in scores of so many ``columns``, read row by row.
        count: how many each row has.
        columns: of a row.
        k: how many are wanted.
    """
    rows, width = len(count), max(k, int(count.max()))
    row = torch.arange(rows, device=value.device)
    place = torch.arange(len(position), device=value.device)
    place += (row * width - count.cumsum(0) + count).repeat_interleave(count)
    if value.device.type == "cpu" and value.dtype == torch.float32 and rows * columns <= _LOW:
        # NumPy sorts integers in a seventh of the time that torch takes, on two cores.
        keys = position.new_full((rows, width), torch.iinfo(torch.int32).max << _HALF)
        keys.view(-1).scatter_(0, place, (_turned(value) << _HALF) | position)
        keys.numpy().sort(axis=1)
        values, chosen = _turned_back(keys[:, :k] >> _HALF), keys[:, :k] & _LOW
    else:
        table = value.new_full((rows, width), -torch.inf)
        table.view(-1).scatter_(0, place, value)
        values, order = (part[:, :k] for part in table.sort(dim=1, descending=True, stable=True))
        chosen = position.new_zeros(rows * width).scatter_(0, place, position).view(rows, width).gather(1, order)
    return values, chosen - row[:, None] * columns


def _turned(value: Float[Tensor, " T"]) -> Int[Tensor, " T"]:
    """Integers of 32 bits in the opposite order of float32 values, as int64: equal for equal ones, zeros among them."""
    return (~_folded((value + 0.0).view(torch.int32))).long()


def _turned_back(number: Int[Tensor, "B K"]) -> Float[Tensor, "B K"]:
    """The values that such integers stand for."""
    return _folded(~number.int()).view(torch.float32)


def _folded(bits: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
    """Bits of float32 numbers as integers of their order, and back."""
    return bits ^ ((bits >> 31) & torch.iinfo(torch.int32).max)


def _of_whole_rows(scores: Float[Tensor, "B I"], k: int) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"]]:
    """:func:`largest` without a threshold."""
    # One more than asked for: a tie that crosses the border shows in the last two values.
    values, ids = scores.topk(min(k + 1, scores.size(1)), dim=1)
    tied = (values[:, 1:] == values[:, :-1]).any(dim=1).nonzero().flatten()
    values, ids = values[:, :k], ids[:, :k]
    if len(tied):
        values[tied], ids[tied] = _settle(scores[tied], values[tied, -1:], k)
    return values, ids


def _settle(
    scores: Float[Tensor, "B I"], last: Float[Tensor, "B 1"], k: int
) -> tuple[Float[Tensor, "B K"], Int[Tensor, "B K"]]:
    """All that is above the k-th value ``last``, and of what equals it the smallest columns."""
    above, equal = scores > last, scores == last
    chosen = above | (equal & (equal.cumsum(dim=1, dtype=torch.int32) <= k - above.sum(dim=1, keepdim=True)))
    ids = chosen.nonzero()[:, 1].view(-1, k)
    values, order = scores.gather(1, ids).sort(dim=1, descending=True, stable=True)
    return values, ids.gather(1, order)
