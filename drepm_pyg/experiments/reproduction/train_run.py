"""One run, from its settings to what tables and figures need of it."""

import sys
from contextlib import redirect_stdout
from typing import Any

from filelock import FileLock
from torch_geometric.data import HeteroData

from drepm_pyg.experiments.reproduction.places import Place
from drepm_pyg.experiments.reproduction.users_file import write_users

__all__ = ["train_run"]


def train_run(place: Place, data: HeteroData, *, progress: bool) -> None:
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
