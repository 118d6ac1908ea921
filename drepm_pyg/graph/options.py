"""The options that the graph builders share: checked in one place, before any work."""

import logging
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg._checks import check_at_least, check_choice, check_device, check_flag, check_number
from drepm_pyg.graph.device_rows import DeviceRows, on_one_gpu
from drepm_pyg.graph.distributed import check_initialized
from drepm_pyg.graph.edges import SYMMETRIC, Edges
from drepm_pyg.graph.faiss_index import WITHOUT_FAISS, check_index
from drepm_pyg.graph.features import Features, home, output_dtype
from drepm_pyg.graph.find import How, Route, block_bytes
from drepm_pyg.graph.metrics import METRICS
from drepm_pyg.graph.result import KNNInfo, KNNOutput
from drepm_pyg.graph.rows import FeatureRows
from drepm_pyg.typing import Tensor

__all__ = ["MEMORY_BUDGET", "KNNOptions", "Options", "SearchOptions"]

_log = logging.getLogger(__name__)

MEMORY_BUDGET = 2 << 30  #: bytes of working memory beside the input and the result


class SearchOptions(TypedDict, total=False):
    """The keyword arguments of every builder that do not change what it returns, for typed overloads."""

    metric: str
    index: Any
    device: torch.device | str | None
    min_similarity: float | None
    radius: float | None
    measure_recall: int
    target_recall: float | None
    distributed: bool
    memory_budget: int


class KNNOptions(SearchOptions, total=False):
    """Those of :func:`knn_graph` and :func:`user_knn_graph`."""

    loop: bool
    mask: Features | None
    mutual: bool
    symmetric: str


@dataclass(frozen=True)
class Options:
    """What a caller asked for (see :func:`knn_graph`); making one checks it.

    Raises:
        MissingExtraError: if ``index`` needs FAISS and it is not installed.
        RuntimeError: for ``distributed`` without a process group.
        TypeError: for a value of another type.
        ValueError: for an unknown name, a number out of range, or options that exclude each other.
    """

    k: int
    metric: str = "cosine"
    loop: bool = False
    index: Any = "auto"
    device: torch.device | str | None = None
    return_weight: bool = False
    return_info: bool = False
    min_similarity: float | None = None
    radius: float | None = None
    mutual: bool = False
    symmetric: str = "none"
    measure_recall: int = 0
    target_recall: float | None = None
    distributed: bool = False
    memory_budget: int = MEMORY_BUDGET

    def __post_init__(self) -> None:
        check_at_least(1, k=self.k, memory_budget=self.memory_budget)
        check_at_least(0, measure_recall=self.measure_recall)
        for name in ("k", "memory_budget", "measure_recall"):
            # NumPy's narrow integers overflow where they are added to, and FAISS takes none of them.
            object.__setattr__(self, name, int(getattr(self, name)))
        check_flag(
            loop=self.loop,
            return_weight=self.return_weight,
            return_info=self.return_info,
            mutual=self.mutual,
            distributed=self.distributed,
        )
        check_choice(METRICS, metric=self.metric)
        check_choice(SYMMETRIC, symmetric=self.symmetric)
        check_index(self.index)
        check_number(min_similarity=self.min_similarity, radius=self.radius, target_recall=self.target_recall)
        if self.device is not None:
            check_device(self.device)
        if self.metric == "ip" and isinstance(self.index, str) and self.index == "kdtree":
            raise ValueError(
                "'index' must be another for metric='ip' (got 'kdtree', which orders by distance). Pass 'exact'."
            )
        if self.mutual and self.symmetric == "union":
            raise ValueError(
                "'mutual' must be False for symmetric='union' (got True): one drops edges, the other adds."
            )
        if self.min_similarity is not None and self.metric == "l2":
            raise ValueError(
                f"'min_similarity' is no limit for metric='l2' (got {self.min_similarity}). Pass 'radius', the largest "
                "distance."
            )
        if self.radius is not None and self.metric != "l2":
            raise ValueError(f"'radius' is a distance, for metric='l2' (got {self.metric!r}). Pass 'min_similarity'.")
        if self.radius is not None and not self.radius >= 0:
            raise ValueError(f"'radius' must be at least 0 (got {self.radius}).")
        if self.min_similarity is not None and np.isnan(self.min_similarity):
            raise ValueError("'min_similarity' must be a number (got NaN).")
        if self.target_recall is not None:
            if not 0 <= self.target_recall <= 1:
                raise ValueError(f"'target_recall' must lie in [0, 1] (got {self.target_recall}).")
            if isinstance(self.index, str) and self.index in (*WITHOUT_FAISS[1:], "flat"):
                raise ValueError(
                    f"'target_recall' tunes approximate indexes (got {self.index!r}, an exact one). Leave it out."
                )
        if self.distributed:
            check_initialized()

    def rows(self, nodes: NDArray[np.int64], **parts: Features) -> FeatureRows:
        """The rows of matrices one after the other, of which ``nodes`` take part."""
        kind = DeviceRows if on_one_gpu(parts) else FeatureRows
        return kind(parts, nodes, block_bytes=block_bytes(self.memory_budget))

    def device_for(self, x: Features) -> torch.device:
        """Where products are computed: where ``x`` is, unless 'device' says otherwise."""
        return home(x) if self.device is None else torch.device(self.device)

    def how(self, x: Features, route: Route) -> How:
        """The options of the search itself."""
        filtered = self.min_similarity is not None or self.radius is not None or self.symmetric == "union"
        return How(
            metric=self.metric,
            index=self.index,
            device=self.device_for(x),
            memory_budget=self.memory_budget,
            score_all=self.return_weight or filtered,
            route=route,
            measure_recall=self.measure_recall,
            target_recall=self.target_recall,
            distributed=self.distributed,
        )

    def finish(self, x: Features, edges: Edges, info: KNNInfo, exponent: int) -> KNNOutput:
        """Cut off, make mutual or symmetric; then ``edge_index`` and what else was asked for."""
        metric = METRICS[self.metric]
        # Compared as the weights that are returned: the square of a limit may round to either side of the score.
        if self.radius is not None:
            edges = edges.where(metric.weight(edges.score, exponent) <= self.radius)
        if self.min_similarity is not None:
            edges = edges.where(metric.weight(edges.score, exponent) >= self.min_similarity)
        edges = edges.symmetric("intersection" if self.mutual else self.symmetric)
        edge_index = edges.edge_index().to(home(x))
        if not self.return_weight:
            return (edge_index, info) if self.return_info else edge_index
        weight = torch.from_numpy(metric.weight(edges.score, exponent)).to(home(x), output_dtype(x))
        if not metric.scale_free:
            self._tell_lost(weight, torch.from_numpy(edges.score != 0).to(weight.device))
        return (edge_index, weight, info) if self.return_info else (edge_index, weight)

    def _tell_lost(self, weight: Tensor, counts: Tensor) -> None:
        """Warn where scores that count became weights that say nothing."""
        lost = weight.isinf() | (weight == 0) & counts
        if lost.any():
            _log.warning(
                "%d of %d weights are inf or 0, as %s cannot hold them for metric=%r (the neighbours are right all the "
                "same). Scale the features to about 1.",
                *(int(lost.sum()), len(weight), weight.dtype, self.metric),
            )
