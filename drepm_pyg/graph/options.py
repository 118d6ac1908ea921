"""The options that the graph builders share."""

import os
from typing import Any, TypedDict

import torch

from drepm_pyg.graph.rows import Features

__all__ = ["MEMORY_BUDGET", "KNNOptions", "PathLike"]

PathLike = str | os.PathLike[str]

MEMORY_BUDGET = 2 << 30  #: bytes of working memory beside the input and the result


class KNNOptions(TypedDict, total=False):
    """The keyword arguments of :func:`knn_graph` that do not change what it returns, for its typed overloads."""

    metric: str
    loop: bool
    index: Any
    device: torch.device | str | None
    mask: Features | None
    memory_budget: int
