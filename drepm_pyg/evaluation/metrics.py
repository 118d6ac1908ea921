r"""Ranking metrics of one user: :math:`r_j = 1` where the item at rank j is held out, T held-out items, cut-off K.

They agree with :mod:`torch_geometric.metrics` (a test shows it), which gives the mean over users alone; paired tests
between models need the value of every user.
"""

from collections.abc import Callable

import torch

from drepm_pyg.typing import Bool, Float, Int, Tensor

__all__ = ["METRICS"]

Hits = Bool[Tensor, "U K"]
Targets = Int[Tensor, " U"]


def recall(hits: Hits, targets: Targets) -> Float[Tensor, " U"]:
    r""":math:`\frac{1}{T} \sum_{j \le K} r_j`: hits by all targets of the user."""
    return hits.sum(dim=1) / targets


def precision(hits: Hits, targets: Targets) -> Float[Tensor, " U"]:
    r""":math:`\frac{1}{K} \sum_{j \le K} r_j`."""
    return hits.sum(dim=1) / hits.size(1)


def hit_ratio(hits: Hits, targets: Targets) -> Float[Tensor, " U"]:
    """1 where at least one target is among the K, else 0."""
    return hits.any(dim=1).float()


def ndcg(hits: Hits, targets: Targets) -> Float[Tensor, " U"]:
    r""":math:`\sum_{j \le K} \frac{r_j}{\log_2(j + 1)}` by its largest value with :math:`\min(T, K)` hits."""
    k = hits.size(1)
    discount = 1 / torch.arange(2, k + 2, device=hits.device, dtype=torch.float32).log2()
    ideal = discount.cumsum(0)[targets.clamp(max=k) - 1]
    return (hits * discount).sum(dim=1) / ideal


def average_precision(hits: Hits, targets: Targets) -> Float[Tensor, " U"]:
    r""":math:`\frac{1}{\min(T, K)} \sum_{j \le K} r_j \cdot \mathrm{Precision@}j`."""
    ranks = torch.arange(1, hits.size(1) + 1, device=hits.device)
    return (hits * hits.cumsum(dim=1) / ranks).sum(dim=1) / targets.clamp(max=hits.size(1))


def reciprocal_rank(hits: Hits, targets: Targets) -> Float[Tensor, " U"]:
    """1 by the rank of the first hit, 0 without one."""
    first = hits.float().argmax(dim=1) + 1
    return hits.any(dim=1) / first


#: Metric by name: hits ``[U, K]`` and numbers of targets ``[U]`` to a value per user ``[U]``.
METRICS: dict[str, Callable[[Hits, Targets], Tensor]] = {
    "recall": recall,
    "ndcg": ndcg,
    "precision": precision,
    "map": average_precision,
    "mrr": reciprocal_rank,
    "hit_ratio": hit_ratio,
}
