"""The exact half of a search: settle in float64 what a shortlist leaves open."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drepm_pyg.graph.blocks import slices
from drepm_pyg.graph.exact_scores import ExactScores
from drepm_pyg.graph.near_scores import NearScores
from drepm_pyg.graph.shortlist import Shortlist, largest_share
from drepm_pyg.graph.space import Space

__all__ = ["Ranking", "best_first", "overlap", "rank"]

_WAITING_BYTES, _SCORED_BYTES = 25, 80  # of a candidate that waits, and of one that is scored again
_GROUP = 16  # entries of a row of which the largest stands for all
_OPEN, _NEARER = 3, 8  # open pairs a row, and times smaller an error, from which on nearer scores pay (measured)
_SCORES = 3 << 20  # float64 scores at a time: tables of so many lie in memory that is used again


@dataclass
class Ranking:
    """The best ``T`` base rows of every centre, best first, ties by their order there; a centre may be one.

    Attributes:
        index: ids of the rows ``[C, T]``.
        score: their scores ``[C, T]``.
        rescored: how many pairs were scored again in float64.
        searched_again: how many rows were compared with all others in float64, as their shortlist could not decide.
        strain: the largest error of a score, of those scored again, as a share of the bound on it.
    """

    index: NDArray[np.int64]
    score: NDArray[np.float64]
    rescored: int = 0
    searched_again: int = 0
    strain: float = 0.0


def rank(space: Space, lists: Iterable[Shortlist], count: int, *, score_all: bool, budget: int) -> Ranking:
    """The ``count`` best of every centre, as float64 scores pair by pair would order them.

    A shortlist decides a centre if nothing left out can reach its ``count``-th best; then only candidates whose error
    intervals overlap are scored again. The other centres are compared with all base rows in float64, and what that
    leaves open again by pairs.

    Args:
        space: the rows.
        lists: candidates for every centre.
        count: how many to keep (all, where there are fewer rows).
        score_all: score every kept pair in float64, also where its place is clear.
        budget: bytes that candidates, or a block of float64 scores, may take.
    """
    count = min(count, len(space.base))
    shape = (len(space.centres), count)
    result = Ranking(np.empty(shape, np.int64), np.empty(shape))
    if not len(space.centres):
        return result
    undecided = np.zeros(len(space.centres), dtype=bool)
    waiting: _Waiting | None = None
    for part in lists:
        if waiting is not None and waiting.full(part):
            waiting.settle(space, result)
            waiting = None  # its arrays go before others come
        if waiting is None:
            waiting = _Waiting(part, len(space.centres), count, score_all=score_all, budget=budget)
        floor = part.floor(count)
        undecided[part.block] = part.ceiling >= floor
        keep, again = (
            chosen & ~undecided[part.block, None] for chosen in _open(part.score, part.slack, floor, score_all)
        )
        waiting.add(part, keep, again)
    if waiting is not None:
        waiting.settle(space, result)
    _search_again(space, np.flatnonzero(undecided), result, budget)
    return result


class _Waiting:
    """Candidates of successive centres that wait to be settled at once: the fewer the calls, the more pairs share a
    row.

    They lie in arrays made for all of them: small pieces that stay, amid large ones that go, would keep the allocator
    from using these again.
    """

    def __init__(self, first: Shortlist, num_centres: int, count: int, *, score_all: bool, budget: int) -> None:
        rows, width = first.index.shape
        capacity = max(budget // (_WAITING_BYTES * max(1, width)), rows)
        size = min(capacity, num_centres - first.block.start) * width
        self._index, self._again = np.empty(size, np.int64), np.empty(size, dtype=bool)
        self._score, self._slack = np.empty(size), np.empty(size)
        self._parts: list[tuple[slice, slice]] = []  # the centres, and where their candidates lie
        self._count, self._score_all, self._end, self._left = count, score_all, 0, budget

    def full(self, part: Shortlist) -> bool:
        """Whether there is no room for the candidates of a block."""
        return self._left <= 0 or self._end + part.index.size > len(self._index)

    def add(self, part: Shortlist, keep: NDArray[np.bool_], again: NDArray[np.bool_]) -> None:
        """Take in the candidates ``keep`` of a block, of which ``again`` are to be scored again."""
        # The best stand first, so that behind the last one that is kept many are not.
        width = max(self._count, int(np.flatnonzero(keep.any(axis=0)).max(initial=-1)) + 1)
        place = slice(self._end, self._end + len(keep) * width)
        score = np.where(keep, part.score, -np.inf)
        tables = (self._index, part.index), (self._score, score), (self._slack, part.slack), (self._again, again)
        for table, values in tables:
            table[place].reshape(len(keep), width)[:] = values[:, :width]
        self._parts.append((part.block, place))
        self._end = place.stop
        self._left -= _WAITING_BYTES * len(keep) * width + _SCORED_BYTES * int(again.sum())

    def settle(self, space: Space, result: Ranking) -> None:
        """Score what is open, and order all."""
        self._decide_nearer(space, result)
        again, left, right = self._pairs(space)
        exact = space.score(left, right)
        self._tell(exact, again, result)
        result.rescored += len(exact)
        self._score[again] = exact
        for block, place in self._parts:
            index, score = self._rows(block, place, self._index, self._score)
            order = best_first(index, score, self._count)
            result.index[block] = space.base[np.take_along_axis(index, order, axis=1)]
            result.score[block] = np.take_along_axis(score, order, axis=1)

    def _decide_nearer(self, space: Space, result: Ranking) -> None:
        """Decide by nearer scores what these can: where much is open, and by far."""
        if np.count_nonzero(self._again[: self._end]) < _OPEN * len(space):
            return
        near = NearScores(space)
        if not near.serve:
            return
        again, left, right = self._pairs(space)
        errors, slack = near.errors(left, right), self._slack[again]
        nearer = errors < slack
        if errors[nearer].sum() * _NEARER >= slack[nearer].sum():
            return
        again, left, right = (part[nearer] for part in (again, left, right))
        score = near.of(left, right)
        self._tell(score, again, result)
        self._score[again], self._slack[again] = score, errors[nearer]
        for block, place in self._parts:
            score, slack, again = self._rows(block, place, self._score, self._slack, self._again)
            keep, open_ = _open(score, slack, _reached(score - slack, self._count), self._score_all)
            score[~keep] = -np.inf
            again[:] = open_

    def _pairs(self, space: Space) -> tuple[NDArray[np.int64], ...]:
        """Where the candidates are that are to be scored again, their centres, and they themselves."""
        again, centres = np.flatnonzero(self._again[: self._end]), [np.empty(0, np.int64)]
        for block, place in self._parts:
            (chosen,) = self._rows(block, place, self._again)
            centres.append(np.repeat(space.centres[block], chosen.sum(axis=1)))
        return again, np.concatenate(centres), space.base[self._index[again]]

    def _tell(self, score: NDArray[np.float64], again: NDArray[np.int64], result: Ranking) -> None:
        """How far off scores were."""
        result.strain = max(result.strain, largest_share(score - self._score[again], self._slack[again]))

    @staticmethod
    def _rows(block: slice, place: slice, *tables: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """A block's part of flat tables, by centre."""
        return (table[place].reshape(block.stop - block.start, -1) for table in tables)


def best_first(index: NDArray[np.int64], score: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The places of each row's ``count`` best candidates ``[N, count]``, equal ones by the smaller id."""
    order = np.argsort(-score, axis=1)
    best = np.take_along_axis(score, order[:, : count + 1], axis=1)
    # Ties are few: to sort all by two keys takes several times as long.
    tied = ((best[:, 1:] == best[:, :-1]) & (best[:, 1:] > -np.inf)).any(axis=1)
    order[tied] = np.lexsort((index[tied], -score[tied]), axis=1)
    return order[:, :count]


def _open(
    score: NDArray[np.float64], slack: NDArray[np.float64], floor: NDArray[np.float64], score_all: bool
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which candidates may be among the best, and which of them are to be scored again."""
    lower, upper = score - slack, score + slack
    keep = (upper >= floor[:, None]) & (score > -np.inf)
    return keep, keep if score_all else keep & overlap(lower, upper)


def overlap(lower: NDArray[np.float64], upper: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which intervals of a row touch another one of it, directly or through others."""
    order = np.argsort(-upper, axis=1, kind="stable")
    reached = np.minimum.accumulate(np.take_along_axis(lower, order, axis=1), axis=1)[:, :-1]
    clear = np.ones((len(lower), lower.shape[1] + 1), dtype=bool)
    clear[:, 1:-1] = np.take_along_axis(upper, order, axis=1)[:, 1:] < reached
    out = np.empty_like(lower, dtype=bool)
    np.put_along_axis(out, order, ~(clear[:, :-1] & clear[:, 1:]), axis=1)
    return out


def _search_again(space: Space, places: NDArray[np.int64], result: Ranking, budget: int) -> None:
    if not len(places):
        return
    count, exact = result.index.shape[1], ExactScores(space, budget // 2)
    # A block's scores, their slack and, where everything ties, the coordinates and scores of every pair.
    step = max(1, min(budget // (128 * len(space.base) + 16 * space.width), _SCORES // len(space.base)))
    for part in (places[block] for block in slices(0, len(places), step)):
        centres = space.centres[part]
        scores, slack = exact.of(centres)
        floor = _reached(scores - slack, count)[:, None]
        near = scores + slack >= floor
        # Of those that are known to tie there, the first alone may be among the best.
        tied = (slack == 0) & (scores == floor)
        near &= ~tied | (tied.cumsum(axis=1, dtype=np.int32) <= count)
        row, column = np.nonzero(near)
        score, open_ = scores[row, column], slack[row, column] > 0
        score[open_] = space.score(centres[row[open_]], space.base[column[open_]])
        order = np.lexsort((column, -score, row))
        row, column, score = row[order], column[order], score[order]
        place = np.arange(len(row)) - np.searchsorted(row, row)
        kept = place < count
        result.index[part[row[kept]], place[kept]] = space.base[column[kept]]
        result.score[part[row[kept]], place[kept]] = score[kept]
        result.rescored += int(open_.sum())
    result.searched_again += len(places)


def _reached(lower: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """What ``count`` entries of each row reach, or a little less: by maxima, as to select among all takes longest."""
    width = lower.shape[1] // _GROUP
    if width >= 2 * count:
        whole = lower[:, : width * _GROUP].reshape(len(lower), _GROUP, width)
        lower = np.concatenate([whole.max(axis=1), lower[:, width * _GROUP :]], axis=1)
    return -np.partition(-lower, count - 1, axis=1)[:, count - 1]
