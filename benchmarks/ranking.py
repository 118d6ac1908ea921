"""How fast are all items ranked for all users? ``evaluate`` and ``topk`` against what they cannot do without.

The limit is the product that gives the scores, block by block, with nothing done to them; the peer is what one writes
first: the product, the training items masked, ``torch.topk``.
"""

import argparse
from collections.abc import Callable

import torch
from kit import baby, machine
from kit.memory import in_child, peak_of
from kit.report import Report, parser, ratio, show_case
from kit.timing import compare
from torch_geometric.data import HeteroData

from drepm_pyg.data import USER_ITEM
from drepm_pyg.evaluation import METRICS, evaluate, topk
from drepm_pyg.models import Representations
from drepm_pyg.typing import Tensor

BLOCK = 256  # users at a time for the peers; larger blocks are no faster


def main() -> None:
    args = _parse()
    if args.case:
        import torch_geometric.metrics  # noqa: F401  # its modules are no part of the ranking's memory

        calls = _calls(*_data(args), args)
        show_case({"bytes": peak_of(calls[args.case["name"]])[1]})
        return
    limits = machine.limits(args.device, quick=args.quick)
    report = Report(args, device=args.device, limits=limits)
    data, tables = _data(args)
    calls = _calls(data, tables, args)
    times = compare(calls, rounds=args.rounds, device=args.device)
    bare = times["scores alone (the limit)"].median
    rows: list[dict[str, object]] = []
    measured = list(times)[-1:] if args.quick else list(times)  # a process a row, most of which is its imports
    for name, timing in times.items():
        in_memory = args.device == "cpu" and name in measured
        peak = in_child(__file__, {"name": name, "quick": args.quick}) if in_memory else {}
        rows.append(
            {
                "what": name,
                "seconds": timing.median,
                "ratio to the scores": ratio(timing.median, bare),
                "peak MB": peak["bytes"] / 2**20 if "bytes" in peak else None,
            }
        )
    users, items = len(tables.user), len(tables.item)
    gflop = 2e-9 * users * items * args.dim
    title = f"Ranking {items:,} items for {users:,} users, width {args.dim}, K = {args.k}"
    share = 100 * gflop / limits["gemm_gflops"] / bare
    note = (
        f"The scores are {gflop:.1f} GFLOP; their blocks reach {share:.0f}% of the measured rate of a large product, "
        "as they are written to memory. Peak: growth of the resident size in a process of its own."
    )
    report.table("ranking", title, rows, note=note, gflop=gflop)


def _parse() -> argparse.Namespace:
    options = parser(__doc__, case=True)
    options.add_argument("--k", type=int, default=50)
    options.add_argument("--dim", type=int, default=64)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--device", default="cpu")
    args = options.parse_args()
    args.quick = args.quick or bool(args.case and args.case["quick"])
    if args.quick:
        args.rounds = 1
    return args


def _data(args: argparse.Namespace) -> tuple[HeteroData, Representations]:
    """Pairs for every user in both splits, and random tables."""
    torch.manual_seed(0)
    data = baby.baby(quick=args.quick, widths={}).to(args.device)
    users, items = data["user"].num_nodes, data["item"].num_nodes
    missing = torch.arange(users, device=args.device)
    extra = torch.stack([missing, torch.randint(items, (users,), device=args.device)])
    pairs = data[USER_ITEM].test_edge_label_index
    data[USER_ITEM].test_edge_label_index = torch.cat([pairs, extra], dim=1)
    user, item = (torch.randn(count, args.dim, device=args.device) for count in (users, items))
    return data, Representations(user, item)


def _calls(data: HeteroData, tables: Representations, args: argparse.Namespace) -> dict[str, Callable[[], object]]:
    seen = data[USER_ITEM].edge_index
    order = seen[0].argsort(stable=True)
    seen = seen[:, order]
    return {
        "scores alone (the limit)": lambda: _scores(tables),
        "scores + mask + torch.topk, by blocks": lambda: _plain(tables, seen, args.k),
        "topk, training items left out": lambda: topk(tables.user, tables.item, args.k, exclude=seen),
        "evaluate, recall and NDCG": lambda: evaluate(tables, data, ks=(args.k,)),
        "evaluate, all metrics": lambda: evaluate(tables, data, ks=(args.k,), metrics=tuple(METRICS)),
        "evaluate, all metrics at 10, 20 and K": lambda: evaluate(
            tables, data, ks=(10, 20, args.k), metrics=tuple(METRICS)
        ),
    }


def _scores(tables: Representations) -> None:
    columns, out = tables.item.T, tables.user.new_empty(BLOCK, len(tables.item))
    for block in tables.user.split(BLOCK):
        torch.mm(block, columns, out=out[: len(block)])


def _plain(tables: Representations, seen: Tensor, k: int) -> Tensor:
    best = []
    bounds = torch.arange(0, len(tables.user) + BLOCK, BLOCK, device=seen.device)
    cuts = torch.searchsorted(seen[0].contiguous(), bounds).tolist()
    for place, block in enumerate(tables.user.split(BLOCK)):
        scores = block @ tables.item.T
        user, item = seen[:, cuts[place] : cuts[place + 1]]
        scores[user - place * BLOCK, item] = -torch.inf
        best.append(scores.topk(k, dim=1).indices)
    return torch.cat(best)


if __name__ == "__main__":
    main()
