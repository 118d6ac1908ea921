"""Similarity graphs as files: npz with ``row`` = centre and ``col`` = neighbour, as the field exchanges them."""

import os
import uuid
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg._checks import CorruptFileError, check_at_least, check_edge_index
from drepm_pyg.graph.options import PathLike
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["read_graph", "write_graph"]

_WEIGHT = "weight"


def read_graph(
    path: PathLike, *, num_nodes: int, weight: str | None = None
) -> Int[Tensor, "2 E"] | tuple[Int[Tensor, "2 E"], Float[Tensor, " E"]]:
    """Read a graph from an npz file.

    Args:
        path: the file, with the arrays ``row`` (centre) and ``col`` (neighbour) and possibly weights under any name.
        num_nodes: how many nodes the graph may name.
        weight: name of the array of weights to return too, such as 'weight' or 'cos'; default: none, the graph is
            binary.

    Returns:
        ``edge_index`` long ``[2, E]``: row 0 the neighbours (``col``), row 1 the centres (``row``), in the order of the
        file; with ``weight`` also ``edge_weight`` ``[E]``.

    Raises:
        FileNotFoundError: if there is no such file.
        CorruptFileError: if it is truncated, is no npz file, or lacks an array.
        ValueError: if ids are out of range or lengths differ.
    """
    check_at_least(0, num_nodes=num_nodes)
    name = Path(path).name
    keys = ["row", "col"] if weight is None else ["row", "col", weight]
    arrays = _load(Path(path), keys)
    for key in keys[:2]:
        _check_ids(arrays[key], num_nodes, f"{key}' of '{name}")
    if len({array.shape for array in arrays.values()}) > 1:
        lengths = ", ".join(f"'{key}' {list(array.shape)}" for key, array in arrays.items())
        raise ValueError(f"the arrays of '{name}' must be of one length (got {lengths}).")
    edge_index = torch.from_numpy(np.stack([arrays["col"], arrays["row"]]).astype(np.int64))
    if weight is None:
        return edge_index
    if arrays[weight].dtype.kind not in "fiu" or not np.isfinite(arrays[weight]).all():
        raise ValueError(f"'{weight}' of '{name}' must hold finite numbers (got {arrays[weight].dtype}).")
    return edge_index, torch.from_numpy(arrays[weight].astype(np.float32))


def write_graph(
    path: PathLike,
    edge_index: Int[Tensor, "2 E"],
    edge_weight: Float[Tensor, " E"] | None = None,
) -> None:
    """Write a graph as :func:`read_graph` reads it: ``row`` (centre), ``col`` (neighbour) and, if given, ``weight``.

    The file appears complete or not at all.

    Args:
        path: the file to write; its name should end in ``.npz``.
        edge_index: long ``[2, E]``, row 0 the neighbours, row 1 the centres.
        edge_weight: ``[E]``, optional.

    Raises:
        TypeError: if ``edge_index`` is not long.
        ValueError: if the shapes do not match.
    """
    check_edge_index(edge_index)
    if edge_weight is not None and edge_weight.shape != edge_index[0].shape:
        raise ValueError(
            f"'edge_weight' must have one entry per edge (got {list(edge_weight.shape)} for "
            f"{edge_index.size(1)} edges)."
        )
    neighbour, centre = edge_index.cpu().numpy()
    arrays = {"row": centre, "col": neighbour}
    if edge_weight is not None:
        arrays[_WEIGHT] = edge_weight.detach().cpu().numpy()
    temporary = Path(f"{os.fspath(path)}.{uuid.uuid4().hex}.tmp")  # threads of one process write, too
    try:
        with temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _load(path: Path, keys: list[str]) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise CorruptFileError(f"'{path.name}' is no npz file. Expected an archive with 'row' and 'col'.")
            missing = [key for key in keys if key not in archive.files]
            if missing:
                raise CorruptFileError(f"'{path.name}' lacks {missing} (it holds {archive.files}).")
            return {key: archive[key] for key in keys}
    except (FileNotFoundError, CorruptFileError):
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise CorruptFileError(f"'{path.name}' cannot be read as an npz file ({error}). Was it truncated?") from error


def _check_ids(ids: NDArray[Any], num_nodes: int, name: str) -> None:
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise ValueError(f"'{name}' must be a vector of integers (got {ids.dtype}, shape {list(ids.shape)}).")
    if len(ids) and (ids.min() < 0 or ids.max() >= num_nodes):
        raise ValueError(
            f"'{name}' must hold ids in [0, {num_nodes}) for {num_nodes:,} nodes (got {ids.min()} to {ids.max()})."
        )
