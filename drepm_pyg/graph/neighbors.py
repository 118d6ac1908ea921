"""From ranked classes of identical rows to the edges between nodes."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg.graph.search import Ranking
from drepm_pyg.graph.ties import Ties
from drepm_pyg.typing import Int, Tensor

__all__ = ["Neighbors", "check_k", "choose"]


@dataclass(frozen=True)
class Neighbors:
    """The ``k`` neighbours of every node that has a row, best first.

    Attributes:
        nodes: the centres ``[N]``, ascending.
        index: their neighbours' ids ``[N, K]``.
        score: the scores ``[N, K]``.
    """

    nodes: NDArray[np.int64]
    index: NDArray[np.int64]
    score: NDArray[np.float64]

    def edge_index(self) -> Int[Tensor, "2 E"]:
        """Row 0 the neighbour (source), row 1 the centre (target)."""
        centre = np.repeat(self.nodes, self.index.shape[1])
        return torch.from_numpy(np.stack([self.index.ravel(), centre]))


def check_k(k: int, num_nodes: int, *, loop: bool, what: str) -> None:
    """There must be ``k`` neighbours to choose from."""
    limit = num_nodes if loop else num_nodes - 1
    if k > limit:
        others = what if loop else f"other {what}"
        raise ValueError(
            f"'k' must be at most the number of {others}, {max(0, limit)} (got k={k} for {num_nodes} {what} with "
            f"features{'' if loop else ', loop=False'}). Lower 'k', or leave this modality out."
        )


def choose(ranking: Ranking, ties: Ties, own: NDArray[np.float64], k: int, *, loop: bool) -> Neighbors:
    """Each node's ``k`` nearest nodes: ties by smaller id, the node itself always among them or never.

    Args:
        ranking: the best ``k + 1`` classes of every class (all, where there are fewer), itself among the candidates.
        ties: the nodes of each class.
        own: the score of a class with itself.
        k: how many neighbours.
        loop: whether a node is its own neighbour.
    """
    index, score = _expand(ranking, ties, min(k + 1, len(ties.nodes)))
    index, score = index[ties.class_of], score[ties.class_of]
    itself = index == ties.nodes[:, None]
    if not loop:
        # A stable sort moves the node itself, where it is listed, behind all others.
        order = np.argsort(itself, axis=1, kind="stable")[:, :k]
        index, score = np.take_along_axis(index, order, axis=1), np.take_along_axis(score, order, axis=1)
    else:
        index, score = index[:, :k], score[:, :k]
        left_out = ~itself[:, :k].any(axis=1)
        index[left_out, -1], score[left_out, -1] = ties.nodes[left_out], own[ties.class_of[left_out]]
    return Neighbors(ties.nodes, index, score)


def _expand(ranking: Ranking, ties: Ties, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The best ``count`` nodes of every class, from its best classes."""
    if len(ties) == len(ties.nodes):
        return ties.first[ranking.index], ranking.score
    # No more than `count` members of one class can be among the best `count`.
    size = np.minimum(ties.size, count)[ranking.index].ravel()
    centre = np.repeat(np.arange(len(ties)), ranking.index.shape[1])
    member = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    node = ties.members[np.repeat(ties.start[ranking.index].ravel(), size) + member]
    centre, score = np.repeat(centre, size), np.repeat(ranking.score.ravel(), size)
    order = np.lexsort((node, -score, centre))
    centre, node, score = centre[order], node[order], score[order]
    kept = np.arange(len(centre)) - np.searchsorted(centre, centre) < count
    return node[kept].reshape(len(ties), count), score[kept].reshape(len(ties), count)
