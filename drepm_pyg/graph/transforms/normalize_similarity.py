"""Similarity graphs normalised once, for layers that take weights as they are."""

from collections.abc import Sequence
from typing import Literal

from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from drepm_pyg._checks import check_choice
from drepm_pyg.data import similar
from drepm_pyg.data.schema import node_count, stored_graph
from drepm_pyg.graph.normalize import normalize_graph
from drepm_pyg.graph.transforms.arguments import NODES, check_modalities, check_nodes, shown
from drepm_pyg.graph.transforms.stored import stored_modalities

__all__ = ["NormalizeSimilarity"]


class NormalizeSimilarity(BaseTransform):
    r"""Replace the weights of the similarity graphs by normalised ones (DRepMRec, Eq. 5): :func:`normalize_graph`.

    For layers that use ``edge_weight`` as it is, and before :class:`MergeModalities`. The layers and models of this
    library normalise by themselves, which leaves a binary k-neighbour graph as it is, but not a weighted one: give
    them either the raw graphs, or ``KNNGraphConv(normalize=False)``.

    Args:
        mode: 'sym', 'row' or 'col', see :func:`normalize_graph`.
        modalities: whose graphs; default: all that are there.
        nodes: 'item', 'user' or both; a type of node without graphs is passed over.

    Raises:
        TypeError: if ``modalities`` is a string.
        ValueError: if there is no such graph, or degrees are negative.

    Example:
        >>> from drepm_pyg.graph import AddSimilarityGraphs
        >>> data = HeteroData()
        >>> data["item"].text = torch.eye(4)
        >>> data = AddSimilarityGraphs(k=2, nodes=("item",))(data)
        >>> NormalizeSimilarity()(data)["item", "similar_text", "item"].edge_weight.unique()
        tensor([0.5000])
    """

    def __init__(
        self,
        mode: Literal["sym", "row", "col"] = "sym",
        modalities: Sequence[str] | None = None,
        nodes: Sequence[str] = NODES,
    ) -> None:
        check_choice(("sym", "row", "col"), mode=mode)
        check_nodes(nodes)
        check_modalities(modalities)
        self.mode, self.modalities, self.nodes = mode, modalities, nodes

    def forward(self, data: HeteroData) -> HeteroData:
        """Normalise (a shallow copy of) ``data``; edges stay where they are."""
        for node, names in stored_modalities(data, self.nodes, self.modalities).items():
            num_nodes = node_count(data, node)
            for name in names:
                edge_index, edge_weight = stored_graph(data, node, name)
                _, normalized = normalize_graph(edge_index, edge_weight, num_nodes=num_nodes, mode=self.mode)
                data[similar(node, name)].edge_weight = normalized
        return data

    def __repr__(self) -> str:
        return shown(
            self,
            {"mode": self.mode, "modalities": self.modalities, "nodes": tuple(self.nodes)},
            {"modalities": None, "nodes": NODES},
        )
