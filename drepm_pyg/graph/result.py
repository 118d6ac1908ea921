"""What a graph builder returns beside the edges."""

from dataclasses import dataclass, field

from drepm_pyg.typing import Tensor

__all__ = ["KNNInfo", "KNNOutput"]


@dataclass(frozen=True)
class KNNInfo:
    """How a graph was found; in several processes ``seconds``, ``rescored`` and ``searched_again`` are one's own.

    Attributes:
        index: the route taken: 'gram' or 'blocks' (exact, by matrix products), 'kdtree' (exact, few columns), 'pairs'
            (exact, all pairs of the small graphs of a ``batch``), or the FAISS index by its name.
        metric: 'cosine', 'ip' or 'l2'.
        exact: whether the route promises the exact graph.
        device: where the products were computed.
        seconds: wall time of the search; the rows are read and measured before.
        recall: share of the exact neighbours that were found, on a sample, where measured; None where not. Equal rows
            count as one.
        rescored: pairs scored again in float64.
        searched_again: rows whose candidates could not decide, compared with all others in float64.
        parameters: how far an approximate index looked, such as ``{'nprobe': 16}``.
    """

    index: str
    metric: str
    exact: bool
    device: str
    seconds: float
    recall: float | None
    rescored: int
    searched_again: int
    parameters: dict[str, int] = field(default_factory=dict)


KNNOutput = Tensor | tuple[Tensor, Tensor] | tuple[Tensor, KNNInfo] | tuple[Tensor, Tensor, KNNInfo]
