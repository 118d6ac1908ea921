"""An inverted-file index whose lists lie on disk, for more vectors than memory holds."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drepm_pyg._checks import check_at_least, check_choice, check_path
from drepm_pyg.graph.blocks import blocks_of
from drepm_pyg.graph.faiss_index import load_faiss, measure_of, number_of_lists
from drepm_pyg.graph.features import Features, check_matrix, taken
from drepm_pyg.graph.metrics import METRICS
from drepm_pyg.graph.options import MEMORY_BUDGET
from drepm_pyg.typing import PathLike

__all__ = ["on_disk_index"]

_PER_LIST = 64  # training vectors per list; FAISS asks for 39 at least


def on_disk_index(
    x: Features,
    directory: PathLike,
    *,
    metric: str = "cosine",
    lists: int | None = None,
    memory_budget: int = MEMORY_BUDGET,
) -> Any:
    """Build an IVF index of the rows of ``x`` block by block, its inverted lists in a file.

    The index goes to :func:`knn_graph` as ``index``, with ``target_recall``; memory holds the centroids, a block, and
    what of the lists the system keeps cached. ``faiss.read_index(str(directory / "index.faiss"))`` opens it again; in
    another place than it was written to, with ``faiss.IO_FLAG_ONDISK_SAME_DIR`` as second argument.

    Args:
        x: the features, usually a memory-mapped array.
        directory: where ``index.faiss`` and ``lists.ivfdata`` are written; made where it is missing.
        metric: 'cosine' (rows are scaled to unit length), 'ip' or 'l2'.
        lists: number of inverted lists; default: four times the root of the number of rows.
        memory_budget: bytes of working memory beside FAISS' own, which are the centroids and some 15 MB.

    Shapes:
        x: float ``[N, F]``

    Returns:
        a trained ``faiss.IndexIVFFlat`` that holds a vector per row.

    Raises:
        MissingExtraError: if FAISS is not installed.
        TypeError: if ``x`` is no dense floating-point matrix.
        ValueError: if ``directory`` is a file, a row holds NaN, infinity or what float32 cannot hold the square of, or
            there are fewer rows than lists.

    Example:
        >>> features = np.load("features.npy", mmap_mode="r")  # doctest: +SKIP
        >>> index = on_disk_index(features, "index")  # doctest: +SKIP
        >>> edge_index = knn_graph(features, 10, index=index, target_recall=0.95)  # doctest: +SKIP
    """
    check_matrix(x, "x")
    check_path(directory=directory)
    check_choice(METRICS, metric=metric)
    num_rows, width = x.shape
    lists = number_of_lists(num_rows, _PER_LIST) if lists is None else lists
    check_at_least(1, lists=lists, memory_budget=memory_budget)
    if not num_rows:
        raise ValueError(f"'x' must have a row at least (got {list(x.shape)}).")
    if lists > num_rows:
        raise ValueError(f"'lists' must be at most the number of rows, {num_rows} (got {lists}).")
    faiss = load_faiss("on_disk_index")
    from faiss.contrib.ondisk import merge_ondisk

    directory = Path(directory).resolve()  # the index names its lists by their path
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"'directory' must be a folder (got '{directory}', a file).")
    directory.mkdir(parents=True, exist_ok=True)
    index = faiss.index_factory(width, f"IVF{lists},Flat", measure_of(faiss, by_distance=metric == "l2"))
    sample = min(num_rows, lists * _PER_LIST, max(lists, memory_budget // (32 * width)))
    index.train(_vectors(x, np.unique(np.linspace(0, num_rows - 1, sample).astype(np.int64)), metric))
    empty = faiss.serialize_index(index)
    blocks = []
    try:
        for number, block in enumerate(blocks_of(num_rows, width, memory_budget // 8)):
            part = faiss.deserialize_index(empty)
            part.add_with_ids(_vectors(x, block, metric), block)
            blocks.append(directory / f"block-{number}.faiss")
            faiss.write_index(part, str(blocks[-1]))
        merge_ondisk(index, [str(path) for path in blocks], str(directory / "lists.ivfdata"))
        faiss.write_index(index, str(directory / "index.faiss"))
    finally:
        for path in blocks:
            path.unlink(missing_ok=True)
    return index


def _largest(width: int) -> float:
    """Entries up to which no squared distance of two rows overflows float32, which FAISS' training does not survive."""
    return float(np.sqrt(np.finfo(np.float32).max / (4 * width)))


def _vectors(x: Features, ids: NDArray[np.int64], metric: str) -> NDArray[np.float32]:
    rows = taken(x, ids)
    if not np.isfinite(rows).all():
        bad = ids[~np.isfinite(rows).all(axis=1)]
        raise ValueError(
            f"'x' holds NaN or infinite values in {len(bad)} of {len(ids)} rows that were looked at (first: "
            f"{bad[:5].tolist()}). Repair these rows first."
        )
    if metric == "cosine":  # in float64, and after a division by the largest entry, lest squares overflow or vanish
        for order in (np.inf, 2):
            norm = np.linalg.norm(rows, order, axis=1, keepdims=True)
            np.divide(rows, norm, out=rows, where=norm > 0)
    elif np.abs(rows).max() > (limit := _largest(rows.shape[1])):
        raise ValueError(
            f"'x' must hold values of at most {limit:.3g} for metric={metric!r}, lest squares overflow float32, and so "
            f"a FAISS index (got {np.abs(rows).max():.3g}). Scale it down."
        )
    return rows.astype(np.float32)
