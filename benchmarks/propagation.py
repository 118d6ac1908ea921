"""How fast is a whole-graph product? LightGCNConv's forms against PyG's LGConv, in one run on one graph.

    python benchmarks/propagation.py        # a random graph of Amazon Baby's size

A row is the median of several runs; the ratio is to the fused product on an EdgeIndex.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch_geometric import EdgeIndex
from torch_geometric.nn import LGConv

from drepm_pyg.experiments.markdown import markdown_table
from drepm_pyg.nn import LightGCNConv

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--users", type=int, default=19_445)
parser.add_argument("--items", type=int, default=7_050)
parser.add_argument("--pairs", type=int, default=117_604)
parser.add_argument("--dim", type=int, default=64)
parser.add_argument("--repeats", type=int, default=15)
args = parser.parse_args()

generator = torch.Generator().manual_seed(0)
num_nodes = args.users + args.items
user = torch.randint(args.users, (args.pairs,), generator=generator)
item = torch.randint(args.items, (args.pairs,), generator=generator) + args.users
edge_index = torch.stack([torch.cat([user, item]), torch.cat([item, user])])
x = torch.randn(num_nodes, args.dim, generator=generator, requires_grad=True)
gradient = torch.randn(num_nodes, args.dim, generator=generator)

prepared = EdgeIndex(edge_index, sparse_size=(num_nodes, num_nodes))
adj_t = torch.sparse_coo_tensor(edge_index.flip(0), torch.ones(edge_index.size(1)), (num_nodes, num_nodes)).coalesce()
adj_t_csr = adj_t.to_sparse_csr()
conv, peer = LightGCNConv(), LGConv()
forms: dict[str, Callable[[], torch.Tensor]] = {
    "LightGCNConv, EdgeIndex": lambda: conv(x, prepared),
    "LightGCNConv, torch CSR": lambda: conv(x, adj_t_csr),
    "LightGCNConv, plain edge_index": lambda: conv(x, edge_index),
    "PyG LGConv, plain edge_index": lambda: peer(x, edge_index),
}


def milliseconds(call: Callable[[], object]) -> float:
    """The median time of a call, after a warm-up."""
    call()
    times = []
    for _ in range(args.repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return 1e3 * statistics.median(times)


rows, base = [], 0.0
for name, form in forms.items():
    torch.testing.assert_close(form(), peer(x, edge_index), atol=1e-4, rtol=1e-4)
    forward, both = milliseconds(form), milliseconds(lambda form=form: form().backward(gradient))
    base = base or both
    rows.append([name, f"{forward:.1f}", f"{both:.1f}", f"{both / base:.1f}"])
print(f"{num_nodes:,} nodes, {edge_index.size(1):,} edges, width {args.dim}, {torch.get_num_threads()} threads\n")
print(markdown_table(["form", "forward ms", "forward + backward ms", "ratio"], rows))
