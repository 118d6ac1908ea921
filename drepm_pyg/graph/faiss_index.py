"""FAISS indexes of the rows of a search: the one module that imports it, and only when an index is asked for."""

import importlib.util
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg._checks import MissingExtraError
from drepm_pyg.graph.blocks import blocks_of
from drepm_pyg.graph.metrics import METRICS
from drepm_pyg.graph.space import Space
from drepm_pyg.typing import Float, Tensor

__all__ = [
    "WITHOUT_FAISS",
    "as_taken",
    "check_index",
    "faiss_installed",
    "filled",
    "given_index",
    "innermost",
    "load_faiss",
    "load_faiss_for",
    "measure_of",
    "named_index",
    "native_vectors",
    "number_of_lists",
    "on_gpu",
    "shared_out",
    "vectors",
]

_TRAINING_ROWS = 1 << 18
_PER_LIST = 39  # training points per inverted list below which FAISS warns
#: The routes that need none; 'exact' is the cheaper of the last two, whatever it costs.
WITHOUT_FAISS = ("auto", "exact", "gram", "blocks", "kdtree")
_NAMES = ("flat", "ivf", "hnsw", "nsg", "ivfpq")
_SOME_WIDTH = 64  # to see whether a factory string can be parsed
_DEGREE = 32  # of the graphs of 'hnsw' and 'nsg'


def faiss_installed() -> bool:
    """Whether FAISS can be imported."""
    return importlib.util.find_spec("faiss") is not None


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


def load_faiss_for(index: Any) -> Any:
    """:func:`load_faiss` for what was given as 'index'."""
    return load_faiss(f"index={index!r}" if isinstance(index, str) else "a FAISS index")


def measure_of(faiss: Any, *, by_distance: bool) -> int:
    """FAISS' number for what an index ranks by, distances or inner products."""
    return int(faiss.METRIC_L2 if by_distance else faiss.METRIC_INNER_PRODUCT)


def number_of_lists(num_rows: int, per_list: int) -> int:
    """Four times the root of the number of rows, unless that left a list fewer than ``per_list`` rows to learn from."""
    return max(1, min(round(4 * num_rows**0.5), num_rows // per_list))


def check_index(index: Any) -> None:
    """What 'index' may be, as far as it can be said before the rows are read.

    Raises:
        MissingExtraError: if it needs FAISS and it is not installed.
        TypeError: if it is neither a string nor a FAISS index.
        ValueError: if FAISS cannot make sense of the string.
    """
    if isinstance(index, str) and index in WITHOUT_FAISS:
        return
    faiss = load_faiss_for(index)
    if not isinstance(index, str):
        if not isinstance(index, faiss.Index):
            raise TypeError(f"'index' must be a string or a faiss.Index (got {type(index).__name__}).")
    elif index not in _NAMES:
        try:
            faiss.index_factory(_SOME_WIDTH, index)
        except RuntimeError as error:
            if "could not parse" in str(error):  # all else may be the fault of the width
                raise _no_index(f"got {index!r}; FAISS: {_reason(error)}") from error


def named_index(faiss: Any, space: Space, name: str) -> Any:
    """A trained, empty index by one of our names or FAISS' factory string.

    Raises:
        ValueError: if FAISS cannot build it.
    """
    num_rows = len(space.base)
    lists = number_of_lists(num_rows, _PER_LIST)
    named = {
        "flat": "Flat",
        "ivf": f"IVF{lists},Flat",
        "hnsw": f"HNSW{_DEGREE},Flat",
        "nsg": f"NSG{_DEGREE},Flat",
        # 'np': without polysemous training, which takes most of the time and serves a search that is not made.
        "ivfpq": f"IVF{lists},PQ{_subquantizers(space.width)}np",
    }
    factory = named.get(name, name)
    # NSG knows distances alone; for rows of unit length they rank as the cosine does.
    by_distance = space.metric is METRICS["l2"] or (factory.startswith("NSG") and space.metric is METRICS["cosine"])
    try:
        built = faiss.index_factory(space.width, factory, measure_of(faiss, by_distance=by_distance))
        if factory.startswith("NSG") and space.metric is METRICS["ip"]:
            raise RuntimeError("Error: NSG knows no inner product")
        if not built.is_trained:
            step = -(-num_rows // _TRAINING_ROWS)
            built.train(as_taken(built, vectors(space, space.base[::step])))
    except RuntimeError as error:
        given = f"got {name!r} for {num_rows} distinct rows of width {space.width}; FAISS: {_reason(error)}"
        if name in named:
            raise ValueError(
                f"'index' must be one that such rows and this metric allow ({given}). 'exact' takes any."
            ) from error
        raise _no_index(given) from error
    return built


def given_index(faiss: Any, space: Space, index: Any) -> Any:
    """The caller's index, checked; a copy where it is empty, to be filled.

    Raises:
        ValueError: if it does not fit the rows.
    """
    measure = measure_of(faiss, by_distance=space.metric is METRICS["l2"])
    if index.d != space.width:
        raise ValueError(f"'index' must be as wide as the features (got {index.d}, expected {space.width}).")
    if index.metric_type != measure:
        expected = "METRIC_L2" if measure == faiss.METRIC_L2 else "METRIC_INNER_PRODUCT"
        raise ValueError(f"'index' must use faiss.{expected} for this metric (got metric_type={index.metric_type}).")
    if not index.is_trained:
        raise ValueError("'index' must be trained. Call index.train(x) first, or pass its factory string.")
    if index.ntotal not in (0, space.num_base_nodes):
        raise ValueError(
            f"'index' must be empty, or hold one vector per node (got {index.ntotal}, expected {space.num_base_nodes})."
        )
    if index.ntotal:
        return index
    try:
        return faiss.clone_index(index)
    except RuntimeError as error:
        raise ValueError(
            f"'index' must be one that FAISS can copy, where it is empty (got {type(index).__name__}). Fill it first: "
            "one vector per node."
        ) from error


def on_gpu(faiss: Any, index: Any, device: torch.device) -> Any:
    """The index on a CUDA device; without a number on all of them, its rows shared out. No GPU has run this yet."""
    if not hasattr(faiss, "StandardGpuResources") or faiss.get_num_gpus() == 0:
        raise ValueError(
            f"'device' must be 'cpu' for a FAISS index here (got '{device}'; this FAISS sees no GPU). Install "
            "\"drepm_pyg[gpu]\", or take index='auto', which computes on the device without FAISS."
        )
    if shared_out(faiss, device):
        options = faiss.GpuMultipleClonerOptions()
        options.shard = True
        return faiss.index_cpu_to_all_gpus(index, co=options)
    return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), device.index or 0, index)


def shared_out(faiss: Any, device: torch.device) -> bool:
    """Whether the rows are shared out among several GPUs."""
    return device.index is None and int(faiss.get_num_gpus()) > 1


def innermost(faiss: Any, index: Any) -> Iterator[Any]:
    """The indexes that search, inside of transforms, refinements, shards and replicas."""
    inner = faiss.downcast_index(index)
    if isinstance(inner, faiss.IndexPreTransform | faiss.IndexIDMap):
        yield from innermost(faiss, inner.index)
    elif isinstance(inner, faiss.IndexRefine):
        yield from innermost(faiss, inner.base_index)
    elif isinstance(inner, faiss.IndexShards | faiss.IndexReplicas):
        for part in range(inner.count()):
            yield from innermost(faiss, inner.at(part))
    else:
        yield inner


def filled(faiss: Any, space: Space, index: Any) -> Any:
    """The index with all base rows in it.

    Raises:
        ValueError: if it does not take them, such as an 'IDMap', which wants ids, or an 'NSG', which wants many.
    """
    # What an NSG is built from has room for so many of each row's neighbours; where it stays empty, FAISS now and then
    # ends the process (seen up to 160 rows).
    least = 2 * max((part.nndescent_L for part in innermost(faiss, index) if hasattr(part, "nndescent_L")), default=0)
    try:
        if len(space.base) < least:
            raise RuntimeError(f"it may fail to build the graph of fewer than {least} rows")
        for block in blocks_of(len(space.base), space.width, space.block_bytes):
            index.add(as_taken(index, vectors(space, space.base[block])))
    except RuntimeError as error:
        raise ValueError(
            f"'index' must take {len(space.base)} distinct rows, by their order (got {type(index).__name__}; FAISS: "
            f"{_reason(error)}). Leave 'IDMap' out, and take index='exact' for few rows."
        ) from error
    return index


def vectors(space: Space, ids: NDArray[np.int64]) -> Float[Tensor, "N F"]:
    """Rows as an index of ours holds them, float32, where the features lie."""
    return space.single(ids, space.rows.device)


def native_vectors(space: Space, ids: NDArray[np.int64]) -> Float[Tensor, "N F"]:
    """Rows as the caller's index holds them: neither scaled nor centred."""
    if space.metric is METRICS["cosine"]:
        return vectors(space, ids)
    return torch.ldexp(space.rows.tensor(ids), torch.tensor(space.rows.exponent)).float()


def as_taken(index: Any, rows: Float[Tensor, "N F"]) -> Any:
    """Rows as an index takes them: a tensor on its device, if it lies on one GPU, else an array.

    FAISS' torch bridge knows no shards and no transforms.
    """
    if not hasattr(index, "getDevice"):
        return rows.cpu().numpy()
    import faiss.contrib.torch_utils  # noqa: F401 - from here on indexes take tensors where they lie

    return rows.to(torch.device("cuda", index.getDevice()))


def _no_index(given: str) -> ValueError:
    names = ", ".join(map(repr, (*WITHOUT_FAISS, *_NAMES)))
    return ValueError(f"'index' must be {names}, a FAISS factory string or a FAISS index ({given}).")


def _reason(error: RuntimeError) -> str:
    """What FAISS says, without the place in its source."""
    return re.sub(r"^Error in .* at \S+:\d+: (Error: )?", "", str(error)).strip()


def _subquantizers(width: int) -> int:
    """The largest divisor of the width that leaves at least 4 numbers to each."""
    return next(parts for parts in range(max(1, width // 4), 0, -1) if width % parts == 0)
