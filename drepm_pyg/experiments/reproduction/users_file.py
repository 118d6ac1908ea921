"""What every user got from a finished run, for paired tests: ``users.npz`` in the run's folder."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import HeteroData

from drepm_pyg.evaluation import evaluate_users
from drepm_pyg.evaluation.evaluation_mode import evaluation_mode
from drepm_pyg.experiments.reproduction.arrays_file import read_arrays, write_arrays
from drepm_pyg.models import RecommenderModel, Representations

__all__ = ["LINES", "USERS", "read_users", "write_users"]

USERS = "users.npz"

#: The general representation, which the model ranks by, and its two lines where it has them.
LINES = ("general", "behavior", "modal")


def write_users(folder: Path, model: RecommenderModel, data: HeteroData, **options: Any) -> None:
    """Rank the test pairs by the model and by each of its lines, and keep the metrics of every user.

    Args:
        folder: the run's.
        model: trained.
        data: what it was trained on.
        options: ``ks`` and ``metrics`` of :func:`drepm_pyg.evaluation.evaluate_users`.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for line, tables in _lines(model, data).items():
        found = evaluate_users(tables, data, **options)
        arrays["user"] = found.user.cpu().numpy()
        arrays |= {f"{line}/{name}": values.double().cpu().numpy() for name, values in found.values.items()}
    write_arrays(folder / USERS, arrays)


def read_users(folder: Path) -> dict[str, NDArray[np.float64]]:
    """The values of all users in one order, such as ``"general/recall@20"`` and ``"modal/recall@20"``.

    Raises:
        CorruptFileError: where the file is truncated.
    """
    return {name: values for name, values in read_arrays(folder / USERS).items() if name != "user"}


@torch.no_grad()
def _lines(model: RecommenderModel, data: HeteroData) -> dict[str, Any]:
    with evaluation_mode(model):
        tables = model(data) if model.factorized else model
    if not isinstance(tables, Representations):
        return {"general": tables}
    lines = {"general": tables, "behavior": tables.behavior, "modal": tables.modal}
    return {name: line for name, line in lines.items() if line is not None}
