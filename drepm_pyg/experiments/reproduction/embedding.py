"""Points in the plane by t-SNE, and how far two kinds of points mix where they come from."""

import numpy as np
from numpy.typing import NDArray

from drepm_pyg._checks import require

__all__ = ["mixing", "tsne"]

_PERPLEXITY = 30.0


def tsne(x: NDArray[np.float64], *, seed: int = 0) -> NDArray[np.float64]:
    """Scikit-learn's t-SNE, begun from the first two principal components.

    Args:
        x: points.
        seed: of what is random in it.

    Raises:
        MissingExtraError: where scikit-learn is not installed.

    Shapes:
        x: float ``[N, D]``; returns float ``[N, 2]``
    """
    require("sklearn.manifold", extra="tsne", purpose="t-SNE")
    from sklearn.manifold import TSNE

    # The perplexity must be below the number of points.
    perplexity = min(_PERPLEXITY, (len(x) - 1) / 3)
    points: NDArray[np.float64] = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(x)
    return points.astype(np.float64)


def mixing(x: NDArray[np.float64], k: int = 10) -> float:
    """The share of each point's ``k`` nearest neighbours that are of the other kind, averaged over the points.

    Args:
        x: the points of one kind, then as many of the other; rows of length 0 are points like all others.
        k: neighbours, at most all other points; the other representation of the same node counts like any.

    Shapes:
        x: float ``[2 n, D]``

    Example:
        >>> mixing(np.array([[0.0], [1.0], [10.0], [11.0]]), k=1)
        0.0
    """
    n, k = len(x) // 2, min(k, len(x) - 1)
    squares = (x**2).sum(axis=1)
    distance = squares[:, None] + squares[None, :] - 2 * x @ x.T
    np.fill_diagonal(distance, np.inf)
    nearest = np.argpartition(distance, k - 1, axis=1)[:, :k]
    other = (np.arange(2 * n)[:, None] < n) != (nearest < n)
    return float(other.mean())
