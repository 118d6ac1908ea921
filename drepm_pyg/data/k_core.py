"""The k-core of a data set: users and items with at least k interactions among themselves."""

import copy

import torch
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_at_least
from drepm_pyg.data.interactions import Interactions, assign_split
from drepm_pyg.data.schema import ITEM_USER, USER_ITEM
from drepm_pyg.typing import Bool, Int, Tensor

__all__ = ["k_core"]


def k_core(data: HeteroData, k: int = 5, *, user_k: int | None = None, item_k: int | None = None) -> HeteroData:
    """Drop users and items with fewer than ``k`` interactions until all that are left have ``k``.

    The largest such part is unique. Ids are made dense again in the old order; features, masks, titles and original ids
    go with their rows, ratings, time stamps and the like with their pairs (:func:`~drepm_pyg.data.assign_split`).

    Args:
        data: HeteroData before its split and without similarity graphs.
        k: the least number of interactions of a user and of an item.
        user_k: another number for users.
        item_k: another number for items.

    Returns:
        A new HeteroData with the users, items and interactions of the core.

    Raises:
        ValueError: ``data`` is split already (the core counts all interactions), carries graphs whose ids would go
            stale, or has no such core.
    """
    user_k, item_k = (k if own is None else own for own in (user_k, item_k))
    check_at_least(0, user_k=user_k, item_k=item_k)
    interactions = Interactions.of(data)
    if bool((interactions.label > 0).any()):
        raise ValueError(
            "'data' is split already, and a k-core counts all interactions. Take the core first, split afterwards."
        )
    graphs = [kind for kind in data.edge_types if kind not in (USER_ITEM, ITEM_USER)]
    if graphs:
        raise ValueError(
            f"'data' carries graphs ({graphs}) whose ids would go stale. Take the core first, build graphs afterwards."
        )

    sizes = torch.tensor([data["user"].num_nodes, data["item"].num_nodes])
    kept = _core_pairs(interactions.edge_index, sizes.tolist(), (user_k, item_k))
    if not bool(kept.any()):
        raise ValueError(f"No user and item is left in the core with user_k={user_k} and item_k={item_k}. Lower them.")
    out = assign_split(data, torch.where(kept, 0, -1))
    pairs = out[USER_ITEM].edge_index
    renumbered = []
    for row, node in enumerate(("user", "item")):
        old_ids, new_ids = pairs[row].unique(return_inverse=True)
        renumbered.append(new_ids)
        _keep_nodes(out, node, old_ids)
    out[USER_ITEM].edge_index = torch.stack(renumbered)
    out[ITEM_USER].edge_index = out[USER_ITEM].edge_index.flip(0)
    return out


def _core_pairs(edge_index: Int[Tensor, "2 E"], sizes: list[int], least: tuple[int, int]) -> Bool[Tensor, " E"]:
    kept = torch.ones(edge_index.size(1), dtype=torch.bool)
    while True:
        rich = [
            torch.bincount(ids[kept], minlength=size) >= k
            for ids, size, k in zip(edge_index, sizes, least, strict=True)
        ]
        still = kept & rich[0][edge_index[0]] & rich[1][edge_index[1]]
        if torch.equal(still, kept):
            return kept
        kept = still


def _keep_nodes(data: HeteroData, node: str, ids: Int[Tensor, " N"]) -> None:
    store, size = data[node], data[node].num_nodes
    for name, value in copy.copy(store).items():
        if isinstance(value, Tensor) and value.ndim > 0 and value.size(0) == size:
            store[name] = value[ids]
        elif isinstance(value, list) and len(value) == size:
            store[name] = [value[place] for place in ids.tolist()]
    store.num_nodes = len(ids)
