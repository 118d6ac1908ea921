"""Ranking metrics of one user as their definitions read, in plain Python."""

import math
from collections.abc import Collection, Sequence

__all__ = ["plain_metrics"]


def plain_metrics(ranking: Sequence[int], targets: Collection[int], k: int) -> dict[str, float]:
    hits = [item in targets for item in ranking[:k]]
    gains = [hit / math.log2(rank + 2) for rank, hit in enumerate(hits)]
    ideal = sum(1 / math.log2(rank + 2) for rank in range(min(len(targets), k)))
    precisions = [sum(hits[: rank + 1]) / (rank + 1) for rank in range(len(hits)) if hits[rank]]
    return {
        "recall": sum(hits) / len(targets),
        "precision": sum(hits) / k,
        "hit_ratio": float(any(hits)),
        "ndcg": sum(gains) / ideal,
        "map": sum(precisions) / min(len(targets), k),
        "mrr": next((1 / (rank + 1) for rank, hit in enumerate(hits) if hit), 0.0),
    }
