"""What ``fit(..., trainer=...)`` hands on to Lightning's trainer, and what it refuses to."""

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["OWN", "check_trainer", "plain_options"]

#: Arguments of Lightning's trainer that ``fit`` sets by itself, and the argument of ``fit`` that decides.
OWN = {
    "max_epochs": "max_epochs",
    "default_root_dir": "root",
    "enable_progress_bar": "progress",
    "check_val_every_n_epoch": "validate_every",
}

_PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
_SHORT_NAMES = (None, 32, "32", 16, "16", "bf16")  # Lightning's, of the same


def check_trainer(options: Mapping[str, Any] | None) -> dict[str, Any]:
    """The options, ``callbacks`` as a list.

    Raises:
        TypeError: where they are no mapping, or a callback is none.
        ValueError: for an option that Lightning does not know, that would have no effect, or that no triple can be
            trained with.
    """
    if options is not None and not isinstance(options, Mapping):
        raise TypeError(
            f"'trainer' must be a mapping of arguments of lightning.Trainer (got a {type(options).__name__})."
        )
    given = dict(options or {})
    for name, own in OWN.items():
        if name in given:
            raise ValueError(
                f"'trainer' must not name '{name}', which fit sets by itself (got {given[name]!r}). Pass fit's '{own}'."
            )
    _check_names(given)
    _check_precision(given.get("precision"))
    _check_one_device(given.get("devices"), given.get("num_nodes"))
    callbacks = given.pop("callbacks", None) or []
    callbacks = list(callbacks) if isinstance(callbacks, Sequence) else [callbacks]
    for callback in callbacks:
        _check_callback(callback)
    return {**given, "callbacks": callbacks}


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of them that a file can keep: no callbacks, no objects."""
    return {name: value for name, value in options.items() if name != "callbacks" and _is_plain(value)}


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True


def _check_names(options: Mapping[str, Any]) -> None:
    from lightning import Trainer

    known = inspect.signature(Trainer).parameters.keys() - OWN.keys()
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ValueError(
            f"'trainer' must name arguments of lightning.Trainer (got {unknown}), which are {', '.join(sorted(known))}."
        )


def _check_precision(precision: Any) -> None:
    """Lightning's other precisions convert the batch, and triples are ids."""
    if precision not in (*_PRECISIONS, *_SHORT_NAMES):
        listed = ", ".join(map(repr, _PRECISIONS))
        raise ValueError(
            f"'precision' in 'trainer' must be one of {listed} (got {precision!r}). To train in float64, convert the "
            "model, model.double(), and leave 'precision' out."
        )


def _check_one_device(devices: Any, num_nodes: Any) -> None:
    """Found out before Lightning starts a process for each of them."""
    # "1," is Lightning's way to name one device, by its number.
    named = devices.strip(",").split(",") if isinstance(devices, str) and "," in devices else devices
    one = len(named) == 1 if isinstance(named, list | tuple) else named in (None, 1, "1", "auto")
    for name, given, right, expected in (
        ("devices", devices, one, "1, 'auto' or a list of one number"),
        ("num_nodes", num_nodes, num_nodes in (None, 1), "1"),
    ):
        if not right:
            raise ValueError(
                f"'{name}' in 'trainer' must be {expected} (got {given!r}): all would train on the same triples."
            )


def _check_callback(callback: Any) -> None:
    """One of Lightning's that averages nothing: Lightning validates by such averages and keeps them; here validation
    and best weights are the library's own.
    """
    from lightning.pytorch import callbacks

    if not isinstance(callback, callbacks.Callback):
        raise TypeError(
            "'callbacks' in 'trainer' must be a lightning.Callback or a list of them (got a "
            f"{type(callback).__name__})."
        )
    names = ("WeightAveraging", "StochasticWeightAveraging")  # the first came with Lightning 2.6
    if isinstance(callback, tuple(getattr(callbacks, name) for name in names if hasattr(callbacks, name))):
        raise ValueError(
            f"'callbacks' in 'trainer' must not average weights (got {type(callback).__name__}): fit ranks, and keeps "
            "as the best, the weights that the optimizer gave. Leave it out."
        )
