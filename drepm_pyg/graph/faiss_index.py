"""Shortlists from FAISS: the one module that imports it, and only when an index is asked for."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drepm_pyg._checks import MissingExtraError
from drepm_pyg.graph.metrics import METRICS
from drepm_pyg.graph.rows import blocks_of
from drepm_pyg.graph.shortlist import Shortlist
from drepm_pyg.graph.space import Space

__all__ = ["faiss_shortlists", "load_faiss"]

_QUERIES = 4096
_TRAINING_ROWS = 1 << 18
_PER_LIST = 39  # training points per inverted list below which FAISS warns


def load_faiss(purpose: str) -> Any:
    """Import FAISS, or say which of the two extras brings it."""
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs FAISS, which is not installed. Take one of two extras: "
            'pip install "drepm_pyg[cpu]" (any machine) or pip install "drepm_pyg[gpu]" (Linux with a CUDA device). '
            "index='auto' needs neither."
        ) from error
    return faiss


def faiss_shortlists(
    space: Space, index: Any, slack: tuple[NDArray[np.float64], NDArray[np.float64]], count: int
) -> Iterator[Shortlist]:
    """Candidates that a FAISS index finds, for every row.

    Args:
        space: the rows.
        index: 'flat', 'ivf', 'hnsw', a factory string, or a trained ``faiss.Index``: empty (a copy is filled), or
            holding one vector per node in the order of the nodes (of unit length for the cosine).
        slack: factors of the error bound (:meth:`Space.slack`); they serve 'flat' alone.
        count: how many candidates to list.

    Raises:
        MissingExtraError: if FAISS is not installed.
        TypeError: if ``index`` is neither a string nor a FAISS index.
        ValueError: if FAISS cannot build the index, or a given one does not fit the features.
    """
    faiss = load_faiss(f"index={index!r}" if isinstance(index, str) else "a FAISS index")
    built = _by_name(faiss, space, index, count) if isinstance(index, str) else _as_given(faiss, space, index)
    holds_nodes = built is index
    class_of = space.rows.ties.class_of_node if holds_nodes else np.arange(len(space))
    count = min(count, built.ntotal)
    p, q = slack
    for start in range(0, len(space), _QUERIES):
        block = slice(start, min(start + _QUERIES, len(space)))
        ids = np.arange(block.start, block.stop)
        distance, found = built.search(_native(space, ids) if holds_nodes else _vectors(space, ids), count)
        candidate = np.where(found >= 0, class_of[found], -1)
        if index == "flat":
            score = np.asarray(-distance if space.metric is METRICS["l2"] else distance, dtype=np.float64)
            ceiling = score[:, -1] + p[block] * q.max() if count < len(space) else np.full(len(score), -np.inf)
            yield Shortlist(block, candidate, score, p[block, None] * q[candidate], ceiling)
        else:
            # An approximate index promises nothing: every candidate is scored anew, what it left out is left out.
            candidate = _once(candidate)
            score = np.where(candidate >= 0, 0.0, -np.inf)
            yield Shortlist(block, candidate, score, np.zeros_like(score), np.full(len(score), -np.inf))


def _by_name(faiss: Any, space: Space, name: str, count: int) -> Any:
    num_rows = len(space)
    lists = max(1, min(round(4 * num_rows**0.5), num_rows // _PER_LIST))
    factory = {"flat": "Flat", "ivf": f"IVF{lists},Flat", "hnsw": "HNSW32,Flat"}.get(name, name)
    measure = faiss.METRIC_L2 if space.metric is METRICS["l2"] else faiss.METRIC_INNER_PRODUCT
    try:
        built = faiss.index_factory(space.width, factory, measure)
        if not built.is_trained:
            step = -(-num_rows // _TRAINING_ROWS)
            built.train(_vectors(space, np.arange(0, num_rows, step)))
    except RuntimeError as error:
        reason = str(error).rsplit("Error: ", 1)[-1].strip()
        raise ValueError(
            f"'index' must be 'auto', 'flat', 'ivf', 'hnsw', a FAISS factory string or a FAISS index (got {name!r} for "
            f"{num_rows} rows of width {space.width}; FAISS: {reason})."
        ) from error
    if name == "ivf":
        built.nprobe = min(lists, 8 + lists // 16)
    if name == "hnsw":
        built.hnsw.efSearch = max(64, 4 * count)
    return _filled(space, built)


def _as_given(faiss: Any, space: Space, index: Any) -> Any:
    if not isinstance(index, faiss.Index):
        raise TypeError(f"'index' must be a string or a faiss.Index (got {type(index).__name__}).")
    num_nodes = space.rows.ties.num_nodes
    measure = faiss.METRIC_L2 if space.metric is METRICS["l2"] else faiss.METRIC_INNER_PRODUCT
    if index.d != space.width:
        raise ValueError(f"'index' must be as wide as the features (got {index.d}, expected {space.width}).")
    if index.metric_type != measure:
        expected = "METRIC_L2" if measure == faiss.METRIC_L2 else "METRIC_INNER_PRODUCT"
        raise ValueError(f"'index' must use faiss.{expected} for this metric (got metric_type={index.metric_type}).")
    if not index.is_trained:
        raise ValueError("'index' must be trained. Call index.train(x) first, or pass its factory string.")
    if index.ntotal not in (0, num_nodes):
        raise ValueError(
            f"'index' must be empty, or hold one vector per node (got {index.ntotal}, expected {num_nodes})."
        )
    return index if index.ntotal else _filled(space, faiss.clone_index(index))


def _filled(space: Space, index: Any) -> Any:
    for block in blocks_of(len(space), space.width):
        index.add(_vectors(space, block))
    return index


def _vectors(space: Space, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """Rows as an index of ours holds them."""
    return space.prepared(ids).astype(np.float32)


def _native(space: Space, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """Rows as the caller's index holds them: neither scaled nor centred."""
    if space.metric is METRICS["cosine"]:
        return _vectors(space, ids)
    return np.ldexp(space.rows.double(ids), space.rows.exponent).astype(np.float32)


def _once(candidate: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each candidate of a row at its first place only, -1 elsewhere (duplicates are one class)."""
    order = np.argsort(candidate, axis=1, kind="stable")
    ordered = np.take_along_axis(candidate, order, axis=1)
    repeated = np.zeros_like(candidate, dtype=bool)
    repeated[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    out = np.empty_like(candidate)
    np.put_along_axis(out, order, np.where(repeated, -1, ordered), axis=1)
    return out
