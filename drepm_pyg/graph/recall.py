"""How much of the exact answer an approximate index finds, on a sample, and how far it must look to find enough."""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg.graph.faiss_search import FaissSearch
from drepm_pyg.graph.neighbors import without_itself
from drepm_pyg.graph.products import product_blocks, unit_roundoff
from drepm_pyg.graph.search import Ranking, rank
from drepm_pyg.graph.shortlist import shortlists
from drepm_pyg.graph.space import Space

__all__ = ["Sample", "exact_sample", "recall_of", "tune"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """The exact answer for some centres.

    Attributes:
        space: the rows with these centres.
        index: their nearest rows, themselves left out ``[S, T]``.
    """

    space: Space
    index: NDArray[np.int64]


def exact_sample(space: Space, size: int, count: int, device: torch.device, budget: int) -> Sample:
    """The ``count`` exactly nearest rows of ``size`` centres, evenly spread over all."""
    place = np.unique(np.linspace(0, len(space.centres) - 1, min(size, len(space.centres))).astype(np.int64))
    some = space.of(space.centres[place])
    slack = some.slack(some.norms, unit_roundoff(device))
    lists = shortlists(product_blocks(some, device, budget), some, slack, count)
    ranking = rank(some, lists, count, score_all=False, budget=budget // 4)
    return Sample(some, _others(ranking.index, some.centres))


def recall_of(ranking: Ranking, space: Space, sample: Sample) -> tuple[int, int]:
    """How many of the sample's exact neighbours a search found, and how many it was to find.

    Args:
        ranking: what was found for the centres of ``space``.
        space: the rows; of the sample's centres, those count that are among its own.
        sample: the exact answer.
    """
    mine = np.isin(sample.space.centres, space.centres)
    place, exact = np.searchsorted(space.centres, sample.space.centres[mine]), sample.index[mine]
    return _found(_others(ranking.index[place], space.centres[place]), exact), exact.size


def tune(searcher: FaissSearch, sample: Sample, target: float, listed: int, budget: int) -> None:
    """Let an index that lists ``listed`` candidates look further until it finds the share ``target`` of the exact."""
    found = 0.0
    for _ in searcher.efforts():
        lists = searcher.shortlists(sample.space, listed)
        count = min(sample.index.shape[1] + 1, len(sample.space.base))
        ranking = rank(sample.space, lists, count, score_all=True, budget=budget)
        found = _found(_others(ranking.index, sample.space.centres), sample.index) / sample.index.size
        _log.info("%s finds %.4f of the exact neighbours with %s", searcher.name, found, searcher.parameters)
        if found >= target:
            return
    _log.warning("%s finds %.4f of the exact neighbours at most; %.4f was asked for", searcher.name, found, target)


def _others(index: NDArray[np.int64], centres: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each centre's rows without itself, and without the last one where it is not listed."""
    return np.take_along_axis(index, without_itself(index, centres, max(1, index.shape[1] - 1)), axis=1)


def _found(found: NDArray[np.int64], exact: NDArray[np.int64]) -> int:
    return int((exact[:, :, None] == found[:, None, :]).any(axis=2).sum())
