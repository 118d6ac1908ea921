"""Finished runs without their weights: small enough to be committed, and all that tables and figures are drawn from."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from drepm_pyg._files import replaced
from drepm_pyg.experiments.experiment import Experiment
from drepm_pyg.experiments.reproduction.gradients_file import GRADIENTS
from drepm_pyg.experiments.reproduction.places import Place
from drepm_pyg.experiments.reproduction.settings import PLACE
from drepm_pyg.experiments.reproduction.users_file import USERS
from drepm_pyg.training.run import CONFIG, METRICS, RESULT

__all__ = ["keep"]


def keep(place: Place, kept: Path) -> None:
    """Copy a finished run to ``<kept>/<name of its folder>``, without weights and checkpoints.

    The result and the metrics of every user always; the epochs, the gradients and the points of t-SNE where a figure is
    drawn from them; the settings without paths, so that the folder says nothing of the machine.

    Args:
        place: the run; where it stands in ``kept`` already, nothing is done.
        kept: the folder of the data set's kept runs.
    """
    target = kept / place.folder.name
    if place.folder == target:
        return
    target.mkdir(parents=True, exist_ok=True)
    if not (target / CONFIG).exists():
        with replaced(target / CONFIG) as hidden:
            hidden.write_text(yaml.safe_dump(_without_paths(place.experiment), sort_keys=False), encoding="utf-8")
    watched = {"lines": METRICS, "gradients": GRADIENTS}
    # The result comes last: a folder that has one is a finished run.
    for name in (USERS, *(watched[what] for what in sorted(place.watch)), *sorted(place.points), RESULT):
        if (place.folder / name).exists() and not (target / name).exists():
            with replaced(target / name) as hidden:  # another process may have finished the same run
                shutil.copyfile(place.folder / name, hidden)


def _without_paths(experiment: Experiment) -> dict[str, Any]:
    config = {name: value for name, value in experiment.to_config().items() if name not in PLACE or name == "seed"}
    config["data"] = Path(experiment.data).name
    if "graphs" in config:
        files = {name: Path(path).name for name, path in experiment.graphs.files.items()}
        config["graphs"] = {**config["graphs"], **files}
    return config
