"""From a feature matrix to a similarity graph in PyG: no trainer, no data set class, nothing else of the library.

python examples/knn_graph_from_features.py [--data features.npy]
"""

import argparse

import numpy as np
import torch
from torch_geometric.data import HeteroData

from drepm_pyg.graph import AddSimilarityGraphs, hubness, knn_graph, mutual_share, normalize_graph, user_knn_graph

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", help="features of the items, one row each, as .npy (default: generated clusters)")
path = parser.parse_args().data

# A memory-mapped file is read in blocks, so it may be larger than memory.
rng = np.random.default_rng(0)
topic = rng.integers(0, 40, 2000)
generated = rng.standard_normal((40, 256))[topic] + rng.standard_normal((2000, 256))
x = generated.astype(np.float32) if path is None else np.load(path, mmap_mode="r")
num_items = len(x)

# The 10 most similar items of each, exactly. Row 0 is the neighbour, row 1 the centre, to which messages flow.
edge_index, cosine, info = knn_graph(x, k=10, return_weight=True, return_info=True)
print(
    f"{num_items:,} items, {edge_index.size(1):,} edges in {info.seconds:.2f} s by {info.index!r}, exact: {info.exact}"
)
print("nearest to item 0:", edge_index[0, :10].tolist(), "cosine of the first:", round(float(cosine[0]), 3))
if path is None:
    print(f"edges within one topic: {(topic[edge_index[0]] == topic[edge_index[1]]).mean():.1%}")
print(f"mutual edges: {mutual_share(edge_index):.1%}")
print(f"hubness (skewness of times a neighbour): {hubness(edge_index, num_items):.2f}")

# Weights of the symmetric normalisation: 1/k for every edge of a binary k-graph.
_, weight = normalize_graph(edge_index, num_nodes=num_items)
print("normalised weights:", weight.unique().tolist())

# Users by the mean features of their items, without ever building the users' feature matrix.
num_users = 3000
bought = np.unique(np.stack([rng.integers(0, num_users, 20_000), rng.integers(0, num_items, 20_000)]), axis=1)
pairs = torch.from_numpy(bought)
user_edge_index, info = user_knn_graph(x, pairs, num_users, k=10, return_info=True)
print(f"{num_users:,} users, {user_edge_index.size(1):,} edges in {info.seconds:.2f} s, exact: {info.exact}")

# The same as a transform: one graph per modality and kind of node, where a hetero GNN finds them.
data = HeteroData()
data["user"].num_nodes, data["item"].num_nodes = num_users, num_items
data["item"].text = torch.from_numpy(np.array(x, dtype=np.float32))
data["user", "interacts", "item"].edge_index = pairs
print(AddSimilarityGraphs(k=10)(data))
