"""The folder of a run: what was asked for, what came out, the weights; and how to get the model back from it."""

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch_geometric.data import HeteroData

import drepm_pyg
from drepm_pyg._checks import CorruptFileError, check_text
from drepm_pyg._files import replaced
from drepm_pyg.models import RecommenderModel, WithBMA, available_models, get_model
from drepm_pyg.typing import Tensor

__all__ = [
    "CONFIG",
    "IN_TURN",
    "LAST",
    "METRICS",
    "RESULT",
    "WEIGHTS",
    "fingerprint",
    "flat_config",
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
#: The best weights so far, where those of a last epoch that was validated out of turn have taken their place.
IN_TURN = "checkpoints/in_turn.safetensors"
_NEEDED = {"model", "init_args", "metrics", "fingerprint"}  # of a result, by who reads it


def open_folder(root: Path, name: str | None, default: str, *, resume: bool) -> Path:
    """The folder of a run, made if it is not there.

    Args:
        root: where run folders stand.
        name: of the folder; None: ``default``, ``default-2``, ...: the first that is free, or to resume, the last one.
        default: the name where none is given.
        resume: whether the run may be there already.

    Raises:
        TypeError: where ``name`` is no text.
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
    else:
        check_text(name=name)
        if "\0" in name or not Path(name).parts or Path(name).is_absolute() or ".." in Path(name).parts:
            raise ValueError(f"'name' must be the name of a folder below '{root}' (got {name!r}). Its place is 'root'.")
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
                layout = "" if value.layout == torch.strided else f" {value.layout}"
                digest.update(f"{key} {name} {tuple(value.shape)} {value.dtype}{layout}".encode())
                for part in _parts(value.detach().cpu()):
                    # A view of the bytes: nothing is copied, memory-mapped features are read through.
                    digest.update(part.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def _parts(tensor: Tensor) -> Iterator[Tensor]:
    """The dense tensors that a tensor consists of: itself, or the indices and values of a sparse one."""
    if tensor.layout == torch.sparse_coo:
        tensor = tensor.coalesce()
        yield from (tensor.indices(), tensor.values())
    elif tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        yield from (tensor.crow_indices(), tensor.col_indices(), tensor.values())
    elif tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        yield from (tensor.ccol_indices(), tensor.row_indices(), tensor.values())
    else:
        yield tensor


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


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # yaml comes without types
    """NumPy's numbers as Python's, paths as text."""


_Dumper.add_multi_representer(np.generic, lambda dumper, number: dumper.represent_data(number.item()))
_Dumper.add_multi_representer(PurePath, lambda dumper, path: dumper.represent_data(str(path)))


def flat_config(
    model: RecommenderModel, init_args: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> dict[str, Any]:
    """A run in the flat form that ``drepm fit --config`` reads, without ``data``: in memory they have no name.

    Without ``init_args`` it has no ``model`` either. Nobody could build it again, and the defaults make another one.
    """
    if init_args is None:
        return dict(options)
    cls, given = type(model), dict(init_args)
    if cls is WithBMA and "model" in given:  # what it adds stands beside the model
        return {"model": given.pop("model"), "bma": given, **options}
    module = "drepm_pyg.models" if cls.__module__.startswith("drepm_pyg.") else cls.__module__
    return {"model": {"class_path": f"{module}.{cls.__qualname__}", "init_args": given}, **options}


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """What the run was asked for."""
    with replaced(folder / CONFIG) as file:
        file.write_text(yaml.dump(dict(config), Dumper=_Dumper, sort_keys=False))


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """What came out, written last and at once: a folder with a result is a finished run."""
    with replaced(folder / RESULT) as file:
        file.write_text(json.dumps(dict(result), indent=2) + "\n")


def read_result(folder: str | Path) -> dict[str, Any]:
    """The result of a finished run.

    Raises:
        FileNotFoundError: where the folder holds none.
        CorruptFileError: where the file is no JSON of a result.
    """
    path = Path(folder) / RESULT
    if not path.exists():
        raise FileNotFoundError(
            f"'{path}' does not exist: the run is not finished. Go on with fit(..., resume=True), on the command "
            "line --resume true."
        )
    try:
        result: dict[str, Any] = json.loads(path.read_text())
    except ValueError as error:  # no JSON, or no text
        raise CorruptFileError(f"'{path}' is no JSON ({error}). Was the file truncated?") from error
    if not isinstance(result, dict) or not result.keys() >= _NEEDED:
        raise CorruptFileError(f"'{path}' is no result of a run, which has {sorted(_NEEDED)}. Put it back as it was.")
    return result


def write_weights(folder: Path, model: RecommenderModel) -> None:
    """The weights as safetensors: loading them runs no code."""
    # Copies: the format has no place for two names of one memory.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    with replaced(folder / WEIGHTS) as file:
        save_file(tensors, file)


def read_weights(folder: Path, model: RecommenderModel) -> None:
    """Load what :func:`write_weights` wrote into ``model``.

    Raises:
        CorruptFileError: where the file is missing or truncated, or holds the weights of another model.
    """
    if not (folder / WEIGHTS).is_file():
        raise CorruptFileError(f"'{WEIGHTS}' is missing in '{folder}'. Put it back, or train the model again.")
    try:
        weights = load_file(folder / WEIGHTS)
    except SafetensorError as error:
        raise CorruptFileError(f"'{folder / WEIGHTS}' cannot be read ({error}). Was the file truncated?") from error
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        there, here = ({name: x.shape for name, x in one.items()} for one in (weights, model.state_dict()))
        other = sorted(name for name in there | here if there.get(name) != here.get(name))
        raise CorruptFileError(
            f"'{folder / WEIGHTS}' does not hold the weights of this {type(model).__name__} ({len(other)} differ: "
            f"{other[:5]}). Put the run's own file back, or build the model with the arguments of the run."
        ) from error


def load_run(folder: str | Path, data: HeteroData, model: RecommenderModel | None = None) -> RecommenderModel:
    """The trained model of a run that ``drepm fit`` or :func:`drepm_pyg.training.fit` made.

    Args:
        folder: ``runs/<name>``.
        data: the data that it was trained on.
        model: takes the weights, where it is a class of your own or the run does not say how it is built; None: the
            library's model is built as it was.

    Returns:
        the model in evaluation mode.

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
    if model is None:
        model = _build(folder, data, result["model"], result["init_args"])
    read_weights(folder, model)
    return model.eval()


def _build(folder: Path, data: HeteroData, name: str, init_args: Mapping[str, Any] | None) -> RecommenderModel:
    if name.lower() not in (*available_models(), "withbma"):
        raise ValueError(
            f"The run in '{folder}' is of {name}, which is no model of the library. Build it yourself and pass it: "
            "load_run(folder, data, model)."
        )
    if init_args is None:
        raise ValueError(
            f"The run in '{folder}' does not say how its model is built. Build it yourself and pass it, "
            "load_run(folder, data, model), or give fit(..., init_args=...) what from_data was given."
        )
    return get_model(name).from_data(data, **init_args)
