"""The convolution over a frozen similarity graph (Eq. 5-6)."""

from drepm_pyg.nn.conv.normalized_sum import NormalizedSumConv, check_node_rows
from drepm_pyg.nn.structure import SparseStructure
from drepm_pyg.typing import Adj, OptTensor, Tensor

__all__ = ["KNNGraphConv"]


class KNNGraphConv(NormalizedSumConv):
    r"""One propagation over a frozen top-k similarity graph of a single node set (Eq. 5-6).

    .. math:: \bar{\mathbf{E}} = \mathbf{D}^{-1/2} \hat{\mathbf{S}} \mathbf{D}^{-1/2} \, \hat{\mathbf{E}}

    Degrees are those of the targets (rows of :math:`\hat{S}`), for both ends: in a binarised graph with k neighbours a
    node every edge weighs exactly 1/k. A node of degree 0 (or below, by negative weights) gets and gives nothing.

    Args:
        normalize: divide by the degrees; False sums with the weights as they are.

    Shapes:
        x: float ``[N, D]``; edge_index: any ``Adj``, row 0 neighbours, row 1 centres, sparse forms as ``adj_t``
        ``[N, N]`` with their own weights, or a :class:`~drepm_pyg.nn.SparseStructure` ``[N, N]``, which is multiplied
        as it is; edge_weight: float ``[E]``; returns float ``[N, D]``

    Raises:
        TypeError: where ``x`` is not one tensor, or not floating point.
        ValueError: where shapes do not fit, or weights are given beside a sparse adjacency or a structure.
    """

    def forward(self, x: Tensor, edge_index: "Adj | SparseStructure", edge_weight: OptTensor = None) -> Tensor:
        if not isinstance(x, Tensor):
            raise TypeError(
                f"'x' must be one tensor, as the graph is over a single node set (got a {type(x).__name__}). For two "
                "take LightGCNConv."
            )
        check_node_rows(x=x)
        return self._convolve(x, edge_index, edge_weight, (x.size(0), x.size(0)), square=True)
