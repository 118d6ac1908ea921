"""The one search behind :func:`knn_graph` and :func:`user_knn_graph`."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import torch

from drepm_pyg._checks import check_at_least, check_choice
from drepm_pyg.graph.faiss_index import faiss_shortlists
from drepm_pyg.graph.metrics import METRICS
from drepm_pyg.graph.neighbors import Neighbors, check_k, choose
from drepm_pyg.graph.products import gram, gram_blocks, product_blocks, unit_roundoff
from drepm_pyg.graph.result import KNNInfo
from drepm_pyg.graph.rows import Rows
from drepm_pyg.graph.search import rank
from drepm_pyg.graph.shortlist import Shortlist, shortlists
from drepm_pyg.graph.space import Space

__all__ = ["Route", "build", "feature_route"]

#: An exact way to shortlists, and its name: from the rows, the device, how many to list, and a budget in bytes.
Route = Callable[[Space, torch.device, int, int], tuple[str, Iterable[Shortlist]]]


def feature_route(space: Space, device: torch.device, count: int, budget: int) -> tuple[str, Iterable[Shortlist]]:
    """The whole Gram matrix where it fits the budget, as each product then serves both ends; else row blocks."""
    slack = space.slack(space.norms, unit_roundoff(device))
    if 4 * len(space) * (len(space) + space.width) <= budget:
        products = gram(torch.from_numpy(space.single()).to(device))
        return "gram", shortlists(gram_blocks(products), space, slack, count)
    return "blocks", shortlists(product_blocks(space, device, budget), space, slack, count)


def build(
    make_rows: Callable[[], Rows],
    route: Route,
    k: int,
    *,
    what: str,
    metric: str,
    loop: bool,
    index: Any,
    device: torch.device,
    score_all: bool,
    memory_budget: int,
) -> tuple[Neighbors, KNNInfo, int]:
    """Check the options, read the rows, search: the neighbours, how they were found, and the rows' exponent."""
    started = time.perf_counter()
    check_at_least(1, k=k, memory_budget=memory_budget)
    check_choice(METRICS, metric=metric)
    rows = make_rows()
    check_k(k, len(rows.ties.nodes), loop=loop, what=what)
    space = Space(rows, METRICS[metric], block_bytes=max(1 << 20, memory_budget // 16))
    count = min(k + 1, len(rows.ties.nodes))
    # Room for near ties: a shortlist that is too short costs a comparison with all rows in float64.
    wanted = count + max(8, count // 2)
    if isinstance(index, str) and index == "auto":
        name, lists = route(space, device, wanted, memory_budget)
    else:
        name = index if isinstance(index, str) else type(index).__name__
        lists = faiss_shortlists(space, index, space.slack(space.norms, unit_roundoff(torch.device("cpu"))), wanted)
    exact = name in ("gram", "blocks", "flat")
    ranking = rank(space, lists, count, score_all=score_all or not exact, budget=memory_budget // 4)
    neighbors = choose(ranking, rows.ties, space.metric.own(rows.squares), k, loop=loop)
    info = KNNInfo(
        index=name,
        metric=metric,
        exact=exact,
        device=str(device if index == "auto" else "cpu"),
        seconds=time.perf_counter() - started,
        recall=None,
        rescored=ranking.rescored,
        searched_again=ranking.searched_again,
    )
    return neighbors, info, rows.exponent
