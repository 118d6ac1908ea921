"""The graph of nearest neighbours among users, whose features are the mean of their items' (DRepMRec, Eq. 5)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, Unpack, overload

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg._checks import check_at_least, check_edge_weight, check_pairs
from drepm_pyg.graph.edges import Edges
from drepm_pyg.graph.features import Features, check_matrix, present
from drepm_pyg.graph.find import find
from drepm_pyg.graph.mean_products import mean_route
from drepm_pyg.graph.mean_rows import MeanRows
from drepm_pyg.graph.neighbors import check_k
from drepm_pyg.graph.options import MEMORY_BUDGET, KNNOptions, Options
from drepm_pyg.graph.result import KNNInfo, KNNOutput
from drepm_pyg.graph.rows import FeatureRows
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["user_knn_graph", "user_knn_graph_of"]

_PAIR_BYTES = 160  # that a pair takes while its user's items are counted and compared, and as an entry then (measured)


@overload
def user_knn_graph(
    x_item: Features,
    edge_index: Int[Tensor, "2 E"],
    num_users: int,
    k: int,
    *,
    return_weight: Literal[False] = False,
    return_info: Literal[False] = False,
    edge_weight: Float[Tensor, " E"] | None = None,
    **options: Unpack[KNNOptions],
) -> Tensor: ...
@overload
def user_knn_graph(
    x_item: Features,
    edge_index: Int[Tensor, "2 E"],
    num_users: int,
    k: int,
    *,
    return_weight: Literal[True],
    return_info: Literal[False] = False,
    edge_weight: Float[Tensor, " E"] | None = None,
    **options: Unpack[KNNOptions],
) -> tuple[Tensor, Tensor]: ...
@overload
def user_knn_graph(
    x_item: Features,
    edge_index: Int[Tensor, "2 E"],
    num_users: int,
    k: int,
    *,
    return_weight: Literal[False] = False,
    return_info: Literal[True],
    edge_weight: Float[Tensor, " E"] | None = None,
    **options: Unpack[KNNOptions],
) -> tuple[Tensor, KNNInfo]: ...
@overload
def user_knn_graph(
    x_item: Features,
    edge_index: Int[Tensor, "2 E"],
    num_users: int,
    k: int,
    *,
    return_weight: Literal[True],
    return_info: Literal[True],
    edge_weight: Float[Tensor, " E"] | None = None,
    **options: Unpack[KNNOptions],
) -> tuple[Tensor, Tensor, KNNInfo]: ...
@overload
def user_knn_graph(
    x_item: Features,
    edge_index: Int[Tensor, "2 E"],
    num_users: int,
    k: int,
    *,
    return_weight: bool = False,
    return_info: bool = False,
    edge_weight: Float[Tensor, " E"] | None = None,
    **options: Unpack[KNNOptions],
) -> KNNOutput: ...
def user_knn_graph(
    x_item: Features,
    edge_index: Int[Tensor, "2 E"],
    num_users: int,
    k: int,
    *,
    metric: str = "cosine",
    loop: bool = False,
    index: Any = "auto",
    device: torch.device | str | None = None,
    return_weight: bool = False,
    return_info: bool = False,
    mask: Features | None = None,
    edge_weight: Float[Tensor, " E"] | None = None,
    min_similarity: float | None = None,
    radius: float | None = None,
    mutual: bool = False,
    symmetric: str = "none",
    measure_recall: int = 0,
    target_recall: float | None = None,
    distributed: bool = False,
    memory_budget: int = MEMORY_BUDGET,
) -> KNNOutput:
    r"""Connect every user to the ``k`` users of most similar mean features (DRepMRec, Eq. 5).

    Exactly :func:`knn_graph` of :math:`\mathbf{P} \mathbf{X}`, the mean of the raw features of each user's items,
    without that ``[U, F]`` matrix: all inner products of users are

    .. math:: \mathbf{C} = \mathbf{P} \mathbf{G} \mathbf{P}^\top, \quad \mathbf{G} = \mathbf{X} \mathbf{X}^\top, \quad
        \mathbf{P} = \mathbf{D}_u^{-1} \mathbf{R}

    two sparse products per block of users ('gram'), or the means are computed block by block and multiplied directly
    ('blocks'). 'auto' takes what an estimate of the work says is cheaper, and the second where :math:`\mathbf{G}` does
    not fit ``memory_budget``. Either way near ties are scored again in float64, pair by pair.

    Args:
        x_item: the items' raw features, :math:`\mathbf{X}`, as :func:`knn_graph` takes them.
        edge_index: training pairs (user, item), :math:`\mathbf{R}`; a pair that occurs twice counts twice.
        num_users: how many users there are.
        k: neighbours per user.
        metric: see :func:`knn_graph`, as all that follow.
        loop: whether a user is one of its own neighbours.
        index: as in :func:`knn_graph`. A FAISS index holds one vector per user; for millions of them take 'ivfpq',
            which holds codes.
        device: where products are computed; default: where ``x_item`` is. No GPU has run these routes yet.
        return_weight: also return the similarities (for 'l2' the distances).
        return_info: also return a :class:`KNNInfo`.
        mask: True where an item has these features; a user's mean runs over such items. Users without one have no
            edges.
        edge_weight: what each pair counts in its user's mean, such as a rating or a recency, at least 0; default: 1. A
            pair of weight 0 counts as absent.
        min_similarity: see :func:`knn_graph`, as all that follow.
        radius: drop edges of a larger distance ('l2').
        mutual: keep an edge only if both ends choose each other.
        symmetric: 'none', 'union' or 'intersection'.
        measure_recall: compare so many users with the exact answer.
        target_recall: let an approximate index look further until it finds that share.
        distributed: every process of ``torch.distributed`` seeks the neighbours of a share of the users.
        memory_budget: bytes of working memory beside the input and the result.

    Shapes:
        x_item: float ``[I, F]``, edge_index: long ``[2, E]``, mask: bool ``[I]``, edge_weight: float ``[E]``; returns
        edge_index: long ``[2, U k]`` (row 0 the neighbour, row 1 the centre; U: users with features) and edge_weight
        ``[U k]``

    Raises:
        TypeError: see :func:`knn_graph`.
        ValueError: see :func:`knn_graph`; if ids are out of range, or a weight is negative or not finite.
        MissingExtraError: if ``index`` needs FAISS and it is not installed.
        RuntimeError: for ``distributed=True`` without a process group.

    Example:
        >>> x_item = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> bought = torch.tensor([[0, 1, 1, 2], [0, 0, 1, 2]])
        >>> user_knn_graph(x_item, bought, num_users=3, k=1)
        tensor([[1, 2, 1],
                [0, 1, 2]])
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
    check_matrix(x_item, "x_item")
    nodes = present(len(x_item), mask)
    return user_knn_graph_of(
        x_item,
        lambda: options.rows(nodes, x_item=x_item),
        edge_index,
        num_users,
        options,
        edge_weight=edge_weight,
    )


def user_knn_graph_of(
    x_item: Features,
    read: Callable[[], FeatureRows],
    edge_index: Int[Tensor, "2 E"],
    num_users: int,
    options: Options,
    *,
    edge_weight: Float[Tensor, " E"] | None = None,
) -> KNNOutput:
    """:func:`user_knn_graph` of those rows of ``x_item`` that ``read`` gives once all else is checked."""
    check_at_least(0, num_users=num_users)
    check_pairs(edge_index, num_users, len(x_item))
    user, item = edge_index.detach().cpu().numpy()
    weight = _pair_weights(edge_weight, len(user))
    rows = MeanRows(read(), user, item, weight, num_users, block_bytes=options.memory_budget // 16)
    check_k(options.k, len(rows.ties.nodes), loop=options.loop, what="users")
    how = options.how(x_item, mean_route)
    left = how.memory_budget - _PAIR_BYTES * len(user)
    how = replace(how, memory_budget=max(how.memory_budget // 2, left))
    found = find(rows, options.k, how, loop=options.loop)
    return options.finish(x_item, Edges.of(found.neighbors), found.info, found.exponent)


def _pair_weights(edge_weight: Float[Tensor, " E"] | None, num_pairs: int) -> NDArray[np.float64]:
    if edge_weight is None:
        return np.ones(num_pairs)
    check_edge_weight(edge_weight, num_pairs)
    weight = edge_weight.detach().cpu().double().numpy()
    bad = ~np.isfinite(weight) | (weight < 0)
    if bad.any():
        raise ValueError(
            f"'edge_weight' must be finite and at least 0 (got {weight[bad][0]}, {bad.sum()} such in all). Clamp it."
        )
    return weight
