"""Small HeteroData in the library's schema, made here and not by the library, so that no fault can hide itself."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from drepm_pyg.models.base import Triples

USERS, ITEMS = 13, 11
WIDTHS = {"image": 6, "text": 5}


def nearest(x: Tensor, k: int) -> Tensor:
    """Cosine k-nearest neighbours of every row, itself included: row 0 neighbours, row 1 centres."""
    x = torch.nn.functional.normalize(x, dim=1)
    neighbors = (x @ x.T).topk(min(k, len(x)), dim=1).indices
    return torch.stack([neighbors.flatten(), torch.arange(len(x)).repeat_interleave(neighbors.size(1))])


def user_means(x: Tensor, edge_index: Tensor, num_users: int) -> Tensor:
    """The mean of the raw features of a user's items, zero without items."""
    incidence = torch.zeros(num_users, len(x))
    incidence[edge_index[0], edge_index[1]] = 1
    return incidence @ x / incidence.sum(1, keepdim=True).clamp(min=1)


def toy_data(
    num_users: int = USERS,
    num_items: int = ITEMS,
    *,
    num_edges: int = 45,
    widths: Mapping[str, int] = WIDTHS,
    k: int = 3,
    masked: bool = False,
    seed: int = 0,
) -> HeteroData:
    """Random training pairs (the last user and the last item have none), features, graphs, held-out pairs."""
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randperm((num_users - 1) * (num_items - 1), generator=generator)[: num_edges + 8]
    pairs = torch.stack([cells // (num_items - 1), cells % (num_items - 1)])
    features = {name: torch.randn(num_items, width, generator=generator) for name, width in widths.items()}
    data = with_edges(num_users, num_items, pairs[:, :num_edges], features, k)
    data["user", "interacts", "item"].val_edge_label_index = pairs[:, num_edges : num_edges + 4]
    data["user", "interacts", "item"].test_edge_label_index = pairs[:, num_edges + 4 :]
    if masked:
        for place, name in enumerate(sorted(widths)):
            mask = torch.ones(num_items, dtype=torch.bool)
            mask[place : place + 2] = False
            data["item"][f"{name}_mask"] = mask
    return data


def with_edges(
    num_users: int, num_items: int, edge_index: Tensor, features: Mapping[str, Tensor], k: int = 3
) -> HeteroData:
    """The schema's HeteroData around training pairs and features."""
    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = num_users, num_items
    data["user", "interacts", "item"].edge_index = edge_index
    data["item", "rev_interacts", "user"].edge_index = edge_index.flip(0)
    for name, x in features.items():
        data["item"][name] = x
        for node, rows in (("item", x), ("user", user_means(x, edge_index, num_users))):
            graph = nearest(rows, k)
            data[node, f"similar_{name}", node].edge_index = graph
            data[node, f"similar_{name}", node].edge_weight = torch.ones(graph.size(1))
    return data


def toy_batch(data: HeteroData, *, seed: int = 0, repeats: int = 1) -> Triples:
    """Every training pair ``repeats`` times, shuffled, with a negative that is no training item of the user."""
    generator = torch.Generator().manual_seed(seed)
    edge_index = data["user", "interacts", "item"].edge_index.repeat(1, repeats)
    user, positive = edge_index[:, torch.randperm(edge_index.size(1), generator=generator)]
    allowed = torch.ones(data["user"].num_nodes, data["item"].num_nodes)
    allowed[edge_index[0], edge_index[1]] = 0
    allowed[allowed.sum(1) == 0] = 1  # a user who has everything: any item must do
    return Triples(user, positive, torch.multinomial(allowed[user], 1, generator=generator).squeeze(1))


def permuted(data: HeteroData, user: Tensor, item: Tensor) -> HeteroData:
    """The same data under other ids: node n becomes ``user[n]`` or ``item[n]``."""
    new_id = {"user": user, "item": item}
    out = data.clone()
    for source, relation, target in data.edge_types:
        for name, value in data[source, relation, target].items():
            if name.endswith("_index"):
                out[source, relation, target][name] = torch.stack([new_id[source][value[0]], new_id[target][value[1]]])
    for name, value in data["item"].items():
        if isinstance(value, Tensor):
            out["item"][name] = value[item.argsort()]
    return out


def new_ids() -> tuple[Tensor, Tensor]:
    """A permutation of the users and one of the items."""
    generator = torch.Generator().manual_seed(7)
    return torch.randperm(USERS, generator=generator), torch.randperm(ITEMS, generator=generator)
