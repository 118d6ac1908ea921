"""Random tensors, the same at every call."""

import torch
from torch import Tensor

__all__ = ["draw"]


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Standard normal numbers; drawn in float64, so that every ``dtype`` holds the same ones, rounded."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)
