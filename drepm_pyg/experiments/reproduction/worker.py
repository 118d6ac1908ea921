"""A process of ``drepm reproduce --jobs``.

``python -m drepm_pyg.experiments.reproduction.worker RUN_FOLDER`` trains the run whose ``config.yaml`` stands there, or
goes on with it.
"""

import os
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from threading import Thread

import torch

from drepm_pyg.experiments.experiment import Experiment
from drepm_pyg.experiments.reproduction.places import Place
from drepm_pyg.experiments.reproduction.train_run import train_run
from drepm_pyg.experiments.sources import CACHE, load_data
from drepm_pyg.experiments.yaml_file import read_yaml
from drepm_pyg.training.run import CONFIG

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """The command line of one process of ``drepm reproduce --jobs``."""
    parser = ArgumentParser(prog="python -m drepm_pyg.experiments.reproduction.worker", description="Train one run.")
    parser.add_argument("folder", type=Path, help="a run's folder, with its config.yaml")
    parser.add_argument("--cache", type=Path, default=Path(CACHE), help="where downloads and graphs are kept")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--watch", nargs="*", default=[], help="what is recorded: lines, gradients")
    parser.add_argument("--tied", action="store_true", help="end when standard input is closed")
    args = parser.parse_args(argv)
    if args.tied:
        Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(args.threads)
    experiment = Experiment.from_config(read_yaml(args.folder / CONFIG))
    data = load_data(experiment.data, modalities=experiment.modalities, cache=args.cache)
    place = Place(experiment, args.folder, frozenset(args.watch))
    train_run(place, experiment.with_graphs(data, args.cache), progress=False)


def _end_with_parent() -> None:
    """A run goes on from its last epoch: nothing is lost that would have to be written first."""
    os.read(0, 1)  # not sys.stdin, which the interpreter could not close when it ends
    os._exit(1)


if __name__ == "__main__":
    main()
