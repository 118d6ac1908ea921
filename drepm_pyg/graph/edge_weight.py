"""What the weights of edges must be, wherever they are taken."""

from drepm_pyg._checks import check_tensors
from drepm_pyg.typing import Tensor

__all__ = ["check_edge_weight"]


def check_edge_weight(edge_weight: Tensor, num_edges: int, *, name: str = "edge_weight") -> None:
    """A tensor with a real number for every edge."""
    check_tensors(**{name: edge_weight})
    if edge_weight.shape != (num_edges,):
        raise ValueError(
            f"'{name}' must have one entry per edge (got {list(edge_weight.shape)} for {num_edges} edges)."
        )
    if edge_weight.is_complex():
        raise TypeError(f"'{name}' must hold real numbers (got {edge_weight.dtype}).")
