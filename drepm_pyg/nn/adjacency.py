"""PyG's forms of an adjacency, read as one: target, source and weight of every edge."""

import torch
from torch.autograd import forward_ad
from torch_geometric import EdgeIndex
from torch_geometric.typing import SparseTensor
from torch_geometric.utils import is_sparse

from drepm_pyg._checks import check_edge_index, check_edge_weight, check_ids
from drepm_pyg._memo import is_wrapped, untraced
from drepm_pyg.typing import Adj, OptTensor, Tensor

__all__ = ["anchors", "are_followed", "check_adjacency", "check_nodes", "to_coo"]


def to_coo(adj: Adj) -> tuple[Tensor, Tensor, OptTensor]:
    """Target and source of every edge, and the weights where ``adj`` is a sparse ``adj_t`` that carries them."""
    if isinstance(adj, SparseTensor):
        # torch-sparse's operators know neither torch.compile nor torch.func.
        parts: tuple[Tensor, Tensor, OptTensor] = untraced(adj.coo)
        return parts
    if is_sparse(adj):
        coo = adj.to_sparse_coo().coalesce()
        row, col = coo.indices()
        return row, col, coo.values()
    plain = adj.as_tensor() if isinstance(adj, EdgeIndex) else adj
    return plain[1], plain[0], None


def check_adjacency(adj: Adj, edge_weight: OptTensor, num_sources: int, num_targets: int) -> None:
    """The shape of ``adj``, and of the weights beside it; ids are not looked at."""
    if is_sparse(adj):
        if edge_weight is not None:
            raise ValueError(
                "'edge_weight' was given beside a sparse adjacency, which carries its own weights. Pass one of the two."
            )
        if (adj.size(0), adj.size(1)) != (num_targets, num_sources):
            raise ValueError(
                f"'edge_index' must be adj_t of the shape [{num_targets}, {num_sources}] (targets x sources; got "
                f"[{adj.size(0)}, {adj.size(1)}])."
            )
        return
    check_edge_index(adj)
    declared = adj.sparse_size() if isinstance(adj, EdgeIndex) else (None, None)
    # PyG keeps the largest id plus 1 there once it has looked: a smaller size need not be meant.
    if any((given or 0) > count for given, count in zip(declared, (num_sources, num_targets), strict=True)):
        raise ValueError(
            f"'edge_index' must be of a sparse size within ({num_sources}, {num_targets}), sources and targets (got "
            f"{declared})."
        )
    if edge_weight is not None:
        check_edge_weight(edge_weight, adj.size(1))


def check_nodes(adj: Adj, num_sources: int, num_targets: int, sources: str, targets: str) -> None:
    """The ids of a plain ``adj``; those of a sparse one are within its shape."""
    if not is_sparse(adj):
        target, source, _ = to_coo(adj)
        check_ids(num_sources, what=sources, **{"edge_index[0]": source})
        check_ids(num_targets, what=targets, **{"edge_index[1]": target})


def are_followed(adj: Adj, edge_weight: OptTensor) -> bool:
    """Whether a derivative or a transform of torch.func follows the weights: then nothing about them may be kept."""
    if edge_weight is None and not isinstance(adj, SparseTensor):
        return adj.requires_grad
    weight = adj.storage.value() if edge_weight is None else edge_weight
    if weight is None:
        return False
    if weight.requires_grad:
        return True
    if torch.compiler.is_compiling():  # no other derivative is traced
        return False
    return is_wrapped(weight) or forward_ad.unpack_dual(weight).tangent is not None


def anchors(adj: Adj) -> tuple[Tensor, ...]:
    """The tensors that :func:`drepm_pyg._memo.memoize` must follow to keep what is made of ``adj``."""
    if isinstance(adj, SparseTensor):  # no tensor itself; its parts are
        row, col, value = to_coo(adj)
        return (col, row) if value is None else (col, row, value)
    if isinstance(adj, EdgeIndex):  # a wrapper: either of the two may be changed in place
        return adj, adj.as_tensor()
    return (adj,)
