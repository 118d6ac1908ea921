"""The fast half of a search: for each row a few likely neighbours, with a bound on every score that was left out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from drepm_pyg._arrays import transposed
from drepm_pyg.graph.space import Slack, Space
from drepm_pyg.typing import Float, Int, Tensor

__all__ = [
    "Blocks",
    "Bounds",
    "Shortlist",
    "evenly",
    "largest",
    "largest_share",
    "sample",
    "shortlists",
    "trial",
    "with_room",
]

_SAMPLE, _CHECKED = 256, 16  # centres that tell how much is left open, and of a block those whose errors are looked at
_WIDER, _WIDENED = 8, 32  # times as many candidates, for so many centres at a time
_FEW = 1 / 8  # of a block's centres; where more are open, rows may tie, and longer lists leave them open, too
_CHUNK = 16  # rows per chunk of `largest`: measured; of larger ones too much is gathered, of smaller ones selected


#: Products of the prepared base rows with those of blocks of centres ``[C, B]``.
Blocks = Iterable[tuple[slice, Tensor]]


@dataclass(frozen=True)
class Shortlist:
    """Candidates of the centres ``block``; ``index`` -1 (score -inf) where there is none.

    Attributes:
        block: which of the centres, by place.
        index: candidates ``[B, T]``, by their place among the base rows.
        score: their approximate scores ``[B, T]``.
        slack: bound on the error of each ``[B, T]``.
        ceiling: no row left out has an exact score above this ``[B]``.
    """

    block: slice
    index: NDArray[np.integer]
    score: NDArray[np.float64]
    slack: NDArray[np.float64]
    ceiling: NDArray[np.float64]

    def floor(self, count: int) -> NDArray[np.float64]:
        """What the ``count`` best of each centre reach ``[B]``."""
        return -np.partition(self.slack - self.score, count - 1, axis=1)[:, count - 1]

    def undecided(self, count: int) -> NDArray[np.bool_]:
        """Whether a row left out may be among the ``count`` best ``[B]``."""
        return self.ceiling >= self.floor(count)


class Bounds:
    """Bounds on the errors of fast scores, by which candidates are listed.

    Args:
        space: the rows.
        slack: factors of the error bound (:meth:`Space.slack`).
    """

    def __init__(self, space: Space, slack: Slack) -> None:
        self._p, self._q = slack[0][space.centres], slack[1][space.base]
        self._by, self._spread = (torch.from_numpy(part).float() for part in (self._p, self._q))
        self._widest = float(self._q.max(initial=0.0))
        # Errors of one size move no score past another by much: then scores are listed, without a pass to add them.
        self._even = self._widest <= 4 * float(self._q.min(initial=np.inf))

    def add(self, scores: Float[Tensor, "C B"], block: slice, base: slice = slice(None)) -> None:
        """Raise scores of the ``base`` rows with the centres ``block`` to what they are listed by."""
        if not self._even:
            spread, by = self._spread[base].to(scores.device), self._by[block].to(scores.device)
            scores.addcmul_(spread[:, None], by)

    def shortlist(self, block: slice, found: Float[Tensor, "B T"], index: Int[Tensor, "B T"]) -> Shortlist:
        """What is listed for the centres ``block``, the best first; -inf is no score."""
        score, place = found.cpu().numpy().astype(np.float64), index.cpu().numpy()
        error = self._p[block, None] * self._q[place]
        last = score[:, -1] + (self._widest * self._p[block] if self._even else 0.0)
        ceiling = last if score.shape[1] < len(self._q) else np.full(len(score), -np.inf)
        return Shortlist(block, place, score if self._even else score - error, error, ceiling)


def with_room(count: int) -> int:
    """How many to list where ``count`` are wanted.

    Room for near ties: a shortlist that is too short costs a comparison with all rows in float64.
    """
    return count + max(8, count // 2)


def largest_share(error: NDArray[np.float64], slack: NDArray[np.float64]) -> float:
    """The largest share of its bound that an error takes; bounds of 0 are of rows without any."""
    share = np.divide(np.abs(error), slack, out=np.zeros_like(error), where=slack > 0)
    return float(share.max(initial=0))


def sample(space: Space) -> Space:
    """The same rows with some of the centres, evenly spaced."""
    return space.of(space.centres[:: -(-len(space.centres) // _SAMPLE)])


def evenly(space: Space, block: slice) -> slice:
    """The ids of a block of the centres, which must be all rows, or those of a :func:`sample` of all."""
    step = -(-len(space) // len(space.centres))
    return slice(step * block.start, min(step * block.stop, len(space)), step)


def trial(blocks: Blocks, space: Space, slack: Slack, count: int) -> tuple[NDArray[np.float64], float]:
    """What bounds leave open, and whether they hold, before all is searched by them.

    The arguments are those of :func:`shortlists`.

    Returns:
        how many candidates of each centre must be listed for the ``count`` best to be certain, and the largest share of
        its bound that the error of one of these takes.
    """
    (p, q), count = (slack[0][space.centres], slack[1][space.base]), min(count, len(space.base))
    room = torch.from_numpy(p * (q.mean() + q.max())).float()  # of the last one that is wanted, and of any other one
    needed, checked = [], []
    for block, scores in blocks:
        best, index = (part.numpy() for part in largest(scores, count))
        last = torch.from_numpy(best[:, -1]) - room[block]
        needed.append((scores >= last).sum(0).double().numpy())
        best, index, place = best[:_CHECKED], index[:_CHECKED], np.arange(block.start, block.stop)[:_CHECKED]
        checked.append((np.repeat(place, count), index.ravel(), best.ravel()))
    place, index, best = (np.concatenate(part) for part in zip(*checked, strict=True))
    left, right = space.centres[place], space.base[index]
    error = space.score(left, right) - best
    error[left == right] = 0  # its two ends have one error, which adds up
    return np.concatenate(needed), largest_share(error, p[place] * q[index])


def shortlists(
    blocks: Blocks,
    space: Space,
    slack: Slack,
    count: int,
    listed: int | None = None,
) -> Iterator[Shortlist]:
    """The base rows of largest upper bound (or score, where bounds are alike), from blocks of products.

    Args:
        blocks: products of the prepared base rows with those of a block of centres, overwritten.
        space: the rows.
        slack: factors of the error bound (:meth:`Space.slack`).
        count: how many are wanted.
        listed: how many to list, ``_WIDER`` times as many for a few centres where these leave open which are the
            best; default: with some room.
    """
    bounds, listed = Bounds(space, slack), with_room(count) if listed is None else listed
    count, listed, longest = (min(number, len(space.base)) for number in (count, listed, _WIDER * listed))
    squares = torch.from_numpy(space.norms[space.base] ** 2).float()
    own = torch.from_numpy(space.norms[space.centres] ** 2).float()
    for block, scores in blocks:
        squares, own = squares.to(scores.device), own.to(scores.device)
        space.metric.adjust(scores, squares, own[block])
        bounds.add(scores, block)
        found, index = largest(scores, listed)
        part = bounds.shortlist(block, found, index)
        open_ = np.flatnonzero(part.undecided(count))
        if listed < longest and 0 < len(open_) <= _FEW * scores.size(1):
            more = (0, longest - listed)
            found, index = F.pad(found, more, value=-inf), F.pad(index, more)
            for some in torch.from_numpy(open_).split(_WIDENED):
                found[some], index[some] = largest(scores[:, some], longest)
            part = bounds.shortlist(block, found, index)
        yield part


def largest(scores: Float[Tensor, "C B"], count: int) -> tuple[Float[Tensor, "B T"], Int[Tensor, "B T"]]:
    """Each column's ``count`` largest entries in descending order, and their rows.

    Exact: the largest entries of a column lie in the chunks of largest maximum, so one cheap maximum over chunks of
    rows leaves a selection among ``count`` chunks; ``torch.topk`` alone takes several times as long.
    """
    num_rows, num_columns = scores.shape
    whole = num_rows // _CHUNK
    if whole <= 2 * count:
        top = scores.T.contiguous().topk(count, dim=1)
        return top.values, top.indices
    chunks = scores[: whole * _CHUNK].view(whole, _CHUNK, num_columns)
    chosen = transposed(chunks.amax(1).unsqueeze(0))[0].topk(count, dim=1, sorted=False).indices
    column = torch.arange(num_columns, device=scores.device)
    inside = chunks.permute(2, 0, 1)[column[:, None], chosen].flatten(1)
    rest = torch.arange(whole * _CHUNK, num_rows, device=scores.device)
    row = (chosen[:, :, None] * _CHUNK + torch.arange(_CHUNK, device=scores.device)).flatten(1)
    top = torch.cat([inside, scores[whole * _CHUNK :].T], dim=1).topk(count, dim=1)
    return top.values, torch.cat([row, rest.expand(num_columns, -1)], dim=1).gather(1, top.indices)
