"""Graphs kept on disk under a key of everything they depend on."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from drepm_pyg.graph.features import Features
from drepm_pyg.graph.io import read_weighted, write_graph
from drepm_pyg.typing import PathLike, Tensor

__all__ = ["cached", "fingerprint"]

_ALGORITHM = 3  # raise it when the same input gives another graph
_BLOCK_BYTES = 1 << 24


def fingerprint(arrays: dict[str, Features | None], parameters: dict[str, Any]) -> str:
    """A key that differs where a byte, dtype or shape of an array, a parameter or the algorithm does."""
    digest = hashlib.blake2b(repr((_ALGORITHM, sorted(parameters.items()))).encode(), digest_size=16)
    for name, array in sorted(arrays.items()):
        digest.update(repr((name, None if array is None else (str(array.dtype), tuple(array.shape)))).encode())
        if array is not None and len(array):
            step = max(1, _BLOCK_BYTES // (8 * max(1, int(np.prod(array.shape[1:])))))
            for start in range(0, len(array), step):
                digest.update(_bytes(array[start : start + step]))
    return digest.hexdigest()


def cached(
    directory: PathLike, key: str, num_nodes: int, dtype: torch.dtype, make: Callable[[], tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """The graph under ``key``, or the one that ``make`` builds with weights of ``dtype``, written for the next time.

    What cannot be read as this graph is built anew and replaced; writers replace files whole, so that several may write
    at once. A graph whose weights overflow is not kept.

    Raises:
        ValueError: if ``directory`` is a file, or lies below one.
    """
    path = Path(directory) / f"{key}.npz"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(f"'cache_dir' must be a folder (got '{directory}', a file or below one).") from error
    with suppress(FileNotFoundError, ValueError):  # a CorruptFileError, or ids that are none of these nodes'
        edge_index, stored = read_weighted(path, num_nodes=num_nodes, weight="weight")
        assert stored is not None
        return edge_index, stored.to(dtype)  # bfloat16 is float32 in the file
    edge_index, edge_weight = make()
    if bool(edge_weight.isfinite().all()):
        write_graph(path, edge_index, edge_weight)
    return edge_index, edge_weight


def _bytes(block: Features) -> bytes:
    if isinstance(block, torch.Tensor):
        return block.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
    return np.ascontiguousarray(block).tobytes()
