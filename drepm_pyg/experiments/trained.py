"""A finished run, back in memory."""

from pathlib import Path

from torch_geometric.data import HeteroData

from drepm_pyg.experiments.experiment import Experiment
from drepm_pyg.experiments.yaml_file import read_yaml
from drepm_pyg.models import RecommenderModel

__all__ = ["load_trained"]


def load_trained(folder: str | Path, *, source: str | None = None) -> tuple[RecommenderModel, HeteroData]:
    """The model and the data of a run that ``drepm fit`` or :meth:`Experiment.run` made.

    Args:
        folder: ``runs/<name>``.
        source: where its data are now; None: where its config says. Relative paths start where you are.

    Raises:
        FileNotFoundError: where there is no such run, or it is not finished.
        ValueError: where the data are not what it was trained on.
    """
    from drepm_pyg.training import load_run, read_result

    folder = Path(folder)
    if not (folder / "config.yaml").exists():
        raise FileNotFoundError(f"'{folder}' is no run: it has no config.yaml. Train one with 'drepm fit'.")
    read_result(folder)  # before the data are read: an unfinished run has no model
    config = read_yaml(folder / "config.yaml")
    data = Experiment.from_config(config if source is None else {**config, "data": source}).load()
    return load_run(folder, data), data
