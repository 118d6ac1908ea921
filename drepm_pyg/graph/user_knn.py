"""The graph of nearest neighbours among users, whose features are the mean of their items' (DRepMRec, Eq. 5)."""

from typing import Any, Literal, Unpack, overload

import torch

from drepm_pyg._checks import check_at_least, check_edge_index, check_ids
from drepm_pyg.graph.build import build
from drepm_pyg.graph.knn import home, pack
from drepm_pyg.graph.mean_products import mean_route
from drepm_pyg.graph.mean_rows import MeanRows
from drepm_pyg.graph.options import MEMORY_BUDGET, KNNOptions
from drepm_pyg.graph.result import KNNInfo, KNNOutput
from drepm_pyg.graph.rows import FeatureRows, Features
from drepm_pyg.typing import Int, Tensor

__all__ = ["user_knn_graph"]


@overload
def user_knn_graph(
    x_item: Features,
    edge_index: Int[Tensor, "2 E"],
    num_users: int,
    k: int,
    *,
    return_weight: Literal[False] = False,
    return_info: Literal[False] = False,
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
    **options: Unpack[KNNOptions],
) -> tuple[Tensor, Tensor, KNNInfo]: ...
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
    memory_budget: int = MEMORY_BUDGET,
) -> KNNOutput:
    r"""Connect every user to the ``k`` users of most similar mean features (DRepMRec, Eq. 5).

    Exactly :func:`knn_graph` of :math:`\mathbf{P} \mathbf{X}`, the mean of the raw features of each user's items,
    without that ``[U, F]`` matrix: all inner products of users are

    .. math:: \mathbf{C} = \mathbf{P} \mathbf{G} \mathbf{P}^\top, \quad \mathbf{G} = \mathbf{X} \mathbf{X}^\top, \quad
        \mathbf{P} = \mathbf{D}_u^{-1} \mathbf{R}

    two sparse products per block of users. :math:`\mathbf{G}` is kept while it fits ``memory_budget``; beyond it the
    means are computed block by block and multiplied directly. Either way near ties are scored again in float64, pair by
    pair.

    Args:
        x_item: the items' raw features, :math:`\mathbf{X}`, as :func:`knn_graph` takes them.
        edge_index: training pairs (user, item), :math:`\mathbf{R}`; a pair that occurs twice counts twice.
        num_users: how many users there are.
        k: neighbours per user.
        metric: see :func:`knn_graph`, as all that follow.
        loop: whether a user is one of its own neighbours.
        index: as in :func:`knn_graph`; a FAISS index holds one vector per user, so it needs the memory that 'auto'
            saves.
        device: where 'auto' computes its products; default: where ``x_item`` is. No GPU has run this route yet.
        return_weight: also return the similarities (for 'l2' the distances).
        return_info: also return a :class:`KNNInfo`.
        mask: True where an item has these features; a user's mean runs over such items. Users without one have no
            edges.
        memory_budget: bytes of working memory beside the input and the result.

    Shapes:
        x_item: float ``[I, F]``, edge_index: long ``[2, E]``, mask: bool ``[I]``; returns edge_index: long ``[2, U k]``
        (row 0 the neighbour, row 1 the centre; U: users with features) and edge_weight ``[U k]``

    Raises:
        TypeError: see :func:`knn_graph`.
        ValueError: see :func:`knn_graph`; if ids are out of range.
        MissingExtraError: if ``index`` needs FAISS and it is not installed.

    Example:
        >>> x_item = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> bought = torch.tensor([[0, 1, 1, 2], [0, 0, 1, 2]])
        >>> user_knn_graph(x_item, bought, num_users=3, k=1)
        tensor([[1, 2, 1],
                [0, 1, 2]])
    """
    check_at_least(0, num_users=num_users)
    check_edge_index(edge_index)
    check_ids(num_users, what="users", **{"edge_index[0]": edge_index[0]})
    check_ids(len(x_item), what="items", **{"edge_index[1]": edge_index[1]})
    user, item = edge_index.detach().cpu().numpy()

    def rows() -> MeanRows:
        items = FeatureRows(x_item, mask, name="x_item")
        return MeanRows(items, user, item, num_users, block_bytes=memory_budget // 8)

    neighbors, info, exponent = build(
        rows,
        mean_route,
        k,
        what="users",
        metric=metric,
        loop=loop,
        index=index,
        device=home(x_item) if device is None else torch.device(device),
        score_all=return_weight,
        memory_budget=memory_budget,
    )
    return pack(x_item, neighbors, info, exponent, return_weight=return_weight, return_info=return_info)
