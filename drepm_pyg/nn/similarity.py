"""A similarity matrix by its factors: the target of the similarity-supervised signal without a B x B matrix."""

from collections.abc import Sequence

import torch

from drepm_pyg.typing import Float, Tensor

__all__ = ["FactoredSimilarity"]


class FactoredSimilarity:
    r"""A target :math:`T = \sum_m w_m F_m F_m^\top`, as the weighted sum of the modalities' cosines is (Eq. 12).

    With :math:`F = [\sqrt{w_1} F_1 \,\|\, \dots]` the squared distance from :math:`Z Z^\top` needs no B x B matrix:

    .. math:: \|Z Z^\top - F F^\top\|^2 = \|Z^\top Z\|^2 - 2 \|F^\top Z\|^2 + \|F^\top F\|^2

    Args:
        factors: float ``[B, F_m]`` per modality, with normalised rows where cosines are meant; no gradient reaches them.
        weights: :math:`w_m`, numbers or float ``[B]`` (a row that lacks a modality has other weights: the entry
            is then :math:`\sqrt{w_{mb} w_{mc}}` times the product); None: 1.

    Raises:
        ValueError: where there is no factor, or their rows or weights differ in number.
    """

    def __init__(
        self, factors: Sequence[Float[Tensor, "B _"]], weights: Sequence[float | Float[Tensor, " B"]] | None = None
    ) -> None:
        if not factors or any(factor.ndim != 2 or len(factor) != len(factors[0]) for factor in factors):
            shapes = [list(factor.shape) for factor in factors]
            raise ValueError(f"'factors' must be matrices [B, F] with the same rows (got {shapes}).")
        if weights is not None and len(weights) != len(factors):
            raise ValueError(f"'weights' must have one entry per factor (got {len(weights)} for {len(factors)}).")
        scaled = [factor.detach() for factor in factors]
        if weights is not None:
            roots = [
                torch.as_tensor(w, dtype=f.dtype, device=f.device).sqrt() for w, f in zip(weights, scaled, strict=True)
            ]
            scaled = [f * (root.unsqueeze(1) if root.ndim else root) for f, root in zip(scaled, roots, strict=True)]
        self.factor = scaled[0] if len(scaled) == 1 else torch.cat(scaled, dim=1)

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrix that the factors stand for."""
        return len(self.factor), len(self.factor)

    def dense(self) -> Float[Tensor, "B B"]:
        """The matrix itself."""
        return self.factor @ self.factor.T

    def __getitem__(self, rows: Tensor) -> "FactoredSimilarity":
        """The matrix of some rows and the same columns."""
        return FactoredSimilarity([self.factor[rows]])

    def squared_distance(self, z: Float[Tensor, "B D"]) -> Float[Tensor, ""]:
        r""":math:`\|Z Z^\top - T\|_F^2`, summed in float64 and never below 0."""
        factor = self.factor.to(z.dtype)
        # The constant by the smaller of the two Gram matrices of F.
        gram = factor.T @ factor if factor.size(1) < len(factor) else factor @ factor.T
        own, cross = (z.T @ z).double().square().sum(), (factor.T @ z).double().square().sum()
        return (own - 2 * cross + gram.double().square().sum()).clamp(min=0)
