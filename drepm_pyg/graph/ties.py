"""Byte-identical rows as one class: exact ties are then equal by construction, and no duplicate is searched twice."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ties"]


@dataclass(frozen=True)
class Ties:
    """The nodes that take part in a search, in classes of identical rows; class ids follow the smallest node of each.

    Attributes:
        num_nodes: how many nodes there are, those without a row included.
        nodes: ids of the nodes that have a row, ascending.
        class_of: the class of each of ``nodes``.
        members: ``nodes`` grouped by class, ascending in each.
        start: where each class begins in ``members`` (one more entry than classes).
    """

    num_nodes: int
    nodes: NDArray[np.int64]
    class_of: NDArray[np.int64]
    members: NDArray[np.int64]
    start: NDArray[np.int64]

    @classmethod
    def group(cls, num_nodes: int, nodes: NDArray[np.int64], label: NDArray[np.int64]) -> "Ties":
        """Nodes of one label are one class."""
        _, first, place, size = np.unique(label, return_index=True, return_inverse=True, return_counts=True)
        order = np.argsort(first)
        class_of = np.argsort(order)[place]
        start = np.concatenate([[0], np.cumsum(size[order])])
        return cls(num_nodes, nodes, class_of, nodes[np.argsort(class_of, kind="stable")], start)

    def __len__(self) -> int:
        return len(self.start) - 1

    def among(self, nodes: NDArray[np.int64]) -> "Ties":
        """The same classes with those of their members that are in ``nodes``; some may have none."""
        chosen = np.zeros(self.num_nodes, dtype=bool)
        chosen[nodes] = True
        kept = chosen[self.members]
        start = np.concatenate([[0], np.cumsum(kept)])[self.start]
        return Ties(self.num_nodes, self.nodes, self.class_of, self.members[kept], start)

    def classes(self, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """The class of each of some nodes that have a row."""
        return self.class_of[np.searchsorted(self.nodes, nodes)]

    @property
    def first(self) -> NDArray[np.int64]:
        """The smallest node of each class (each has one, unless :meth:`among` took it)."""
        return self.members[self.start[:-1]]

    @property
    def size(self) -> NDArray[np.int64]:
        """The number of nodes of each class."""
        return np.diff(self.start)

    @property
    def class_of_node(self) -> NDArray[np.int64]:
        """The class of every node id, -1 for a node without a row."""
        table = np.full(self.num_nodes, -1, dtype=np.int64)
        table[self.nodes] = self.class_of
        return table
