"""The graph of nearest neighbours of feature rows (DRepMRec, Eq. 5)."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, Unpack, overload

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg._checks import check_choice, said_of
from drepm_pyg.graph.batch import find_in_groups, groups_of, info_of
from drepm_pyg.graph.edges import Edges
from drepm_pyg.graph.features import Features, check_matrix, present
from drepm_pyg.graph.find import feature_route, find
from drepm_pyg.graph.neighbors import check_k
from drepm_pyg.graph.options import MEMORY_BUDGET, KNNOptions, Options
from drepm_pyg.graph.result import KNNInfo, KNNOutput
from drepm_pyg.graph.rows import FeatureRows
from drepm_pyg.typing import Int, Tensor

__all__ = ["knn_graph", "knn_graph_of", "knn_graphs"]


@overload
def knn_graph(
    x: Features,
    k: int,
    *,
    return_weight: Literal[False] = False,
    return_info: Literal[False] = False,
    batch: Int[Tensor, " N"] | None = None,
    **options: Unpack[KNNOptions],
) -> Tensor: ...
@overload
def knn_graph(
    x: Features,
    k: int,
    *,
    return_weight: Literal[True],
    return_info: Literal[False] = False,
    batch: Int[Tensor, " N"] | None = None,
    **options: Unpack[KNNOptions],
) -> tuple[Tensor, Tensor]: ...
@overload
def knn_graph(
    x: Features,
    k: int,
    *,
    return_weight: Literal[False] = False,
    return_info: Literal[True],
    batch: Int[Tensor, " N"] | None = None,
    **options: Unpack[KNNOptions],
) -> tuple[Tensor, KNNInfo]: ...
@overload
def knn_graph(
    x: Features,
    k: int,
    *,
    return_weight: Literal[True],
    return_info: Literal[True],
    batch: Int[Tensor, " N"] | None = None,
    **options: Unpack[KNNOptions],
) -> tuple[Tensor, Tensor, KNNInfo]: ...
@overload
def knn_graph(
    x: Features,
    k: int,
    *,
    return_weight: bool = False,
    return_info: bool = False,
    batch: Int[Tensor, " N"] | None = None,
    **options: Unpack[KNNOptions],
) -> KNNOutput: ...
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
    batch: Int[Tensor, " N"] | None = None,
    min_similarity: float | None = None,
    radius: float | None = None,
    mutual: bool = False,
    symmetric: str = "none",
    measure_recall: int = 0,
    target_recall: float | None = None,
    distributed: bool = False,
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
        index: 'auto': exact and without FAISS up to 5e13 multiply-adds, beyond them on a CPU 'ivf' tuned to a recall of
            0.95 (the log says so). 'exact': the cheapest exact route at any size; 'gram', 'blocks', 'kdtree': one of
            them, all products at once, block by block, or a k-d tree, which for up to 10 columns looks at a small
            part of the rows ('cosine' and 'l2'). 'flat': exact, through FAISS. 'ivf', 'hnsw', 'nsg', 'ivfpq', any FAISS
            factory string, or a trained ``faiss.Index``, either empty or holding one vector per row of ``x`` (of unit
            length for the cosine), which is searched where it lies: what an approximate index finds is scored anew in
            float64; rows for which it finds too few are searched exactly. By inner product, rows with a common
            direction or of very different length need a ``target_recall``: the lists that an 'ivf' looks into first
            are then far from all that matter.
        device: where products are computed; default: where ``x`` is. An ``x`` on a CUDA device stays there, float64
            scores included; the CUDA routes, FAISS' included, are in place, but no GPU has run them yet.
        return_weight: also return the similarities (for 'l2' the distances), float64 where ``x`` is, else float32.
        return_info: also return a :class:`KNNInfo`.
        mask: True where a row is present; the others have no edges, and what they hold does not matter.
        batch: which graph each row belongs to; neighbours are sought within it. A graph of ``k`` rows or fewer is
            connected wholly, as PyG's functions do.
        min_similarity: drop edges of a smaller similarity ('cosine', 'ip'), compared in float64.
        radius: drop edges of a larger distance ('l2').
        mutual: keep an edge only if both ends choose each other; the same as ``symmetric='intersection'``.
        symmetric: 'none', 'union' (add the reverse of every edge) or 'intersection'.
        measure_recall: compare so many rows with the exact answer; :class:`KNNInfo` says what share was found.
        target_recall: let an approximate index look further until it finds that share, measured on
            ``measure_recall`` (default: 1,000) rows.
        distributed: every process of ``torch.distributed`` seeks the neighbours of a share of the rows, and all get the
            graph that one process would; all must make the same call.
        memory_budget: bytes of working memory beside ``x`` and the result. ``x`` is never copied whole where its
            float32 form exceeds half of them. 'gram' and FAISS' indexes, asked for by name, take what they need.

    Shapes:
        x: float ``[N, F]``, mask: bool ``[N]``, batch: long ``[N]``; returns edge_index: long ``[2, E]`` and
        edge_weight: float ``[E]`` where ``x`` is, with ``E = N k`` (N: rows present) unless edges are dropped or
        mirrored. Row 0 is the neighbour (source), row 1 the centre (target); edges are grouped by centre, ascending,
        best neighbour first.

    Raises:
        TypeError: if ``x`` is no dense floating-point matrix, ``mask`` is not boolean, or ``k`` no integer.
        ValueError: if ``k`` exceeds the rows there are (less one with ``loop=False``), a present row holds NaN or
            infinity, or options exclude each other.
        MissingExtraError: if ``index`` needs FAISS and it is not installed.
        RuntimeError: for ``distributed=True`` without a process group.

    Example:
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
        >>> knn_graph(x, k=1)
        tensor([[1, 0, 1],
                [0, 1, 2]])
        >>> knn_graph(x, k=1, mutual=True)
        tensor([[1, 0],
                [0, 1]])
    """
    options = Options(
        k,
        metric=metric,
        loop=loop,
        index=index,
        device=device,
        return_weight=return_weight,
        return_info=return_info,
        min_similarity=min_similarity,
        radius=radius,
        mutual=mutual,
        symmetric=symmetric,
        measure_recall=measure_recall,
        target_recall=target_recall,
        distributed=distributed,
        memory_budget=memory_budget,
    )
    check_matrix(x, "x")
    nodes = present(len(x), mask)
    if batch is None:
        return knn_graph_of(x, nodes, lambda: options.rows(nodes, x=x), options)
    groups, how = groups_of(batch, nodes, len(x)), options.how(x, feature_route)
    rows = options.rows(nodes, x=x)
    found = find_in_groups(rows, groups, options.k, how, loop=loop)
    edges = Edges.together([Edges.of(part.neighbors) for part in found])
    return options.finish(x, edges, info_of(found, how), rows.exponent)


def knn_graph_of(x: Features, nodes: NDArray[np.int64], read: Callable[[], FeatureRows], options: Options) -> KNNOutput:
    """:func:`knn_graph` of those rows of ``x`` that ``read`` gives once all else is checked."""
    check_k(options.k, len(nodes), loop=options.loop, what="rows")
    rows = read()
    found = find(rows, options.k, options.how(x, feature_route), loop=options.loop)
    return options.finish(x, Edges.of(found.neighbors), found.info, rows.exponent)


@overload
def knn_graphs(
    features: Mapping[str, Features],
    k: int,
    *,
    masks: Mapping[str, Features] | None = None,
    return_weight: Literal[False] = False,
    batch: Int[Tensor, " N"] | None = None,
    **options: Unpack[KNNOptions],
) -> dict[str, Tensor]: ...
@overload
def knn_graphs(
    features: Mapping[str, Features],
    k: int,
    *,
    masks: Mapping[str, Features] | None = None,
    return_weight: Literal[True],
    batch: Int[Tensor, " N"] | None = None,
    **options: Unpack[KNNOptions],
) -> dict[str, tuple[Tensor, Tensor]]: ...
def knn_graphs(
    features: Mapping[str, Features],
    k: int,
    *,
    masks: Mapping[str, Features] | None = None,
    return_weight: bool = False,
    batch: Int[Tensor, " N"] | None = None,
    **options: Unpack[KNNOptions],
) -> dict[str, Tensor] | dict[str, tuple[Tensor, Tensor]]:
    """The graph of every modality, as :class:`~drepm_pyg.nn.ModalEncoder` takes them.

    Args:
        features: a matrix per modality.
        k: neighbours per row.
        masks: True where a row has the modality, for those modalities that some rows lack.
        return_weight: also return the similarities (for 'l2' the distances).
        batch: which graph each row belongs to, the same for all modalities.
        options: those of :func:`knn_graph`, but for ``mask`` and ``return_info``.

    Shapes:
        features: float ``[N, F_m]`` each, masks: bool ``[N]`` each, batch: long ``[N]``; returns edge_index: long
        ``[2, E_m]`` each, or pairs of it and edge_weight: float ``[E_m]``

    Raises:
        TypeError: see :func:`knn_graph`; the message begins with the modality.
        ValueError: likewise; if a mask has no features.

    Example:
        >>> graphs = knn_graphs({"image": torch.eye(3), "text": torch.eye(3)}, k=1)
        >>> sorted(graphs)
        ['image', 'text']
    """
    if not isinstance(features, Mapping):
        raise TypeError(f"'features' must be a mapping from modalities to matrices (got {type(features).__name__}).")
    for option, instead in (("mask", "Pass 'masks', one per modality"), ("return_info", "Call knn_graph for each")):
        if option in options:
            raise TypeError(f"'{option}' is no option of knn_graphs. {instead}.")
    for option in options:
        if option not in KNNOptions.__annotations__:
            raise TypeError(f"'{option}' is no option of knn_graphs.")
    masks = {} if masks is None else masks
    if not isinstance(masks, Mapping):
        raise TypeError(f"'masks' must be a mapping from modalities to masks (got {type(masks).__name__}).")
    for name in masks:
        check_choice(list(features), **{"a key of masks": name})
    given: dict[str, Any] = {**options}
    chosen = Options(k, return_weight=return_weight, **given)
    for name, x in features.items():  # of all of them, before the first is searched
        with said_of(f"features[{name!r}]"):
            check_matrix(x, "x")
            nodes = present(len(x), masks.get(name))
            if batch is None:
                check_k(k, len(nodes), loop=chosen.loop, what="rows")
    rows = {name: len(x) for name, x in features.items()}
    if len(set(rows.values())) > 1:
        raise ValueError(f"'features' must have as many rows for every modality (got {rows}).")
    graphs: dict[str, Any] = {}
    for name, x in features.items():
        own: KNNOptions = {**options, "mask": masks.get(name)}
        with said_of(f"features[{name!r}]"):
            graphs[name] = (
                knn_graph(x, k, return_weight=True, batch=batch, **own)
                if return_weight
                else knn_graph(x, k, batch=batch, **own)
            )
    return graphs
