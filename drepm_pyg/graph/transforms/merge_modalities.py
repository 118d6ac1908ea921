"""One graph from those of several modalities, in the data."""

from collections.abc import Mapping, Sequence

from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from drepm_pyg._checks import check_text
from drepm_pyg.data import similar
from drepm_pyg.data.schema import check_modality_name, stored_graph
from drepm_pyg.graph.merge import check_merge_weights, merge_graphs
from drepm_pyg.graph.transforms.arguments import NODES, check_nodes, shown
from drepm_pyg.graph.transforms.stored import stored_modalities

__all__ = ["MergeModalities"]


class MergeModalities(BaseTransform):
    r"""Add the weighted sum of the modalities' graphs as a graph of its own: :func:`merge_graphs`.

    FREEDOM (Eq. 2) and LATTICE (Eq. 8) sum *normalised* graphs: put :class:`NormalizeSimilarity` before, and let the
    layer take the weights as they are, ``KNNGraphConv(normalize=False)``. The sum is stored as
    ``data['item', 'similar_<name>', 'item']``, and so for users. The modalities' own graphs stay; models that take all
    graphs by default are told which ones with ``modalities=[...]``.

    Args:
        weights: :math:`\alpha_m` by modality, each at least 0; a modality of weight 0 adds no edges.
        name: what the sum is called.
        nodes: 'item', 'user' or both; a type of node without any of these graphs is passed over.

    Raises:
        ValueError: if the graph of a modality is not there, or ``name`` is one of the modalities.

    Example:
        >>> import torch_geometric.transforms as T
        >>> from drepm_pyg.data import SyntheticMultimodal
        >>> from drepm_pyg.graph import AddSimilarityGraphs, NormalizeSimilarity
        >>> graphs = [AddSimilarityGraphs(k=10, loop=True), NormalizeSimilarity()]
        >>> merge = T.Compose([*graphs, MergeModalities({"image": 0.1, "text": 0.9})])
        >>> data = merge(SyntheticMultimodal(num_users=50, num_items=40, seed=0)[0])
        >>> round(float(data["item", "similar_merged", "item"].edge_weight.sum()), 3)
        40.0
    """

    def __init__(self, weights: Mapping[str, float], name: str = "merged", nodes: Sequence[str] = NODES) -> None:
        check_merge_weights(weights)
        check_nodes(nodes)
        check_text(name=name)
        check_modality_name(name)
        if name in weights:
            raise ValueError(f"'name' must differ from the modalities in 'weights' (got {name!r}).")
        self.weights, self.name, self.nodes = dict(weights), name, nodes

    def forward(self, data: HeteroData) -> HeteroData:
        """Add the sums to (a shallow copy of) ``data``."""
        for node, names in stored_modalities(data, self.nodes, self.weights).items():
            graphs = {modality: stored_graph(data, node, modality) for modality in names}
            store = data[similar(node, self.name)]
            store.edge_index, store.edge_weight = merge_graphs(graphs, self.weights)
        return data

    def __repr__(self) -> str:
        arguments = {"weights": self.weights, "name": self.name, "nodes": tuple(self.nodes)}
        return shown(self, arguments, {"nodes": NODES})
