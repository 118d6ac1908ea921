"""DualGNN's graph of users who buy alike, in the data."""

from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from drepm_pyg.data.schema import node_count, training_pairs
from drepm_pyg.graph.cooccurrence import check_cooccurrence, user_cooccurrence_graph

__all__ = ["UserCooccurrenceGraph"]


class UserCooccurrenceGraph(BaseTransform):
    """Connect every user to the ``k`` others with whom it shares most training items: :func:`user_cooccurrence_graph`.

    Stores ``data['user', 'cooccurs', 'user']`` with ``edge_index`` (row 0 the neighbour, row 1 the centre) and
    ``edge_weight`` (what is shared, un-normalised).

    Args:
        k: neighbours a user at most.
        metric: 'count' or 'cosine'.
        shrink: takes confidence from pairs of users with few items; for the cosine.

    Example:
        >>> from drepm_pyg.data import SyntheticMultimodal
        >>> data = UserCooccurrenceGraph(k=5)(SyntheticMultimodal(num_users=50, num_items=40, seed=0)[0])
        >>> data["user", "cooccurs", "user"].edge_weight.min() >= 1
        tensor(True)
    """

    def __init__(self, k: int = 10, metric: str = "count", shrink: float = 0.0) -> None:
        check_cooccurrence(k, metric, shrink)
        self.k, self.metric, self.shrink = k, metric, shrink

    def forward(self, data: HeteroData) -> HeteroData:
        """Add the graph to (a shallow copy of) ``data``."""
        pairs = training_pairs(data, type(self).__name__)
        sizes = node_count(data, "user"), node_count(data, "item")
        store = data["user", "cooccurs", "user"]
        store.edge_index, store.edge_weight = user_cooccurrence_graph(
            pairs, *sizes, self.k, metric=self.metric, shrink=self.shrink
        )
        return data

    def __repr__(self) -> str:
        return f"{type(self).__name__}(k={self.k}, metric={self.metric!r}, shrink={self.shrink})"
