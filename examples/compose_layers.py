"""LightGCNConv inside a module of your own: two node types in PyG's HeteroConv, a gate and a similarity graph on top.

python examples/compose_layers.py
"""

import argparse

import torch
from torch import nn
from torch_geometric.nn import HeteroConv

from drepm_pyg.data import ITEM_USER, USER_ITEM, SyntheticMultimodal, read_mmrec
from drepm_pyg.graph import knn_graph
from drepm_pyg.nn import FilterGate, KNNGraphConv, LightGCNConv
from drepm_pyg.nn.losses import InfoNCELoss

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--data", help="a directory in MMRec's layout; left out: SyntheticMultimodal")
parser.add_argument("--epochs", type=int, default=20)
args = parser.parse_args()


class MyRecommender(nn.Module):
    """Two rounds of user-item messages; items also listen to items that look like them."""

    def __init__(self, num_users: int, num_items: int, in_channels: int, dim: int = 32) -> None:
        super().__init__()
        self.embedding = nn.ParameterDict(
            {"user": torch.randn(num_users, dim) * 0.1, "item": torch.randn(num_items, dim) * 0.1}
        )
        self.conv = HeteroConv({USER_ITEM: LightGCNConv(), ITEM_USER: LightGCNConv()}, aggr="sum")
        self.gate, self.item_conv = FilterGate(in_channels, dim), KNNGraphConv()

    def forward(self, edge_index_dict, features, item_graph):
        x_dict = dict(self.embedding)
        for _ in range(2):
            x_dict = self.conv(x_dict, edge_index_dict)
        alike = self.item_conv(self.gate(features, self.embedding["item"]), item_graph)
        return x_dict["user"], x_dict["item"] + alike


data = read_mmrec(args.data) if args.data else SyntheticMultimodal(num_users=300, num_items=150, seed=0)[0]
features = data["item"].text
item_graph = knn_graph(features, k=10)
edge_index_dict = {edge_type: data[edge_type].edge_index for edge_type in (USER_ITEM, ITEM_USER)}

torch.manual_seed(0)
model = MyRecommender(data["user"].num_nodes, data["item"].num_nodes, features.size(1))
optimizer, criterion = torch.optim.Adam(model.parameters(), lr=0.01), InfoNCELoss(temperature=0.2)

for _ in range(args.epochs):
    user, item = model(edge_index_dict, features, item_graph)
    batch = edge_index_dict[USER_ITEM][:, torch.randperm(edge_index_dict[USER_ITEM].size(1))[:512]]
    loss = criterion(user[batch[0]], item[batch[1]])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"InfoNCE after {args.epochs} steps: {loss.item():.3f} nats (chance is {torch.tensor(512.0).log():.3f})")
