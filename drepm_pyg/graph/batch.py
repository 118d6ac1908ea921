"""Neighbours within one's own graph, as PyG's functions take a ``batch`` vector."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg.graph.find import Found, How, block_bytes, find
from drepm_pyg.graph.metrics import METRICS
from drepm_pyg.graph.neighbors import nearest
from drepm_pyg.graph.result import KNNInfo
from drepm_pyg.graph.rows import FeatureRows
from drepm_pyg.graph.space import own_and_scale
from drepm_pyg.typing import Int, Tensor

__all__ = ["find_in_groups", "groups_of", "info_of"]

#: A search takes some 2 ms however few its rows are; in that time so many pairs times columns are scored, where a pair
#: takes as long as so many columns beside its own (measured).
_SMALL, _PAIR = 400_000, 25

_log = logging.getLogger(__name__)


def groups_of(batch: Int[Tensor, " N"], nodes: NDArray[np.int64], num_nodes: int) -> list[NDArray[np.int64]]:
    """The nodes of each graph, ascending.

    Args:
        batch: the graph of every node.
        nodes: ids of the nodes that take part.
        num_nodes: how many there are.

    Raises:
        TypeError: if ``batch`` is not long.
        ValueError: if it is of another length.
    """
    if not isinstance(batch, torch.Tensor) or batch.dtype != torch.long:
        given = batch.dtype if isinstance(batch, torch.Tensor) else type(batch).__name__
        raise TypeError(f"'batch' must be a long tensor (got {given}).")
    if batch.shape != (num_nodes,):
        raise ValueError(f"'batch' must have one entry per row of features, [{num_nodes}] (got {list(batch.shape)}).")
    group = batch.detach().cpu().numpy()[nodes]
    order = np.argsort(group, kind="stable")
    return np.split(nodes[order], np.flatnonzero(np.diff(group[order])) + 1)


def find_in_groups(
    rows: FeatureRows, groups: Sequence[NDArray[np.int64]], k: int, how: How, *, loop: bool
) -> list[Found]:
    """A search in every graph that has an edge; small graphs are connected wholly, or all their pairs are scored."""
    named = how.index if isinstance(how.index, str) else ""
    small: dict[int, list[NDArray[np.int64]]] = {}
    large: list[NDArray[np.int64]] = []
    for nodes in groups:
        size = len(nodes)
        if size <= (0 if loop else 1):
            continue
        if named in ("auto", "exact") and size**2 * (rows.width + _PAIR) <= _SMALL:
            small.setdefault(size, []).append(nodes)
        else:
            large.append(nodes)
    if named == "auto" and small:
        _log.info("index='auto' is 'pairs', which is exact, for graphs of up to %d rows", max(small))
    found = [part for alike in small.values() for part in _all_pairs(rows, np.stack(alike), k, how, loop=loop)]
    largest = max(large, key=len, default=None)
    for nodes in large:
        neighbors = min(k, len(nodes) if loop else len(nodes) - 1)
        found.append(find(rows.within(nodes), neighbors, how, loop=loop, tell=nodes is largest))
    return found


def _all_pairs(rows: FeatureRows, groups: NDArray[np.int64], k: int, how: How, *, loop: bool) -> Iterator[Found]:
    """The exact scores of all pairs within each of the ``groups`` ``[G, S]``, as many at a time as the budget holds."""
    metric, size = METRICS[how.metric], groups.shape[1]
    class_of, (own, _) = rows.ties.class_of_node, own_and_scale(rows, metric, block_bytes(how.memory_budget))
    first, second = np.triu_indices(size, 1)
    itself, count = np.arange(size), min(k, size if loop else size - 1)
    step = max(1, how.memory_budget // (128 * size**2))
    for nodes in (groups[start : start + step] for start in range(0, len(groups), step)):
        started = time.perf_counter()
        classes, score = class_of[nodes], np.empty((len(nodes), size, size))
        if size > 1:
            pairs = rows.pair_scores(metric, classes[:, first].ravel(), classes[:, second].ravel())
            score[:, first, second] = score[:, second, first] = pairs.reshape(len(nodes), -1)
        score[:, itself, itself] = own[classes]
        # Nodes are ascending: a stable sort leaves ties by the smaller id.
        order = np.argsort(-score, axis=2, kind="stable")[:, :, : k + 1]
        index = np.take_along_axis(np.broadcast_to(nodes[:, None], score.shape), order, axis=2)
        score = np.take_along_axis(score, order, axis=2)
        listed = index.shape[2]
        neighbors = nearest(
            index.reshape(-1, listed), score.reshape(-1, listed), nodes.ravel(), own[classes].ravel(), count, loop=loop
        )
        info = KNNInfo(
            index="pairs",
            metric=how.metric,
            exact=True,
            device=str(how.device),
            seconds=time.perf_counter() - started,
            recall=1.0 if how.measure_recall else None,
            rescored=len(nodes) * len(first),
            searched_again=0,
        )
        yield Found(neighbors, info, rows.exponent)


def info_of(found: Sequence[Found], how: How) -> KNNInfo:
    """One account of several searches; the recall is their mean, each for as many rows as it had."""
    if not found:
        return KNNInfo(str(how.index), how.metric, True, str(how.device), 0.0, None, 0, 0)
    infos = [part.info for part in found]
    measured = [part for part in found if part.info.recall is not None]
    recalls, rows = [part.info.recall for part in measured], [len(part.neighbors.nodes) for part in measured]
    return replace(
        max(found, key=lambda part: len(part.neighbors.nodes)).info,
        exact=all(info.exact for info in infos),
        seconds=sum(info.seconds for info in infos),
        recall=float(np.average(np.array(recalls), weights=rows)) if measured else None,
        rescored=sum(info.rescored for info in infos),
        searched_again=sum(info.searched_again for info in infos),
    )
