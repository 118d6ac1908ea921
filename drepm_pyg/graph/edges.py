"""Edges with their scores, and what may be done with them after a search: cut off, keep what is mutual, mirror."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg.graph.neighbors import Neighbors
from drepm_pyg.typing import Int, Tensor

__all__ = ["SYMMETRIC", "Edges"]

SYMMETRIC = ("none", "union", "intersection")


@dataclass(frozen=True)
class Edges:
    """Scored edges, grouped by centre ascending, best neighbour first, ties by smaller id.

    Attributes:
        centre: the targets ``[E]``.
        neighbour: the sources ``[E]``.
        score: larger is nearer ``[E]``.
    """

    centre: NDArray[np.int64]
    neighbour: NDArray[np.int64]
    score: NDArray[np.float64]

    @classmethod
    def of(cls, neighbors: Neighbors) -> "Edges":
        """The edges of ranked neighbours."""
        centre = np.repeat(neighbors.nodes, neighbors.index.shape[1])
        return cls(centre, neighbors.index.ravel(), neighbors.score.ravel())

    @classmethod
    def together(cls, parts: Sequence["Edges"]) -> "Edges":
        """Edges of disjoint sets of centres."""
        empty = cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
        parts = [empty, *parts]
        edges = cls(
            np.concatenate([part.centre for part in parts]),
            np.concatenate([part.neighbour for part in parts]),
            np.concatenate([part.score for part in parts]),
        )
        return edges._taken(np.argsort(edges.centre, kind="stable"))

    def edge_index(self) -> Int[Tensor, "2 E"]:
        """Row 0 the neighbour (source), row 1 the centre (target)."""
        return torch.from_numpy(np.stack([self.neighbour, self.centre]))

    def where(self, kept: NDArray[np.bool_]) -> "Edges":
        """The edges for which ``kept`` is True."""
        return self._taken(np.flatnonzero(kept))

    def symmetric(self, how: str) -> "Edges":
        """With the reverse of every edge ('union'), or without the edges that lack theirs ('intersection').

        A reverse has the score of its edge: every metric here is symmetric.
        """
        if how == "none" or not len(self.centre):
            return self
        size = int(max(self.centre.max(), self.neighbour.max())) + 1
        key, reverse = self.centre * size + self.neighbour, self.neighbour * size + self.centre
        present = np.isin(reverse, key)
        if how == "intersection":
            return self._taken(np.flatnonzero(present))
        new = ~present
        centre = np.concatenate([self.centre, self.neighbour[new]])
        neighbour = np.concatenate([self.neighbour, self.centre[new]])
        score = np.concatenate([self.score, self.score[new]])
        return Edges(centre, neighbour, score)._taken(np.lexsort((neighbour, -score, centre)))

    def _taken(self, kept: NDArray[np.int64]) -> "Edges":
        return Edges(self.centre[kept], self.neighbour[kept], self.score[kept])
