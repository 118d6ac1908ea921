"""Feature matrices as they are given: tensors or (memory-mapped) arrays of any floating-point type."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg.typing import Tensor

__all__ = ["Features", "check_matrix", "common_width", "home", "output_dtype", "present", "select", "taken"]

Features = Tensor | NDArray[Any]


def check_matrix(x: Features, name: str) -> None:
    """Features are a dense floating-point matrix."""
    if not isinstance(x, torch.Tensor | np.ndarray) or isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"'{name}' must be a torch tensor or a NumPy array (got {type(x).__name__}).")
    # The 8-bit formats have no arithmetic.
    floating = x.is_floating_point() and x.dtype.itemsize > 1 if isinstance(x, torch.Tensor) else x.dtype.kind == "f"
    if isinstance(x, torch.Tensor) and x.layout != torch.strided:
        raise TypeError(f"'{name}' must be dense (got the layout {x.layout}). Convert it with .to_dense().")
    if isinstance(x, torch.Tensor) and x.is_meta:
        raise TypeError(f"'{name}' must hold values (got a tensor on the device 'meta').")
    if not floating:
        raise TypeError(f"'{name}' must hold floating-point features (got {x.dtype}). Convert it, e.g. to float32.")
    if x.ndim != 2 or x.shape[1] == 0:
        raise ValueError(f"'{name}' must have the shape [N, F] with F of at least 1 (got {list(x.shape)}).")


def common_width(parts: Mapping[str, Features]) -> int:
    """The number of columns of several matrices, which must be the same."""
    widths = {name: int(x.shape[1]) for name, x in parts.items()}
    if len(set(widths.values())) > 1:
        given = ", ".join(f"'{name}' {width}" for name, width in widths.items())
        raise ValueError(f"features that are compared must be of one width (got {given}).")
    return next(iter(widths.values()))


def taken(x: Features, nodes: NDArray[np.int64], dtype: type[np.floating[Any]] = np.float64) -> NDArray[Any]:
    """Some rows in ``dtype``, each contiguous: sums of a row depend on that."""
    rows = select(x, nodes)  # may be the caller's memory: so a copy in any case
    if isinstance(rows, torch.Tensor):
        single = dtype == np.float32
        out = torch.empty(rows.shape, dtype=torch.float32 if single else torch.float64, device="cpu")
        return out.copy_(rows.detach()).numpy()
    return np.array(rows, dtype, order="C")


def select(x: Features, nodes: NDArray[np.int64]) -> Features:
    """Some rows; those that follow each other are not copied."""
    if len(nodes) and nodes[-1] - nodes[0] == len(nodes) - 1 and (np.diff(nodes) == 1).all():
        return x[int(nodes[0]) : int(nodes[-1]) + 1]
    return x[torch.from_numpy(nodes)] if isinstance(x, torch.Tensor) else x[nodes]


def home(x: Features) -> torch.device:
    """Where ``x`` is; arrays are on the CPU."""
    return x.device if isinstance(x, torch.Tensor) else torch.device("cpu")


def output_dtype(x: Features) -> torch.dtype:
    """Weights are float64 where the features are, else float32."""
    return torch.float64 if x.dtype.itemsize >= 8 else torch.float32


def present(num_nodes: int, mask: Features | None, name: str = "mask") -> NDArray[np.int64]:
    """Ids of the rows that a mask leaves."""
    if mask is None:
        return np.arange(num_nodes)
    array = mask.detach().cpu().numpy() if isinstance(mask, torch.Tensor) else np.asarray(mask)
    if array.dtype != np.bool_:
        raise TypeError(f"'{name}' must be boolean, True where the row is present (got {array.dtype}).")
    if array.shape != (num_nodes,):
        raise ValueError(f"'{name}' must have one entry per row of features, [{num_nodes}] (got {list(array.shape)}).")
    return np.flatnonzero(array)
