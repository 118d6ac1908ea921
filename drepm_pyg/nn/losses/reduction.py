"""How a loss per row becomes what a loss module returns."""

from collections.abc import Callable

from drepm_pyg._checks import check_choice
from drepm_pyg.typing import Tensor

__all__ = ["check_reduction", "reduce"]

_REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {"mean": Tensor.mean, "sum": Tensor.sum, "none": lambda loss: loss}


def reduce(loss: Tensor, reduction: str) -> Tensor:
    """The mean or the sum of ``loss``, or ``loss`` itself."""
    return _REDUCTIONS[reduction](loss)


def check_reduction(reduction: str) -> None:
    """``reduction`` must be ``"mean"``, ``"sum"`` or ``"none"``."""
    check_choice(_REDUCTIONS, reduction=reduction)
