"""The folder of a run: what was asked for, what came out, the weights; and how to get the model back from it."""

import hashlib
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import load_file, save_file
from torch_geometric.data import HeteroData

import drepm_pyg
from drepm_pyg._checks import CorruptFileError
from drepm_pyg.models import RecommenderModel, get_model
from drepm_pyg.typing import Tensor

__all__ = ["fingerprint", "load_run", "read_result", "versions", "write_config", "write_result", "write_weights"]

CONFIG, RESULT, WEIGHTS, METRICS, CHECKPOINTS = (
    "config.yaml",
    "result.json",
    "best.safetensors",
    "metrics.csv",
    "checkpoints",
)


def fingerprint(data: HeteroData) -> str:
    """A hash of every tensor of ``data``: equal data, equal fingerprint, wherever it came from."""
    digest = hashlib.sha256()
    for store in sorted(data.stores, key=lambda store: str(store._key)):
        for name, value in sorted(store.items(), key=lambda entry: str(entry[0])):
            if isinstance(value, Tensor):
                digest.update(f"{store._key} {name} {tuple(value.shape)} {value.dtype}".encode())
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
        raise FileNotFoundError(f"'{path}' does not exist: the run is not finished. Go on with fit(..., resume=True).")
    try:
        result: dict[str, Any] = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise CorruptFileError(f"'{path}' is no JSON ({error}). Was the file truncated?") from error
    return result


def write_weights(folder: Path, model: RecommenderModel) -> None:
    """The weights as safetensors: loading them runs no code."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    waiting = folder / f"{WEIGHTS}.tmp"
    save_file(tensors, waiting)
    waiting.replace(folder / WEIGHTS)


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
    model.load_state_dict(load_file(folder / WEIGHTS))
    return model.eval()
