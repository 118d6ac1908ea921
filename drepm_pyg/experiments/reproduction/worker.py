"""One run, from its settings to what tables and figures need of it.

``python -m drepm_pyg.experiments.reproduction.worker RUN_FOLDER`` trains the run whose ``config.yaml`` stands there, or
goes on with it.
"""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch_geometric.data import HeteroData

from drepm_pyg.experiments.experiment import Experiment
from drepm_pyg.experiments.reproduction.places import Place
from drepm_pyg.experiments.reproduction.users_file import write_users
from drepm_pyg.experiments.sources import load_data
from drepm_pyg.experiments.yaml_file import read_yaml

__all__ = ["main", "train"]


def train(place: Place, data: HeteroData, *, progress: bool) -> None:
    """Train, from where an earlier call was stopped, and rank the test pairs user by user.

    Another process at the same run is waited for.

    Args:
        place: the run and its folder.
        data: with the graphs that the model reads.
        progress: fit's own, on stderr.
    """
    options: dict[str, Any] = {}
    if "gradients" in place.watch:
        from drepm_pyg.experiments.reproduction.gradient_monitor import GradientMonitor

        watching = {"callbacks": [GradientMonitor(place.folder)]}
        options["trainer"] = {**place.experiment.options.get("trainer", {}), **watching}
    with FileLock(place.folder / ".lock"), redirect_stdout(sys.stderr):  # what Lightning prints is no result
        if place.finished:
            return
        result = place.experiment.run(data, resume=True, progress=progress, **options)
        cut = {name: place.experiment.options[name] for name in ("ks", "metrics") if name in place.experiment.options}
        write_users(place.folder, result.model, data, **cut)


def main(argv: Sequence[str] | None = None) -> None:
    """The command line of one process of ``drepm reproduce --jobs``."""
    from argparse import ArgumentParser

    parser = ArgumentParser(prog="python -m drepm_pyg.experiments.reproduction.worker", description="Train one run.")
    parser.add_argument("folder", type=Path, help="a run's folder, with its config.yaml")
    parser.add_argument("--cache", type=Path, default=Path("runs/.cache"), help="where downloads and graphs are kept")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--watch", nargs="*", default=[], help="what is recorded: lines, gradients")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    experiment = Experiment.from_config(read_yaml(args.folder / "config.yaml"))
    data = load_data(experiment.data, modalities=experiment.modalities, cache=args.cache)
    data = experiment.graphs.add(data, experiment.model_class.graph_nodes, args.cache / "graphs")
    train(Place(experiment, args.folder, frozenset(args.watch)), data, progress=False)


if __name__ == "__main__":
    main()
