"""The convolution of LightGCN (Eq. 2): neighbours, normalised, and nothing else."""

from torch_geometric import EdgeIndex
from torch_geometric.utils import is_sparse

from drepm_pyg._checks import check_at_least, check_list, check_tensors
from drepm_pyg.nn.conv.normalized_sum import NormalizedSumConv, check_node_rows
from drepm_pyg.nn.structure import SparseStructure
from drepm_pyg.typing import Adj, OptTensor, Tensor

__all__ = ["LightGCNConv"]


class LightGCNConv(NormalizedSumConv):
    r"""The simplified graph convolution of LightGCN: no parameters, no activation, no self loops (Eq. 2).

    .. math:: \mathbf{X}' = \mathbf{D}^{-1/2} \mathbf{A} \mathbf{D}^{-1/2} \mathbf{X}

    One node set: both ends are divided by the square root of the weighted in-degree at the target, as PyG's
    ``gcn_norm`` does. Two node sets, ``x = (x_src, x_dst)``: each side has its own degree, so that the layer works on
    ``('user', 'interacts', 'item')`` and its reverse inside :class:`torch_geometric.nn.HeteroConv`. A node of degree 0
    (or below, by negative weights) gets and gives nothing. A graph that stays the same is best given as
    :class:`torch_geometric.EdgeIndex` or in a sparse form: it is sorted and normalised once, and the layer is one
    sparse product.

    "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation", https://arxiv.org/abs/2002.02126

    Args:
        normalize: divide by the degrees; False sums plainly.

    Shapes:
        x: float ``[N, D]``, or a pair of ``[S, D]`` and ``[T, D]`` (or None); edge_index: any ``Adj``, sparse forms as
        ``adj_t`` ``[T, S]`` with their own weights, or a :class:`~drepm_pyg.nn.SparseStructure` ``[T, S]``, which is
        multiplied as it is; edge_weight: float ``[E]``; returns float ``[N, D]`` or ``[T, D]``

    Raises:
        TypeError: where ``x`` is neither a tensor nor such a pair, or not floating point.
        ValueError: where shapes do not fit, or weights are given beside a sparse adjacency or a structure.
    """

    def forward(
        self,
        x: Tensor | tuple[Tensor, OptTensor],
        edge_index: "Adj | SparseStructure",
        edge_weight: OptTensor = None,
        size: tuple[int, int] | None = None,
    ) -> Tensor:
        if size is not None:
            _check_size(size)
        if isinstance(x, tuple) and len(x) == 2:
            source, target = x
            check_node_rows(**{"x[0]": source})
            counts = source.size(0), self._num_targets(target, edge_index, size)
        elif isinstance(x, Tensor):
            check_node_rows(x=x)
            source, counts = x, (x.size(0), x.size(0))
        else:
            kind = f"{type(x).__name__} of {len(x)}" if isinstance(x, list | tuple) else type(x).__name__
            raise TypeError(f"'x' must be a tensor or a tuple (x_src, x_dst) (got a {kind}).")
        if size is not None and tuple(size) != counts:
            raise ValueError(f"'size' must be the rows of 'x', {counts} (sources, targets; got {tuple(size)}).")
        return self._convolve(source, edge_index, edge_weight, counts, square=not isinstance(x, tuple))

    @staticmethod
    def _num_targets(target: OptTensor, edge_index: "Adj | SparseStructure", size: tuple[int, int] | None) -> int:
        if target is not None:
            check_tensors(**{"x[1]": target})
            return target.size(0)
        if size is not None:
            return size[1]
        if isinstance(edge_index, SparseStructure):
            return edge_index.size[0]
        if is_sparse(edge_index):
            return int(edge_index.size(0))
        if isinstance(edge_index, EdgeIndex) and edge_index.sparse_size(1) is not None:
            return int(edge_index.sparse_size(1))
        raise ValueError(
            "'size' is needed where 'x' has no target rows: pass size=(sources, targets), or x=(x_src, x_dst)."
        )


def _check_size(size: tuple[int, int]) -> None:
    """Two integers of at least 0."""
    check_list(size=size)
    check_at_least(0, **{f"size[{end}]": count for end, count in enumerate(size)})
    if len(size) != 2:
        raise ValueError(f"'size' must be the numbers of sources and targets (got {size}).")
