"""LightGCNConv in a module of your own: two node types in PyG's HeteroConv, a gate and a graph a modality on top.

python examples/compose_layers.py [--data DIR in MMRec's layout] [--epochs 20]
"""

import argparse
import math

import torch
from torch import nn
from torch_geometric.nn import HeteroConv

from drepm_pyg.data import ITEM_USER, USER_ITEM, SyntheticMultimodal, modalities, modality_mask, read_mmrec
from drepm_pyg.graph import knn_graphs
from drepm_pyg.nn import FilterGate, KNNGraphConv, LightGCNConv
from drepm_pyg.nn.losses import InfoNCELoss

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", help="a directory in MMRec's layout; left out: SyntheticMultimodal")
parser.add_argument("--epochs", type=int, default=20)
args = parser.parse_args()


class MyRecommender(nn.Module):
    """Two rounds of user-item messages; items also listen to items that look like them."""

    def __init__(self, num_users: int, num_items: int, in_channels: list[int], dim: int = 32) -> None:
        super().__init__()
        self.embedding = nn.ParameterDict(
            {"user": torch.randn(num_users, dim) * 0.1, "item": torch.randn(num_items, dim) * 0.1}
        )
        self.conv = HeteroConv({USER_ITEM: LightGCNConv(), ITEM_USER: LightGCNConv()}, aggr="sum")
        self.gates, self.item_conv = nn.ModuleList(FilterGate(width, dim) for width in in_channels), KNNGraphConv()

    def forward(self, edge_index_dict, features, item_graphs):
        x_dict = dict(self.embedding)
        for _ in range(2):
            x_dict = self.conv(x_dict, edge_index_dict)
        alike = [
            self.item_conv(gate(features[name], self.embedding["item"]), item_graphs[name])
            for gate, name in zip(self.gates, features, strict=True)
        ]
        return x_dict["user"], x_dict["item"] + sum(alike)


data = read_mmrec(args.data) if args.data else SyntheticMultimodal(num_users=300, num_items=150, seed=0)[0]
features = {name: data["item"][name] for name in modalities(data)}  # any number of them, none included
masks = {name: mask for name in features if (mask := modality_mask(data, name)) is not None}
for name, mask in masks.items():  # what stands in the row of an item without the modality may be anything, NaN too
    features[name] = features[name].masked_fill(~mask[:, None], 0.0)
item_graphs = knn_graphs(features, k=10, masks=masks)
edge_index_dict = {edge_type: data[edge_type].edge_index for edge_type in (USER_ITEM, ITEM_USER)}
pairs = edge_index_dict[USER_ITEM]

torch.manual_seed(0)
model = MyRecommender(data["user"].num_nodes, data["item"].num_nodes, [x.size(1) for x in features.values()])
optimizer, criterion = torch.optim.Adam(model.parameters(), lr=0.01), InfoNCELoss(temperature=0.2)


def loss_of_a_batch() -> torch.Tensor:
    user, item = model(edge_index_dict, features, item_graphs)
    batch = pairs[:, torch.randperm(pairs.size(1))[:512]]
    return criterion(user[batch[0]], item[batch[1]])


for _ in range(args.epochs):
    optimizer.zero_grad()
    loss_of_a_batch().backward()
    optimizer.step()
nats, chance = loss_of_a_batch().item(), math.log(min(512, pairs.size(1)))
print(f"InfoNCE after {args.epochs} steps with {list(features)}: {nats:.3f} nats (chance is {chance:.3f})")
