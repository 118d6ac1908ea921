"""How long does training take, end to end? An epoch, and the time to the best validation score, ours and our peers'.

RecBole (BPR, LightGCN) and Cornac (BPR, VBPR, LightGCN) run in environments of their own under ``benchmarks/.peers``,
on the same pairs, with the same batch size, width and number of layers; Recall@20 over all items with the training
items left out, every epoch. The time to the best score counts training and validation up to that epoch, not the data.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from kit import baby
from kit.peers import run_peer, write_pairs
from kit.report import Report, parser, ratio
from torch_geometric.data import HeteroData

from drepm_pyg.data import MultimodalMovieLens, modalities
from drepm_pyg.models import get_model
from drepm_pyg.training import fit, read_metrics

OURS = {"BPR": {}, "LightGCN": {"num_layers": 2}, "VBPR": {}, "DRepMRec": {}}
PEERS = {"recbole": ("BPR", "LightGCN"), "cornac": ("BPR", "VBPR", "LightGCN")}
_NOTES = {
    ("cornac", "BPR"): "compiled SGD, pair by pair: there is no batch",
    ("cornac", "LightGCN"): "it needs DGL, whose releases hold libraries for torch up to 2.2.1",
}
CELLS = ("seconds per epoch", "epochs to best", "seconds to best", "val recall@20")


def main() -> None:
    args = _parse()
    report = Report(args)
    sources: dict[str, Callable[[], HeteroData]] = {"ml-100k": _movielens, "baby": lambda: baby.baby(quick=args.quick)}
    for name in args.data:
        data = sources[name]()
        rows = _ours(data, args) + (_peers(data, name, args) if args.peers else [])
        of_ours = {row["model"]: row for row in rows if row["library"] == "drepm_pyg"}
        rows.sort(key=lambda row: list(OURS).index(str(row["model"])))
        for row in rows:
            own = of_ours.get(row["model"], {})
            row["epoch, ratio to ours"] = ratio(row.get("seconds per epoch"), own.get("seconds per epoch"))
            row["to best, ratio to ours"] = ratio(row.get("seconds to best"), own.get("seconds to best"))
            known = _NOTES.get((str(row["library"]).split()[0], str(row["model"])))
            row["note"] = "; ".join(filter(None, [row.pop("error", None), known]))
        counts = f"{data['user'].num_nodes:,} users, {data['item'].num_nodes:,} items"
        title = f"{name}: {counts}, batch {args.batch_size:,}, width 64, 2 layers, at most {args.max_epochs} epochs"
        note = "An epoch is training alone (the median of all but the first)."
        report.table(name, title, rows, note=note)


def _parse() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--data", nargs="+", choices=["ml-100k", "baby"], default=["ml-100k", "baby"])
    options.add_argument("--models", nargs="+", choices=list(OURS), default=list(OURS), metavar="MODEL")
    options.add_argument("--peers", action=argparse.BooleanOptionalAction, default=None, help="default: unless --quick")
    options.add_argument(
        "--half",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="DRepMRec in bf16-mixed, too: slow without bf16",
    )
    options.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="ours alone; peers stay on the CPU")
    options.add_argument("--max-epochs", type=int, default=200)
    options.add_argument("--patience", type=int, default=10)
    options.add_argument("--batch-size", type=int, default=2048)
    options.add_argument("--timeout", type=float, default=3600, help="seconds that one peer's model may take")
    args = options.parse_args()
    if args.quick:
        args.data, args.max_epochs, args.patience = ["baby"], 2, 2
    args.peers = not args.quick if args.peers is None else args.peers
    return args


def _movielens() -> HeteroData:
    data: HeteroData = MultimodalMovieLens(str(Path(__file__).parent / ".data" / "ml-100k"))[0]
    return data


def _ours(data: HeteroData, args: argparse.Namespace) -> list[dict[str, object]]:
    rows = []
    runs = [(name, "drepm_pyg", "32-true") for name in args.models]
    runs += [("DRepMRec", "drepm_pyg, bf16-mixed", "bf16-mixed")] if args.half and "DRepMRec" in args.models else []
    for name, library, precision in runs:
        chosen = baby.with_graphs(data) if name == "DRepMRec" else data
        torch.manual_seed(0)
        model = get_model(name).from_data(chosen, **OURS[name])
        with tempfile.TemporaryDirectory() as folder:
            run = fit(
                model,
                chosen,
                batch_size=args.batch_size,
                max_epochs=args.max_epochs,
                patience=args.patience,
                root=folder,
                ks=(20,),
                metrics=("recall",),
                progress=False,
                trainer={"precision": precision, "accelerator": args.device},
            )
            history = read_metrics(run.path / "metrics.csv")
        epochs = [float(row["train/seconds"]) for row in history]
        cells = (
            statistics.median(epochs[1:] or epochs),
            run.epoch + 1,
            sum(float(row["seconds"]) for row in history[: run.epoch + 1]),
            run.metrics["val/recall@20"],
        )
        rows.append({"model": name, "library": library, **dict(zip(CELLS, cells, strict=True))})
    return rows


def _peers(data: HeteroData, name: str, args: argparse.Namespace) -> list[dict[str, object]]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        files = f"{name}-pairs"  # RecBole takes some names for the examples that it comes with
        write_pairs(data, Path(folder), files)
        features = Path(folder) / "features.npy"
        np.save(features, torch.cat([data["item"][modality] for modality in modalities(data)], dim=1).numpy())
        case = {
            "folder": folder,
            "name": files,
            "features": str(features),
            "dim": 64,
            "layers": 2,
            "batch_size": args.batch_size,
            "lr": 1e-3,
            "max_epochs": args.max_epochs,
            "patience": args.patience,
            "seed": 0,
        }
        for peer, models in PEERS.items():
            for model in models:
                found = run_peer(peer, {**case, "model": model}, timeout=args.timeout)
                library = f"{peer} {found.pop('version', '')}".strip()
                rows.append({"model": model, "library": library, **dict.fromkeys(CELLS), **found})
    return rows


if __name__ == "__main__":
    main()
