"""The mean of LightGCN's layers in one differentiable step, for all nodes or for some."""

from collections.abc import Callable
from typing import Any, NamedTuple

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
    return _layer_mean(user, item, to_users, num_layers) if num_layers else (user, item)


def layer_mean_at(
    user: Float[Tensor, "U D"],
    item: Float[Tensor, "I D"],
    to_users: SparseStructure,
    num_layers: int,
    user_ids: Int[Tensor, " B"],
    item_ids: Int[Tensor, " C"],
) -> tuple[Float[Tensor, "B D"], Float[Tensor, "C D"], Float[Tensor, "B D"], Float[Tensor, "C D"]]:
    """Some rows of :func:`layer_mean` and of the tables themselves; a layer is computed for the rows that these need.

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
    def forward(user: Tensor, item: Tensor, to_users: SparseStructure, num_layers: int) -> tuple[Tensor, Tensor]:
        users, items = user, item
        for layer in range(1, num_layers + 1):
            users, items = to_users.forward.matmul(items), to_users.backward.matmul(users)
            users.lerp_(user, 1 / (layer + 1))
            items.lerp_(item, 1 / (layer + 1))
        return users, items

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Tensor, Tensor, SparseStructure, int], output: tuple[Tensor, Tensor]
    ) -> None:
        _, _, ctx.to_users, ctx.num_layers = inputs

    @staticmethod
    def backward(ctx: Any, user: Tensor, item: Tensor) -> tuple[Tensor, Tensor, None, None]:
        return *layer_mean(user, item, ctx.to_users, ctx.num_layers), None, None


class _Layer(NamedTuple):
    """A layer of which only some rows are computed, from those of the layer below that they are made of."""

    user_ids: Tensor
    item_ids: Tensor
    to_users: SparseStructure  # columns: the items of the layer below
    to_items: SparseStructure
    share: float  # of E in the layer


class _LayerMeanAt(torch.autograd.Function):
    """From the outermost layer inwards as long as a layer's rows hold few entries; below that, whole layers."""

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
        layers: list[_Layer] = []
        at_users, at_items, depth = PickedRows(to_users, user_ids), PickedRows(to_users.T, item_ids), num_layers
        while depth > 1 and at_users.rows is not None and at_items.rows is not None:
            (of_items, items), (of_users, users) = at_users.rows.narrowed(), at_items.rows.narrowed()
            if not len(items) or not len(users):
                break
            to_these_users = SparseStructure(of_items, of_items.transposed())
            to_these_items = SparseStructure(of_users, of_users.transposed())
            layers.append(_Layer(at_users.ids, at_items.ids, to_these_users, to_these_items, 1 / (depth + 1)))
            at_users, at_items, depth = PickedRows(to_users, users), PickedRows(to_users.T, items), depth - 1
        ctx.to_users, ctx.layers, ctx.at_users, ctx.at_items, ctx.depth = to_users, layers, at_users, at_items, depth

        picked = [*((layer.user_ids, layer.item_ids) for layer in layers), (at_users.ids, at_items.ids)]
        own = [(user.index_select(0, of_users), item.index_select(0, of_items)) for of_users, of_items in picked]
        users, items = layer_mean(user, item, to_users, depth - 1)
        users, items = at_users.matmul(items), at_items.matmul(users)
        users.lerp_(own[-1][0], 1 / (depth + 1))
        items.lerp_(own[-1][1], 1 / (depth + 1))
        for layer, (own_users, own_items) in zip(reversed(layers), reversed(own[:-1]), strict=True):
            users, items = layer.to_users.forward.matmul(items), layer.to_items.forward.matmul(users)
            users.lerp_(own_users, layer.share)
            items.lerp_(own_items, layer.share)
        return users, items, *own[0]

    @staticmethod
    def backward(
        ctx: Any, user: Tensor, item: Tensor, own_user: Tensor, own_item: Tensor
    ) -> tuple[Tensor, Tensor, None, None, None, None]:
        to_own = []  # what goes to rows of E without a product
        for layer in ctx.layers:
            to_own.append((layer.user_ids, layer.item_ids, layer.share * user, layer.share * item))
            below = 1 - layer.share
            user, item = layer.to_items.T.matmul(below * item), layer.to_users.T.matmul(below * user)
        share, at_users, at_items = 1 / (ctx.depth + 1), ctx.at_users, ctx.at_items
        to_own.append((at_users.ids, at_items.ids, share * user, share * item))
        _, _, outer_user, outer_item = to_own[0]
        outer_user.add_(own_user)
        outer_item.add_(own_item)
        users, items = at_items.transposed_matmul((1 - share) * item), at_users.transposed_matmul((1 - share) * user)
        users, items = layer_mean(users, items, ctx.to_users, ctx.depth - 1)
        for user_ids, item_ids, of_user, of_item in to_own:
            users, items = users.index_add_(0, user_ids, of_user), items.index_add_(0, item_ids, of_item)
        return users, items, None, None, None, None


_layer_mean: Callable[[Tensor, Tensor, SparseStructure, int], tuple[Tensor, Tensor]] = _LayerMean.apply
_layer_mean_at: Callable[..., tuple[Tensor, Tensor, Tensor, Tensor]] = _LayerMeanAt.apply
