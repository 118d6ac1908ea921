"""Where new tensors lie, whatever torch.set_default_device says."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["new_tensors_on", "on_the_cpu"]


@contextmanager
def new_tensors_on(device: torch.device) -> Iterator[None]:
    """Within it (or in a function that it decorates) tensors are made on ``device`` unless another one is named."""
    if torch.get_default_device() == device:  # torch looks at every call within its own context
        yield
    else:
        with device:
            yield


on_the_cpu = new_tensors_on(torch.device("cpu"))
