"""What a similarity graph is like, and how two of them compare, in numbers."""

import numpy as np
import torch
from scipy.sparse import coo_array, csgraph
from torch_geometric import EdgeIndex

from drepm_pyg._checks import check_at_least, check_edge_index, check_ids
from drepm_pyg.typing import Bool, Int, Tensor

__all__ = [
    "connected_components",
    "degree_histogram",
    "hubness",
    "jaccard",
    "mutual_share",
    "recall_at_k",
]


def degree_histogram(edge_index: Int[Tensor, "2 E"], num_nodes: int) -> Int[Tensor, " D"]:
    """How many nodes are the neighbour of no other node, of one, of two, ...

    The number of centres of a node as neighbour is its *k-occurrence* :math:`N_k`: its out-degree, as edges run from
    neighbour to centre. Self loops do not count.

    Args:
        edge_index: long ``[2, E]``, row 0 neighbours, row 1 centres.
        num_nodes: number of nodes N.

    Returns:
        long ``[D]``: entry d counts the nodes with :math:`N_k = d`; D - 1 is the largest there is.

    Example:
        >>> degree_histogram(torch.tensor([[0, 0, 1], [1, 2, 0]]), num_nodes=4)
        tensor([2, 1, 1])
    """
    return _occurrence(edge_index, num_nodes).bincount()


def hubness(edge_index: Int[Tensor, "2 E"], num_nodes: int) -> float:
    r"""The skewness of the k-occurrence: how unevenly being a neighbour is spread over the nodes.

    .. math:: S_{N_k} = \frac{\mathbb{E}[(N_k - \mu_{N_k})^3]}{\sigma_{N_k}^3}

    0 is symmetric; above about 1, a few hubs are neighbours of very many nodes, as happens in high dimensions.
    "Hubs in Space: Popular Nearest Neighbors in High-Dimensional Data", JMLR 11, 2010, Eq. 1,
    https://www.jmlr.org/papers/v11/radovanovic10a.html

    Args:
        edge_index: long ``[2, E]``, row 0 neighbours, row 1 centres. Self loops do not count.
        num_nodes: number of nodes N; those without edges have :math:`N_k = 0`.

    Returns:
        the skewness; 0 where all nodes have the same :math:`N_k`.

    Example:
        >>> star = torch.tensor([[0, 0, 0, 1], [1, 2, 3, 0]])  # N_k = 3, 1, 0, 0
        >>> round(hubness(star, num_nodes=4), 4)
        0.8165
    """
    deviation = _occurrence(edge_index, num_nodes).double()
    deviation = deviation - deviation.mean()
    variance = float(deviation.square().mean()) if num_nodes else 0.0
    return float(deviation.pow(3).mean()) / variance**1.5 if variance > 0 else 0.0


def mutual_share(edge_index: Int[Tensor, "2 E"]) -> float:
    """The share of the edges whose reverse is an edge, too; self loops do not count, NaN where nothing else is there.

    Args:
        edge_index: long ``[2, E]``.

    Example:
        >>> mutual_share(torch.tensor([[0, 1, 2], [1, 0, 0]]))  # 0 and 1 chose each other
        0.6666666666666666
    """
    edge_index = edge_index[:, _others(edge_index)]
    key, reverse = _keys(edge_index=edge_index, reverse=edge_index.flip(0))
    return _mean(torch.isin(reverse, key))


def connected_components(edge_index: Int[Tensor, "2 E"], num_nodes: int) -> int:
    """The number of connected components, directions ignored; a node without edges is one by itself.

    Args:
        edge_index: long ``[2, E]``.
        num_nodes: number of nodes N.

    Example:
        >>> connected_components(torch.tensor([[0, 1], [1, 2]]), num_nodes=5)
        3
    """
    _check(edge_index, num_nodes)
    source, target = edge_index.cpu().numpy()
    if not num_nodes:
        return 0
    graph = coo_array((np.ones(len(source), dtype=np.int8), (source, target)), (num_nodes, num_nodes)).tocsr()
    return csgraph.connected_components(graph, directed=False)[0]


def recall_at_k(approx: Int[Tensor, "2 E_approx"], exact: Int[Tensor, "2 E"]) -> float:
    r"""The share of a centre's exact neighbours that an approximate graph has, averaged over the centres.

    .. math:: \frac{1}{N} \sum_i \frac{|A_i \cap E_i|}{|E_i|}

    Args:
        approx: long ``[2, E_approx]``, row 0 neighbours, row 1 centres.
        exact: long ``[2, E]`` likewise; centres without an exact neighbour do not count.

    Returns:
        the mean, NaN where ``exact`` has no edge.

    Example:
        >>> recall_at_k(torch.tensor([[1, 3, 0], [0, 0, 1]]), torch.tensor([[1, 2, 0], [0, 0, 1]]))  # 1/2 and 1
        0.75
    """
    check_edge_index(exact, name="exact")
    key, wanted = (key.unique() for key in _keys(approx=approx, exact=exact))
    if not wanted.numel():
        return float("nan")
    found = torch.isin(wanted, key, assume_unique=True)
    _, centre, size = (wanted // _stride(approx, exact)).unique_consecutive(return_inverse=True, return_counts=True)
    return float((centre.bincount(found.double()) / size).mean())


def jaccard(graph_a: Int[Tensor, "2 A"], graph_b: Int[Tensor, "2 B"]) -> float:
    r"""How much of two graphs is the same: :math:`|A \cap B| / |A \cup B|` of their sets of directed edges.

    Args:
        graph_a: long ``[2, A]``; neither order nor duplicates matter.
        graph_b: long ``[2, B]``.

    Returns:
        1 for the same edges (also where both have none), 0 for none in common.

    Example:
        >>> jaccard(torch.tensor([[0, 1], [1, 2]]), torch.tensor([[1, 3], [2, 0]]))
        0.3333333333333333
    """
    a, b = (key.unique() for key in _keys(graph_a=graph_a, graph_b=graph_b))
    common = int(torch.isin(a, b, assume_unique=True).sum())
    union = len(a) + len(b) - common
    return common / union if union else 1.0


def _occurrence(edge_index: Tensor, num_nodes: int) -> Tensor:
    _check(edge_index, num_nodes)
    return edge_index[0, _others(edge_index)].bincount(minlength=num_nodes)


def _check(edge_index: Tensor, num_nodes: int) -> None:
    check_at_least(0, num_nodes=num_nodes)
    check_edge_index(edge_index)
    check_ids(num_nodes, what="nodes", edge_index=edge_index)


def _others(edge_index: Tensor) -> Bool[Tensor, " E"]:
    check_edge_index(edge_index)
    return edge_index[0] != edge_index[1]


def _keys(**graphs: Tensor) -> list[Int[Tensor, " E"]]:
    """A number for every edge, the same in all graphs."""
    for name, edge_index in graphs.items():
        check_edge_index(edge_index, name=name)
        if edge_index.numel() and edge_index.min() < 0:
            raise ValueError(
                f"'{name}' must hold ids of at least 0 (got {int(edge_index.min())}, FAISS' word for nothing found). "
                "Drop such edges."
            )
    stride = _stride(*graphs.values())
    # The rows of an EdgeIndex of one edge, or of none, count as numbers where PyG adds them up.
    plain = (edges.as_tensor() if isinstance(edges, EdgeIndex) else edges for edges in graphs.values())
    return [edges[1] * stride + edges[0] for edges in plain]


def _stride(*graphs: Tensor) -> int:
    """One more than the largest id."""
    return 1 + max((int(edge_index.max()) for edge_index in graphs if edge_index.numel()), default=0)


def _mean(hit: Tensor) -> float:
    return float(hit.double().mean())
