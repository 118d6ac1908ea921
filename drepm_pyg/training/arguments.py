"""The arguments that a model was built with, those that were left at their defaults included."""

import inspect
import json
from collections.abc import Mapping
from typing import Any

from drepm_pyg.models import RecommenderModel, WithBMA
from drepm_pyg.nn.losses import BMALoss

__all__ = ["all_arguments", "defaults"]


def defaults(*functions: Any) -> dict[str, Any]:
    """The arguments that have a default; of several functions the last one's counts.

    Example:
        >>> defaults(lambda a, b=1: None, lambda b=2, *, c=3: None)
        {'b': 2, 'c': 3}
    """
    parameters = [each for function in functions for each in inspect.signature(function).parameters.values()]
    return {each.name: each.default for each in parameters if each.default is not inspect.Parameter.empty}


def all_arguments(model: RecommenderModel, init_args: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """``init_args`` beside the defaults of all that they leave out, as plain data; None where nobody told them.

    Args:
        model: what they build; of an aligned model, the inner one's are completed, too.
        init_args: what ``from_data`` was given.
    """
    if init_args is None:
        return None
    given = dict(init_args)
    functions = [type(model).__init__, type(model).from_data]
    if isinstance(model, WithBMA) and "model" in given:
        functions.append(BMALoss.__init__)
        name = given["model"]["class_path"].rpartition(".")[2]
        inner = all_arguments(model.model, given["model"].get("init_args", {}))
        given["model"] = {"class_path": name, "init_args": inner}
    # As a file gives them back: a tuple is a list there.
    plain: dict[str, Any] = json.loads(json.dumps({**defaults(*functions), **given}, default=str))
    return plain
