"""What every user got from a finished run, for paired tests: ``users.npz`` in the run's folder."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch_geometric.data import HeteroData

from drepm_pyg.evaluation import evaluate_users
from drepm_pyg.evaluation.scoring import ranked_by
from drepm_pyg.experiments.reproduction.arrays_file import read_arrays, write_arrays
from drepm_pyg.models import RecommenderModel, Representations

__all__ = ["LINES", "USERS", "read_users", "write_users"]

USERS = "users.npz"

#: The two lines of a model and the general representation, which it ranks by: how tables and pictures call them.
LINES = {"behavior": "behaviour", "modal": "modal", "general": "general"}


def write_users(folder: Path, model: RecommenderModel, data: HeteroData, **options: Any) -> None:
    """Rank the test pairs by the model and by each of its lines, and keep the metrics of every user.

    Args:
        folder: the run's.
        model: trained.
        data: what it was trained on.
        options: ``ks`` and ``metrics`` of :func:`drepm_pyg.evaluation.evaluate_users`.
    """
    arrays: dict[str, NDArray[Any]] = {}
    ranked = ranked_by(model, data)
    lines = ranked.lines() if isinstance(ranked, Representations) else {"general": ranked}
    for line, tables in lines.items():
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
