"""The similarity-supervised signal (Eq. 12) as a module."""

from collections.abc import Callable

import torch
from torch import nn

from drepm_pyg._checks import check_choice
from drepm_pyg.nn import functional
from drepm_pyg.typing import Float, Tensor

__all__ = ["REDUCTIONS", "SimilaritySupervisedLoss"]


def _norm(squared: Tensor) -> Tensor:
    """The square root, with gradient 0 where the distance is 0."""
    positive = squared > 0
    return torch.where(positive, squared.where(positive, 1.0).sqrt(), 0.0)


#: What a loss of so many rows is, from the squared norm.
REDUCTIONS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "mean": lambda squared, rows: squared / rows**2,
    "frobenius": lambda squared, rows: _norm(squared),
    "frobenius_per_row": lambda squared, rows: _norm(squared) / rows,
}


class SimilaritySupervisedLoss(nn.Module):
    r"""Keep the similarities of the raw features in the modal representations (Eq. 12).

    .. math:: \mathcal{L}_{SSS} = \|\bar{E}_M \bar{E}_M^\top - \mathrm{sg}(T)\|

    The entries are those of :func:`drepm_pyg.nn.functional.similarity_supervised`, the diagonal included.

    Args:
        metric: ``"cosine"`` compares cosines of the representation, ``"dot"`` its raw products.
        reduction: ``"mean"`` of the squares, the ``"frobenius"`` norm, or that norm by the number of rows
            (``"frobenius_per_row"``).

    Shapes:
        representation: float ``[B, D]``; similarity: float ``[B, B]``, or a
        :class:`drepm_pyg.nn.functional.FactoredSimilarity` or
        :class:`drepm_pyg.nn.functional.IndexedSimilarity`, which never form ``[B, B]``; returns a scalar

    Raises:
        ValueError: where the shapes do not fit.
    """

    def __init__(self, *, metric: str = "cosine", reduction: str = "mean") -> None:
        super().__init__()
        check_choice(functional.SSS_METRICS, metric=metric)
        check_choice(REDUCTIONS, reduction=reduction)
        self.metric, self.reduction = metric, reduction

    def forward(
        self, representation: Float[Tensor, "B D"], similarity: Float[Tensor, "B B"] | functional.ImplicitSimilarity
    ) -> Float[Tensor, ""]:
        squared = functional.similarity_distance(
            representation, similarity, metric=self.metric, accurate=self.reduction != "mean"
        )
        return REDUCTIONS[self.reduction](squared, len(representation))

    def extra_repr(self) -> str:
        return f"metric={self.metric!r}, reduction={self.reduction!r}"
