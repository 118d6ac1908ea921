"""The folder of a run: what was asked for, what came out, the weights; and how to get the model back from it."""

import hashlib
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch_geometric.data import HeteroData

import drepm_pyg
from drepm_pyg._checks import CorruptFileError
from drepm_pyg.models import RecommenderModel, get_model
from drepm_pyg.typing import Tensor

__all__ = [
    "fingerprint",
    "load_run",
    "open_folder",
    "read_result",
    "read_weights",
    "versions",
    "write_config",
    "write_result",
    "write_weights",
]

CONFIG, RESULT, WEIGHTS, METRICS, LAST = (
    "config.yaml",
    "result.json",
    "best.safetensors",
    "metrics.csv",
    "checkpoints/last.ckpt",
)


def open_folder(root: Path, name: str | None, default: str, *, resume: bool) -> Path:
    """The folder of a run, made if it is not there.

    Args:
        root: where run folders stand.
        name: of the folder; None: ``default``, ``default-2``, ...: the first that is free, or to resume, the last one.
        default: the name where none is given.
        resume: whether the run may be there already.

    Raises:
        ValueError: where ``name`` is no plain name, or holds a run and ``resume`` is False.
    """

    def taken(folder: Path) -> bool:
        return any((folder / file).exists() for file in (METRICS, LAST, RESULT))

    if name is None:
        free = root / default
        last, number = free, 1
        while taken(free):
            last, number = free, number + 1
            free = root / f"{default}-{number}"
        folder = last if resume else free
    elif not Path(name).parts or Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError(f"'name' must be the name of a folder below '{root}' (got {name!r}). Its place is 'root'.")
    else:
        folder = root / name
    if not resume and taken(folder):
        raise ValueError(
            f"'{folder}' holds a run already. Go on with resume=True (--resume true), or choose another 'name'."
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fingerprint(data: HeteroData) -> str:
    """A hash of every tensor of ``data``: equal data, equal fingerprint, wherever it came from."""
    digest = hashlib.sha256()
    stores = [(str(key), data[key]) for key in (*data.node_types, *data.edge_types)]
    for key, store in sorted(stores, key=lambda entry: entry[0]):
        for name, value in sorted(store.items(), key=lambda entry: str(entry[0])):
            if isinstance(value, Tensor):
                digest.update(f"{key} {name} {tuple(value.shape)} {value.dtype}".encode())
                # A view of the bytes: nothing is copied, memory-mapped features are read through.
                digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def versions() -> dict[str, str]:
    """What the numbers were made with."""
    import lightning
    import torch_geometric

    return {
        "drepm_pyg": drepm_pyg.__version__,
        "torch": torch.__version__,
        "torch_geometric": torch_geometric.__version__,
        "lightning": lightning.__version__,
        "python": platform.python_version(),
    }


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """What the run was asked for, in a form that ``drepm fit --config`` takes."""
    (folder / CONFIG).write_text(yaml.safe_dump(dict(config), sort_keys=False))


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """What came out, written last and at once: a folder with a result is a finished run."""
    waiting = folder / f"{RESULT}.tmp"
    waiting.write_text(json.dumps(dict(result), indent=2) + "\n")
    waiting.replace(folder / RESULT)


def read_result(folder: str | Path) -> dict[str, Any]:
    """The result of a finished run.

    Raises:
        FileNotFoundError: where the folder holds none.
        CorruptFileError: where the file is no JSON.
    """
    path = Path(folder) / RESULT
    if not path.exists():
        raise FileNotFoundError(
            f"'{path}' does not exist: the run is not finished. Go on with fit(..., resume=True), on the command "
            "line --resume true."
        )
    try:
        result: dict[str, Any] = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise CorruptFileError(f"'{path}' is no JSON ({error}). Was the file truncated?") from error
    return result


def write_weights(folder: Path, model: RecommenderModel) -> None:
    """The weights as safetensors: loading them runs no code."""
    # Copies: the format has no place for two names of one memory.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    waiting = folder / f"{WEIGHTS}.tmp"
    save_file(tensors, waiting)
    waiting.replace(folder / WEIGHTS)


def read_weights(folder: Path, model: RecommenderModel) -> None:
    """Load what :func:`write_weights` wrote into ``model``.

    Raises:
        CorruptFileError: where the file is truncated.
    """
    try:
        weights = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise CorruptFileError(f"'{folder / WEIGHTS}' cannot be read ({error}). Was the file truncated?") from error
    model.load_state_dict(weights)


def load_run(folder: str | Path, data: HeteroData) -> RecommenderModel:
    """The trained model of a run that ``drepm fit`` or :func:`drepm_pyg.training.fit` made.

    Args:
        folder: ``runs/<name>``.
        data: the data that it was trained on.

    Raises:
        FileNotFoundError: where the run is not finished.
        ValueError: where ``data`` is other data, or the run does not say how its model is built.
    """
    folder = Path(folder)
    result = read_result(folder)
    if result["fingerprint"] != (given := fingerprint(data)):
        raise ValueError(
            f"'data' is not what the run in '{folder}' was trained on (fingerprint {given}, the run has "
            f"{result['fingerprint']}). Read the same data with the same graphs."
        )
    if result["init_args"] is None:
        raise ValueError(
            f"The run in '{folder}' does not say how its model is built. Build it yourself and load {WEIGHTS}, or give "
            "fit(..., init_args=...) what from_data was given."
        )
    model = get_model(result["model"]).from_data(data, **result["init_args"])
    read_weights(folder, model)
    return model.eval()
