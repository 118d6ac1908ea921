"""The graph by definition: every score in a loop, sorted in Python. Exact rationals where the features are integers."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import Tensor


def score(metric: str, a: Sequence[Any], b: Sequence[Any]) -> Any:
    """Larger is nearer. The cosine is given as its square with its sign: the same order, and exact for fractions."""
    dot = sum(p * q for p, q in zip(a, b, strict=True))
    if metric == "ip":
        return dot
    if metric == "l2":
        return -sum((p - q) ** 2 for p, q in zip(a, b, strict=True))
    squares = sum(p * p for p in a) * sum(q * q for q in b)
    return (dot * abs(dot)) / squares if squares else squares * 0


def knn_edges(x: Any, k: int, metric: str = "cosine", loop: bool = False, mask: Any = None) -> Tensor:
    """Eq. 5 as it is written: the k best of each centre, ties by the smaller id."""
    x = np.asarray(x)
    whole = bool((x == np.round(x)).all())
    rows = [[Fraction(int(v)) if whole else float(v) for v in row] for row in x]
    nodes = list(range(len(rows))) if mask is None else np.flatnonzero(np.asarray(mask)).tolist()
    edges = []
    for centre in nodes:
        others = [node for node in nodes if node != centre]
        ranked = sorted(others, key=lambda node: (-score(metric, rows[centre], rows[node]), node))
        chosen = ranked[:k]
        if loop:
            chosen = [*ranked[: k - 1], centre]
            chosen.sort(key=lambda node: (-score(metric, rows[centre], rows[node]), node))
        edges += [(node, centre) for node in chosen]
    return torch.tensor(edges, dtype=torch.long).reshape(-1, 2).T


def scores_float64(x: Any, metric: str = "cosine") -> np.ndarray:
    """All scores in float64, as a matrix."""
    x = np.asarray(x, dtype=np.float64)
    if metric == "l2":
        return np.stack([-((row - x) ** 2).sum(1) for row in x])
    if metric == "cosine":
        norm = np.sqrt((x**2).sum(1, keepdims=True))
        x = np.divide(x, norm, out=np.zeros_like(x), where=norm > 0)
    return x @ x.T


def assert_exact(edge_index: Tensor, x: Any, k: int, metric: str = "cosine", loop: bool = False) -> None:
    """No chosen neighbour is below a left-out one by more than 1e-6; best first, grouped by centre."""
    scores = scores_float64(x, metric)
    scale = max(1.0, float(np.abs(scores).max()))
    n = len(scores)
    neighbour, centre = edge_index.numpy().reshape(2, n, k)
    assert (centre == np.arange(n)[:, None]).all()
    assert all(len(set(row)) == k for row in neighbour.tolist())
    itself = neighbour == centre
    assert (itself.sum(1) == int(loop)).all()
    chosen = np.take_along_axis(scores, neighbour, axis=1)
    assert (np.diff(chosen, axis=1) <= 1e-9 * scale).all()
    left_out = scores.copy()
    np.put_along_axis(left_out, neighbour, -np.inf, axis=1)
    np.fill_diagonal(left_out, -np.inf)
    others = np.where(itself, np.inf, chosen)
    assert (others.min(1) >= left_out.max(1) - 1e-6 * scale).all()
