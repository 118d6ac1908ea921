"""What defines a run, as a short hash: equal runs are found again, wherever the data and the results stand."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import drepm_pyg
from drepm_pyg.experiments.experiment import Experiment
from drepm_pyg.experiments.reproduction.settings import PLACE

__all__ = ["identity"]


def identity(experiment: Experiment, fingerprint: str) -> str:
    """Twelve hexadecimal digits that depend on all that the result depends on.

    That is the model with all its arguments, those left at their defaults included, the options of training, the
    graphs (ready-made ones by the content of their files), the content of the data, and the library's version. Paths,
    names and what is only shown are left out.

    Args:
        experiment: the run.
        fingerprint: of its data, see :func:`drepm_pyg.training.fingerprint`.
    """
    from drepm_pyg.training import fit
    from drepm_pyg.training.arguments import defaults

    config = experiment.to_config()
    model = experiment.model_class
    options = {**defaults(fit), **experiment.options}
    shown = set(PLACE) - {"seed"}
    # In the flat form a ready-made graph stands beside the options of the graphs, under its modality.
    files = experiment.graphs.files if "graphs" in config else {}
    graphs = {name: value for name, value in config.get("graphs", {}).items() if name not in files}
    content = {
        "model": f"{model.__module__}.{model.__qualname__}",
        "init_args": {**defaults(model.__init__), **experiment.model["init_args"]},
        "bma": config.get("bma"),
        "modalities": sorted(experiment.modalities or []),
        "graphs": graphs,
        "files": {name: _hash(Path(path).read_bytes()) for name, path in sorted(files.items())},
        "options": {name: value for name, value in options.items() if name not in shown},
        "fingerprint": fingerprint,
        "version": drepm_pyg.__version__,
    }
    return _hash(json.dumps(_plain(content), sort_keys=True, default=str).encode())[:12]


def _plain(value: Any) -> Any:
    """1.0 is 1: how a number was written in a file changes no result."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
