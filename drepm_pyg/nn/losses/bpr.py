"""BPR (Eq. 14) as a module."""

from torch import nn

from drepm_pyg.nn import functional
from drepm_pyg.nn.losses.reduction import check_reduction, reduce
from drepm_pyg.typing import Float, Tensor

__all__ = ["BPRLoss"]


class BPRLoss(nn.Module):
    """:func:`drepm_pyg.nn.functional.bpr`, reduced.

    Args:
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        check_reduction(reduction)
        self.reduction = reduction

    def forward(self, pos_score: Float[Tensor, " B"], neg_score: Float[Tensor, "B ..."]) -> Tensor:
        return reduce(functional.bpr(pos_score, neg_score), self.reduction)

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"
