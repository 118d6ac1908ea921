"""A similarity matrix by its factors: the target of the similarity-supervised signal without a B x B matrix."""

from collections.abc import Iterator, Sequence
from functools import reduce

import torch

from drepm_pyg.nn.functional.gram import add_gram_, gram_squared_norm
from drepm_pyg.nn.functional.implicit import ImplicitSimilarity
from drepm_pyg.typing import Float, Tensor

__all__ = ["FactoredSimilarity", "PooledRows"]

_BLOCK = 512  # columns of a pooled factor that are formed at a time


class PooledRows:
    r"""The matrix :math:`\mathrm{diag}(s) P X` that is never formed, such as users' raw features over their items'.

    Args:
        pool: :math:`P`, torch sparse ``[B, I]``: row b holds the weights of user b's items (1 / their number: a mean).
        features: :math:`X`, float ``[I, F]``.
        scale: :math:`s`, float ``[B]``; one over the norms of the rows of :math:`P X` makes their products cosines.

    Raises:
        ValueError: where the shapes do not fit or ``pool`` is not sparse.
    """

    def __init__(self, pool: Tensor, features: Float[Tensor, "I F"], scale: Float[Tensor, " B"]) -> None:
        fits = pool.ndim == features.ndim == 2 and scale.ndim == 1 and pool.shape == (len(scale), len(features))
        if not fits or pool.layout not in (torch.sparse_coo, torch.sparse_csr):
            raise ValueError(
                "'pool' must be sparse (COO or CSR) [B, I], 'features' [I, F] and 'scale' [B] (got "
                f"{list(pool.shape)} {pool.layout}, {list(features.shape)} and {list(scale.shape)})."
            )
        self.pool = pool.detach().to_sparse_coo().coalesce()
        self.features, self.scale = features.detach(), scale.detach()

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrix that this stands for."""
        return len(self.scale), self.features.size(1)

    @property
    def dtype(self) -> torch.dtype:
        """Of the features."""
        return self.features.dtype

    def __mul__(self, factor: Tensor) -> "PooledRows":
        """Every row times a number, or times its own in ``[B, 1]``."""
        return PooledRows(self.pool, self.features, self.scale * factor.flatten())

    def __getitem__(self, rows: Tensor) -> "PooledRows":
        """Some of the rows."""
        return PooledRows(self.pool.index_select(0, rows), self.features, self.scale[rows])

    def project(self, z: Float[Tensor, "B D"]) -> Float[Tensor, "F D"]:
        r""":math:`X^\top P^\top \mathrm{diag}(s) Z`."""
        pooled = torch.sparse.mm(self.pool.to(z.dtype).t(), self.scale.to(z.dtype).unsqueeze(1) * z)
        return self.features.to(z.dtype).T @ pooled

    def blocks(self, dtype: torch.dtype) -> Iterator[Float[Tensor, "B _"]]:
        """The matrix, some columns at a time."""
        pool, scale = self.pool.to(dtype), self.scale.to(dtype).unsqueeze(1)
        for columns in self.features.split(_BLOCK, dim=1):
            yield scale * torch.sparse.mm(pool, columns.to(dtype))


class FactoredSimilarity(ImplicitSimilarity):
    r"""A target :math:`T = \sum_m w_m F_m F_m^\top`, as the weighted sum of the modalities' cosines is (Eq. 12).

    Its squared distance from :math:`Z Z^\top` needs no B x B matrix where the factors are narrow:

    .. math:: \|Z Z^\top - T\|^2 = \|Z^\top Z\|^2 - 2 \sum_m w_m \|F_m^\top Z\|^2 + \|T\|^2

    Args:
        factors: float ``[B, F_m]`` or :class:`PooledRows` per modality, with rows of length 1 where cosines are meant;
            no gradient reaches them.
        weights: :math:`w_m`, numbers or float ``[B]`` (rows that lack a modality weigh their others more: entry (b, c)
            is then :math:`\sqrt{w_{mb} w_{mc}}` times the product); None: 1.

    Raises:
        ValueError: where there is no factor, or their rows or weights differ in number.

    Example:
        >>> FactoredSimilarity([torch.eye(2), torch.ones(2, 1)], weights=[0.75, 0.25]).dense()
        tensor([[1.0000, 0.2500],
                [0.2500, 1.0000]])
    """

    def __init__(
        self,
        factors: Sequence[Float[Tensor, "B _"] | PooledRows],
        weights: Sequence[float | Float[Tensor, " B"]] | None = None,
    ) -> None:
        shapes = [tuple(factor.shape) for factor in factors]
        if not shapes or any(len(shape) != 2 or shape[0] != shapes[0][0] for shape in shapes):
            raise ValueError(f"'factors' must be matrices [B, F] with the same rows (got {shapes}).")
        if weights is not None and len(weights) != len(factors):
            raise ValueError(f"'weights' must have one entry per factor (got {len(weights)} for {len(factors)}).")
        if weights is not None:
            factors = [_weighted(factor, weight) for factor, weight in zip(factors, weights, strict=True)]
        plain = [factor.detach() for factor in factors if isinstance(factor, Tensor)]
        pooled: list[Tensor | PooledRows] = [factor for factor in factors if isinstance(factor, PooledRows)]
        # One matrix for all that are formed anyway: sum_m F_m F_m^T is [F_1 | F_2 | ...] times its transpose.
        self.factors = [torch.cat(plain, dim=1), *pooled] if len(plain) > 1 else [*plain, *pooled]

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrix that the factors stand for."""
        return self.factors[0].shape[0], self.factors[0].shape[0]

    @property
    def dtype(self) -> torch.dtype:
        """The widest type of the factors."""
        return reduce(torch.promote_types, (factor.dtype for factor in self.factors))

    def dense(self, dtype: torch.dtype | None = None) -> Float[Tensor, "B B"]:
        """The matrix itself, in the type of its factors or another one."""
        blocks = self._blocks(dtype or self.dtype)
        first = next(blocks)
        total = add_gram_(first.new_zeros(self.shape), first)
        for block in blocks:
            add_gram_(total, block)
        return total

    def __getitem__(self, rows: Tensor) -> "FactoredSimilarity":
        """The matrix of some rows and the same columns."""
        return FactoredSimilarity([factor[rows] for factor in self.factors])

    def squared_distance(self, z: Float[Tensor, "B D"], *, accurate: bool = False) -> Float[Tensor, ""]:
        r""":math:`\|Z Z^\top - T\|_F^2`: products in the type of ``z``, sums in float64, never below 0.

        Its three terms cancel where the fit is good: ``accurate`` makes their products in float64, too.
        """
        z = z.double() if accurate else z
        own, constant = _squared_norm(z.T @ z), self._constant(z.dtype)
        cross = torch.stack([_squared_norm(_project(factor, z)) for factor in self.factors]).sum()
        return (own - 2 * cross + constant).clamp(min=0)

    def _blocks(self, dtype: torch.dtype) -> Iterator[Float[Tensor, "B _"]]:
        for factor in self.factors:
            yield from factor.blocks(dtype) if isinstance(factor, PooledRows) else [factor.to(dtype)]

    def _constant(self, dtype: torch.dtype) -> Tensor:
        r""":math:`\|T\|_F^2`, from the smaller of the two Gram matrices of [F_1 | F_2 | ...]."""
        first, *others = self.factors
        if isinstance(first, Tensor) and not others:
            return gram_squared_norm(first.to(dtype))
        if sum(factor.shape[1] for factor in self.factors) >= self.shape[0]:
            return _squared_norm(self.dense(dtype))  # pooled factors are formed some columns at a time
        return gram_squared_norm(torch.cat(list(self._blocks(dtype)), dim=1))


def _project(factor: Tensor | PooledRows, z: Tensor) -> Tensor:
    return factor.project(z) if isinstance(factor, PooledRows) else factor.to(z.dtype).T @ z


def _weighted(factor: Tensor | PooledRows, weight: float | Tensor) -> Tensor | PooledRows:
    like = factor if isinstance(factor, Tensor) else factor.scale
    return factor * torch.as_tensor(weight, dtype=like.dtype, device=like.device).sqrt().reshape(-1, 1)


def _squared_norm(x: Tensor) -> Tensor:
    return x.double().square().sum()
