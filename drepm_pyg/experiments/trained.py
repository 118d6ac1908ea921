"""A finished run, back in memory."""

from pathlib import Path

from torch_geometric.data import HeteroData

from drepm_pyg.experiments.experiment import Experiment
from drepm_pyg.experiments.yaml_file import read_yaml
from drepm_pyg.models import RecommenderModel

__all__ = ["load_trained"]


def load_trained(folder: str | Path, *, source: str | None = None) -> tuple[RecommenderModel, HeteroData]:
    """The model and the data of a run that ``drepm fit``, :meth:`Experiment.run` or ``fit(..., init_args=...)`` made.

    Args:
        folder: ``runs/<name>``.
        source: where its data are now; None: where its config says, which :func:`~drepm_pyg.training.fit` does not
            know. Relative paths start where you are.

    Raises:
        FileNotFoundError: where there is no such run, or it is not finished.
        ValueError: where the data are not named, or are not what it was trained on, or the run does not say how its
            model is built.
    """
    from drepm_pyg.training import load_run, read_result
    from drepm_pyg.training.run import CONFIG

    folder = Path(folder)
    if not (folder / CONFIG).exists():
        raise FileNotFoundError(f"'{folder}' is no run: it has no {CONFIG}. Train one with 'drepm fit'.")
    read_result(folder)  # before the data are read: an unfinished run has no model
    config = read_yaml(folder / CONFIG)
    experiment = Experiment.from_config(config if source is None else {**config, "data": source})
    try:
        plain = experiment.read()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error} Data that have moved are named by source=... (--data ...).") from error
    data = experiment.load(plain)
    return load_run(folder, data, _own_model(experiment, data)), data


def _own_model(experiment: Experiment, data: HeteroData) -> RecommenderModel | None:
    """A model of a class that someone else wrote; None for the library's, which ``load_run`` builds."""
    return None if experiment.model_class.__module__.startswith("drepm_pyg.") else experiment.create(data)
