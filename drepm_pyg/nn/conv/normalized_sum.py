"""What the parameter-free convolutions share: a weighted sum over neighbours, normalised by degrees."""

from typing import Optional

import torch
from torch_geometric import EdgeIndex
from torch_geometric.nn import MessagePassing
from torch_geometric.typing import SparseTensor
from torch_geometric.utils import is_sparse

from drepm_pyg._checks import check_edge_index
from drepm_pyg.nn.memo import memoize
from drepm_pyg.nn.structure import SparseStructure, normalized_weight
from drepm_pyg.typing import Adj, OptTensor, Tensor

__all__ = ["NormalizedSumConv"]


class NormalizedSumConv(MessagePassing):
    """Weighted sums over neighbours with fixed weights; sparse inputs take the fused path, plain ones ``message``."""

    SUPPORTS_FUSED_EDGE_INDEX = True

    def __init__(self, normalize: bool = True) -> None:
        super().__init__(aggr="sum")
        self.normalize = normalize

    def _convolve(
        self,
        x: Tensor,
        edge_index: "Adj | SparseStructure",
        edge_weight: OptTensor,
        size: tuple[int, int],
        square: bool,
    ) -> Tensor:
        """Sum over the sources ``x``, ``size[0]`` of them, at ``size[1]`` targets."""
        if isinstance(edge_index, SparseStructure) or is_sparse(edge_index):
            if edge_weight is not None:
                raise ValueError(
                    "'edge_weight' was given beside a sparse adjacency, which carries its own weights. "
                    "Pass one of the two."
                )
            if isinstance(edge_index, SparseStructure):
                return edge_index.matmul(x)
            if tuple(edge_index.size(d) for d in (0, 1)) != size[::-1]:
                raise ValueError(
                    f"'edge_index' must be adj_t of the shape [{size[1]}, {size[0]}] (targets x sources; got "
                    f"[{edge_index.size(0)}, {edge_index.size(1)}])."
                )
            return self.propagate(
                edge_index,
                x=x,
                edge_weight=None,
                structure=self._structure(edge_index, None, size, square, x),
                size=None,
            )

        plain = edge_index.as_tensor() if isinstance(edge_index, EdgeIndex) else edge_index
        check_edge_index(plain)
        if edge_weight is not None and edge_weight.shape != plain.shape[1:]:
            raise ValueError(
                f"'edge_weight' must have one weight per edge (got {list(edge_weight.shape)} for {plain.size(1)} "
                "edges)."
            )
        if isinstance(edge_index, EdgeIndex) and (edge_weight is None or not edge_weight.requires_grad):
            structure = self._structure(edge_index, edge_weight, size, square, x)
            return self.message_and_aggregate(edge_index, x, structure)
        dtype = torch.promote_types(x.dtype, torch.float32)  # degrees of half tensors run in float32
        weight = x.new_ones(plain.size(1), dtype=dtype) if edge_weight is None else edge_weight.to(dtype)
        if self.normalize:
            weight = normalized_weight(plain[1], plain[0], weight, size[::-1], square=square)
        return self.propagate(plain, x=x, edge_weight=weight.to(x.dtype), structure=None, size=size)

    def _structure(
        self, adj: Adj, edge_weight: OptTensor, size: tuple[int, int], square: bool, x: Tensor
    ) -> SparseStructure:
        dtype = torch.promote_types(x.dtype, torch.float32)

        def build() -> SparseStructure:
            row, col, weight = _to_coo(adj)
            weight = weight if edge_weight is None else edge_weight.detach()
            weight = x.new_ones(row.numel(), dtype=dtype) if weight is None else weight.detach().to(dtype)
            if self.normalize:
                weight = normalized_weight(row, col, weight, size[::-1], square=square)
            return SparseStructure.from_coo(row, col, weight, size[::-1])

        if not isinstance(adj, Tensor):  # a SparseTensor is no tensor that a memo could follow
            return build()
        others = () if edge_weight is None else (edge_weight,)
        return memoize(("sum", size, square, self.normalize, dtype), build, adj, *others)

    def message(self, x_j: Tensor, edge_weight: OptTensor) -> Tensor:
        return x_j if edge_weight is None else x_j * edge_weight.view(-1, *([1] * (x_j.dim() - 1)))

    def message_and_aggregate(self, edge_index: Adj, x: Tensor, structure: Optional[SparseStructure]) -> Tensor:
        assert structure is not None  # forward builds it for every fused input
        return structure.matmul(x)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(normalize={self.normalize})"


def _to_coo(adj: Adj) -> tuple[Tensor, Tensor, OptTensor]:
    """Target, source and weight of every edge of a fused form."""
    if isinstance(adj, EdgeIndex):
        plain = adj.as_tensor()
        return plain[1], plain[0], None
    if isinstance(adj, SparseTensor):
        row, col, weight = adj.coo()
        return row, col, weight
    coo = adj.to_sparse_coo().coalesce()
    row, col = coo.indices()
    return row, col, coo.values()
