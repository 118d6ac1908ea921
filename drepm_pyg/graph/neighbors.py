"""From ranked classes of identical rows to neighbours of nodes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drepm_pyg.graph.blocks import slices
from drepm_pyg.graph.search import Ranking
from drepm_pyg.graph.ties import Ties

__all__ = ["Neighbors", "check_k", "choose", "nearest", "without_itself"]

_NODES = 4096  # at a time, as tables of all candidates take several times what the graph does


@dataclass(frozen=True)
class Neighbors:
    """The ``k`` neighbours of every node that was asked for, best first.

    Attributes:
        nodes: the centres ``[N]``, ascending.
        index: their neighbours' ids ``[N, K]``.
        score: the scores ``[N, K]``.
    """

    nodes: NDArray[np.int64]
    index: NDArray[np.int64]
    score: NDArray[np.float64]


def check_k(k: int, num_nodes: int, *, loop: bool, what: str) -> None:
    """There must be ``k`` neighbours to choose from."""
    limit = num_nodes if loop else num_nodes - 1
    if k > limit:
        others = what if loop else f"other {what}"
        raise ValueError(
            f"'k' must be at most the number of {others}, {max(0, limit)} (got k={k} for {num_nodes} {what} with "
            f"features{'' if loop else ', loop=False'}). Lower 'k'."
        )


def choose(
    ranking: Ranking,
    offered: Ties,
    nodes: NDArray[np.int64],
    place: NDArray[np.int64],
    own: NDArray[np.float64],
    k: int,
    *,
    loop: bool,
) -> Neighbors:
    """Each node's ``k`` nearest of the offered nodes: ties by smaller id, the node itself always among them or never.

    Args:
        ranking: the best ``k + 1`` classes of every centre (all, where there are fewer), its own among the candidates.
        offered: which nodes of each class may be neighbours.
        nodes: the nodes whose neighbours are sought, ascending.
        place: where the ranking has each one's class.
        own: the score of each of ``nodes`` with itself.
        k: how many neighbours.
        loop: whether a node is its own neighbour.
    """
    index, score = _expand(ranking, offered, min(k + 1, len(offered.members)))
    found = Neighbors(nodes, np.empty((len(nodes), k), np.int64), np.empty((len(nodes), k)))
    for block in slices(0, len(nodes), _NODES):
        near = index[place[block]], score[place[block]]
        part = nearest(*near, nodes[block], own[block], k, loop=loop)
        found.index[block], found.score[block] = part.index, part.score
    return found


def nearest(
    index: NDArray[np.int64],
    score: NDArray[np.float64],
    nodes: NDArray[np.int64],
    own: NDArray[np.float64],
    k: int,
    *,
    loop: bool,
) -> Neighbors:
    """The first ``k`` of ranked candidates, the node itself always among them or never.

    Args:
        index: the best ``k + 1`` candidates of every node or more (all, where there are fewer) ``[N, T]``, best first.
        score: their scores ``[N, T]``.
        nodes: the nodes ``[N]``.
        own: the score of each with itself ``[N]``.
        k: how many neighbours.
        loop: whether a node is its own neighbour.
    """
    if not loop:
        order = without_itself(index, nodes, k)
        index, score = np.take_along_axis(index, order, axis=1), np.take_along_axis(score, order, axis=1)
    else:
        index, score = index[:, :k], score[:, :k]
        left_out = ~(index == nodes[:, None]).any(axis=1)
        index[left_out, -1], score[left_out, -1] = nodes[left_out], own[left_out]
    return Neighbors(nodes, index, score)


def without_itself(index: NDArray[np.int64], centres: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The places of each centre's first ``count`` candidates ``[N, count]``, itself, where it is listed, behind all.

    Args:
        index: candidates of every centre ``[N, T]``.
        centres: the centres ``[N]``.
        count: how many.
    """
    # A stable sort leaves the others in their order.
    return np.argsort(index == centres[:, None], axis=1, kind="stable")[:, :count]


def _expand(ranking: Ranking, offered: Ties, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The best ``count`` nodes of every centre, from its best classes."""
    if (offered.size == 1).all():
        return offered.members[ranking.index], ranking.score
    several, listed = (offered.size[ranking.index] > 1).any(axis=1), ranking.index.shape[1]
    shape = (len(ranking.index), count)
    node, score = np.empty(shape, np.int64), np.empty(shape)
    node[~several, :listed] = offered.members[offered.start[ranking.index[~several]]]
    score[~several, :listed] = ranking.score[~several]
    node[several], score[several] = _members(ranking.index[several], ranking.score[several], offered, count)
    return node, score


def _members(
    index: NDArray[np.int64], score: NDArray[np.float64], offered: Ties, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The best ``count`` members of classes that may have several."""
    shape = (len(index), count)
    # No more than `count` members of one class can be among the best `count`.
    size = np.minimum(offered.size, count)[index].ravel()
    centre = np.repeat(np.arange(len(index)), index.shape[1])
    member = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    node = offered.members[np.repeat(offered.start[index].ravel(), size) + member]
    centre, score = np.repeat(centre, size), np.repeat(score.ravel(), size)
    order = np.lexsort((node, -score, centre))
    centre, node, score = centre[order], node[order], score[order]
    kept = np.arange(len(centre)) - np.searchsorted(centre, centre) < count
    return node[kept].reshape(shape), score[kept].reshape(shape)
