"""The weighted sum of several graphs over the same nodes (FREEDOM, Eq. 2; LATTICE, Eq. 8)."""

from collections.abc import Mapping

import torch
from torch_geometric import EdgeIndex
from torch_geometric.utils import coalesce

from drepm_pyg._checks import check_edge_index, check_edge_weight, check_finite, check_node_ids, check_non_negative
from drepm_pyg.typing import Float, Int, OptTensor, Tensor

__all__ = ["check_merge_weights", "merge_graphs"]


def merge_graphs(
    graphs: Mapping[str, Int[Tensor, "2 E"] | tuple[Int[Tensor, "2 E"], OptTensor]], weights: Mapping[str, float]
) -> tuple[Int[Tensor, "2 E_sum"], Float[Tensor, " E_sum"]]:
    r"""Sum the modalities' graphs, each with its weight; an edge that several of them have becomes one.

    .. math:: S = \sum_m \alpha_m S_m

    "A Tale of Two Graphs: Freezing and Denoising Graph Structures for Multimodal Recommendation", Eq. 2,
    https://arxiv.org/abs/2211.06924; "Mining Latent Structures for Multimedia Recommendation", Eq. 8,
    https://arxiv.org/abs/2104.09036. Both sum graphs that :func:`normalize_graph` has normalised.

    Args:
        graphs: by modality, ``edge_index``, or a pair of it and ``edge_weight`` (None: 1 for every edge): what
            :func:`knn_graphs` gives.
        weights: :math:`\alpha_m` by modality, each at least 0; where it is 0, the graph adds no edges.

    Returns:
        ``edge_index`` long ``[2, E_sum]`` without duplicates, grouped by centre (row 1) ascending, largest weight
        first, ties by the smaller neighbour; and ``edge_weight`` float ``[E_sum]``.

    Raises:
        TypeError: if a graph is neither ``edge_index`` nor such a pair.
        ValueError: if the names differ, a weight is negative or not finite, an id is negative, or lengths do not match.

    Example:
        >>> a, b = torch.tensor([[1, 0], [0, 1]]), torch.tensor([[1], [0]])
        >>> merge_graphs({"image": (a, None), "text": (b, None)}, {"image": 0.25, "text": 0.5})
        (tensor([[1, 0],
                [0, 1]]), tensor([0.7500, 0.2500]))
    """
    check_merge_weights(weights)
    if not isinstance(graphs, Mapping):
        raise TypeError(f"'graphs' must map each modality to its graph (got {type(graphs).__name__}).")
    if set(graphs) != set(weights):
        raise ValueError(f"'weights' must name exactly the graphs {list(graphs)} (got {list(weights)}).")
    parts = [_scaled(name, graphs[name], weight) for name, weight in weights.items()]
    kept = [part for part, weight in zip(parts, weights.values(), strict=True) if weight > 0]
    edge_index = torch.cat([edges for edges, _ in kept], dim=1)
    edge_weight = torch.cat([weight for _, weight in kept])
    num_nodes = int(edge_index.max()) + 1 if edge_index.numel() else 0
    edge_index, edge_weight = coalesce(edge_index, edge_weight, num_nodes, reduce="sum", sort_by_row=False)
    order = edge_weight.argsort(descending=True, stable=True)
    order = order[edge_index[1, order].argsort(stable=True)]
    return edge_index[:, order], edge_weight[order]


def check_merge_weights(weights: Mapping[str, float]) -> None:
    """Finite numbers of at least 0, not all 0, by name."""
    if not isinstance(weights, Mapping):
        raise TypeError(f"'weights' must map each modality to a number (got {type(weights).__name__}).")
    check_non_negative(**{f"weights[{name!r}]": weight for name, weight in weights.items()})
    if not any(weight > 0 for weight in weights.values()):
        raise ValueError(f"'weights' must not all be 0 (got {dict(weights)}).")


def _scaled(name: str, graph: Tensor | tuple[Tensor, OptTensor], weight: float) -> tuple[Tensor, Tensor]:
    called = f"graphs[{name!r}]"
    if not isinstance(graph, Tensor) and not (isinstance(graph, tuple | list) and len(graph) == 2):
        given = type(graph).__name__ + (f" of {len(graph)}" if isinstance(graph, tuple | list) else "")
        raise TypeError(f"'{called}' must be an edge_index, or a pair of it and its weights (got a {given}).")
    edge_index, edge_weight = (graph, None) if isinstance(graph, Tensor) else graph
    check_edge_index(edge_index, name=called)
    edge_index = edge_index.as_tensor() if isinstance(edge_index, EdgeIndex) else edge_index
    check_node_ids(**{called: edge_index})
    if edge_weight is None:
        edge_weight = torch.ones(edge_index.size(1), device=edge_index.device)
    called = f"the weights of {called}"
    check_edge_weight(edge_weight, edge_index.size(1), name=called)
    check_finite(**{called: edge_weight})
    return edge_index, weight * (edge_weight if edge_weight.is_floating_point() else edge_weight.float())
