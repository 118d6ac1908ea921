"""Frozen sparse operators: sorted once, normalised once, with the transpose that the backward pass needs.

A whole-graph product per training step is the cost of full-batch recommenders. Its structure depends on the data
alone: it is built at the first call for an ``edge_index`` and kept as long as that tensor lives
(:mod:`drepm_pyg._memo`).
"""

from dataclasses import dataclass

import torch

from drepm_pyg._checks import check_at_least, check_tensors
from drepm_pyg._memo import memoize
from drepm_pyg.nn.adjacency import anchors, check_adjacency, check_nodes, to_coo
from drepm_pyg.nn.csr import CsrMatrix, product
from drepm_pyg.typing import Adj, Bool, Float, Int, OptTensor, Tensor

__all__ = [
    "SparseStructure",
    "adjacency_structure",
    "bipartite_structure",
    "exact_weight",
    "graph_structure",
    "interaction_structure",
    "mean_structure",
    "normalized_weight",
]


@dataclass(frozen=True, eq=False)
class SparseStructure:
    r"""A frozen sparse operator :math:`A \in \mathbb{R}^{R \times C}` with its transpose; rows are targets.

    Its weights are computed in float64 and multiply in the type of what they meet.

    Shapes:
        ``matmul(x)``: float ``[C, D]`` to float ``[R, D]``
    """

    forward: CsrMatrix
    backward: CsrMatrix

    @classmethod
    def from_coo(
        cls,
        row: Int[Tensor, " E"],
        col: Int[Tensor, " E"],
        weight: Float[Tensor, " E"],
        size: tuple[int, int],
        *,
        symmetric: bool = False,
    ) -> "SparseStructure":
        """Build from target rows, source columns and weights; a symmetric matrix is stored once."""
        forward = CsrMatrix.from_coo(row, col, weight, *size)
        return cls(forward, forward if symmetric else CsrMatrix.from_coo(col, row, weight, *size[::-1]))

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.forward.num_rows, self.forward.num_cols

    @property
    def T(self) -> "SparseStructure":
        """The transpose; nothing is copied."""
        return SparseStructure(self.backward, self.forward)

    def row_counts(self) -> Int[Tensor, " R"]:
        """The number of entries in each row."""
        return self.forward.row_counts

    def matmul(self, x: Float[Tensor, "C D"]) -> Float[Tensor, "R D"]:
        """The product with ``x``; differentiable in ``x``.

        Raises:
            ValueError: where ``x`` is no matrix with a row per column of the operator.
        """
        if x.ndim != 2 or x.size(0) != self.size[1]:
            raise ValueError(f"'x' must have the shape [{self.size[1]}, D] (got {list(x.shape)}).")
        return product(x, self.forward, self.backward)


def normalized_weight(
    row: Int[Tensor, " E"], col: Int[Tensor, " E"], weight: Float[Tensor, " E"], size: tuple[int, int], *, square: bool
) -> Float[Tensor, " E"]:
    r"""Symmetric normalisation :math:`w_{ts} / \sqrt{d_t d_s}`, differentiable in ``weight``.

    One node set (``square``): :math:`d` is the weighted in-degree at the target for both ends, as PyG's ``gcn_norm``.
    Two node sets: each side has its own degree. A degree of 0 (or below) gives weight 0.
    """
    target = weight.new_zeros(size[0]).index_add(0, row, weight)
    source = target if square else weight.new_zeros(size[1]).index_add(0, col, weight)
    return weight * _inverse_sqrt(target)[row] * _inverse_sqrt(source)[col]


def _inverse_sqrt(degree: Tensor) -> Tensor:
    positive = degree > 0
    return torch.where(positive, degree.where(positive, 1.0).rsqrt(), 0.0)


def adjacency_structure(
    adj: Adj, edge_weight: OptTensor, size: tuple[int, int], *, normalize: bool, square: bool
) -> SparseStructure:
    """The operator of any ``Adj`` over ``size`` (sources, targets), normalised as by :func:`normalized_weight` or not.

    Weights that require a gradient are taken as constants. The same object is returned for the same tensors.
    """
    num_sources, num_targets = size
    check_adjacency(adj, edge_weight, num_sources, num_targets)

    def build() -> SparseStructure:
        check_nodes(adj, num_sources, num_targets, "nodes", "nodes")
        row, col, own_weight = to_coo(adj)
        weight = exact_weight(row, own_weight if edge_weight is None else edge_weight)
        if normalize:
            weight = normalized_weight(row, col, weight, (num_targets, num_sources), square=square)
        return SparseStructure.from_coo(row, col, weight, (num_targets, num_sources))

    others = () if edge_weight is None else (edge_weight,)
    return memoize(("adjacency", size, normalize, square), build, *anchors(adj), *others)


def graph_structure(
    edge_index: Adj, edge_weight: Float[Tensor, " E"] | None, num_nodes: int, *, normalize: bool = True
) -> SparseStructure:
    r"""The operator :math:`D^{-1/2} S D^{-1/2}` of a graph over one node set (Eq. 5), or ``S`` itself.

    Args:
        edge_index: long ``[2, E]``, row 0 sources, row 1 targets, or any other ``Adj``, sparse forms as ``adj_t``.
        edge_weight: weights, None for 1 or those of a sparse ``edge_index``; constants, even if they require a
            gradient.
        num_nodes: number of nodes N.
        normalize: divide by the square roots of both ends' degrees.

    Returns:
        the ``[N, N]`` operator; the same object for the same tensors.
    """
    _check_counts(num_nodes=num_nodes)
    return adjacency_structure(edge_index, edge_weight, (num_nodes, num_nodes), normalize=normalize, square=True)


def bipartite_structure(edge_index: Adj, num_users: int, num_items: int) -> SparseStructure:
    r"""The symmetric operator :math:`D^{-1/2} A D^{-1/2}` over users and items, users first (Eq. 1-2).

    Args:
        edge_index: long ``[2, E]`` pairs (user, item), or a sparse ``adj_t`` ``[I, U]``, whose weights count.
        num_users: number of users U.
        num_items: number of items I.

    Returns:
        the ``[U + I, U + I]`` operator; the same object for the same ``edge_index``.
    """
    _check_counts(num_users=num_users, num_items=num_items)
    check_adjacency(edge_index, None, num_users, num_items)

    def build() -> SparseStructure:
        check_nodes(edge_index, num_users, num_items, "users", "items")
        item, user, own_weight = to_coo(edge_index)
        row, col = torch.cat([user, item + num_users]), torch.cat([item + num_users, user])
        size = (num_users + num_items,) * 2
        weight = normalized_weight(row, col, exact_weight(user, own_weight).repeat(2), size, square=True)
        return SparseStructure.from_coo(row, col, weight, size, symmetric=True)

    return memoize(("bipartite", num_users, num_items), build, *anchors(edge_index))


def interaction_structure(edge_index: Adj, num_users: int, num_items: int) -> SparseStructure:
    r"""The block :math:`D_u^{-1/2} R D_i^{-1/2}` of :func:`bipartite_structure` that leads from items to users.

    Its transpose ``.T`` leads back. Two products with the halves cost what one with the whole operator costs, and the
    tables of users and items need not be joined.

    Args:
        edge_index: long ``[2, E]`` pairs (user, item), or a sparse ``adj_t`` ``[I, U]``, whose weights count.
        num_users: number of users U.
        num_items: number of items I.

    Returns:
        the ``[U, I]`` operator; the same object for the same ``edge_index``.
    """
    _check_counts(num_users=num_users, num_items=num_items)
    check_adjacency(edge_index, None, num_users, num_items)

    def build() -> SparseStructure:
        check_nodes(edge_index, num_users, num_items, "users", "items")
        item, user, own_weight = to_coo(edge_index)
        size = (num_users, num_items)
        weight = normalized_weight(user, item, exact_weight(user, own_weight), size, square=False)
        return SparseStructure.from_coo(user, item, weight, size)

    return memoize(("interactions", num_users, num_items), build, *anchors(edge_index))


def mean_structure(
    edge_index: Adj,
    num_rows: int,
    num_cols: int,
    mask: Bool[Tensor, " C"] | None = None,
    *,
    reverse: bool = False,
) -> SparseStructure:
    r"""The row mean :math:`P = D_u^{-1} R`: every user averages its training items, those of ``mask`` alone if given.

    :math:`(P X) W = P (X W)`: items are projected first, so that users' raw features are never formed.

    Args:
        edge_index: long ``[2, E]`` pairs (row, column), as (user, item), or a sparse ``adj_t`` ``[C, R]``, of which
            only the pattern counts.
        num_rows: number of rows.
        num_cols: number of columns.
        mask: bool ``[C]``, True = the column takes part.
        reverse: ``edge_index`` holds pairs (column, row): the items' means come from the pairs of the users'.

    Returns:
        the ``[R, C]`` operator, an empty row giving 0; the same object for the same tensors.
    """
    _check_counts(num_rows=num_rows, num_cols=num_cols)
    sources, targets = (num_cols, num_rows) if reverse else (num_rows, num_cols)
    check_adjacency(edge_index, None, sources, targets)
    if mask is not None:
        check_tensors(mask=mask)
        if mask.dtype != torch.bool or mask.shape != (num_cols,):
            raise ValueError(f"'mask' must be bool of the shape [{num_cols}] (got {mask.dtype}, {list(mask.shape)}).")

    def build() -> SparseStructure:
        check_nodes(edge_index, sources, targets, *(("columns", "rows") if reverse else ("rows", "columns")))
        target, source, _ = to_coo(edge_index)
        row, col = (target, source) if reverse else (source, target)
        if mask is not None:
            row, col = row[mask[col]], col[mask[col]]
        weight = exact_weight(row, torch.bincount(row, minlength=num_rows)).reciprocal()[row]
        return SparseStructure.from_coo(row, col, weight, (num_rows, num_cols))

    others = () if mask is None else (mask,)
    return memoize(("mean", num_rows, num_cols, mask is None, reverse), build, *anchors(edge_index), *others)


def _check_counts(**counts: int) -> None:
    if not torch.compiler.is_compiling():  # a size may be a symbol there
        check_at_least(0, **counts)


def exact_weight(row: Tensor, weight: OptTensor) -> Tensor:
    """The weights, ones for None, in float64 where the device has it."""
    dtype = torch.float32 if row.device.type == "mps" else torch.float64
    return row.new_ones(row.numel(), dtype=dtype) if weight is None else weight.detach().to(dtype)
