"""The k-core of a data set: users and items with at least k interactions among themselves."""

import copy

import numpy as np
import torch
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_at_least
from drepm_pyg._device import on_the_cpu
from drepm_pyg.data.interactions import Interactions, assign_split
from drepm_pyg.data.schema import ITEM_USER, USER_ITEM, graph_modalities, knows_pairs, similar
from drepm_pyg.typing import Bool, Int, Tensor

__all__ = ["k_core"]

_WHOLE_ROUNDS = 32  # over all pairs, which most data need not sort; in the worst there is a round for every node


@on_the_cpu
def k_core(data: HeteroData, k: int = 5, *, user_k: int | None = None, item_k: int | None = None) -> HeteroData:
    """Drop users and items with fewer than ``k`` interactions until all that are left have ``k``.

    The largest such part is unique. Ids are made dense again in the old order; features, masks, titles and original ids
    go with their rows, ratings, time stamps and the like with their pairs (:func:`~drepm_pyg.data.assign_split`). Of an
    edge type of your own, ``edge_index`` and the tensors with an entry for each edge come along, without the edges of
    users and items that were dropped.

    Args:
        data: HeteroData before its split and before the library's graphs.
        k: the least number of interactions of a user and of an item.
        user_k: another number for users.
        item_k: another number for items.

    Returns:
        A new HeteroData with the users, items and interactions of the core.

    Raises:
        ValueError: ``data`` is split already (the core counts all interactions), carries graphs that the library built
            for all users and items, edges of users or items that have no ``edge_index``, or has no such core.
    """
    user_k, item_k = (k if own is None else own for own in (user_k, item_k))
    check_at_least(0, user_k=user_k, item_k=item_k)
    interactions = Interactions.of(data)
    if bool((interactions.label > 0).any()):
        raise ValueError(
            "'data' is split already, and a k-core counts all interactions. Take the core first, split afterwards."
        )
    own = _own_edges(data)
    sizes = torch.tensor([data["user"].num_nodes, data["item"].num_nodes])
    kept = _core_pairs(interactions.edge_index, sizes.tolist(), (user_k, item_k))
    if not bool(kept.any()):
        raise ValueError(f"No user and item is left in the core with user_k={user_k} and item_k={item_k}. Lower them.")
    out = assign_split(data, torch.where(kept, 0, -1))
    pairs = out[USER_ITEM].edge_index
    new_ids = {}
    for row, node in enumerate(("user", "item")):
        old_ids = pairs[row].unique()
        new_ids[node] = torch.full((data[node].num_nodes,), -1)  # -1: dropped
        new_ids[node][old_ids] = torch.arange(len(old_ids))
        _keep_nodes(out, node, old_ids)
    out[USER_ITEM].edge_index = torch.stack([new_ids["user"][pairs[0]], new_ids["item"][pairs[1]]])
    out[ITEM_USER].edge_index = out[USER_ITEM].edge_index.flip(0)
    for kind in own:
        _keep_edges(out, kind, new_ids)
    return out


def _own_edges(data: HeteroData) -> list[tuple[str, str, str]]:
    """The edge types at users and items that are not the library's: what the library builds would not fit the core."""
    graphs = [similar("item", name) for name in graph_modalities(data, "item")]
    graphs += [kind for kind in data.edge_types if knows_pairs(kind)]
    if graphs:
        raise ValueError(
            f"'data' carries graphs ({graphs}) that were built for all users and items. Take the core first, build "
            "graphs afterwards."
        )
    others = [kind for kind in data.edge_types if kind not in (USER_ITEM, ITEM_USER)]
    own = [(source, name, target) for source, name, target in others if {source, target} & {"user", "item"}]
    bare = [kind for kind in own if "edge_index" not in data[kind]]
    if bare:
        raise ValueError(f"Edges of users or items that have no 'edge_index' cannot be renumbered (got {bare}).")
    return own


def _core_pairs(edge_index: Int[Tensor, "2 E"], sizes: list[int], least: tuple[int, int]) -> Bool[Tensor, " E"]:
    kept = torch.ones(edge_index.size(1), dtype=torch.bool)
    for _ in range(_WHOLE_ROUNDS):
        rich = [
            torch.bincount(ids[kept], minlength=size) >= k
            for ids, size, k in zip(edge_index, sizes, least, strict=True)
        ]
        still = kept & rich[0][edge_index[0]] & rich[1][edge_index[1]]
        if torch.equal(still, kept):
            return kept
        kept = still
    return kept.masked_scatter(kept, _peeled(edge_index[:, kept], sizes, least))


def _peeled(edge_index: Int[Tensor, "2 E"], sizes: list[int], least: tuple[int, int]) -> Bool[Tensor, " E"]:
    """Which pairs stay, by rounds that look at the pairs of the nodes they drop alone."""
    ends = edge_index.numpy() + np.array([[0], [sizes[0]]])  # users and items in one numbering
    need = np.repeat(least, sizes)
    degree = np.bincount(ends.ravel(), minlength=len(need))
    first, by_node = degree.cumsum() - degree, ends.ravel().argsort(kind="stable") % max(1, edge_index.size(1))
    kept, left = np.ones(edge_index.size(1), dtype=bool), degree.copy()
    dropped = left < need
    poor = np.flatnonzero(dropped)
    while len(poor):
        size = degree[poor]
        stretch = np.repeat(first[poor] - (size.cumsum() - size), size)  # the pairs of one node stand together
        lost = np.unique(by_node[stretch + np.arange(len(stretch))])
        lost = lost[kept[lost]]
        kept[lost] = False
        touched, fewer = np.unique(ends[:, lost], return_counts=True)
        left[touched] -= fewer
        poor = touched[(left[touched] < need[touched]) & ~dropped[touched]]
        dropped[poor] = True
    return torch.from_numpy(kept)


def _keep_nodes(data: HeteroData, node: str, ids: Int[Tensor, " N"]) -> None:
    store, size = data[node], data[node].num_nodes
    for name, value in copy.copy(store).items():
        if isinstance(value, Tensor) and value.ndim > 0 and value.size(0) == size:
            store[name] = _rows(value, ids)
        elif isinstance(value, np.ndarray) and value.shape[:1] == (size,):
            store[name] = value[ids.numpy()]
        elif isinstance(value, list | tuple) and len(value) == size:
            store[name] = [value[place] for place in ids.tolist()]
    store.num_nodes = len(ids)


def _rows(x: Tensor, ids: Int[Tensor, " N"]) -> Tensor:
    if x.layout == torch.strided:
        return x[ids]
    # Rows cannot be taken of the other sparse layouts.
    rows = x.to_sparse_coo().index_select(0, ids)
    # The blocks of the others need not divide what is left.
    return rows.to_sparse(layout=x.layout) if x.layout in (torch.sparse_csr, torch.sparse_csc) else rows


def _keep_edges(data: HeteroData, kind: tuple[str, str, str], new_ids: dict[str, Tensor]) -> None:
    """Number the ends of edges anew and drop those that lost one, with what has an entry for each of them."""
    (source, _, target), old = kind, data[kind]
    ends = [new_ids.get(node) for node in (source, target)]
    edge_index = torch.stack([ids if new is None else new[ids] for new, ids in zip(ends, old.edge_index, strict=True)])
    kept = (edge_index >= 0).all(dim=0)
    del data[kind]
    data[kind].edge_index = edge_index[:, kept]
    for name, value in old.items():
        if isinstance(value, Tensor) and value.shape[:1] == kept.shape and not name.endswith("index"):
            data[kind][name] = value[kept]
