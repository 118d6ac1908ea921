"""The mean of LightGCN's layers in one differentiable step."""

from collections.abc import Callable
from typing import Any

import torch

from drepm_pyg.nn.structure import SparseStructure
from drepm_pyg.typing import Float, Tensor

__all__ = ["layer_mean"]


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


_layer_mean: Callable[[Tensor, Tensor, SparseStructure, int], tuple[Tensor, Tensor]] = _LayerMean.apply
