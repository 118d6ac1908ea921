"""How does the cost grow? 1 to 100 times Amazon Baby: seconds per step and per epoch, peak memory, exponents.

Each size runs in a process of its own. A full-batch model propagates over the whole graph in every step: with a fixed
batch an epoch has more steps and each is longer, with a batch that grows with the data it has as many as at size 1.
Neighbours in the similarity graphs are random: what a step costs does not depend on who they are. Tables lie in large
pages, as ``drepm`` lets them.
"""

import argparse
import os
import statistics

import torch
from kit import baby
from kit.growth import exponent
from kit.memory import in_child, peak_bytes
from kit.report import Report, parser, show_case
from kit.step import Step
from kit.timing import once

from drepm_pyg._arrays import kept_memory
from drepm_pyg.models import get_model
from drepm_pyg.training import EpochTriples

CASES = {
    "LightGCN": ("lightgcn", False),
    "LightGCN, batch grown with the data": ("lightgcn", True),
    "DRepMRec": ("drepmrec", False),
}
COSTS = ("structures and first step s", "sampling ms per epoch", "step ms", "seconds per epoch", "peak MB")


def main() -> None:
    args = _parse()
    if args.case:
        with kept_memory:  # as fit does
            show_case(_measure(**args.case))
        return
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # for the children
    report = Report(args)
    for name in args.models:
        model, grown = CASES[name]
        rows: list[dict[str, object]] = []
        for size in args.sizes:
            case = {"model": model, "grown": grown, "size": size, "steps": args.steps, "quick": args.quick}
            case |= {"widths": args.widths, "device": args.device}
            found = in_child(__file__, case, timeout=args.timeout)
            empty = dict.fromkeys(("users", "items", "training pairs", "batch", *COSTS))
            rows.append({"times Baby": size, **empty, **found})
        measured = [row for row in rows if not row.get("error")]
        sizes = [float(row["times Baby"]) for row in measured]
        exponents = {cost: exponent(sizes, [float(row[cost]) for row in measured]) for cost in COSTS}
        rows.append({"times Baby": "exponent", **exponents})
        failed = "".join(f" Size {row['times Baby']}: {row['error']}." for row in rows if row.get("error"))
        note = f"Feature widths {args.widths}, D = 64.{failed}"
        report.table(name, f"{name}: growth with the data", rows, note=note, exponents=exponents)


def _parse() -> argparse.Namespace:
    options = parser(__doc__, case=True)
    options.add_argument("--sizes", nargs="+", type=float, default=[1, 3, 10, 30, 100], metavar="TIMES")
    options.add_argument("--models", nargs="+", choices=list(CASES), default=list(CASES), metavar="NAME")
    options.add_argument("--image", type=int, default=512, help="width of the image features")
    options.add_argument("--text", type=int, default=384, help="width of the text features")
    options.add_argument("--steps", type=int, default=5)
    options.add_argument("--device", default="cpu")
    options.add_argument("--timeout", type=float, default=1800, help="seconds that one size may take")
    args = options.parse_args()
    args.widths = {"image": args.image, "text": args.text}
    if args.quick:
        args.sizes, args.steps, args.widths = [1], 1, baby.QUICK_WIDTHS  # a process each: imports are what takes time
    return args


def _measure(
    *, model: str, grown: bool, size: float, steps: int, quick: bool, widths: dict[str, int], device: str
) -> dict[str, object]:
    torch.manual_seed(0)
    batch_size = round(2048 * size) if grown else 2048
    shown = widths if model == "drepmrec" else {}
    data = baby.baby(size, quick=quick, widths=shown)
    if shown:
        data = baby.with_random_graphs(data, shown)
    data = data.to(device)
    network = get_model(model).from_data(data).to(device)
    triples = EpochTriples(data, batch_size=batch_size)
    drawn = statistics.median(once(lambda: triples.epoch(1), device) for _ in range(3))
    step = Step(network, data, triples)
    first = once(step, device)
    seconds = statistics.median(once(step, device) for _ in range(steps))
    return {
        "users": data["user"].num_nodes,
        "items": data["item"].num_nodes,
        "training pairs": triples.edge_index.size(1),
        "batch": batch_size,
        "structures and first step s": first,
        "sampling ms per epoch": 1e3 * drawn,
        "step ms": 1e3 * seconds,
        "seconds per epoch": drawn + len(triples) * seconds,
        "peak MB": (torch.cuda.max_memory_allocated() if device.startswith("cuda") else peak_bytes()) / 2**20,
    }


if __name__ == "__main__":
    main()
