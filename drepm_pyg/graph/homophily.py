"""Whether similar nodes behave alike: the share of similarity edges that interactions confirm."""

import numpy as np
import torch
from scipy.sparse import csr_array
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_at_least, check_choice, check_edge_index, check_ids
from drepm_pyg.data import similar
from drepm_pyg.data.schema import graph_modalities, node_count, training_pairs
from drepm_pyg.typing import Bool, Int, Tensor

__all__ = ["edge_homophily", "shares_a_neighbour"]

_BLOCK_ENTRIES = 1 << 22  # pairs whose rows are compared at once: some hundred MB at most


def edge_homophily(data: HeteroData, modality: str | None = None, node: str = "item") -> float:
    r"""The share of a similarity graph's edges whose ends share a training user (items) or a training item (users).

    .. math:: h = \frac{|\{(j, i) \in \mathcal{E} : j \ne i,\; \mathcal{U}_j \cap \mathcal{U}_i \ne \emptyset\}|}
        {|\{(j, i) \in \mathcal{E} : j \ne i\}|}

    The edge homophily of "Beyond Homophily in Graph Neural Networks", NeurIPS 2020, Definition 1,
    https://arxiv.org/abs/2006.11468, with "bought by the same user" in the place of "of the same class". Compare it
    with the same graph under permuted ids: that is what popularity alone explains.

    Args:
        data: HeteroData in the schema, with the graph and the training pairs; held-out pairs play no part.
        modality: whose graph; default: the only one there is.
        node: 'item' or 'user'.

    Returns:
        a share, NaN where the graph has no edge but self loops.

    Raises:
        ValueError: if graph or training pairs are not there, or ``modality`` is not named where there are several.

    Example:
        >>> data = HeteroData({"user": {"num_nodes": 2}, "item": {"num_nodes": 3}})
        >>> data["user", "interacts", "item"].edge_index = torch.tensor([[0, 0, 1], [0, 1, 2]])
        >>> data["item", "similar_text", "item"].edge_index = torch.tensor([[1, 2], [0, 0]])
        >>> edge_homophily(data, "text")  # user 0 took items 0 and 1, nobody took 0 and 2
        0.5
    """
    pairs = training_pairs(data, "edge_homophily")
    check_choice(("item", "user"), node=node)
    present = graph_modalities(data, node)
    if modality is None and len(present) == 1:
        modality = present[0]
    if modality not in present:
        raise ValueError(f"'modality' must name a '{node}' graph of the data, one of {present} (got {modality!r}).")
    edge_index = data[similar(node, modality)].edge_index
    shared = shares_a_neighbour(edge_index, pairs.flip(0) if node == "item" else pairs, node_count(data, node))
    return float(shared[edge_index[0] != edge_index[1]].double().mean())


def shares_a_neighbour(edge_index: Int[Tensor, "2 E"], pairs: Int[Tensor, "2 P"], num_nodes: int) -> Bool[Tensor, " E"]:
    """Which edges join two nodes that are paired with a common partner.

    Args:
        edge_index: long ``[2, E]`` over the nodes.
        pairs: long ``[2, P]``, row 0 the nodes, row 1 their partners, such as items and who bought them.
        num_nodes: number of nodes N.
    """
    check_at_least(0, num_nodes=num_nodes)
    for name, edges in (("edge_index", edge_index), ("pairs", pairs[:1])):
        check_ids(num_nodes, what="nodes", **{name: edges})
    check_edge_index(edge_index)
    check_edge_index(pairs, name="pairs")
    node, partner = pairs.cpu().numpy()
    num_partners = int(partner.max()) + 1 if len(partner) else 0
    incidence = csr_array((np.ones(len(node), np.float32), (node, partner)), shape=(num_nodes, num_partners))
    source, target = edge_index.cpu().numpy()
    shared = np.zeros(len(source), dtype=bool)
    # Edges whose rows together hold so many entries go in one block, however popular some nodes are.
    entries = np.cumsum(np.diff(incidence.indptr)[source] + np.diff(incidence.indptr)[target] + 1)
    bounds = np.searchsorted(entries, np.arange(_BLOCK_ENTRIES, entries[-1] if len(entries) else 0, _BLOCK_ENTRIES))
    for block in np.split(np.arange(len(source)), bounds):
        shared[block] = incidence[source[block]].multiply(incidence[target[block]]).sum(axis=1) > 0
    return torch.from_numpy(shared).to(edge_index.device)
