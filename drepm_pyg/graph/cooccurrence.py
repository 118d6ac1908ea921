"""Users who share training items, or items that share users: the graphs of DualGNN and ItemKNN."""

import torch

from drepm_pyg._checks import check_at_least, check_choice, check_edge_index, check_ids, check_non_negative
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["check_cooccurrence", "user_cooccurrence_graph"]


def user_cooccurrence_graph(
    edge_index: Int[Tensor, "2 E"],
    num_users: int,
    num_items: int,
    k: int,
    *,
    metric: str = "count",
    shrink: float = 0.0,
) -> tuple[Int[Tensor, "2 E_graph"], Float[Tensor, " E_graph"]]:
    r"""Connect every user to the ``k`` others with whom it shares most items; with ``edge_index.flip(0)`` the items.

    .. math::
        w_{uv} = |\mathcal{I}_u \cap \mathcal{I}_v| \quad \text{(count)}, \qquad
        w_{uv} = \frac{|\mathcal{I}_u \cap \mathcal{I}_v|}{\sqrt{|\mathcal{I}_u| |\mathcal{I}_v|} + h}
        \quad \text{(cosine)}

    "DualGNN: Dual Graph Neural Network for Multimedia Recommendation", Section III-C,
    https://doi.org/10.1109/TMM.2021.3138298

    Args:
        edge_index: long ``[2, E]`` training pairs, row 0 users, row 1 items; a pair that occurs twice counts once.
        num_users: number of users U.
        num_items: number of items I.
        k: neighbours a user at most; a user who shares items with fewer has fewer, ties go to the smaller id.
        metric: ``"count"`` or ``"cosine"``.
        shrink: :math:`h` of the cosine, takes confidence from pairs with few items.

    Returns:
        ``edge_index`` long ``[2, E]`` (row 0 = neighbour, row 1 = centre; grouped by centre ascending, largest
        weight first) and the weight of every edge, float32.

    Raises:
        ValueError: where an id is out of range, ``k`` is below 1, ``metric`` is unknown or ``shrink`` is given for
            counts.
    """
    from scipy import sparse

    check_cooccurrence(k, metric, shrink)
    check_at_least(0, num_users=num_users, num_items=num_items)
    check_edge_index(edge_index)
    check_ids(num_users, what="users", **{"edge_index[0]": edge_index[0]})
    check_ids(num_items, what="items", **{"edge_index[1]": edge_index[1]})
    user, item = edge_index.cpu().numpy()
    incidence = sparse.csr_matrix((torch.ones(len(user)).numpy(), (user, item)), shape=(num_users, num_items))
    incidence.data[:] = 1  # it sums duplicates
    shared = (incidence @ incidence.T).tocoo()
    others = shared.row != shared.col
    centre = torch.from_numpy(shared.row[others]).long()
    neighbor = torch.from_numpy(shared.col[others]).long()
    weight = torch.from_numpy(shared.data[others]).double()
    if metric == "cosine":
        size = torch.from_numpy(incidence.indptr).diff().double()
        weight = weight / ((size[centre] * size[neighbor]).sqrt() + shrink)

    # Three stable sorts, least significant key first: by neighbour, by weight, by centre.
    order = neighbor.argsort(stable=True)
    order = order[weight[order].argsort(descending=True, stable=True)]
    order = order[centre[order].argsort(stable=True)]
    grouped = centre[order]
    rank = torch.arange(len(grouped)) - torch.searchsorted(grouped, grouped)  # the left end: where the group starts
    order = order[rank < k]
    graph = torch.stack([neighbor[order], centre[order]])
    return graph.to(edge_index.device), weight[order].float().to(edge_index.device)


def check_cooccurrence(k: int, metric: str, shrink: float) -> None:
    """The options of :func:`user_cooccurrence_graph`."""
    check_at_least(1, k=k)
    check_choice(("count", "cosine"), metric=metric)
    check_non_negative(shrink=shrink)
    if shrink and metric == "count":
        raise ValueError(f"'shrink' must be 0 for metric='count', which has no denominator (got {shrink}).")
