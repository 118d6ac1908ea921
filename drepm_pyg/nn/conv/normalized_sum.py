"""What the parameter-free convolutions share: a weighted sum over neighbours, normalised by degrees."""

from typing import Optional

import torch
from torch_geometric import EdgeIndex
from torch_geometric.nn import MessagePassing
from torch_geometric.nn.aggr import SumAggregation
from torch_geometric.utils import is_sparse

from drepm_pyg._checks import check_flag, check_tensors
from drepm_pyg.nn.adjacency import are_followed, check_adjacency, check_nodes, to_coo
from drepm_pyg.nn.structure import SparseStructure, adjacency_structure, normalized_weight
from drepm_pyg.typing import Adj, OptTensor, Tensor

__all__ = ["NormalizedSumConv", "check_node_rows"]


def check_node_rows(**tensors: Tensor) -> None:
    """A row per node in each, of floating-point numbers."""
    check_tensors(**tensors)
    for name, x in tensors.items():
        if x.ndim != 2:
            nodes = x.size(0) if x.ndim else "N"
            raise ValueError(f"'{name}' must have the shape [{nodes}, D] (got {list(x.shape)}).")
        if not x.is_floating_point():
            raise TypeError(f"'{name}' must be floating point (got {x.dtype}): weights are fractions. Pass x.float().")


class NormalizedSumConv(MessagePassing):
    """Weighted sums over neighbours: a frozen product for sparse forms and ``EdgeIndex``, else ``message``.

    A plain ``edge_index`` may be another one at every call (sampled neighbourhoods): nothing is built for it. Where a
    subclass, a hook or another ``aggr_module`` changes a step that the frozen product leaves out, every form goes
    through ``message``.
    """

    def __init__(self, normalize: bool = True) -> None:
        check_flag(normalize=normalize)
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
        if self.flow != "source_to_target":
            raise ValueError(
                f"'flow' must be 'source_to_target' (got {self.flow!r}): degrees are those of row 1, the targets. Pass "
                "edge_index.flip(0), or a transposed adj_t."
            )
        if isinstance(edge_index, SparseStructure):
            if edge_weight is not None:
                raise ValueError("'edge_weight' was given beside a SparseStructure, which has its own. Leave it out.")
            return edge_index.matmul(x)
        check_adjacency(edge_index, edge_weight, *size)
        if self._fuses(edge_index) and not are_followed(edge_index, edge_weight):
            structure = adjacency_structure(edge_index, edge_weight, size, normalize=self.normalize, square=square)
            if is_sparse(edge_index):
                return self.propagate(edge_index, x=x, edge_weight=None, structure=structure)
            # propagate would fuse an EdgeIndex only if it is sorted; the structure has sorted it.
            return self.message_and_aggregate(edge_index, x, structure)

        if x.device.type == "cpu" and not torch.compiler.is_compiling():  # a GPU would have to wait for the answer
            check_nodes(edge_index, *size, "sources", "targets")
        target, source, own_weight = to_coo(edge_index)
        weight = own_weight if edge_weight is None else edge_weight
        dtype = torch.promote_types(x.dtype, torch.float32)  # degrees and sums of half tensors run in float32
        if weight is not None:
            weight = weight.to(dtype)
        if self.normalize:
            weight = x.new_ones(source.numel(), dtype=dtype) if weight is None else weight
            weight = normalized_weight(target, source, weight, size[::-1], square=square)
        plain = torch.stack([source, target]) if is_sparse(edge_index) else edge_index
        if isinstance(plain, EdgeIndex):
            plain = plain.as_tensor()
        return self.propagate(plain, x=x.to(dtype), edge_weight=weight, structure=None, size=size).to(x.dtype)

    @property
    def takes_structure(self) -> bool:
        """Whether a product with a :class:`SparseStructure` leaves out no step that a subclass or a hook changed."""
        return self._is_as_written("message", "aggregate", "update", "propagate")

    def _fuses(self, edge_index: Adj) -> bool:
        """Whether ``edge_index`` may be fused, and the frozen product leaves no step out that was changed."""
        if is_sparse(edge_index):  # propagate calls update and its own hooks beside the product
            return self._is_as_written("message", "aggregate")
        return isinstance(edge_index, EdgeIndex) and self.takes_structure

    def _is_as_written(self, *steps: str) -> bool:
        """Whether a fused product may stand for these steps: none is overridden or has hooks.

        ``propagate`` is PyG's, written anew per class.
        """
        if not self.fuse or self.explain:
            return False
        overridden = any(
            getattr(type(self), step) is not getattr(NormalizedSumConv, step) or step in vars(self)
            for step in steps
            if step != "propagate"
        )
        hooked = any(getattr(self, f"_{step}_forward{kind}_hooks", ()) for step in steps for kind in ("", "_pre"))
        return not overridden and not hooked and type(self.aggr_module) is SumAggregation

    def message(self, x_j: Tensor, edge_weight: OptTensor) -> Tensor:
        return x_j if edge_weight is None else x_j * edge_weight.unsqueeze(1)

    def message_and_aggregate(self, edge_index: Adj, x: Tensor, structure: Optional[SparseStructure]) -> Tensor:
        assert structure is not None  # forward builds it for every fused input
        return structure.matmul(x)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(normalize={self.normalize})"
