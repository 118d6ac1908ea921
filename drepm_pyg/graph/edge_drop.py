"""Degree-sensitive edge sampling: popular pairs are dropped first (FREEDOM, Eq. 4)."""

import torch

from drepm_pyg._checks import check_edge_index, check_fraction, check_generator, check_node_ids
from drepm_pyg.typing import Int, Tensor

__all__ = ["degree_sensitive_edge_drop"]


def degree_sensitive_edge_drop(
    edge_index: Int[Tensor, "2 E"], ratio: float, *, generator: torch.Generator | None = None
) -> Int[Tensor, "2 E_kept"]:
    r"""Keep a share of the user-item pairs, drawn without replacement and the likelier the rarer both ends are.

    .. math:: p_{ui} \propto \frac{1}{\sqrt{d_u \, d_i}}

    "A Tale of Two Graphs: Freezing and Denoising Graph Structures for Multimodal Recommendation", Eq. 4,
    https://arxiv.org/abs/2211.06924. The draw takes the smallest of :math:`-\ln(v_e) / p_e` with uniform :math:`v_e`:
    the same law as drawing one edge after another, at the price of one selection.

    Args:
        edge_index: long ``[2, E]``, row 0 users, row 1 items.
        ratio: share of the edges to drop, in [0, 1); ``int(E * (1 - ratio))`` edges are kept, at least one.
        generator: source of the draw.

    Returns:
        long ``[2, E_kept]``, in the order of the input.

    Raises:
        TypeError: if ``generator`` is none.
        ValueError: where ``ratio`` lies outside [0, 1), or an id is negative.
    """
    check_edge_index(edge_index)
    check_fraction(ratio=ratio)
    check_generator(generator)
    check_node_ids(edge_index=edge_index)
    num_edges = edge_index.size(1)
    if num_edges == 0 or ratio == 0:
        return edge_index
    user, item = edge_index
    degree_user, degree_item = torch.bincount(user), torch.bincount(item)
    scale = (degree_user[user].double() * degree_item[item]).sqrt()  # 1 / p
    uniform = torch.rand(num_edges, generator=generator, dtype=torch.float64, device=edge_index.device)
    waiting = -torch.log1p(-uniform) * scale  # an exponential with rate p; log1p keeps u = 0 finite
    kept = waiting.topk(max(1, int(num_edges * (1 - ratio))), largest=False).indices
    return edge_index[:, kept.sort().values]
