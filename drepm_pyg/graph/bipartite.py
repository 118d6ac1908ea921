"""Nearest neighbours across two sets of rows: user to item, text to image."""

from typing import Any, Literal, Unpack, overload

import numpy as np
import torch

from drepm_pyg.graph.edges import Edges
from drepm_pyg.graph.features import Features, check_matrix, present
from drepm_pyg.graph.find import feature_route, find
from drepm_pyg.graph.neighbors import Neighbors
from drepm_pyg.graph.options import MEMORY_BUDGET, Options, SearchOptions
from drepm_pyg.graph.result import KNNInfo, KNNOutput
from drepm_pyg.typing import Tensor

__all__ = ["bipartite_knn_graph"]


@overload
def bipartite_knn_graph(
    x: Features,
    query: Features,
    k: int,
    *,
    return_weight: Literal[False] = False,
    return_info: Literal[False] = False,
    mask: Features | None = None,
    query_mask: Features | None = None,
    **options: Unpack[SearchOptions],
) -> Tensor: ...
@overload
def bipartite_knn_graph(
    x: Features,
    query: Features,
    k: int,
    *,
    return_weight: Literal[True],
    return_info: Literal[False] = False,
    mask: Features | None = None,
    query_mask: Features | None = None,
    **options: Unpack[SearchOptions],
) -> tuple[Tensor, Tensor]: ...
@overload
def bipartite_knn_graph(
    x: Features,
    query: Features,
    k: int,
    *,
    return_weight: Literal[False] = False,
    return_info: Literal[True],
    mask: Features | None = None,
    query_mask: Features | None = None,
    **options: Unpack[SearchOptions],
) -> tuple[Tensor, KNNInfo]: ...
@overload
def bipartite_knn_graph(
    x: Features,
    query: Features,
    k: int,
    *,
    return_weight: Literal[True],
    return_info: Literal[True],
    mask: Features | None = None,
    query_mask: Features | None = None,
    **options: Unpack[SearchOptions],
) -> tuple[Tensor, Tensor, KNNInfo]: ...
@overload
def bipartite_knn_graph(
    x: Features,
    query: Features,
    k: int,
    *,
    return_weight: bool = False,
    return_info: bool = False,
    mask: Features | None = None,
    query_mask: Features | None = None,
    **options: Unpack[SearchOptions],
) -> KNNOutput: ...
def bipartite_knn_graph(
    x: Features,
    query: Features,
    k: int,
    *,
    metric: str = "cosine",
    index: Any = "auto",
    device: torch.device | str | None = None,
    return_weight: bool = False,
    return_info: bool = False,
    mask: Features | None = None,
    query_mask: Features | None = None,
    min_similarity: float | None = None,
    radius: float | None = None,
    measure_recall: int = 0,
    target_recall: float | None = None,
    distributed: bool = False,
    memory_budget: int = MEMORY_BUDGET,
) -> KNNOutput:
    r"""Connect every row of ``query`` to the ``k`` most similar rows of ``x``.

    .. math:: S_{qi} = 1 \text{ if } i \in \operatorname{top-}k_{\,i'} \; s(y_q, x_{i'})

    The edges run from ``x`` to ``query``, as message passing over two node sets takes them. Exact, and with the same
    rule for ties, as :func:`knn_graph`.

    Args:
        x: the rows to choose from, :math:`x`, as :func:`knn_graph` takes them.
        query: the rows whose neighbours are sought, :math:`y`, of the same width.
        k: neighbours per row of ``query``.
        metric: see :func:`knn_graph`, as all that follow.
        index: as in :func:`knn_graph`; a ``faiss.Index`` holds the rows of ``x``.
        device: where products are computed; default: where ``x`` is.
        return_weight: also return the similarities (for 'l2' the distances).
        return_info: also return a :class:`KNNInfo`.
        mask: True where a row of ``x`` is present.
        query_mask: True where a row of ``query`` is present; the others have no edges.
        min_similarity: drop edges of a smaller similarity ('cosine', 'ip').
        radius: drop edges of a larger distance ('l2').
        measure_recall: compare so many rows with the exact answer.
        target_recall: let an approximate index look further until it finds that share.
        distributed: every process of ``torch.distributed`` seeks the neighbours of a share of the rows.
        memory_budget: bytes of working memory beside the input and the result.

    Shapes:
        x: float ``[N, F]``, query: float ``[Q, F]``, mask: bool ``[N]``, query_mask: bool ``[Q]``; returns edge_index:
        long ``[2, Q k]`` (row 0 of ``x``, row 1 of ``query``) and edge_weight ``[Q k]``

    Raises:
        TypeError: see :func:`knn_graph`.
        ValueError: see :func:`knn_graph`; if ``k`` exceeds the rows of ``x`` or the widths differ.
        MissingExtraError: if ``index`` needs FAISS and it is not installed.
        RuntimeError: for ``distributed=True`` without a process group.

    Example:
        >>> images = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> bipartite_knn_graph(images, torch.tensor([[0.1, 1.0], [1.0, 0.2], [0.0, 2.0]]), k=1)
        tensor([[1, 0, 1],
                [0, 1, 2]])
    """
    options = Options(
        k,
        metric=metric,
        index=index,
        device=device,
        return_weight=return_weight,
        return_info=return_info,
        min_similarity=min_similarity,
        radius=radius,
        measure_recall=measure_recall,
        target_recall=target_recall,
        distributed=distributed,
        memory_budget=memory_budget,
    )
    check_matrix(x, "x")
    check_matrix(query, "query")
    offered, asked = present(len(x), mask), present(len(query), query_mask, "query_mask") + len(x)
    if k > len(offered):
        raise ValueError(f"'k' must be at most the number of rows of 'x', {len(offered)} (got {k}). Lower 'k'.")
    rows = options.rows(np.concatenate([offered, asked]), x=x, query=query)
    how = options.how(x, feature_route)
    found = find(rows, options.k, how, loop=False, asked=asked, offered=offered, num_offered=len(x))
    of_query = Neighbors(found.neighbors.nodes - len(x), found.neighbors.index, found.neighbors.score)
    return options.finish(x, Edges.of(of_query), found.info, found.exponent)
