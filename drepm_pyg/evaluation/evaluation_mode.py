"""A module in evaluation mode for the length of a block."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

__all__ = ["evaluation_mode"]


@contextmanager
def evaluation_mode(thing: Any) -> Iterator[None]:
    """Put a module and all that it is made of into evaluation mode; afterwards each has the mode that it had.

    What is no module has no mode and is left alone.
    """
    # train() afterwards would wake what the caller had frozen, such as a batch norm in eval().
    modes = {module: module.training for module in thing.modules()} if isinstance(thing, nn.Module) else {}
    if modes:
        thing.eval()
    try:
        yield
    finally:
        for module, training in modes.items():  # those that contain others first
            if module.training != training:
                module.train(training)  # by its own method: what eval() merged, say, comes apart again
