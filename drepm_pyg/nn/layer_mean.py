"""The mean of LightGCN's layers in one differentiable step, for all nodes or for some."""

from collections.abc import Callable
from typing import Any

import torch

from drepm_pyg.nn.picked_rows import PickedRows
from drepm_pyg.nn.structure import SparseStructure
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["layer_mean", "layer_mean_at"]


def layer_mean(
    user: Float[Tensor, "U D"], item: Float[Tensor, "I D"], to_users: SparseStructure, num_layers: int
) -> tuple[Float[Tensor, "U D"], Float[Tensor, "I D"]]:
    r""":math:`\frac{1}{L + 1} \sum_{l=0}^{L} \tilde{A}^l E`, E the two tables, from the inside out.

    .. math:: H_0 = E, \qquad H_l = \frac{l}{l + 1} \tilde{A} H_{l-1} + \frac{1}{l + 1} E

    The result is :math:`H_L`. A layer costs its product and one pass that overwrites it. :math:`\tilde{A}` is
    symmetric: the gradient is the same function of the gradient.

    Args:
        user: float ``[U, D]``.
        item: float ``[I, D]``.
        to_users: the block of :math:`\tilde{A}` that leads from items to users.
        num_layers: L.
    """
    return _layer_mean(user, item, to_users, num_layers)


def layer_mean_at(
    user: Float[Tensor, "U D"],
    item: Float[Tensor, "I D"],
    to_users: SparseStructure,
    num_layers: int,
    user_ids: Int[Tensor, " B"],
    item_ids: Int[Tensor, " C"],
) -> tuple[Float[Tensor, "B D"], Float[Tensor, "C D"], Float[Tensor, "B D"], Float[Tensor, "C D"]]:
    """Some rows of :func:`layer_mean` and of the tables themselves; the last layer is computed for these alone.

    Args:
        user: float ``[U, D]``.
        item: float ``[I, D]``.
        to_users: see :func:`layer_mean`.
        num_layers: L, at least 1.
        user_ids: long ``[B]``; an id may occur again, here as below.
        item_ids: long ``[C]``.

    Returns:
        the mean of the users and of the items, then the rows of ``user`` and of ``item``. All gradients go into one
        table of each.
    """
    return _layer_mean_at(user, item, to_users, num_layers, user_ids, item_ids)


class _LayerMean(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, user: Tensor, item: Tensor, to_users: SparseStructure, num_layers: int
    ) -> tuple[Tensor, Tensor]:
        ctx.to_users, ctx.num_layers = to_users, num_layers
        users, items = user, item
        for layer in range(1, num_layers + 1):
            users, items = to_users.matmul(items), to_users.T.matmul(users)
            users.lerp_(user, 1 / (layer + 1))
            items.lerp_(item, 1 / (layer + 1))
        return users, items

    @staticmethod
    def backward(ctx: Any, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor, None, None]:
        return *layer_mean(user, item, ctx.to_users, ctx.num_layers), None, None


class _LayerMeanAt(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        user: Tensor,
        item: Tensor,
        to_users: SparseStructure,
        num_layers: int,
        user_ids: Tensor,
        item_ids: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        ctx.to_users, ctx.num_layers = to_users, num_layers
        ctx.at_users, ctx.at_items = PickedRows(to_users, user_ids), PickedRows(to_users.T, item_ids)
        users, items = layer_mean(user, item, to_users, num_layers - 1)
        users, items = ctx.at_users.matmul(items), ctx.at_items.matmul(users)
        own_user, own_item = user.index_select(0, user_ids), item.index_select(0, item_ids)
        share = 1 / (num_layers + 1)
        return users.lerp_(own_user, share), items.lerp_(own_item, share), own_user, own_item

    @staticmethod
    def backward(
        ctx: Any, user: Tensor, item: Tensor, own_user: Tensor, own_item: Tensor
    ) -> tuple[Tensor, Tensor, None, None, None, None]:
        share, at_users, at_items = 1 / (ctx.num_layers + 1), ctx.at_users, ctx.at_items
        items, users = at_users.transposed_matmul((1 - share) * user), at_items.transposed_matmul((1 - share) * item)
        users, items = layer_mean(users, items, ctx.to_users, ctx.num_layers - 1)
        users = users.index_add_(0, at_users.ids, own_user + share * user)
        items = items.index_add_(0, at_items.ids, own_item + share * item)
        return users, items, None, None, None, None


_layer_mean: Callable[[Tensor, Tensor, SparseStructure, int], tuple[Tensor, Tensor]] = _LayerMean.apply
_layer_mean_at: Callable[..., tuple[Tensor, Tensor, Tensor, Tensor]] = _LayerMeanAt.apply
