"""Shortlists from a k-d tree: of rows of few columns it looks at a small part."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg.graph.blocks import slices
from drepm_pyg.graph.shortlist import Shortlist, with_room
from drepm_pyg.graph.space import Space

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

__all__ = ["tree_pays", "tree_shortlists"]

_COLUMNS = 10  # of more of them a tree looks at most rows: measured, on two cores
_CENTRES, _BASE = 64, 256  # for fewer it is not worth building
_UNIT = 2.0**-51  # more than float64's round-off: distances are summed in another order than products
_WIDEST = 256  # candidates, at the most, where distances tie
_ENTRY = 64  # bytes a candidate takes


def tree_pays(space: Space, device: torch.device, budget: int) -> bool:
    """Whether a tree is the fastest exact way: for distances, or cosines, between many rows of few columns.

    It holds all base rows: it has to fit in ``budget`` bytes.
    """
    measured = space.metric.centred or space.metric.scale_free  # an inner product is no distance
    few = space.width <= _COLUMNS and device.type == "cpu"
    fits = 8 * len(space.base) * (2 * space.width + 4) <= budget  # float64 rows twice, and what the tree is made of
    return measured and few and fits and len(space.centres) >= _CENTRES and len(space.base) >= _BASE


def tree_shortlists(space: Space, count: int, budget: int) -> Iterator[Shortlist]:
    r"""The ``count`` base rows nearest to every centre and some more, many where they are equally far, within
    ``budget`` bytes.

    Unit rows are in the order of their cosines, as :math:`\cos(a, b) = 1 - \lVert a - b \rVert^2 / 2`.
    """
    from scipy.spatial import cKDTree

    p, q = space.slack(space.norms, _UNIT)
    p, q = p[space.centres], q[space.base]
    tree = cKDTree(_points(space, space.base))
    listed, step = min(with_room(count), len(space.base)), max(1, budget // (_ENTRY * _WIDEST))
    for block in slices(0, len(space.centres), step):
        points = _points(space, space.centres[block])
        distance, index = _nearest(tree, points, listed)
        # One step wider for all, as of a lattice every row is undecided.
        while block.start == 0 and listed < min(_WIDEST, len(space.base)) and _tied(distance, count):
            listed = min(4 * listed, _WIDEST, len(space.base))
            distance, index = _nearest(tree, points, listed)
        score = _scores(space, distance, space.base[index], space.centres[block, None])
        error = p[block, None] * q[index]
        bound = score[:, -1] + p[block] * q.max()
        ceiling = bound if listed < len(space.base) else np.full(len(score), -np.inf)
        yield Shortlist(block, index, score, error, ceiling)


def _points(space: Space, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Prepared rows; with a column that puts rows without a direction at right angles to all others."""
    rows = space.prepared(ids)
    return rows if space.metric.centred else np.column_stack([rows, space.own[ids] == 0])


def _scores(
    space: Space, distance: NDArray[np.float64], base: NDArray[np.int64], centre: NDArray[np.int64]
) -> NDArray[np.float64]:
    squares = distance**2
    if space.metric.centred:
        return -squares
    without = (space.own[base] == 0) | (space.own[centre] == 0)  # a direction: 0, whose bound is no error
    return np.where(without, 0, 1 - squares / 2)


def _nearest(tree: "cKDTree", points: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    distance, index = tree.query(points, k=np.arange(1, count + 1), workers=torch.get_num_threads())
    return np.asarray(distance), np.asarray(index, dtype=np.int64)


def _tied(distance: NDArray[np.float64], count: int) -> bool:
    """Whether for many points the last candidate is as near as the last of ``count``, which has to be told from it."""
    return bool(np.mean(distance[:, -1] <= distance[:, count - 1] * (1 + 1e-9)) > 0.1)
