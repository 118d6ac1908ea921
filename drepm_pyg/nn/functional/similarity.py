"""The similarity-supervised signal, entry by entry and as a squared norm (DRepMRec, Eq. 12)."""

from collections.abc import Callable
from typing import Any

import torch

from drepm_pyg._checks import check_choice
from drepm_pyg.nn.functional.gram import squared_norm
from drepm_pyg.nn.functional.implicit import ImplicitSimilarity
from drepm_pyg.nn.functional.numerics import full_precision, is_traced, refuse_second_derivative, widen
from drepm_pyg.nn.functional.rows import check_rows, normalize_rows
from drepm_pyg.typing import Float, Tensor

__all__ = ["SSS_METRICS", "similarity_distance", "similarity_supervised"]

#: How the rows of the representation are compared with each other.
SSS_METRICS = ("cosine", "dot")


def similarity_supervised(
    representation: Float[Tensor, "B D"],
    similarity: Float[Tensor, "B B"] | ImplicitSimilarity,
    *,
    metric: str = "cosine",
) -> Float[Tensor, "B B"]:
    r"""How far the rows' similarities are from the target's, entry by entry; no gradient to the target (Eq. 12).

    .. math:: \Delta_{bc} = \bar{e}_b \cdot \bar{e}_c - \mathrm{sg}(T_{bc})

    Args:
        representation: :math:`\bar{e}`, float ``[B, D]``.
        similarity: the target :math:`T`, float ``[B, B]``, by its factors, or as part of a larger matrix.
        metric: ``"cosine"`` normalises the rows of ``representation``, ``"dot"`` takes them as they are.

    Returns:
        the differences, float ``[B, B]`` (float32 for half inputs), the diagonal included.

    Raises:
        ValueError: where the shapes do not fit or ``metric`` is unknown.
    """
    _check(representation, similarity, metric)
    with full_precision(representation):
        z = _compared(representation, metric)
        target = similarity.detach().to(z.dtype) if isinstance(similarity, Tensor) else similarity.dense(z.dtype)
        return z @ z.T - target


def similarity_distance(
    representation: Float[Tensor, "B D"],
    similarity: Float[Tensor, "B B"] | ImplicitSimilarity,
    *,
    metric: str = "cosine",
    accurate: bool = False,
) -> Float[Tensor, ""]:
    r""":math:`\|\Delta\|_F^2` of :func:`similarity_supervised`; differentiable once.

    It takes one B x B matrix, and none where the target is an :class:`ImplicitSimilarity`.

    Args:
        representation: as :func:`similarity_supervised`.
        similarity: as :func:`similarity_supervised`.
        metric: as :func:`similarity_supervised`.
        accurate: multiply factors in float64. Their three terms cancel where the fit is good, and a square root
            magnifies what is left.

    Raises:
        ValueError: where the shapes do not fit or ``metric`` is unknown.
    """
    _check(representation, similarity, metric)
    with full_precision(representation):
        z = _compared(representation, metric)
        if isinstance(similarity, ImplicitSimilarity):
            return similarity.squared_distance(z, accurate=accurate).to(z.dtype)
        target = similarity.detach().to(z.dtype)
        if is_traced():
            return (z @ z.T - target).square().sum()
        return _kept_distance(z, target)


class _SquaredDistance(torch.autograd.Function):
    r""":math:`\|Z Z^\top - T\|_F^2` with one B x B matrix, kept for the backward pass."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, target: Tensor) -> Tensor:
        gap = (z @ z.T).sub_(target)
        ctx.save_for_backward(z, gap)
        return squared_norm(gap).to(z.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        refuse_second_derivative("similarity_distance")
        z, gap = ctx.saved_tensors
        with full_precision(z):
            return 2 * grad * torch.addmm(gap @ z, gap.T, z), None


_kept_distance: Callable[[Tensor, Tensor], Tensor] = _SquaredDistance.apply


def _compared(representation: Tensor, metric: str) -> Tensor:
    return normalize_rows(representation) if metric == "cosine" else widen(representation)


def _check(representation: Tensor, similarity: Tensor | ImplicitSimilarity, metric: str) -> None:
    check_choice(SSS_METRICS, metric=metric)
    check_rows(representation=representation)
    if not isinstance(similarity, Tensor | ImplicitSimilarity):
        raise TypeError(
            f"'similarity' must be a torch tensor [B, B] or an ImplicitSimilarity (got a {type(similarity).__name__})."
        )
    if torch.compiler.is_compiling():
        return  # as in check_rows
    rows = len(representation)
    if tuple(similarity.shape) != (rows, rows):
        raise ValueError(
            f"'similarity' must have the shape [{rows}, {rows}], a row and a column per row of 'representation' "
            f"(got {list(similarity.shape)})."
        )
