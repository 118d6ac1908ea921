"""Frozen sparse operators: sorted once, normalised once, with the transpose that the backward pass needs.

A whole-graph product per training step is the cost of full-batch recommenders. Its structure depends on the data
alone: it is built at the first call for an ``edge_index`` and kept as long as that tensor lives
(:mod:`drepm_pyg.nn.memo`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from drepm_pyg._checks import check_edge_index, check_ids
from drepm_pyg.nn.memo import memoize
from drepm_pyg.typing import Bool, Float, Int, Tensor

__all__ = ["SparseStructure", "bipartite_structure", "graph_structure", "mean_structure", "normalized_weight"]

_INT32_MAX = 2**31 - 1


@dataclass(frozen=True, eq=False)
class _Csr:
    """Rows of a sparse matrix: where each starts, its columns, its values."""

    indptr: Tensor
    index: Tensor
    weight: Tensor
    num_cols: int

    @classmethod
    def from_coo(cls, row: Tensor, col: Tensor, weight: Tensor, num_rows: int, num_cols: int) -> "_Csr":
        order = row.argsort(stable=True)
        counts = torch.bincount(row, minlength=num_rows)
        indptr = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        # Half the index traffic where the ids fit; embedding_bag takes both, offsets in the same type.
        small = max(num_rows, num_cols, row.numel()) <= _INT32_MAX
        dtype = torch.int32 if small else torch.long
        return cls(indptr.to(dtype), col[order].to(dtype), weight[order].contiguous(), num_cols)

    def matmul(self, x: Tensor) -> Tensor:
        weight = self.weight.to(x.dtype)
        if x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64):
            # A bag per row: the fastest sparse-dense product that torch has on a CPU, near the bandwidth bound.
            return F.embedding_bag(
                self.index,
                x.contiguous(),
                self.indptr,
                mode="sum",
                per_sample_weights=weight,
                include_last_offset=True,
            )
        num_rows = self.indptr.numel() - 1
        row = torch.arange(num_rows, device=x.device).repeat_interleave(self.indptr.diff().long())
        if x.device.type == "cuda" and x.dtype in (torch.float32, torch.float64):
            return torch.sparse_csr_tensor(self.indptr, self.index, weight, (num_rows, self.num_cols)) @ x
        # Half precision has no sparse product everywhere: accumulate in float32.
        messages = x.index_select(0, self.index.long()).float() * self.weight.float().unsqueeze(1)
        return messages.new_zeros(num_rows, x.size(1)).index_add_(0, row, messages).to(x.dtype)


class _Product(torch.autograd.Function):
    """A frozen sparse matrix times a dense one; the backward pass multiplies by the kept transpose."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, forward: _Csr, backward: _Csr) -> Tensor:
        ctx.transpose, ctx.original = backward, forward
        return forward.matmul(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _product(grad, ctx.transpose, ctx.original), None, None


_product: Callable[[Tensor, _Csr, _Csr], Tensor] = _Product.apply


@dataclass(frozen=True, eq=False)
class SparseStructure:
    r"""A frozen sparse operator :math:`A \in \mathbb{R}^{R \times C}` with its transpose; rows are targets.

    Shapes:
        ``matmul(x)``: float ``[C, D]`` to float ``[R, D]``
    """

    forward: _Csr
    backward: _Csr

    @classmethod
    def from_coo(
        cls, row: Tensor, col: Tensor, weight: Tensor, size: tuple[int, int], *, symmetric: bool = False
    ) -> "SparseStructure":
        """Build from target rows, source columns and weights; a symmetric matrix is stored once."""
        forward = _Csr.from_coo(row, col, weight, *size)
        return cls(forward, forward if symmetric else _Csr.from_coo(col, row, weight, *size[::-1]))

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.backward.num_cols, self.forward.num_cols

    @property
    def T(self) -> "SparseStructure":
        """The transpose; nothing is copied."""
        return SparseStructure(self.backward, self.forward)

    def row_counts(self) -> Int[Tensor, " R"]:
        """The number of entries in each row."""
        return self.forward.indptr.diff().long()

    def matmul(self, x: Float[Tensor, "C D"]) -> Float[Tensor, "R D"]:
        """The product with ``x``; differentiable in ``x``.

        Raises:
            ValueError: where ``x`` is no matrix with a row per column of the operator.
        """
        if x.ndim != 2 or x.size(0) != self.size[1]:
            raise ValueError(f"'x' must have the shape [{self.size[1]}, D] (got {list(x.shape)}).")
        return _product(x, self.forward, self.backward)


def normalized_weight(
    row: Int[Tensor, " E"], col: Int[Tensor, " E"], weight: Float[Tensor, " E"], size: tuple[int, int], *, square: bool
) -> Float[Tensor, " E"]:
    r"""Symmetric normalisation :math:`w_{ts} / \sqrt{d_t d_s}`, differentiable in ``weight``.

    One node set (``square``): :math:`d` is the weighted in-degree at the target for both ends, as PyG's ``gcn_norm``.
    Two node sets: each side has its own degree. A degree of 0 gives weight 0.
    """
    target = weight.new_zeros(size[0]).index_add(0, row, weight)
    source = target if square else weight.new_zeros(size[1]).index_add(0, col, weight)
    return weight * _inverse_sqrt(target)[row] * _inverse_sqrt(source)[col]


def _inverse_sqrt(degree: Tensor) -> Tensor:
    positive = degree > 0
    return torch.where(positive, degree.where(positive, 1.0).rsqrt(), 0.0)


def bipartite_structure(
    edge_index: Int[Tensor, "2 E"], num_users: int, num_items: int, *, dtype: torch.dtype = torch.float32
) -> SparseStructure:
    r"""The symmetric operator :math:`D^{-1/2} A D^{-1/2}` over users and items, users first (Eq. 1-2).

    Args:
        edge_index: long ``[2, E]`` pairs (user, item).
        num_users: number of users U.
        num_items: number of items I.
        dtype: of the weights.

    Returns:
        the ``[U + I, U + I]`` operator; the same object for the same ``edge_index``.
    """

    def build() -> SparseStructure:
        user, item = _checked(edge_index, num_users, num_items, "users", "items")
        row, col = torch.cat([user, item + num_users]), torch.cat([item + num_users, user])
        size = (num_users + num_items,) * 2
        weight = normalized_weight(row, col, row.new_ones(row.numel(), dtype=dtype), size, square=True)
        return SparseStructure.from_coo(row, col, weight, size, symmetric=True)

    return memoize(("bipartite", num_users, num_items, dtype), build, edge_index)


def graph_structure(
    edge_index: Int[Tensor, "2 E"],
    edge_weight: Float[Tensor, " E"] | None,
    num_nodes: int,
    *,
    normalize: bool = True,
    dtype: torch.dtype = torch.float32,
) -> SparseStructure:
    r"""The operator :math:`D^{-1/2} S D^{-1/2}` of a graph over one node set (Eq. 5), or ``S`` itself.

    Args:
        edge_index: long ``[2, E]``, row 0 sources, row 1 targets.
        edge_weight: weights, None for 1.
        num_nodes: number of nodes N.
        normalize: divide by the square roots of both ends' degrees.
        dtype: of the weights.

    Returns:
        the ``[N, N]`` operator; the same object for the same tensors.
    """

    def build() -> SparseStructure:
        col, row = _checked(edge_index, num_nodes, num_nodes, "nodes", "nodes")
        weight = row.new_ones(row.numel(), dtype=dtype) if edge_weight is None else edge_weight.detach().to(dtype)
        if normalize:
            weight = normalized_weight(row, col, weight, (num_nodes, num_nodes), square=True)
        return SparseStructure.from_coo(row, col, weight, (num_nodes, num_nodes))

    others = () if edge_weight is None else (edge_weight,)
    return memoize(("graph", num_nodes, normalize, dtype), build, edge_index, *others)


def mean_structure(
    edge_index: Int[Tensor, "2 E"],
    num_rows: int,
    num_cols: int,
    mask: Bool[Tensor, " C"] | None = None,
    *,
    dtype: torch.dtype = torch.float32,
) -> SparseStructure:
    r"""The row mean :math:`P = D_u^{-1} R`: every user averages its training items, those of ``mask`` alone if given.

    :math:`(P X) W = P (X W)`: items are projected first, so that users' raw features are never formed.

    Args:
        edge_index: long ``[2, E]`` pairs (row, column), as (user, item).
        num_rows: number of rows.
        num_cols: number of columns.
        mask: bool ``[C]``, True = the column takes part.
        dtype: of the weights.

    Returns:
        the ``[R, C]`` operator, an empty row giving 0; the same object for the same tensors.
    """

    def build() -> SparseStructure:
        row, col = _checked(edge_index, num_rows, num_cols, "rows", "columns")
        if mask is not None:
            row, col = row[mask[col]], col[mask[col]]
        weight = torch.bincount(row, minlength=num_rows).to(dtype).reciprocal()[row]
        return SparseStructure.from_coo(row, col, weight, (num_rows, num_cols))

    others = () if mask is None else (mask,)
    return memoize(("mean", num_rows, num_cols, mask is None, dtype), build, edge_index, *others)


def _checked(edge_index: Tensor, first: int, second: int, first_name: str, second_name: str) -> tuple[Tensor, Tensor]:
    plain = edge_index.as_subclass(Tensor)
    check_edge_index(plain)
    check_ids(first, what=first_name, **{"edge_index[0]": plain[0]})
    check_ids(second, what=second_name, **{"edge_index[1]": plain[1]})
    return plain[0], plain[1]
