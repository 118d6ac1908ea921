"""The graph of nearest neighbours of feature rows (DRepMRec, Eq. 5)."""

from typing import Any, Literal, Unpack, overload

import torch

from drepm_pyg.graph.build import build, feature_route
from drepm_pyg.graph.metrics import METRICS
from drepm_pyg.graph.neighbors import Neighbors
from drepm_pyg.graph.options import MEMORY_BUDGET, KNNOptions
from drepm_pyg.graph.result import KNNInfo, KNNOutput, output_dtype
from drepm_pyg.graph.rows import FeatureRows, Features
from drepm_pyg.typing import Tensor

__all__ = ["home", "knn_graph", "pack"]


@overload
def knn_graph(
    x: Features,
    k: int,
    *,
    return_weight: Literal[False] = False,
    return_info: Literal[False] = False,
    **options: Unpack[KNNOptions],
) -> Tensor: ...
@overload
def knn_graph(
    x: Features,
    k: int,
    *,
    return_weight: Literal[True],
    return_info: Literal[False] = False,
    **options: Unpack[KNNOptions],
) -> tuple[Tensor, Tensor]: ...
@overload
def knn_graph(
    x: Features,
    k: int,
    *,
    return_weight: Literal[False] = False,
    return_info: Literal[True],
    **options: Unpack[KNNOptions],
) -> tuple[Tensor, KNNInfo]: ...
@overload
def knn_graph(
    x: Features, k: int, *, return_weight: Literal[True], return_info: Literal[True], **options: Unpack[KNNOptions]
) -> tuple[Tensor, Tensor, KNNInfo]: ...


def knn_graph(
    x: Features,
    k: int,
    *,
    metric: str = "cosine",
    loop: bool = False,
    index: Any = "auto",
    device: torch.device | str | None = None,
    return_weight: bool = False,
    return_info: bool = False,
    mask: Features | None = None,
    memory_budget: int = MEMORY_BUDGET,
) -> KNNOutput:
    r"""Connect every row of ``x`` to its ``k`` most similar rows (DRepMRec, Eq. 5).

    .. math:: S_{ij} = 1 \text{ if } j \in \operatorname{top-}k_{\,j'} \; s(x_i, x_{j'}), \quad
        s(x, y) = \frac{x^\top y}{\lVert x \rVert \lVert y \rVert}

    The graph is exact, whatever the block size and the number of threads: candidates come from float32 matrix products
    with a bound on their error, and what that bound leaves open is scored again in float64, pair by pair. Rows that are
    equal are exact ties, and ties go to the smaller id. The cosine of a zero row with anything is 0.

    Args:
        x: the features, :math:`x`: torch tensor, NumPy array or memory-mapped array, of any floating dtype.
        k: neighbours per row.
        metric: 'cosine', 'ip' (inner product) or 'l2' (Euclidean distance).
        loop: if True, every row is one of its own ``k`` neighbours; if False, never, even among exact duplicates.
        index: 'auto' (exact, needs no FAISS), 'flat' (exact, through FAISS), 'ivf', 'hnsw', any FAISS factory string,
            or a trained ``faiss.Index``, either empty or holding one vector per row of ``x`` (of unit length for the
            cosine). What an approximate index finds is scored anew in float64; rows for which it finds too few are
            searched exactly.
        device: where 'auto' computes its products; default: where ``x`` is. FAISS indexes run on the CPU. The CUDA
            route is the same code as the CPU's, but no GPU has run it yet.
        return_weight: also return the similarities (for 'l2' the distances), float64 where ``x`` is, else float32.
        return_info: also return a :class:`KNNInfo`.
        mask: True where a row is present; the others have no edges, and what they hold does not matter.
        memory_budget: bytes of working memory beside ``x`` and the result. ``x`` is never copied whole where its
            float32 form exceeds half of them.

    Shapes:
        x: float ``[N, F]``, mask: bool ``[N]``; returns edge_index: long ``[2, E]`` and edge_weight: float ``[E]``
        where ``x`` is, with ``E = N k`` (N: rows present). Row 0 is the neighbour (source), row 1 the centre (target);
        edges are grouped by centre, ascending, best neighbour first.

    Raises:
        TypeError: if ``x`` is no dense floating-point matrix, ``mask`` is not boolean, or ``k`` no integer.
        ValueError: if ``k`` exceeds the rows there are (less one with ``loop=False``), or a present row holds NaN or
            infinity.
        MissingExtraError: if ``index`` needs FAISS and it is not installed.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
        >>> knn_graph(x, k=1)
        tensor([[1, 0, 1],
                [0, 1, 2]])
    """
    neighbors, info, exponent = build(
        lambda: FeatureRows(x, mask),
        feature_route,
        k,
        what="rows",
        metric=metric,
        loop=loop,
        index=index,
        device=home(x) if device is None else torch.device(device),
        score_all=return_weight,
        memory_budget=memory_budget,
    )
    return pack(x, neighbors, info, exponent, return_weight=return_weight, return_info=return_info)


def home(x: Features) -> torch.device:
    """Where ``x`` is; arrays are on the CPU."""
    return x.device if isinstance(x, torch.Tensor) else torch.device("cpu")


def pack(
    x: Features, neighbors: Neighbors, info: KNNInfo, exponent: int, *, return_weight: bool, return_info: bool
) -> KNNOutput:
    """``edge_index``, then what was asked for: ``edge_weight``, ``info``."""
    edge_index = neighbors.edge_index().to(home(x))
    if not return_weight:
        return (edge_index, info) if return_info else edge_index
    weight = METRICS[info.metric].weight(neighbors.score.ravel(), exponent)
    edge_weight = torch.from_numpy(weight).to(home(x), output_dtype(x))
    return (edge_index, edge_weight, info) if return_info else (edge_index, edge_weight)
