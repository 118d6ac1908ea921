"""What does one training step cost, and where does the time go? Every model at Amazon Baby's size.

A step draws its share of the epoch's triples, computes the tables of all nodes, the losses of the batch, the gradients,
and lets Adam (fused) update the parameters. Parts within the forward pass are timed where they are called.
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from kit import baby, machine
from kit.report import Report, parser, ratio
from kit.step import Step
from kit.timing import compare, once, wait
from torch_geometric.data import HeteroData

from drepm_pyg._arrays import kept_memory
from drepm_pyg.models import available_models, get_model
from drepm_pyg.models.objective import PairwiseObjective
from drepm_pyg.models.targets import SimilarityTargets
from drepm_pyg.nn import BehaviorEncoder, FilterGate, ModalEncoder
from drepm_pyg.nn.losses import InterAlignmentLoss, IntraAlignmentLoss, SimilaritySupervisedLoss
from drepm_pyg.training import EpochTriples

#: Parts of DRepMRec's step, and the method that does each.
PARTS: dict[str, tuple[type, str]] = {
    "behaviour line (Eq. 1-3)": (BehaviorEncoder, "at"),
    "features times W (Eq. 4)": (FilterGate, "project"),
    "gates (Eq. 4)": (FilterGate, "gate"),
    "similarity graphs (Eq. 5-6)": (ModalEncoder, "_view"),
    "BPR and L2 (Eq. 14)": (PairwiseObjective, "of_rows"),
    "intra-alignment (Eq. 10)": (IntraAlignmentLoss, "forward"),
    "inter-alignment (Eq. 11)": (InterAlignmentLoss, "forward"),
    "targets of SSS": (SimilarityTargets, "__call__"),
    "SSS (Eq. 12)": (SimilaritySupervisedLoss, "forward"),
}


def main() -> None:
    args = _parse()
    torch.manual_seed(0)
    limits = machine.limits(args.device, quick=args.quick)
    report = Report(args, device=args.device, limits=limits)
    data = baby.with_graphs(baby.baby(quick=args.quick)).to(args.device)
    size = f"{data['user'].num_nodes:,} users, {data['item'].num_nodes:,} items, batch {args.batch_size:,}"

    rows = [_parts_of_a_step(name, data, args) for name in args.models]
    note = "Tables: the representations of all nodes; most models compute their loss without them."
    report.table("models", f"One step of every model: {size}", rows, note=note)
    if "drepmrec" not in args.models:
        return
    rows, floor = _parts_of_drepmrec(data, args), _dense_gflop(data, args.batch_size)
    note = (
        f"The dense products of a step are {floor:.1f} GFLOP: {1e3 * floor / limits['gemm_gflops']:.0f} ms at the "
        "measured rate. Backward parts are named as torch's profiler names them."
    )
    report.table("drepmrec", f"One step of DRepMRec: {size}", rows, note=note, dense_gflop=floor)
    report.table("modes", f"Ways to run a step: {size}", _modes(data, args))


def _parse() -> argparse.Namespace:
    trainable = [name for name in available_models() if get_model(name).trainable]
    options = parser(__doc__)
    options.add_argument("--models", nargs="+", choices=trainable, default=trainable, metavar="MODEL")
    options.add_argument("--batch-size", type=int, default=2048)
    options.add_argument("--steps", type=int, default=7)
    options.add_argument("--device", default="cpu")
    options.add_argument("--no-compile", action="store_true", help="leave torch.compile out (it takes minutes)")
    args = options.parse_args()
    if args.quick:
        args.steps, args.batch_size = 2, 256
    return args


def _step(name: str, data: HeteroData, args: argparse.Namespace) -> Step:
    triples = EpochTriples(data, batch_size=args.batch_size)
    return Step(get_model(name).from_data(data).to(args.device), data, triples)


def _parts_of_a_step(name: str, data: HeteroData, args: argparse.Namespace) -> dict[str, object]:
    step = _step(name, data, args)
    step()  # structures, and Adam's state
    tables: list[float] = []
    forward = step.model.forward

    def timed_forward(data: HeteroData) -> object:
        wait(args.device)
        started = time.perf_counter()
        value = forward(data)
        wait(args.device)
        tables.append(time.perf_counter() - started)
        return value

    with patch.object(step.model, "forward", timed_forward):
        parts_of_it = {"draw": lambda: step.triples.epoch(1), "forward": step.loss}
        seconds = compare(parts_of_it, rounds=args.steps, device=args.device)
        # One after the other, as in training: what else ran in between would leave other tables in the caches.
        seconds |= compare({"step": step}, rounds=args.steps, device=args.device)
    optimizer = _optimizer_seconds(step, args)
    draw = seconds["draw"].median / len(step.triples)
    inside = statistics.median(tables) if tables else 0.0  # a model may compute its loss without them
    total = draw + seconds["step"].median
    parts = {
        "sampling": draw,
        "tables": inside,
        "losses": seconds["forward"].median - inside,
        "backward": seconds["step"].median - seconds["forward"].median - optimizer,
        "optimiser": optimizer,
    }
    shares = {f"{part} %": 100 * max(0.0, value) / total for part, value in parts.items()}
    epoch = total * len(step.triples)
    return {"model": type(step.model).__name__, "step ms": 1e3 * total, **shares, "seconds per epoch": epoch}


def _optimizer_seconds(step: Step, args: argparse.Namespace) -> float:
    return compare({"": step.optimizer.step}, rounds=args.steps, device=args.device)[""].median


def _parts_of_drepmrec(data: HeteroData, args: argparse.Namespace) -> list[dict[str, object]]:
    step = _step("drepmrec", data, args)
    step()
    with _stopwatches(PARTS, args.device) as forward:
        whole = [once(step, args.device) for _ in range(args.steps)]
    with torch.profiler.profile() as profile:
        for _ in range(args.steps):
            step()
    prefix = "autograd::engine::evaluate_function: "
    backward = {
        event.key.removeprefix(prefix): event.cpu_time_total / 1e6
        for event in profile.key_averages()
        if event.key.startswith(prefix)
    }
    optimizer = _optimizer_seconds(step, args)
    total = sum(whole) / args.steps
    largest = sorted(backward.items(), key=lambda part: -part[1])[:8]
    parts = [(f"forward: {name}", seconds / args.steps) for name, seconds in forward.items()]
    parts += [(f"backward: {name}", seconds / args.steps) for name, seconds in largest]
    parts += [("backward: all others", (sum(backward.values()) - sum(value for _, value in largest)) / args.steps)]
    parts += [("optimiser", optimizer), ("whole step", total)]
    return [{"part": name, "ms": 1e3 * seconds, "share %": 100 * seconds / total} for name, seconds in parts]


@contextmanager
def _stopwatches(parts: dict[str, tuple[type, str]], device: str) -> Iterator[dict[str, float]]:
    """Seconds spent in each of the methods, while the context lasts."""
    seconds: dict[str, float] = defaultdict(float)

    def watched(name: str, method: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            wait(device)
            started = time.perf_counter()
            value = method(*args, **options)
            wait(device)
            seconds[name] += time.perf_counter() - started
            return value

        return call

    patches = [patch.object(cls, method, watched(name, getattr(cls, method))) for name, (cls, method) in parts.items()]
    for active in patches:
        active.start()
    try:
        yield seconds
    finally:
        for active in patches:
            active.stop()


def _dense_gflop(data: HeteroData, batch_size: int, dim: int = 64) -> float:
    """X W and its gradient; four InfoNCE and two SSS of three products B x B x D each (DESIGN: the dense floor)."""
    width = sum(data["item"][name].size(1) for name in ("image", "text"))
    features = 2 * 2 * data["item"].num_nodes * width * dim
    return (features + 6 * 3 * 2 * batch_size**2 * dim) / 1e9


def _modes(data: HeteroData, args: argparse.Namespace) -> list[dict[str, object]]:
    """The plain step, under bfloat16 autocast and compiled, for LightGCN and DRepMRec."""
    rows: list[dict[str, object]] = []
    device_type = torch.device(args.device).type
    for name in ("lightgcn", "drepmrec"):
        plain, half = _step(name, data, args), _step(name, data, args)

        def under_autocast(step: Step = half) -> None:
            with torch.autocast(device_type, dtype=torch.bfloat16):
                loss = step.loss()
            step.update(loss)

        calls: dict[str, Callable[[], object]] = {"plain": plain, "precision='bf16-mixed'": under_autocast}
        seconds = compare(calls, rounds=args.steps, device=args.device)
        base = seconds["plain"].median
        found: dict[str, float | str] = {mode: timing.median for mode, timing in seconds.items()}
        if not args.no_compile:
            found["torch.compile"] = _compiled(_step(name, data, args), args)
        for mode, value in found.items():
            number = None if isinstance(value, str) else value
            rows.append(
                {
                    "model": type(plain.model).__name__,
                    "mode": mode,
                    "step ms": None if number is None else 1e3 * number,
                    "ratio to plain": ratio(number, base),
                    "note": value if isinstance(value, str) else "",
                }
            )
    return rows


def _compiled(step: Step, args: argparse.Namespace) -> float | str:
    """Seconds of a step whose loss is compiled, or why there are none."""
    graphs = {"mode": "reduce-overhead"} if args.device.startswith("cuda") else {}  # captured into CUDA graphs
    compiled = torch.compile(step.loss, **({"backend": "aot_eager"} if args.quick else graphs))
    try:
        timing = compare({"step": lambda: step.update(compiled())}, rounds=args.steps, device=args.device)
    except Exception as error:  # whatever the compiler raises is the result
        return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:120]}"
    finally:
        torch.compiler.reset()
    return timing["step"].median


if __name__ == "__main__":
    with kept_memory:  # as fit does
        main()
