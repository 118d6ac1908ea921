"""What every target of the similarity-supervised signal that is no matrix in memory can do."""

from abc import ABC, abstractmethod

import torch

from drepm_pyg.typing import Float, Tensor

__all__ = ["ImplicitSimilarity"]


class ImplicitSimilarity(ABC):
    r"""A symmetric matrix ``[B, B]`` that need not be formed to be compared with :math:`Z Z^\top`."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """Of the matrix that this stands for."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Of its entries."""

    @abstractmethod
    def dense(self, dtype: torch.dtype | None = None) -> Float[Tensor, "B B"]:
        """The matrix itself, in its own type or another one."""

    @abstractmethod
    def __getitem__(self, rows: Tensor) -> "ImplicitSimilarity":
        """The matrix of some rows and the same columns."""

    @abstractmethod
    def squared_distance(self, z: Float[Tensor, "B D"], *, accurate: bool = False) -> Float[Tensor, ""]:
        r""":math:`\|Z Z^\top - T\|_F^2`, summed in float64, never below 0.

        Args:
            z: :math:`Z`, float ``[B, D]``.
            accurate: keep the digits that a square root near 0 magnifies, whatever they cost.
        """
