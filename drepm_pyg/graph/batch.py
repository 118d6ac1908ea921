"""Neighbours within one's own graph, as PyG's functions take a ``batch`` vector."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg.graph.find import Found, How, find
from drepm_pyg.graph.result import KNNInfo
from drepm_pyg.graph.rows import FeatureRows
from drepm_pyg.typing import Int, Tensor

__all__ = ["find_in_groups", "groups_of", "info_of"]


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
    """A search in every graph that has an edge; a small graph is connected wholly."""
    found = []
    largest = max(groups, key=len, default=None)
    for nodes in groups:
        neighbors = min(k, len(nodes) if loop else len(nodes) - 1)
        if neighbors > 0:
            found.append(find(rows.within(nodes), neighbors, how, loop=loop, tell=nodes is largest))
    return found


def info_of(found: Sequence[Found], how: How) -> KNNInfo:
    """One account of several searches; the recall is the mean over rows that were measured in each."""
    if not found:
        return KNNInfo(str(how.index), how.metric, True, str(how.device), 0.0, None, 0, 0)
    infos = [part.info for part in found]
    recalls = [info.recall for info in infos if info.recall is not None]
    return replace(
        max(found, key=lambda part: len(part.neighbors.nodes)).info,
        exact=all(info.exact for info in infos),
        seconds=sum(info.seconds for info in infos),
        recall=float(np.mean(recalls)) if recalls else None,
        rescored=sum(info.rescored for info in infos),
        searched_again=sum(info.searched_again for info in infos),
    )
