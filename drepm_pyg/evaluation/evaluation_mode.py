"""A module in evaluation mode for the length of a block."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

__all__ = ["evaluation_mode"]

#: By the id of a module: the modes that it had before, and how many blocks it is in evaluation mode for.
_held: dict[int, tuple[dict[nn.Module, bool], int]] = {}
_CHANGING = threading.Lock()


@contextmanager
def evaluation_mode(thing: Any) -> Iterator[None]:
    """Put a module and all that it is made of into evaluation mode; afterwards each has the mode that it had.

    Blocks of several threads may overlap: the last one to end gives the modes back. What is no module has no mode and
    is left alone.
    """
    if not isinstance(thing, nn.Module):
        yield
        return
    with _CHANGING:
        # train() afterwards would wake what the caller had frozen, such as a batch norm in eval().
        modes, blocks = _held.get(id(thing), ({module: module.training for module in thing.modules()}, 0))
        _held[id(thing)] = modes, blocks + 1
        thing.eval()
    try:
        yield
    finally:
        with _CHANGING:
            modes, blocks = _held.pop(id(thing))
            if blocks > 1:
                _held[id(thing)] = modes, blocks - 1
            else:
                _give_back(modes)


def _give_back(modes: dict[nn.Module, bool]) -> None:
    for module, training in modes.items():  # those that contain others first
        if module.training != training:
            module.train(training)  # by its own method: what eval() merged, say, comes apart again
