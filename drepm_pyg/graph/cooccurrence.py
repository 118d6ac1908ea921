"""Users who share training items, or items that share users: the graphs of DualGNN and ItemKNN."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from drepm_pyg._checks import check_at_least, check_choice, check_non_negative, check_pairs
from drepm_pyg._device import on_the_cpu
from drepm_pyg.evaluation.selection import largest
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["check_cooccurrence", "user_cooccurrence_graph"]

_ADDITIONS = 8_000_000  # of a sparse product at a time
_ENTRIES = 1 << 22  # of a table at a time
_DENSE = 0.05  # a block of more entries is selected from as a table


@on_the_cpu
def user_cooccurrence_graph(
    edge_index: Int[Tensor, "2 E"],
    num_users: int,
    num_items: int,
    k: int,
    *,
    metric: str = "count",
    shrink: float = 0.0,
) -> tuple[Int[Tensor, "2 E_graph"], Float[Tensor, " E_graph"]]:
    r"""Connect every user to the ``k`` others with whom it shares most items; with ``edge_index.flip(0)`` the items.

    .. math::
        w_{uv} = |\mathcal{I}_u \cap \mathcal{I}_v| \quad \text{(count)}, \qquad
        w_{uv} = \frac{|\mathcal{I}_u \cap \mathcal{I}_v|}{\sqrt{|\mathcal{I}_u| |\mathcal{I}_v|} + h}
        \quad \text{(cosine)}

    "DualGNN: Dual Graph Neural Network for Multimedia Recommendation", Section III-C,
    https://doi.org/10.1109/TMM.2021.3138298

    Args:
        edge_index: long ``[2, E]`` training pairs, row 0 users, row 1 items; a pair that occurs twice counts once.
        num_users: number of users U.
        num_items: number of items I.
        k: neighbours a user at most; a user who shares items with fewer has fewer, ties go to the smaller id.
        metric: ``"count"`` or ``"cosine"``.
        shrink: :math:`h` of the cosine, takes confidence from pairs with few items.

    Returns:
        ``edge_index`` long ``[2, E]`` (row 0 = neighbour, row 1 = centre; grouped by centre ascending, largest
        weight first) and the weight of every edge, float32.

    Raises:
        ValueError: where an id is out of range, ``k`` is below 1, ``metric`` is unknown or ``shrink`` is given for
            counts.
    """
    check_cooccurrence(k, metric, shrink)
    check_at_least(0, num_users=num_users, num_items=num_items)
    check_pairs(edge_index, num_users, num_items)
    k, num_users, num_items = int(k), int(num_users), int(num_items)  # NumPy's narrow integers overflow
    user, item = edge_index.cpu().numpy()
    incidence = csr_array((np.ones(len(user)), (user, item)), shape=(num_users, num_items))
    incidence.data[:] = 1  # it sums duplicates
    size = np.diff(incidence.indptr).astype(np.float64)
    parts = [np.empty((3, 0))]
    for first, shared in _shared(incidence):
        centre = first + np.repeat(np.arange(shared.shape[0]), np.diff(shared.indptr))
        key = _keys(shared, size[centre], size, metric, shrink)
        key[centre == shared.indices] = -np.inf
        shared.data = key
        dense = shared.nnz > _DENSE * shared.shape[0] * num_users
        row, neighbour, best = (_by_tables if dense else _by_sorting)(shared, min(k, num_users))
        parts.append(np.stack([neighbour, first + row, best]))
    neighbour, centre, best = np.concatenate(parts, axis=1)
    graph = torch.from_numpy(np.stack([neighbour, centre]).astype(np.int64))
    weight = _weights(best, size[graph[1].numpy()], num_users, metric, shrink)
    return graph.to(edge_index.device), torch.from_numpy(weight).float().to(edge_index.device)


def _keys(
    shared: csr_array, own: NDArray[np.float64], size: NDArray[np.float64], metric: str, shrink: float
) -> NDArray[np.float64]:
    """What the neighbours of a user are ranked by, larger is nearer; ``own``: the user's size, for every entry."""
    if metric == "count":  # with the id, the smaller the larger: no two are equal
        return np.asarray((shared.data + 1) * len(size) - shared.indices)
    if shrink:
        return np.asarray(shared.data / (np.sqrt(own * size[shared.indices]) + shrink))
    # The square of the cosine, but for the user's own size: equal cosines are equal numbers.
    return np.asarray(shared.data**2 / size[shared.indices])


def _weights(
    key: NDArray[np.float64], own: NDArray[np.float64], num_users: int, metric: str, shrink: float
) -> NDArray[np.float64]:
    """The weights that :func:`_keys` stand for."""
    if metric == "count":
        return np.asarray(np.ceil(key / num_users) - 1)
    return key if shrink else np.asarray(np.sqrt(key / own))


def _shared(incidence: csr_array) -> Iterator[tuple[int, csr_array]]:
    """What successive users share with all: the number of the first one, and the counts."""
    transposed = incidence.T.tocsr()
    done = np.concatenate([[0], np.cumsum(incidence @ np.diff(transposed.indptr))])  # additions for all users before
    first, num_users = 0, incidence.shape[0]
    while first < num_users:
        stop = max(first + 1, int(np.searchsorted(done, done[first] + _ADDITIONS, side="right")) - 1)
        yield first, incidence[first:stop] @ transposed
        first = stop


def _by_tables(values: csr_array, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Row, column and value of each row's ``k`` largest, but for those of -inf: full tables, some rows at a time."""
    rows, columns = values.shape
    step, parts = max(1, _ENTRIES // columns), []
    for start in range(0, rows, step):
        block = values[start : start + step]
        row = torch.from_numpy(np.repeat(np.arange(block.shape[0]), np.diff(block.indptr)))
        table = torch.full(block.shape, -torch.inf, dtype=torch.float64)
        table[row, torch.from_numpy(block.indices.astype(np.int64))] = torch.from_numpy(block.data)
        best, column = (part.numpy() for part in largest(table, k))
        row_, place = np.nonzero(best > -np.inf)
        parts.append((start + row_, column[row_, place], best[row_, place]))
    row_, column, best = (np.concatenate(part) for part in zip(*parts, strict=True))
    return row_, column, best


def _by_sorting(values: csr_array, k: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The same, where a row has few entries."""
    row = np.repeat(np.arange(values.shape[0]), np.diff(values.indptr))
    order = np.lexsort((values.indices, -values.data, row))
    rank = np.arange(len(order)) - np.searchsorted(row[order], row[order])  # the left end: where a row starts
    order = order[(rank < k) & (values.data[order] > -np.inf)]
    return row[order], values.indices[order].astype(np.int64), values.data[order]


def check_cooccurrence(k: int, metric: str, shrink: float) -> None:
    """The options of :func:`user_cooccurrence_graph`."""
    check_at_least(1, k=k)
    check_choice(("count", "cosine"), metric=metric)
    check_non_negative(shrink=shrink)
    if shrink and metric == "count":
        raise ValueError(f"'shrink' must be 0 for metric='count', which has no denominator (got {shrink}).")
