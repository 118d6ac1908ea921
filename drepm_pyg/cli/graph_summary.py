"""What ``drepm graph`` says about a graph."""

import math
from itertools import takewhile
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import HeteroData

from drepm_pyg.data import read_mmrec, similar
from drepm_pyg.graph import connected_components, degree_histogram, edge_homophily, hubness, mutual_share
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["homophily", "read_interactions", "summary", "taking_part"]


def summary(
    edge_index: Int[Tensor, "2 E"], edge_weight: Float[Tensor, " E"], num_nodes: int, *, metric: str
) -> dict[str, Any]:
    """A name per number; self loops are counted as edges and nowhere else.

    Args:
        edge_index: long ``[2, E]``, row 0 neighbours, row 1 centres.
        edge_weight: float ``[E]``.
        num_nodes: number of nodes N that take part.
        metric: what the weights are.
    """
    others = edge_index[0] != edge_index[1]
    nodes = degree_histogram(edge_index, num_nodes).tolist()
    weight = edge_weight[others].double()
    return {
        "nodes": num_nodes,
        "nodes with edges": int(edge_index.unique().numel()),
        "edges": edge_index.size(1),
        "mean distance" if metric == "l2" else "mean similarity": float(weight.mean()) if weight.numel() else None,
        "nodes by times a neighbour": _doubling(nodes),
        "most often a neighbour": max(0, len(nodes) - 1),
        "hubness (skewness of times a neighbour)": hubness(edge_index, num_nodes),
        "mutual edges": mutual_share(edge_index) if weight.numel() else None,
        "connected components": connected_components(edge_index, num_nodes),
    }


def taking_part(
    edge_index: Int[Tensor, "2 E"], mask: NDArray[np.bool_] | None, num_nodes: int
) -> tuple[Int[Tensor, "2 E"], int]:
    """The graph of the nodes that a mask leaves, by their order, and their number."""
    if mask is None:
        return edge_index, num_nodes
    return (torch.from_numpy(mask).cumsum(0) - 1)[edge_index], int(mask.sum())


def read_interactions(interactions: str, num_nodes: int) -> HeteroData:
    """The data set whose items are the nodes of the graph.

    Raises:
        ValueError: where the data set has another number of items than the graph has nodes.
    """
    data = read_mmrec(interactions)
    if data["item"].num_nodes != num_nodes:
        raise ValueError(
            f"'{interactions}' has {data['item'].num_nodes:,} items, but there are {num_nodes:,} rows of features. "
            "Pass the data set that they belong to."
        )
    return data


def homophily(edge_index: Int[Tensor, "2 E"], data: HeteroData) -> dict[str, float | None]:
    """The share of the edges whose ends have a training user in common; None without edges."""
    data[similar("item", "given")].edge_index = edge_index
    share = edge_homophily(data, "given")
    return {"homophily": None if math.isnan(share) else share}


def _doubling(counts: list[int]) -> dict[str, int]:
    """Counts of 0, 1, 2-3, 4-7, ... summed by range, as far as there are any."""
    starts = [0, *takewhile(lambda start: start < len(counts), (1 << bit for bit in range(64)))]
    ends = [*starts[1:], max(1, 2 * starts[-1])]
    return {
        str(start) if end - start <= 1 else f"{start}-{end - 1}": sum(counts[start:end])
        for start, end in zip(starts, ends, strict=True)
        if sum(counts[start:end])
    }
