"""The arguments that a model was built with, those that were left at their defaults included."""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from drepm_pyg.models import RecommenderModel, WithBMA
from drepm_pyg.nn.losses import BMALoss
from drepm_pyg.typing import Tensor

__all__ = ["all_arguments", "built", "defaults"]

#: What of a text says nothing of the model: where an object lies in memory, and whether 1 was given as 1.0.
_ADDRESS, _WHOLE = re.compile(r" at 0x[0-9a-fA-F]+"), re.compile(r"(?<![\w.])(\d+)\.0(?![\w.])")


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


def built(model: nn.Module) -> dict[str, dict[str, Any]]:
    """What shows of how a model was built, by the dotted name of each part: plain data, equal in every process.

    Three groups, in the order in which they are worth reading: ``arguments``, those that a constructor keeps as
    attributes; ``parts``, what their ``repr`` says; ``shapes``, of the weights. What a constructor keeps under no name
    of its own and does not show remains unknown.

    Example:
        >>> built(nn.Linear(2, 1, bias=False))["parts"]
        {'Linear': 'Linear(in_features=2, out_features=1, bias=False)'}
    """
    arguments: dict[str, Any] = {}
    parts = {}
    for path, part in model.named_modules():
        # Those of torch show all that they take.
        if not type(part).__module__.startswith("torch."):
            arguments |= {f"{path}.{name}" if path else name: value for name, value in _kept_arguments(part)}
        parts[path or type(model).__name__] = _stable(_own_repr(part))
    weights = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    shapes = {name: list(value.shape) for name, value in weights.items() if not is_lazy(value)}
    return {"arguments": arguments, "parts": parts, "shapes": shapes}


def _kept_arguments(part: nn.Module) -> Iterator[tuple[str, Any]]:
    for name in inspect.signature(type(part).__init__).parameters:
        if name in vars(part):
            try:
                yield name, json.loads(json.dumps(vars(part)[name]))
            except (TypeError, ValueError):  # no plain data
                continue


def _own_repr(part: nn.Module) -> str:
    """Without the parts within, which speak for themselves."""
    shown = type(part).__repr__ is not nn.Module.__repr__
    return repr(part) if shown else f"{type(part).__name__}({part.extra_repr()})"


def _stable(text: str) -> str:
    return _WHOLE.sub(r"\1", _ADDRESS.sub("", text))
