"""Similarity graphs as files: npz as the field exchanges them, dictionaries for torch, or Parquet for tables."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg._checks import (
    check_at_least,
    check_edge_index,
    check_edge_weight,
    check_finite,
    check_node_ids,
    check_path,
)
from drepm_pyg._files import replaced
from drepm_pyg.graph.formats import FORMATS, Format, as_array
from drepm_pyg.typing import Float, Int, PathLike, Tensor

__all__ = ["format_of", "read_graph", "read_weighted", "write_graph"]

_WEIGHT = "weight"


def read_graph(
    path: PathLike, *, num_nodes: int, weight: str | None = None
) -> Int[Tensor, "2 E"] | tuple[Int[Tensor, "2 E"], Float[Tensor, " E"]]:
    """Read a graph from a file.

    Args:
        path: a file that ends in ``.pt`` or ``.parquet`` is read as what :func:`write_graph` writes, every other as npz
            with the arrays ``row`` (centre) and ``col`` (neighbour) and possibly weights under any name.
        num_nodes: how many nodes the graph may name.
        weight: name of the array of weights to return too: 'weight' in what :func:`write_graph` wrote, or another
            such as 'cos'; default: none, the graph is binary.

    Returns:
        ``edge_index`` long ``[2, E]``: row 0 the neighbours (``col``), row 1 the centres (``row``), in the order of the
        file; with ``weight`` also ``edge_weight`` float32 ``[E]``.

    Raises:
        FileNotFoundError: if there is no such file.
        IsADirectoryError: if it is a folder.
        CorruptFileError: if it is truncated, is no such file, or lacks an array.
        MissingExtraError: if it is a Parquet file and pyarrow is not installed.
        ValueError: if ids are out of range or lengths differ.
    """
    edge_index, edge_weight = read_weighted(path, num_nodes=num_nodes, weight=weight)
    return edge_index if edge_weight is None else (edge_index, edge_weight.float())


def read_weighted(
    path: PathLike, *, num_nodes: int, weight: str | None
) -> tuple[Int[Tensor, "2 E"], Float[Tensor, " E"] | None]:
    """:func:`read_graph` with weights as precise as the file's; None without ``weight``."""
    check_path(path=path)
    check_at_least(0, num_nodes=num_nodes)
    name = Path(path).name
    keys = ["row", "col"] if weight is None else ["row", "col", weight]
    arrays = FORMATS.get(Path(path).suffix, FORMATS[".npz"]).read(Path(path), keys)
    for key in keys[:2]:
        _check_ids(arrays[key], num_nodes, f"'{key}' of '{name}'")
    if len({array.shape for array in arrays.values()}) > 1:
        lengths = ", ".join(f"'{key}' {list(array.shape)}" for key, array in arrays.items())
        raise ValueError(f"The arrays of '{name}' must be of one length (got {lengths}).")
    edge_index = torch.from_numpy(np.stack([arrays["col"], arrays["row"]]).astype(np.int64))
    if weight is None:
        return edge_index, None
    if arrays[weight].dtype.kind not in "fiu" or not np.isfinite(arrays[weight]).all():
        raise ValueError(f"'{weight}' of '{name}' must hold finite numbers (got {arrays[weight].dtype}).")
    dtype = np.float64 if arrays[weight].dtype.itemsize > 4 else np.float32  # of integers, too, and in native order
    return edge_index, torch.from_numpy(arrays[weight].astype(dtype))


def write_graph(
    path: PathLike,
    edge_index: Int[Tensor, "2 E"],
    edge_weight: Float[Tensor, " E"] | None = None,
) -> None:
    """Write a graph as :func:`read_graph` reads it. The file appears complete or not at all.

    ====================  ==============================================================================================
    suffix of ``path``    content
    ====================  ==============================================================================================
    ``.npz``              arrays ``row`` (centre), ``col`` (neighbour) and, if given, ``weight``
    ``.pt``               a dictionary with ``edge_index`` and, if given, ``edge_weight``: for
                          ``Data.from_dict(torch.load(path))``
    ``.parquet``          a row per edge: columns ``row``, ``col`` and, if given, ``weight``
    ====================  ==============================================================================================

    Args:
        path: the file to write.
        edge_index: long ``[2, E]``, row 0 the neighbours, row 1 the centres.
        edge_weight: ``[E]``, optional; bfloat16, which NumPy lacks, is written as float32.

    Raises:
        FileNotFoundError: if the folder of ``path`` does not exist.
        MissingExtraError: if ``path`` ends in ``.parquet`` and pyarrow is not installed.
        IsADirectoryError: if ``path`` is a folder.
        TypeError: if ``edge_index`` is not long, or weights are no real numbers.
        ValueError: if the shapes do not match, an id is negative, a weight is not finite, or ``path`` has another
            suffix.
    """
    form = format_of(path)
    check_edge_index(edge_index)
    check_node_ids(edge_index=edge_index)
    if Path(path).is_dir():
        raise IsADirectoryError(f"'path' must be a file (got '{path}', a folder).")
    if not Path(path).absolute().parent.is_dir():
        raise FileNotFoundError(f"'path' names a folder that does not exist ('{Path(path).parent}'). Create it first.")
    neighbour, centre = edge_index.cpu().numpy()
    arrays = {"row": centre, "col": neighbour}
    if edge_weight is not None:
        check_edge_weight(edge_weight, edge_index.size(1))
        if edge_weight.dtype == torch.bool:
            raise TypeError("'edge_weight' must hold numbers (got torch.bool). Convert it: .float().")
        check_finite(edge_weight=edge_weight)
        arrays[_WEIGHT] = as_array(edge_weight)
    with replaced(Path(path)) as hidden, hidden.open("wb") as file:
        form.save(file, arrays)


def format_of(path: PathLike) -> Format:
    """The format that the suffix of ``path`` names, for writing.

    Raises:
        MissingExtraError: if it needs a package that is not installed.
        ValueError: if there is no such format.
    """
    check_path(path=path)
    suffix = Path(path).suffix
    if suffix not in FORMATS:
        raise ValueError(f"'{Path(path).name}' must end in one of {sorted(FORMATS)} (got '{suffix}').")
    FORMATS[suffix].check_installed()
    return FORMATS[suffix]


def _check_ids(ids: NDArray[Any], num_nodes: int, name: str) -> None:
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise ValueError(f"{name} must be a vector of integers (got {ids.dtype}, shape {list(ids.shape)}).")
    if len(ids) and (ids.min() < 0 or ids.max() >= num_nodes):
        raise ValueError(
            f"{name} must hold ids in [0, {num_nodes}) for {num_nodes:,} nodes (got {ids.min()} to {ids.max()})."
        )
