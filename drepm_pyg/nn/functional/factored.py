"""A similarity matrix by its factors: the target of the similarity-supervised signal without a B x B matrix."""

from collections.abc import Sequence
from numbers import Real

import torch

from drepm_pyg._checks import check_list, check_non_negative, check_tensors
from drepm_pyg.nn.functional.gram import add_gram_, gram_squared_norm
from drepm_pyg.nn.functional.implicit import ImplicitSimilarity
from drepm_pyg.nn.functional.numerics import is_traced
from drepm_pyg.typing import Float, Tensor

__all__ = ["FactoredSimilarity"]


class FactoredSimilarity(ImplicitSimilarity):
    r"""A target :math:`T = \sum_m w_m F_m F_m^\top`, as the weighted sum of the modalities' cosines is (Eq. 12).

    Its squared distance from :math:`Z Z^\top` needs no B x B matrix where the factors are narrow:

    .. math:: \|Z Z^\top - T\|^2 = \|Z^\top Z\|^2 - 2 \sum_m w_m \|F_m^\top Z\|^2 + \|T\|^2

    Args:
        factors: float ``[B, F_m]`` per modality, with rows of length 1 where cosines are meant; no gradient reaches
            them.
        weights: :math:`w_m`, numbers of at least 0 or float ``[B]`` of such (rows that lack a modality weigh their
            others more: entry (b, c) is then :math:`\sqrt{w_{mb} w_{mc}}` times the product); None: 1.

    Raises:
        TypeError: where a factor is no tensor of floating-point numbers, or a weight neither a number nor a tensor.
        ValueError: where there is no factor, their rows or weights differ in number, or a weight is negative (the
            entries of a tensor are looked at on a CPU alone, as a GPU would have to wait for the answer).

    Example:
        >>> FactoredSimilarity([torch.eye(2), torch.ones(2, 1)], weights=[0.75, 0.25]).dense()
        tensor([[1.0000, 0.2500],
                [0.2500, 1.0000]])
    """

    def __init__(
        self,
        factors: Sequence[Float[Tensor, "B _"]],
        weights: Sequence[float | Float[Tensor, " B"] | Float[Tensor, ""]] | None = None,
    ) -> None:
        for place, factor in enumerate(factors):
            check_tensors(**{f"factors[{place}]": factor})
            if not factor.is_floating_point():
                raise TypeError(
                    f"'factors[{place}]' must be floating point (got {factor.dtype}). Pass factors[{place}].float()."
                )
        shapes = [tuple(factor.shape) for factor in factors]
        if not shapes or any(len(shape) != 2 or shape[0] != shapes[0][0] for shape in shapes):
            raise ValueError(f"'factors' must be matrices [B, F] with the same rows (got {shapes}).")
        if weights is not None and not isinstance(weights, Tensor):
            check_list(weights=weights)
        if weights is not None and len(weights) != len(factors):
            raise ValueError(f"'weights' must have one entry per factor (got {len(weights)} for {len(factors)}).")
        if weights is not None:
            for place, weight in enumerate(weights):
                _check_weight(f"weights[{place}]", weight, len(factors[0]))
            factors = [_weighted(factor, weight) for factor, weight in zip(factors, weights, strict=True)]
        # One matrix for all of them: sum_m F_m F_m^T is [F_1 | F_2 | ...] times its transpose. A single one may be
        # large, and is not copied.
        self.factors = (factors[0] if len(factors) == 1 else torch.cat(list(factors), dim=1)).detach()

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrix that the factors stand for."""
        return len(self.factors), len(self.factors)

    @property
    def dtype(self) -> torch.dtype:
        """The widest type of the factors."""
        return self.factors.dtype

    def dense(self, dtype: torch.dtype | None = None) -> Float[Tensor, "B B"]:
        """The matrix itself, in the type of its factors or another one."""
        factors = self.factors.to(dtype or self.dtype)
        if is_traced():
            return factors @ factors.T
        return add_gram_(factors.new_zeros(self.shape), factors)

    def __getitem__(self, rows: Tensor) -> "FactoredSimilarity":
        """The matrix of some rows and the same columns."""
        return FactoredSimilarity([self.factors[rows]])

    def squared_distance(self, z: Float[Tensor, "B D"], *, accurate: bool = False) -> Float[Tensor, ""]:
        r""":math:`\|Z Z^\top - T\|_F^2`: products in the type of ``z``, sums in float64, never below 0.

        Its three terms cancel where the fit is good: ``accurate`` makes their products in float64, too.
        """
        z = z.double() if accurate else z
        factors = self.factors.to(z.dtype)
        own, cross = _squared_norm(z.T @ z), _squared_norm(factors.T @ z)
        return (own - 2 * cross + gram_squared_norm(factors)).clamp(min=0)


def _check_weight(name: str, weight: float | Tensor, rows: int) -> None:
    """A number of at least 0, or one for every row."""
    if not isinstance(weight, Tensor):
        if not isinstance(weight, Real):
            check_tensors(**{name: weight})
        check_non_negative(**{name: weight})
        return
    if weight.shape not in ((), (rows,)):
        raise ValueError(f"'{name}' must be a number or have the shape [{rows}] (got {list(weight.shape)}).")
    if weight.device.type == "cpu" and not is_traced() and not bool((weight >= 0).all()):
        raise ValueError(f"'{name}' must hold numbers of at least 0 (got {weight.min().item()}).")


def _weighted(factor: Tensor, weight: float | Tensor) -> Tensor:
    return factor * torch.as_tensor(weight, dtype=factor.dtype, device=factor.device).sqrt().reshape(-1, 1)


def _squared_norm(x: Tensor) -> Tensor:
    # Not gram's squared_norm: these small products cost no memory, and rounded row norms would be the larger error
    # where the three terms cancel.
    return x.double().square().sum()
