"""The paper's equations in plain Python: loops and math.log, one number at a time."""

import math

from torch import Tensor

__all__ = ["dot", "info_nce", "similarity_supervised", "unit"]


def dot(x: Tensor, y: Tensor) -> float:
    return sum(float(a) * float(b) for a, b in zip(x, y, strict=True))


def unit(x: Tensor) -> Tensor:
    """The row divided by its length."""
    return x / math.sqrt(dot(x, x))


def info_nce(
    anchor: Tensor,
    positive: Tensor,
    *,
    temperature: float = 0.2,
    normalize: bool = True,
    mask: Tensor | None = None,
) -> float:
    """Eq. 8-9, mean over the rows; mask True: no negative."""
    x, y = ([unit(row) if normalize else row for row in rows] for rows in (anchor, positive))
    total = 0.0
    for b in range(len(x)):
        terms = [
            math.exp(dot(x[b], y[c]) / temperature)
            for c in range(len(y))
            if c == b or mask is None or not bool(mask[b, c])
        ]
        total -= math.log(math.exp(dot(x[b], y[b]) / temperature) / sum(terms))
    return total / len(x)


def similarity_supervised(
    representation: Tensor, similarity: Tensor, *, metric: str = "cosine", reduction: str = "mean"
) -> float:
    """Eq. 12 for one node set."""
    z = [unit(row) if metric == "cosine" else row for row in representation]
    rows = range(len(z))
    squares = sum((dot(z[b], z[c]) - float(similarity[b, c])) ** 2 for b in rows for c in rows)
    return {
        "mean": squares / len(z) ** 2,
        "frobenius": math.sqrt(squares),
        "frobenius_per_row": math.sqrt(squares) / len(z),
    }[reduction]
