"""Precision and derivatives of the hand-written gradients, and where these do not serve."""

import torch
from torch.autograd import forward_ad

from drepm_pyg.typing import Tensor

__all__ = ["full_precision", "is_traced", "is_transformed", "refuse_second_derivative", "widen"]


def is_transformed() -> bool:
    """Whether a transform of torch.func (grad, vmap, jvp) follows the operations."""
    return torch._C._are_functorch_transforms_active()


def is_traced() -> bool:
    """Whether torch.compile, a transform of torch.func (grad, vmap, jvp) or forward-mode AD follows the operations.

    All take the plain formulas: torch.compile fuses them by itself, and warns about every autograd.Function that it
    traces; the others ask such a function for rules that the hand-written gradients do not have.
    """
    return torch.compiler.is_compiling() or is_transformed() or forward_ad._current_level >= 0


def widen(x: Tensor) -> Tensor:
    """``x`` in float32 at least: sums of half-precision exponentials lose what distinguishes the rows."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def full_precision(x: Tensor) -> torch.autocast:
    """A context in which autocast does not take the products of ``x`` back to half precision."""
    return torch.autocast(x.device.type, enabled=False)


def refuse_second_derivative(function: str) -> None:
    """Raise where a backward pass is itself to be differentiated; the matrix it uses would count as a constant."""
    if torch.is_grad_enabled():
        raise RuntimeError(
            f"'{function}' has a first derivative only, from one kept matrix (got create_graph=True). "
            "Write the plain formula where a second derivative is needed."
        )
