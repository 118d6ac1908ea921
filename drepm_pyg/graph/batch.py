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
from drepm_pyg.graph.search import best_first, overlap
from drepm_pyg.graph.shortlist import with_room
from drepm_pyg.graph.space import Space
from drepm_pyg.typing import Int, Tensor

__all__ = ["find_in_groups", "groups_of", "info_of"]

#: A search takes some 5 ms however few its rows are: graphs up to this size, and so many multiply-adds, are done
#: together in less (measured).
_SMALL, _WORK = 256, 50_000_000
_UNIT = 2.0**-53

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
        if named in ("auto", "exact") and size <= _SMALL and size**2 * rows.width <= _WORK:
            small.setdefault(size, []).append(nodes)
        else:
            large.append(nodes)
    if named == "auto" and small:
        _log.info("index='auto' is 'pairs', which is exact, for graphs of up to %d rows", max(small))
    found: list[Found] = []
    if small:
        space = Space(rows, METRICS[how.metric], block_bytes=block_bytes(how.memory_budget))
        class_of = rows.ties.class_of_node
        for alike in small.values():
            found += _all_pairs(space, class_of, np.stack(alike), k, how, loop=loop)
    largest = max(large, key=len, default=None)
    for nodes in large:
        neighbors = min(k, len(nodes) if loop else len(nodes) - 1)
        found.append(find(rows.within(nodes), neighbors, how, loop=loop, tell=nodes is largest))
    return found


def _all_pairs(
    space: Space, class_of: NDArray[np.int64], groups: NDArray[np.int64], k: int, how: How, *, loop: bool
) -> Iterator[Found]:
    """All pairs within each of the ``groups`` ``[G, S]``, as many groups at a time as the budget holds."""
    size = groups.shape[1]
    count = min(k, size if loop else size - 1)
    step = max(1, how.memory_budget // (8 * size * (4 * size + 2 * space.width)))
    for nodes in (groups[start : start + step] for start in range(0, len(groups), step)):
        started = time.perf_counter()
        classes = class_of[nodes].ravel()
        own = space.itself(classes) if loop else space.own[classes]
        index, score, rescored = _ranked(space, class_of, nodes, own, min(k + 1, size), score_all=how.score_all)
        neighbors = nearest(index, score, nodes.ravel(), own, count, loop=loop)
        info = KNNInfo(
            index="pairs",
            metric=how.metric,
            exact=True,
            device=str(how.device),
            seconds=time.perf_counter() - started,
            recall=1.0 if how.measure_recall else None,
            rescored=rescored,
            searched_again=0,
        )
        yield Found(neighbors, info, space.rows.exponent)


def _ranked(
    space: Space,
    class_of: NDArray[np.int64],
    nodes: NDArray[np.int64],
    own: NDArray[np.float64],
    count: int,
    *,
    score_all: bool,
) -> tuple[NDArray[np.int64], NDArray[np.float64], int]:
    """Every node's ``count`` best of its group, itself one of them, ``[G S, count]``; and how many pairs were scored.

    By float64 products; where their error leaves the order open, and for ``score_all``, pair by pair.
    """
    groups, size = nodes.shape
    classes = class_of[nodes]
    rows = torch.from_numpy(space.prepared(classes.ravel())).view(groups, size, -1)
    squares = torch.from_numpy(space.norms**2)[torch.from_numpy(classes)]
    products = rows @ rows.mT
    space.metric.adjust(products, squares, squares)
    products.diagonal(dim1=1, dim2=2).copy_(torch.from_numpy(own).view(groups, size))
    p, q = space.slack(space.norms, _UNIT)
    centre, table = classes.ravel(), products.view(-1, size)
    widest = q[classes].max(axis=1).repeat(size)

    listed = min(size, with_room(count))
    index, score, rescored = np.empty((len(centre), count), np.int64), np.empty((len(centre), count)), 0
    place = np.arange(len(centre))
    while len(place):  # a second time, with all of their group, those for whom the list is too short
        found, near = (part.numpy() for part in table[torch.from_numpy(place)].topk(listed, dim=1))
        member = np.take_along_axis(nodes[place // size], near, axis=1)
        other, this = class_of[member], centre[place, None]
        slack = p[this] * q[other]
        slack[member == nodes.ravel()[place, None]] = 0  # what a node has with itself is known
        lower, upper = found - slack, found + slack
        floor = -np.partition(-lower, count - 1, axis=1)[:, count - 1]
        short = (listed < size) & (found[:, -1] + p[this[:, 0]] * widest[place] >= floor)
        again = (slack > 0) & ~short[:, None] & (upper >= floor[:, None])
        if not score_all:
            again &= overlap(lower, upper)
        row, _ = np.nonzero(again)
        found[again] = space.score(this[row, 0], other[again])
        rescored += len(row)
        order = best_first(member, found, count)
        index[place], score[place] = (np.take_along_axis(part, order, axis=1) for part in (member, found))
        place, listed = place[short], size
    return index, score, rescored


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
