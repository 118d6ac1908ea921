"""NumPy's numbers as Python's, which alone can be written to files."""

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """The value with every number of NumPy in it, however deep in mappings and lists, as Python's.

    Example:
        >>> plain({"ks": (np.int64(10), 20)})
        {'ks': [10, 20]}
    """
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value
