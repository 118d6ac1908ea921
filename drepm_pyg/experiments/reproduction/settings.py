"""The settings of a model on a data set: those that were searched for it, the published ones, or the defaults."""

from collections.abc import Iterable, Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from drepm_pyg.experiments.yaml_file import read_yaml

__all__ = ["PLACE", "agreed_modalities", "base_settings", "override", "settings_source"]

#: Arguments that say where a run stands, how it is shown and by what means it is computed, not what it is.
PLACE = ("root", "name", "resume", "progress", "tensorboard", "compile", "config", "seed", "track_lines")


def base_settings(model: str, data: str, folder: str | Path | None = None) -> dict[str, Any]:
    """The flat form of a run of ``model``, without place, seed, data and modalities: these are the same for all rows.

    The first file that is there: ``<folder>/<Model>.yaml`` (what a sweep writes), the library's
    ``experiments/settings/<name of the data>/<Model>.yaml``, ``experiments/settings/default/<Model>.yaml``; else the
    model with its defaults.

    Args:
        model: the class by its name or its path.
        data: name or path of the data set.
        folder: settings that go before the library's.

    Example:
        >>> base_settings("LightGCN", "some/data")
        {'model': {'class_path': 'LightGCN', 'init_args': {}}}
    """
    settings = {
        key: value for key, value in _read(model, data, folder).items() if key not in (*PLACE, "data", "modalities")
    }
    given = settings["model"]
    given = {"class_path": given} if isinstance(given, str) else given
    settings["model"] = {"class_path": given["class_path"], "init_args": dict(given.get("init_args") or {})}
    return settings


def agreed_modalities(models: Iterable[str], data: str, folder: str | Path | None = None) -> list[str] | None:
    """The modalities that the settings of these models were found with; None where they name none.

    Raises:
        ValueError: where they differ, as rows of one table must have the same data.
    """
    named = {model: _read(model, data, folder).get("modalities") for model in models}
    distinct = {model: sorted(names) for model, names in named.items() if names is not None}
    if len(set(map(tuple, distinct.values()))) > 1:
        raise ValueError(f"'modalities' must be given where the models' settings differ in them (got {distinct}).")
    return next((names for names in named.values() if names is not None), None)


def settings_source(model: str, data: str, folder: str | Path | None = None) -> str:
    """Where :func:`base_settings` has the settings of ``model`` from, in words.

    Example:
        >>> settings_source("BPR", "movielens"), settings_source("MGCN", "some/data")
        ("the library's for movielens", "the library's for any data")
    """
    for words, place in _places(data, folder).items():
        if (place / _file(model)).is_file():
            return words
    return "the model's defaults"


def _read(model: str, data: str, folder: str | Path | None) -> dict[str, Any]:
    for place in _places(data, folder).values():
        with as_file(place / _file(model)) as path:
            if path.is_file():
                return read_yaml(path)
    return {"model": {"class_path": model}}


def _file(model: str) -> str:
    return f"{model.rpartition('.')[2]}.yaml"


def _places(data: str, folder: str | Path | None) -> dict[str, Any]:
    """The folders of settings by what they are called, in the order in which they are asked."""
    library = files("drepm_pyg.experiments") / "settings"
    name = Path(data).name
    if folder is not None and not Path(folder).is_dir():
        raise FileNotFoundError(f"'settings' must be a folder of <Model>.yaml files (got '{folder}', which is none).")
    return {
        **({} if folder is None else {str(folder): Path(folder)}),
        f"the library's for {name}": library / name,
        "the library's for any data": library / "default",
    }


def override(config: Mapping[str, Any], dotted: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``config`` in which the dotted keys have the given values.

    Example:
        >>> override({"graphs": {"k": 10}}, {"graphs.k": 5, "bma.alpha": 0.1})
        {'graphs': {'k': 5}, 'bma': {'alpha': 0.1}}
    """
    changed = {key: dict(value) if isinstance(value, Mapping) else value for key, value in config.items()}
    for key, value in dotted.items():
        first, _, rest = key.partition(".")
        if rest:
            below = changed.get(first)
            changed[first] = override(below if isinstance(below, Mapping) else {}, {rest: value})
        else:
            changed[first] = value
    return changed
