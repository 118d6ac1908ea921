"""A similarity graph that grows and shrinks with its catalogue, without a rebuild."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg._checks import check_edge_index, check_ids
from drepm_pyg.graph.edges import Edges
from drepm_pyg.graph.features import Features, check_matrix, present
from drepm_pyg.graph.find import How, block_bytes, feature_route, find
from drepm_pyg.graph.metrics import METRICS
from drepm_pyg.graph.neighbors import Neighbors, check_k
from drepm_pyg.graph.options import MEMORY_BUDGET, Options
from drepm_pyg.graph.rows import FeatureRows
from drepm_pyg.graph.space import Space
from drepm_pyg.typing import Int, Tensor

__all__ = ["extend_knn_graph", "remove_nodes"]


def extend_knn_graph(
    edge_index: Int[Tensor, "2 E_old"],
    x_old: Features,
    x_new: Features,
    k: int,
    *,
    metric: str = "cosine",
    loop: bool = False,
    device: torch.device | str | None = None,
    mask_old: Features | None = None,
    mask_new: Features | None = None,
    memory_budget: int = MEMORY_BUDGET,
) -> Int[Tensor, "2 E"]:
    r"""Let new rows join a graph: exactly :func:`knn_graph` of all rows, at the price of the new ones.

    The new rows seek their neighbours among all rows; an old row's neighbours are the best of those that it has and of
    the new rows:

    .. math:: \operatorname{top-}k(\mathcal{O} \cup \mathcal{N}) =
        \operatorname{top-}k\bigl(\operatorname{top-}k(\mathcal{O}) \cup \operatorname{top-}k(\mathcal{N})\bigr)

    Args:
        edge_index: what :func:`knn_graph` gave for ``x_old`` with the same ``k``, ``metric``, ``loop`` and mask.
        x_old: the rows of that graph.
        x_new: the rows that join; their ids follow those of ``x_old``.
        k: neighbours per row.
        metric: 'cosine', 'ip' or 'l2'.
        loop: whether a row is one of its own neighbours.
        device: where products are computed; default: where ``x_old`` is.
        mask_old: True where an old row is present.
        mask_new: True where a new row is present.
        memory_budget: bytes of working memory beside the input and the result.

    Shapes:
        edge_index: long ``[2, N_old k]``, x_old: float ``[N_old, F]``, x_new: float ``[N_new, F]``; returns long
        ``[2, (N_old + N_new) k]``

    Raises:
        TypeError: see :func:`knn_graph`.
        ValueError: see :func:`knn_graph`; if ``edge_index`` is not such a graph.

    Example:
        >>> from drepm_pyg.graph import knn_graph
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.5], [0.0, 1.0]])
        >>> extend_knn_graph(knn_graph(x[:2], k=1), x[:2], x[2:], k=1)
        tensor([[1, 0, 1],
                [0, 1, 2]])
    """
    options = Options(k, metric=metric, loop=loop, index="exact", device=device, memory_budget=memory_budget)
    k = options.k
    check_matrix(x_old, "x_old")
    check_matrix(x_new, "x_new")
    old = present(len(x_old), mask_old, "mask_old")
    new = present(len(x_new), mask_new, "mask_new") + len(x_old)
    nodes = np.concatenate([old, new])
    before = _table(edge_index, old, len(x_old), k, loop=loop)
    check_k(k, len(nodes), loop=loop, what="rows")
    rows, how = options.rows(nodes, x_old=x_old, x_new=x_new), options.how(x_old, feature_route)
    if not len(new):
        return edge_index
    joined = [Edges.of(find(rows, k, how, loop=loop, asked=new).neighbors)]
    if len(old):
        entering = find(
            rows, min(k, len(new)), replace(how, score_all=True), loop=False, asked=old, offered=new
        ).neighbors
        joined.append(Edges.of(_merged(before, entering, rows, how, k, loop=loop)))
    return Edges.together(joined).edge_index().to(edge_index.device)


def remove_nodes(
    edge_index: Int[Tensor, "2 E_old"],
    x: Features,
    keep: Features,
    k: int,
    *,
    metric: str = "cosine",
    loop: bool = False,
    device: torch.device | str | None = None,
    mask: Features | None = None,
    memory_budget: int = MEMORY_BUDGET,
) -> Int[Tensor, "2 E"]:
    """Take rows out of a graph: exactly :func:`knn_graph` of ``x`` with ``mask=keep``; ids stay as they are.

    Only rows that lose a neighbour are searched for again.

    Args:
        edge_index: what :func:`knn_graph` gave for ``x`` with the same ``k``, ``metric``, ``loop`` and ``mask``.
        x: the rows of that graph.
        keep: False where a row leaves.
        k: neighbours per row.
        metric: 'cosine', 'ip' or 'l2'.
        loop: whether a row is one of its own neighbours.
        device: where products are computed; default: where ``x`` is.
        mask: True where a row was present.
        memory_budget: bytes of working memory beside the input and the result.

    Shapes:
        edge_index: long ``[2, N k]``, x: float ``[N, F]``, keep, mask: bool ``[N]``; returns long ``[2, N_kept k]``

    Raises:
        TypeError: see :func:`knn_graph`.
        ValueError: see :func:`knn_graph`; if ``edge_index`` is not such a graph, or fewer rows than ``k`` needs stay.

    Example:
        >>> from drepm_pyg.graph import knn_graph
        >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])
        >>> remove_nodes(knn_graph(x, k=1), x, torch.tensor([False, True, True]), k=1)
        tensor([[2, 1],
                [1, 2]])
    """
    options = Options(k, metric=metric, loop=loop, index="exact", device=device, memory_budget=memory_budget)
    k = options.k
    check_matrix(x, "x")
    if keep is None:
        raise TypeError("'keep' must be boolean, False where a row leaves (got None).")
    nodes = present(len(x), mask)
    before = _table(edge_index, nodes, len(x), k, loop=loop)
    kept = np.intersect1d(nodes, present(len(x), keep, "keep"), assume_unique=True)
    check_k(k, len(kept), loop=loop, what="rows")
    stays = np.isin(nodes, kept)
    whole = np.isin(before, kept).all(axis=1)
    untouched, affected = stays & whole, stays & ~whole
    parts = [Edges.of(Neighbors(nodes[untouched], before[untouched], np.zeros((untouched.sum(), k))))]
    if affected.any():
        rows = options.rows(kept, x=x)
        parts.append(Edges.of(find(rows, k, options.how(x, feature_route), loop=loop, asked=nodes[affected]).neighbors))
    return Edges.together(parts).edge_index().to(edge_index.device)


def _table(edge_index: Tensor, nodes: NDArray[np.int64], num_nodes: int, k: int, *, loop: bool) -> NDArray[np.int64]:
    """The neighbours of each node ``[N, k]``, where the graph is what :func:`knn_graph` makes."""
    check_edge_index(edge_index)
    check_ids(num_nodes, what="rows", edge_index=edge_index)
    neighbour, centre = edge_index.detach().cpu().numpy()
    if not np.array_equal(centre, np.repeat(nodes, k)):
        raise ValueError(
            f"'edge_index' must hold {k} edges for each of {len(nodes)} rows, grouped by row 1, ascending, as "
            f"knn_graph makes it without cut-off or symmetry (got {len(centre)} edges). Pass the graph as it was "
            "built, or build it anew with knn_graph."
        )
    table = neighbour.reshape(-1, k)
    present_nodes = np.zeros(num_nodes, dtype=bool)
    present_nodes[nodes] = True
    absent = ~present_nodes[neighbour]
    if absent.any():
        raise ValueError(
            f"'edge_index' must hold edges among the rows that the mask leaves (got the neighbours "
            f"{np.unique(neighbour[absent])[:5]})."
        )
    twice = np.flatnonzero((np.diff(np.sort(table, axis=1), axis=1) == 0).any(axis=1))
    if len(twice):
        raise ValueError(
            f"'edge_index' must list {k} distinct neighbours of each row, as knn_graph does (rows {nodes[twice][:5]} "
            "have one twice)."
        )
    if ((table == nodes[:, None]).any(axis=1) != loop).any():
        raise ValueError(f"'loop' must be what 'edge_index' was built with (got {loop}).")
    return table


def _merged(
    before: NDArray[np.int64], entering: Neighbors, rows: FeatureRows, how: How, k: int, *, loop: bool
) -> Neighbors:
    """The best of old and new neighbours, by their scores in float64; the scores themselves are left out."""
    class_of = rows.ties.class_of_node
    space = Space(rows, METRICS[how.metric], block_bytes=block_bytes(how.memory_budget))
    # The node itself keeps its place whatever comes: the last of the others tells whether a new one enters.
    others = before[:, ::-1][np.arange(len(before)), np.argmax(before[:, ::-1] != entering.nodes[:, None], axis=1)]
    last = space.score(class_of[entering.nodes], class_of[others])
    # New ids are the larger ones: a tie is lost.
    reached = (entering.score[:, 0] > last) & (others != entering.nodes)
    nodes, known, new = entering.nodes[reached], before[reached], entering.index[reached]
    centre = np.repeat(class_of[nodes], known.shape[1])
    score = np.concatenate(
        [space.score(centre, class_of[known.ravel()]).reshape(known.shape), entering.score[reached]], axis=1
    )
    index = np.concatenate([known, new], axis=1)
    # With `loop` the node itself has a place whatever its score: it is taken first, and put where it ranks.
    itself = index == nodes[:, None]
    order = np.lexsort((index, -score, ~itself if loop else itself), axis=1)[:, :k]
    index, score = np.take_along_axis(index, order, axis=1), np.take_along_axis(score, order, axis=1)
    order = np.lexsort((index, -score), axis=1)
    merged = before.copy()
    merged[reached] = np.take_along_axis(index, order, axis=1)
    return Neighbors(entering.nodes, merged, np.zeros(merged.shape))
