"""The fast half of a search: for each row a few likely neighbours, with a bound on every score that was left out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg._arrays import transposed
from drepm_pyg.graph.space import Space
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["Shortlist", "largest", "shortlists", "with_room"]

_CHUNK = 16  # rows per chunk of `largest`: measured; of larger ones too much is gathered, of smaller ones selected


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
    index: NDArray[np.int64]
    score: NDArray[np.float64]
    slack: NDArray[np.float64]
    ceiling: NDArray[np.float64]


def with_room(count: int) -> int:
    """How many to list where ``count`` are wanted.

    Room for near ties: a shortlist that is too short costs a comparison with all rows in float64.
    """
    return count + max(8, count // 2)


def shortlists(
    blocks: Iterable[tuple[slice, Float[Tensor, "C B"]]],
    space: Space,
    slack: tuple[NDArray[np.float64], NDArray[np.float64]],
    count: int,
) -> Iterator[Shortlist]:
    """The ``count`` base rows of largest upper bound (or score, where bounds are alike), from blocks of products.

    Args:
        blocks: products of the prepared base rows with those of a block of centres, overwritten.
        space: the rows.
        slack: factors of the error bound (:meth:`Space.slack`).
        count: how many to list.
    """
    p, q = slack[0][space.centres], slack[1][space.base]
    count = min(count, len(space.base))
    squares = torch.from_numpy(space.norms[space.base] ** 2).float()
    own = torch.from_numpy(space.norms[space.centres] ** 2).float()
    spread = torch.from_numpy(q).float()
    # Errors of one size move no score past another by much: then scores are listed, without a pass to add them.
    widest = float(q.max(initial=0.0))
    even = widest <= 4 * float(q.min(initial=np.inf))
    for block, scores in blocks:
        squares, own, spread = (part.to(scores.device) for part in (squares, own, spread))
        space.metric.adjust(scores, squares, own[block])
        if not even:
            scores.addcmul_(spread[:, None], torch.from_numpy(p[block]).float().to(scores.device))
        found, index = (part.cpu().numpy() for part in largest(scores, count))
        found = found.astype(np.float64)
        error = p[block, None] * q[index]
        last = found[:, -1] + (widest * p[block] if even else 0.0)
        ceiling = last if count < len(space.base) else np.full(len(found), -np.inf)
        yield Shortlist(block, index, found if even else found - error, error, ceiling)


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
