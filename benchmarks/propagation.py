"""How fast is a whole-graph product? LightGCNConv with every kind of ``Adj`` against its peers, in one run.

Two bounds at the measured bandwidth, each with the edges' indices and weights and every row of the result once: a row
of ``x`` read per edge (as if there were no cache), and every row of ``x`` read once (as if the cache held it all). The
backward pass moves the same again.
"""

import argparse
import warnings
from collections.abc import Callable

import torch
from kit import baby, machine
from kit.report import Report, parser, ratio
from kit.timing import compare
from torch_geometric import EdgeIndex
from torch_geometric.nn import LGConv
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.typing import WITH_TORCH_SPARSE, SparseTensor

from drepm_pyg.nn import BehaviorEncoder, LightGCNConv
from drepm_pyg.typing import Tensor


def main() -> None:
    args = _parse()
    warnings.filterwarnings("ignore", message="Sparse ")  # torch: CSR is in beta, invariants are not checked
    torch.manual_seed(0)
    factor = 1 / 40 if args.quick else 1
    users, items, pairs = (round(count * factor) for count in (args.users, args.items, args.pairs))
    limits = machine.limits(args.device, quick=args.quick)
    report = Report(args, device=args.device, limits=limits)
    nodes = users + items
    edge_index = _random_graph(users, items, pairs).to(args.device)
    x = torch.randn(nodes, args.dim, device=args.device, requires_grad=True)
    gradient = torch.randn(nodes, args.dim, device=args.device)
    forms = _forms(edge_index, x)
    reference = LGConv()(x, edge_index)
    for name, form in forms.items():
        torch.testing.assert_close(
            form(), reference, atol=1e-4, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
        )

    forward = compare(forms, rounds=args.rounds, device=args.device)
    # autograd.grad, not backward: adding to x.grad is no part of the product.
    steps = {name: lambda form=form: torch.autograd.grad(form(), x, gradient) for name, form in forms.items()}
    both = compare(steps, rounds=args.rounds, device=args.device)
    row, edges = 4 * args.dim, edge_index.size(1)
    moved = {"a row read per edge": edges * (row + 8) + nodes * row, "every row read once": edges * 8 + 2 * nodes * row}
    bounds = {name: size / limits["bandwidth_gb_s"] / 1e9 for name, size in moved.items()}
    bound = bounds["a row read per edge"]
    base = both["LightGCNConv, EdgeIndex"].median
    rows = [
        {
            "form": name,
            "forward ms": 1e3 * forward[name].median,
            "forward + backward ms": 1e3 * both[name].median,
            "ratio to ours": both[name].median / base,
            "ratio to the bound": both[name].median / (2 * bound),
        }
        for name in forms
    ]
    rows += [
        {
            "form": f"bound: {name}",
            "forward ms": 1e3 * seconds,
            "forward + backward ms": 2e3 * seconds,
            "ratio to ours": ratio(2 * seconds, base),
            "ratio to the bound": seconds / bound,
        }
        for name, seconds in bounds.items()
    ]
    title = f"One product: {nodes:,} nodes, {edge_index.size(1):,} edges, width {args.dim}"
    report.table("product", title, rows, note="The ratio is to the first bound, a row of x read per edge.")

    pair_index = edge_index[:, :pairs] - torch.tensor([[0], [users]], device=args.device)
    encoder = BehaviorEncoder(users, items, args.dim, 2).to(args.device)
    plain, peer = [LightGCNConv() for _ in range(2)], [LGConv() for _ in range(2)]
    halves = [encoder.user_embedding.weight, encoder.item_embedding.weight]
    calls = {
        "BehaviorEncoder": lambda: torch.autograd.grad(encoder(pair_index), halves, gradient.split([users, items])),
        "LightGCNConv, plain edge_index": lambda: torch.autograd.grad(_two_layers(plain, x, edge_index), x, gradient),
        "PyG LGConv, plain edge_index": lambda: torch.autograd.grad(_two_layers(peer, x, edge_index), x, gradient),
    }
    times = compare(calls, rounds=args.rounds, device=args.device)
    base = times["BehaviorEncoder"].median
    rows = [
        {
            "form": name,
            "forward + backward ms": 1e3 * time.median,
            "ratio to ours": time.median / base,
            "ratio to the bound": time.median / (4 * bound),
        }
        for name, time in times.items()
    ]
    report.table("encoder", f"Two layers and their mean (Eq. 1-3), width {args.dim}, same graph", rows)


def _parse() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--users", type=int, default=baby.USERS)
    options.add_argument("--items", type=int, default=baby.ITEMS)
    options.add_argument("--pairs", type=int, default=117_604)
    options.add_argument("--dim", type=int, default=64)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--device", default="cpu")
    return options.parse_args()


def _random_graph(users: int, items: int, pairs: int) -> Tensor:
    """Pairs in both directions, users first."""
    user, item = torch.randint(users, (pairs,)), torch.randint(items, (pairs,)) + users
    return torch.stack([torch.cat([user, item]), torch.cat([item, user])])


def _forms(edge_index: Tensor, x: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Ours with every ``Adj``, and the peers; all normalised alike."""
    nodes = x.size(0)
    ones = torch.ones(edge_index.size(1), device=x.device)
    coo = torch.sparse_coo_tensor(edge_index.flip(0), ones, (nodes, nodes)).coalesce()
    csr, csc = coo.to_sparse_csr(), coo.to_sparse_csc()
    prepared = EdgeIndex(edge_index, sparse_size=(nodes, nodes))
    conv, peer = LightGCNConv(), LGConv()
    _, weight = gcn_norm(edge_index, None, nodes, add_self_loops=False, dtype=x.dtype)
    normalized = torch.sparse_coo_tensor(edge_index.flip(0), weight, (nodes, nodes)).coalesce()
    normalized_csr = normalized.to_sparse_csr()
    forms: dict[str, Callable[[], Tensor]] = {
        "LightGCNConv, EdgeIndex": lambda: conv(x, prepared),
        "LightGCNConv, torch CSR": lambda: conv(x, csr),
        "LightGCNConv, torch CSC": lambda: conv(x, csc),
        "LightGCNConv, torch COO": lambda: conv(x, coo),
        "LightGCNConv, plain edge_index": lambda: conv(x, edge_index),
        "PyG LGConv, plain edge_index": lambda: peer(x, edge_index),
        "torch.sparse COO @ x, normalised before": lambda: normalized @ x,
        "torch.sparse CSR @ x, normalised before": lambda: normalized_csr @ x,
    }
    if WITH_TORCH_SPARSE:
        size = (nodes, nodes)
        adj_t = SparseTensor(row=edge_index[1], col=edge_index[0], sparse_sizes=size)
        weighted = SparseTensor(row=edge_index[1], col=edge_index[0], value=weight, sparse_sizes=size)
        forms["LightGCNConv, SparseTensor"] = lambda: conv(x, adj_t)
        forms["torch-sparse matmul, normalised before"] = lambda: weighted @ x
    return forms


def _two_layers(convs: list[torch.nn.Module], x: Tensor, edge_index: Tensor) -> Tensor:
    layers = [x]
    for conv in convs:
        layers.append(conv(layers[-1], edge_index))
    return torch.stack(layers).mean(dim=0)


if __name__ == "__main__":
    main()
