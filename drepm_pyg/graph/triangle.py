"""Shortlists of all rows among themselves, from half of their products: each serves both of its ends."""

from collections.abc import Iterator
from math import isqrt

import torch

from drepm_pyg._arrays import large_empty, transposed
from drepm_pyg.graph.blocks import slices
from drepm_pyg.graph.codes import codes_serve, gram_work, listed_by_codes
from drepm_pyg.graph.shortlist import Bounds, Shortlist, with_room
from drepm_pyg.graph.space import Slack, Space
from drepm_pyg.graph.tile_products import TILE, CodedTiles, SingleProducts, TileProducts
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["triangle_pays", "triangle_shortlists"]

_ROWS = 4096  # of fewer, thresholds leave out too few scores to pay for themselves (measured)
#: Candidates beyond which merging those of every tile takes longer than half of the products, and columns that make up
#: for one more (measured).
_LISTED, _COLUMNS = 128, 8
_LEAST = 128  # rows and columns of a tile where memory is short
_MORE = 1.5  # candidates than a sample needs: longer lists cost little
_LINE = 16  # scores that are looked at together: those of a cache line
_FEW = 1 / 4  # of the lines; where more may hold a candidate, the best of all scores are selected (measured)


def triangle_pays(space: Space, device: torch.device, count: int) -> bool:
    """Whether half of the products, tile by tile, is less work than all of them where ``count`` rows are listed."""
    listed = count <= _LISTED + space.width // _COLUMNS
    return device.type == "cpu" and space.whole and len(space) >= _ROWS and listed


def triangle_shortlists(space: Space, slack: Slack, count: int, budget: int) -> Iterator[Shortlist]:
    """The rows of largest upper bound (or score, where bounds are alike) for every row of a whole space.

    Args:
        space: the rows.
        slack: factors of the error bound (:meth:`Space.slack`).
        count: how many are wanted.
        budget: bytes that rows and tiles may take. Rows that take more than half of it are prepared anew for every
            shelf of others.
    """
    if len(space) * space.width <= budget // 2 and codes_serve(space, space.rows):
        products = CodedTiles(space, budget)
        coded = products.slack(slack)
        listed = listed_by_codes(products.blocks, space, coded, count, gram_work(space.rows), more=_MORE)
        if listed is not None:
            return _Tiles(space, coded, listed, budget, products).lists()
        del products
    return _Tiles(space, slack, with_room(count), budget, SingleProducts(space, budget)).lists()


class _Tiles:
    """The tiles on and below the diagonal, each looked at by its columns and by its rows, and the best of each row yet.

    Once a row has its first candidates, a score must exceed the last of them, and few lines of a tile hold such a one.
    """

    def __init__(self, space: Space, slack: Slack, count: int, budget: int, products: TileProducts) -> None:
        self.space, self.size, self.products = space, len(space), products
        self.bounds = Bounds(space, slack)
        self.squares = torch.from_numpy(space.norms**2).float()
        held, count = products.held, min(count, self.size)
        # A sixteenth of the budget for scores, as much for the same turned, or for rows that are not held.
        side = max(_LEAST, min(TILE, isqrt(budget // 64), self.size if held else budget // (64 * space.width)))
        number = -(-self.size // side)
        self.side = -(-self.size // (number * _LINE)) * _LINE  # of one size, with next to no padding
        most = budget // (64 * self.side * max(self.side, 0 if held else space.width))
        self.at_once = max(1, min(products.at_once, most))
        # Rows that are not held are read once a shelf.
        self.shelf = self.side * (1 if held else max(1, budget // (16 * space.width * self.side)))
        self.best = torch.full((-(-self.size // self.side) * self.side, count), -torch.inf)
        self.index = torch.zeros(self.best.shape, dtype=torch.int32)
        self.scores = large_empty(self.at_once * self.side, self.side)

    def lists(self) -> Iterator[Shortlist]:
        """A shelf of rows among themselves, then with all that come after it; those before it had it then."""
        for shelf in slices(0, self.size, self.shelf):
            yield from self._shelf_lists(shelf)

    def _shelf_lists(self, shelf: slice) -> Iterator[Shortlist]:
        """The rows of a shelf, which are let go before the next ones are read."""
        rows = self.products.read(shelf)
        inside = [(own, rows[own.start - shelf.start : own.stop - shelf.start]) for own in self._tiles(shelf)]
        for own, y in inside:
            self._multiply(own, own, y, y)
            for other in slices(own.stop, shelf.stop, self.at_once * self.side):
                self._multiply(own, other, y, rows[other.start - shelf.start : other.stop - shelf.start])
        for other in slices(shelf.stop, self.size, self.at_once * self.side):
            z = self.products.read(other)
            for own, y in inside:
                self._multiply(own, other, y, z)
        for own, _ in inside:
            yield self.bounds.shortlist(own, self.best[own], self.index[own])

    def _tiles(self, rows: slice) -> Iterator[slice]:
        return slices(rows.start, rows.stop, self.side)

    def _multiply(self, own: slice, other: slice, y: Tensor, z: Tensor) -> None:
        """Scores of the rows ``other`` with those of one tile, ``own``; both may choose."""
        stack = -(-len(z) // self.side)
        scores = self.scores[: stack * self.side]
        inside = scores[: len(z), : len(y)]
        if inside.shape != scores.shape:
            scores.fill_(-torch.inf)
        self.products.into(inside, z, other, y, own)
        self.space.metric.adjust(inside, self.squares[other], self.squares[own])
        self.bounds.add(inside, own, other)  # the same for both ends, as p and q are proportional
        tiles = scores.view(stack, self.side, self.side)
        turned = transposed(tiles)
        for place in range(stack):
            part = slice(place, place + 1)
            self._choose(own.start, other.start + place * self.side, turned[part], tiles[part])
        if own != other:
            self._choose(other.start, own.start, tiles, turned)

    def _choose(self, start: int, first: int, scores: Float[Tensor, "S C R"], turned: Float[Tensor, "S R C"]) -> None:
        """For the centres from ``start`` on, candidates among the rows from ``first`` on.

        Maxima are taken along the columns of ``turned``, many side by side; candidates lie together in ``scores``.
        """
        stack, columns, rows = scores.shape
        centres = slice(start, start + stack * columns)
        floor = self.best[centres, -1]
        maxima = turned.view(stack, -1, _LINE, columns).amax(2)
        above = (maxima > floor.view(stack, 1, columns)).mT.reshape(-1)
        line = above.nonzero().squeeze(1)
        if len(line) > _FEW * len(above):
            best = scores.view(-1, rows).topk(min(self.best.size(1), rows), dim=1)
            self._merge(centres, best.values, best.indices + first)
            return
        lines = rows // _LINE
        score, centre = scores.view(-1, _LINE).index_select(0, line), line // lines
        place = (score > floor[centre, None]).view(-1).nonzero().squeeze(1)
        if not len(place):
            return
        hit, lane = place // _LINE, place % _LINE
        centre, row = centre[hit], first + line[hit] % lines * _LINE + lane
        number = torch.bincount(centre, minlength=len(floor))
        rank = torch.arange(len(centre)) - (number.cumsum(0) - number)[centre]  # of a centre's finds
        found = torch.full((len(floor), int(number.max())), -torch.inf)
        index = torch.zeros(found.shape, dtype=torch.int32)
        found[centre, rank], index[centre, rank] = score.view(-1)[place], row.int()
        self._merge(centres, found, index)

    def _merge(self, centres: slice, found: Float[Tensor, "C T"], index: Int[Tensor, "C T"]) -> None:
        best, place = torch.cat([self.best[centres], found], dim=1).topk(self.best.size(1), dim=1)
        self.best[centres] = best
        self.index[centres] = torch.cat([self.index[centres], index.int()], dim=1).gather(1, place)
