"""Normalisation of similarity graphs (DRepMRec, Eq. 5: D^-1/2 S D^-1/2)."""

from typing import Literal

import torch

from drepm_pyg._checks import (
    check_at_least,
    check_choice,
    check_edge_index,
    check_edge_weight,
    check_finite,
    check_ids,
)
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["normalize_graph"]


def normalize_graph(
    edge_index: Int[Tensor, "2 E"],
    edge_weight: Float[Tensor, " E"] | Int[Tensor, " E"] | None = None,
    *,
    num_nodes: int,
    mode: Literal["sym", "row", "col"] = "sym",
) -> tuple[Int[Tensor, "2 E"], Float[Tensor, " E"]]:
    r"""Normalise the weights of a graph by its degrees.

    With :math:`S_{ij}` the weight of the edge from neighbour j (row 0 of ``edge_index``) to centre i (row 1):

    .. math:: \text{sym: } \frac{S_{ij}}{\sqrt{d_i d_j}}, \quad \text{row: } \frac{S_{ij}}{d_i}, \quad
        \text{col: } \frac{S_{ij}}{\sum_{i'} S_{i'j}}, \qquad d_i = \sum_{j'} S_{ij'}

    'sym' takes the weighted in-degree at the target for both ends, as PyG's ``gcn_norm`` (without self loops), so every
    edge of a binary k-neighbour graph weighs 1/k. 'row' makes the weights that arrive at a centre sum to 1, 'col' those
    that leave a neighbour. Where a degree is 0, the weight is 0. No edge is added, dropped or moved.

    Args:
        edge_index: the edges.
        edge_weight: their weights; default: 1 each.
        num_nodes: how many nodes there are.
        mode: 'sym', 'row' or 'col'.

    Shapes:
        edge_index: long ``[2, E]``, edge_weight: float (or integer) ``[E]``; returns both, the weights in their own
            dtype (float32 for integers and by default)

    Raises:
        TypeError: if ``edge_index`` is not long, or ``edge_weight`` no tensor.
        ValueError: if an id is out of range, the lengths differ, a weight is not finite, or a degree is negative.

    Example:
        >>> normalize_graph(torch.tensor([[1, 2, 0], [0, 0, 1]]), num_nodes=3, mode="row")[1]
        tensor([0.5000, 0.5000, 1.0000])
    """
    check_choice(("sym", "row", "col"), mode=mode)
    check_at_least(0, num_nodes=num_nodes)
    check_edge_index(edge_index)
    check_ids(num_nodes, what="nodes", edge_index=edge_index)
    source, target = edge_index
    if edge_weight is None:
        edge_weight = torch.ones(edge_index.size(1), device=edge_index.device)
    check_edge_weight(edge_weight, source.numel())
    edge_weight = edge_weight if edge_weight.is_floating_point() else edge_weight.float()  # counts are weights, too
    check_finite(edge_weight=edge_weight)
    ends = source if mode == "col" else target
    wide = edge_weight.to(torch.promote_types(edge_weight.dtype, torch.float32))  # half precision cannot add thousands
    degree = wide.new_zeros(num_nodes).index_add(0, ends, wide)
    if bool((degree < 0).any()):
        raise ValueError(
            f"'edge_weight' must give degrees of at least 0 (got {float(degree.min()):.3g}). "
            "Leave the weights out, or clamp negative similarities."
        )
    if mode != "sym":
        return edge_index, (wide * _power(degree, -1.0)[ends]).to(edge_weight.dtype)
    scale = _power(degree, -0.5)
    return edge_index, (scale[source] * wide * scale[target]).to(edge_weight.dtype)


def _power(degree: Tensor, exponent: float) -> Tensor:
    return degree.pow(exponent).masked_fill(degree == 0, 0.0)
