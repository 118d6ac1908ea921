"""The one search behind every builder: whose neighbours are sought, among whom, and by which route."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg._arrays import reuse_freed_memory
from drepm_pyg._device import on_the_cpu
from drepm_pyg.graph.coded_gram import coded_gram_serves, coded_gram_shortlists
from drepm_pyg.graph.distributed import gathered, share, together
from drepm_pyg.graph.faiss_index import WITHOUT_FAISS, faiss_installed
from drepm_pyg.graph.faiss_search import FaissSearch
from drepm_pyg.graph.metrics import METRICS
from drepm_pyg.graph.neighbors import Neighbors, choose
from drepm_pyg.graph.products import gram_blocks, gram_of, product_blocks, unit_roundoff
from drepm_pyg.graph.progress import watched
from drepm_pyg.graph.recall import Sample, exact_sample, recall_of, tune
from drepm_pyg.graph.result import KNNInfo
from drepm_pyg.graph.rows import FeatureRows, Rows
from drepm_pyg.graph.search import Ranking, rank
from drepm_pyg.graph.shortlist import Shortlist, shortlists, with_room
from drepm_pyg.graph.space import Space
from drepm_pyg.graph.tree import tree_pays, tree_shortlists
from drepm_pyg.graph.triangle import triangle_pays, triangle_shortlists

__all__ = ["Found", "How", "Route", "auto_is_exact", "block_bytes", "by_tree", "feature_route", "find", "fits_budget"]

#: An exact way to shortlists, and its name: from the rows, how they are sought, and how many of them.
Route = Callable[[Space, "How", int], tuple[str, Iterable[Shortlist]]]

#: 'auto' is exact up to so many multiply-adds: a quarter of an hour on two cores, seconds on a GPU.
_EXACT_WORK = 5e13
_SELECTION = 100
_AUTO_RECALL = 0.95
_SAMPLE = 1000

#: Scores whose error takes more than this share of its bound tell that the bound may not hold for others.
_STRAIN = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class How:
    """How neighbours are sought.

    Attributes:
        metric: 'cosine', 'ip' or 'l2'.
        index: 'auto', 'exact', 'gram', 'blocks', or what :class:`FaissSearch` takes.
        device: where products are computed.
        memory_budget: bytes of working memory.
        score_all: score every edge in float64, also where its place is clear.
        route: the exact route of these rows.
        measure_recall: how many rows to compare with the exact answer; 0: none.
        target_recall: tune an approximate index until it finds that share of the exact neighbours.
        distributed: every rank seeks a share.
    """

    metric: str
    index: Any
    device: torch.device
    memory_budget: int
    score_all: bool
    route: Route
    measure_recall: int = 0
    target_recall: float | None = None
    distributed: bool = False


@dataclass(frozen=True)
class Found:
    """Neighbours, how they were found, and the power of two that their rows were divided by."""

    neighbors: Neighbors
    info: KNNInfo
    exponent: int


def block_bytes(memory_budget: int) -> int:
    """How much a block of float64 rows may take, of which several copies are made."""
    return max(1 << 16, min(1 << 25, memory_budget // 32))


def fits_budget(num_rows: int, width: int, memory_budget: int, *, entry_bytes: int = 4) -> bool:
    """Whether float32 rows and their Gram matrix, of so many bytes an entry, leave room for the blocks worked on."""
    held = num_rows * (entry_bytes * num_rows + 4 * width)
    return held + 6 * block_bytes(memory_budget) <= memory_budget


def by_tree(space: Space, how: How) -> bool:
    """Whether shortlists come from a k-d tree."""
    return how.index == "kdtree" or (how.index in ("auto", "exact") and tree_pays(space, how.device, how.memory_budget))


def feature_route(space: Space, how: How, count: int) -> tuple[str, Iterable[Shortlist]]:
    """A tree of few columns; the whole Gram matrix where it is small, or kept for another graph; else blocks."""
    if by_tree(space, how):
        return "kdtree", tree_shortlists(space, count, how.memory_budget // 4)
    slack = space.slack(space.norms, unit_roundoff(how.device))
    if space.whole and how.index != "blocks" and (how.index == "gram" or _gram_pays(space, how, count)):
        coded = _kept(space) and how.device.type == "cpu" and coded_gram_serves(space, space.rows)
        if coded and (lists := coded_gram_shortlists(space, slack, count)) is not None:
            return "gram", lists
        return "gram", shortlists(gram_blocks(*gram_of(space, how.device)), space, slack, count)
    if triangle_pays(space, how.device, with_room(count)):
        return "blocks", triangle_shortlists(space, slack, count, how.memory_budget)
    return "blocks", shortlists(product_blocks(space, how.device, how.memory_budget), space, slack, count)


def _gram_pays(space: Space, how: How, count: int) -> bool:
    """Whether the whole Gram matrix fits, and serves a second graph or is the only way to half of the products."""
    fits = fits_budget(len(space), space.width, how.memory_budget)
    return fits and (_kept(space) or not triangle_pays(space, how.device, with_room(count)))


def _kept(space: Space) -> bool:
    """Whether a Gram matrix serves a second graph."""
    return isinstance(space.rows, FeatureRows) and space.rows.kept is not None


@on_the_cpu
def find(
    rows: Rows,
    k: int,
    how: How,
    *,
    loop: bool,
    asked: NDArray[np.int64] | None = None,
    offered: NDArray[np.int64] | None = None,
    num_offered: int | None = None,
    tell: bool = True,
) -> Found:
    """The ``k`` nearest of the offered nodes to each node asked for.

    Args:
        rows: the rows.
        k: how many; there must be so many.
        how: see :class:`How`.
        loop: whether a node is its own neighbour.
        asked: ids of nodes with a row, ascending; default: all.
        offered: ids of nodes with a row, ascending; default: all.
        num_offered: the number of nodes, those without a row included, that the offered ones were taken from.
        tell: log what 'auto' is.
    """
    started = time.perf_counter()
    reuse_freed_memory()
    asked = rows.ties.nodes if asked is None else asked
    mine = share(asked) if how.distributed else asked
    ties = rows.ties if offered is None else rows.ties.among(offered)
    own_class = rows.ties.classes(mine)
    base = np.flatnonzero(ties.size)
    base = base[np.argsort(ties.members[ties.start[base]])]
    centres, place = np.unique(own_class, return_inverse=True)
    # What is decided and tuned by the centres is so by those of all processes, lest each made a graph of its own kind.
    everyone = Space(
        rows,
        METRICS[how.metric],
        block_bytes=block_bytes(how.memory_budget),
        centres=np.unique(rows.ties.classes(asked)) if how.distributed else centres,
        base=base,
        num_base_nodes=num_offered,
    )
    space = everyone.of(centres)
    count = min(k + 1, len(ties.members))
    searcher, sample = _searcher(everyone, space, how, count)
    told = _size(everyone, how) if how.index == "auto" and tell else None
    name, ranking = _ranked(space, how, searcher, count, told)
    if ranking.strain > _STRAIN and not space.worst_case:
        _log.warning("rounding errors of fast scores follow a pattern: searched again by the worst case, which is slow")
        name, ranking = _ranked(space.bounded_by_worst_case(), how, searcher, count, told)
    own = space.itself(own_class) if loop else space.own[own_class]
    neighbors = choose(ranking, ties, mine, place, own, k, loop=loop)
    recall = _recall(ranking, space, searcher, sample, how)
    if recall is not None:
        _log.info("%s finds %.4f of the exact neighbours", name, recall)
    info = KNNInfo(
        index=name,
        metric=how.metric,
        exact=_exact(searcher),
        device=str(how.device if searcher is None else searcher.device),
        seconds=time.perf_counter() - started,
        recall=recall,
        rescored=ranking.rescored,
        searched_again=ranking.searched_again,
        parameters={} if searcher is None else searcher.parameters,
    )
    return Found(together(neighbors) if how.distributed else neighbors, info, rows.exponent)


def _searcher(everyone: Space, space: Space, how: How, count: int) -> tuple[FaissSearch | None, Sample | None]:
    """FAISS, if the index asks for it, tuned; and the exact answer for a sample, if its recall is to be known."""
    index, target = _chosen(everyone, how)
    if isinstance(index, str) and index in WITHOUT_FAISS:
        return None, None
    searcher = FaissSearch(space, index, with_room(count), how.device)
    if searcher.exact or not len(everyone.centres):
        return searcher, None
    if not how.measure_recall and target is None:
        _log.info("%s is approximate: measure_recall=%d tells how much it finds", searcher.name, _SAMPLE)
        return searcher, None
    sample = exact_sample(everyone, how.measure_recall or _SAMPLE, count, how.device, how.memory_budget)
    if target is not None:
        tune(searcher, sample, target, _listed(searcher, count), how.memory_budget // 4)
    return searcher, sample


def _ranked(space: Space, how: How, searcher: FaissSearch | None, count: int, told: str | None) -> tuple[str, Ranking]:
    """The route's name, and the ``count`` best of every centre; for ``told``, if given, the log says what 'auto' is."""
    if searcher is None:
        name, lists = how.route(space, how, count)
        if told is not None:
            _log.info("index='auto' is %r, which is exact, for %s", name, told)
    else:
        name, lists = searcher.name, searcher.shortlists(space, _listed(searcher, count))
    lists, score_all = watched(lists, len(space.centres)), how.score_all or not _exact(searcher)
    return name, rank(space, lists, count, score_all=score_all, budget=how.memory_budget // 4)


def _listed(searcher: FaissSearch, count: int) -> int:
    return with_room(count) if searcher.spare else count


def _exact(searcher: FaissSearch | None) -> bool:
    return searcher is None or searcher.exact


def _recall(
    ranking: Ranking, space: Space, searcher: FaissSearch | None, sample: Sample | None, how: How
) -> float | None:
    """The recall of all processes together; None where it is not known."""
    if sample is None:
        return 1.0 if how.measure_recall and _exact(searcher) else None
    found, wanted = recall_of(ranking, space, sample)
    if how.distributed:
        found, wanted = (sum(part) for part in zip(*gathered((found, wanted)), strict=True))
    return found / wanted


def auto_is_exact(work: int, device: torch.device) -> bool:
    """Whether 'auto' is exact where that takes so many multiply-adds."""
    return work <= _EXACT_WORK or device.type != "cpu" or not faiss_installed()


def _chosen(space: Space, how: How) -> tuple[Any, float | None]:
    """The index, and the recall it is tuned for; 'auto' decides by the work that exactness takes."""
    if not (isinstance(how.index, str) and how.index == "auto"):
        return how.index, how.target_recall
    work, size = _work(space, how), _size(space, how)
    if auto_is_exact(work, how.device):
        if work > _EXACT_WORK and how.device.type == "cpu":
            _log.warning("index='auto' is exact for %s, which is slow; an approximate index needs FAISS", size)
        return "auto", how.target_recall
    target = _AUTO_RECALL if how.target_recall is None else how.target_recall
    _log.warning("index='auto' is 'ivf' tuned for a recall of %.2f for %s; 'exact' is not", target, size)
    return "ivf", target


def _work(space: Space, how: How) -> int:
    """Multiply-adds; to select among scores takes as long as so many columns more. A tree takes next to none."""
    return 0 if by_tree(space, how) else len(space.centres) * len(space.base) * (space.width + _SELECTION)


def _size(space: Space, how: How) -> str:
    centres, base = len(space.centres), len(space.base)
    return f"{centres:,} x {base:,} rows of width {space.width}, {how.metric}, on {how.device}"
