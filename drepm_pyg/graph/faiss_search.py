"""Shortlists from FAISS, and how far its approximate indexes look."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from drepm_pyg.graph.blocks import slices
from drepm_pyg.graph.faiss_index import (
    as_taken,
    filled,
    given_index,
    innermost,
    load_faiss_for,
    named_index,
    native_vectors,
    on_gpu,
    shared_out,
    vectors,
)
from drepm_pyg.graph.metrics import METRICS
from drepm_pyg.graph.shortlist import Shortlist
from drepm_pyg.graph.space import Space
from drepm_pyg.typing import Tensor

__all__ = ["FaissSearch"]

_QUERIES = 4096
_ON_CPU_ALONE = ("hnsw", "nsg")
_COMPRESSED = 4  # candidates per neighbour where distances are those of a code
_WIDEST = 32
_PROBES_ON_GPU = 2048  # FAISS' own limit there
_CHECKED, _OFF = 64, 1e-2  # centres whose pairs tell whether an index holds these rows, and what float16 leaves below


class FaissSearch:
    """A FAISS index of the base rows of a space.

    Args:
        space: the rows.
        index: 'flat', 'ivf', 'hnsw', 'nsg', 'ivfpq', a factory string, or a trained ``faiss.Index``: empty (a copy is
            filled), or holding one vector per node in the order of the nodes (of length 1 for the cosine), which is
            searched where it lies.
        count: how many candidates a search will want.
        device: where an index of ours lies; graph indexes lie on the CPU.

    Attributes:
        exact: whether it finds the exact neighbours.
        spare: whether it should list more candidates than are wanted.
        name: the index by its name.

    Raises:
        MissingExtraError: if FAISS is not installed.
        TypeError: if ``index`` is neither a string nor a FAISS index.
        ValueError: if FAISS cannot build the index, or a given one does not fit the features; of vectors that are
            others than the features' a search tells.
    """

    def __init__(self, space: Space, index: Any, count: int, device: torch.device) -> None:
        self._faiss = load_faiss_for(index)
        self.name = index if isinstance(index, str) else type(index).__name__
        self.exact = self.name == "flat"
        if isinstance(index, str):
            built, self._holds_nodes = named_index(self._faiss, space, index), False
        else:
            built = given_index(self._faiss, space, index)
            self._holds_nodes = built is index
        # A filled index is searched where it lies, which may be on GPUs; they take arrays, too.
        stays = self._holds_nodes or self.name.lower().startswith(_ON_CPU_ALONE)
        self.device = torch.device("cpu") if stays else device
        if self._holds_nodes:
            self._index = built
        elif self.device.type == "cpu":
            self._index = filled(self._faiss, space, built)
        elif shared_out(self._faiss, self.device):
            # Shards take rows in one go alone.
            self._index = on_gpu(self._faiss, filled(self._faiss, space, built), self.device)
        else:
            self._index = filled(self._faiss, space, on_gpu(self._faiss, built, self.device))
        inside = list(innermost(self._faiss, self._index))
        # Distances of whole vectors need no candidates to spare: they rank as the exact scores do but for rounding.
        self._full = all("Flat" in type(part).__name__ and part.d >= self._index.d for part in inside)
        self._widening = 1 if self._full else _COMPRESSED
        self.spare = self.exact or self._holds_nodes or not self._full
        self._knobs = list(_knobs(inside))
        self._limit = self._furthest()
        if self.name in ("ivf", "ivfpq"):
            self._set(min(self._limit, 8 + self._limit // 16))
        elif self.name in ("hnsw", "nsg"):
            # An NSG that is to look at more vectors than it holds seeks others without end.
            self._set(min(int(self._index.ntotal), max(64, 4 * count)))

    @property
    def parameters(self) -> dict[str, int]:
        """How far it looks."""
        return {name: int(getattr(holder, name)) for holder, name in self._knobs[:1]}

    def efforts(self) -> Iterator[None]:
        """Make it look further and further; every step stands until the next."""
        if self._knobs:
            effort = 1 if self._knobs[0][1] == "nprobe" else 16
            while effort < self._limit:
                self._set(effort)
                yield
                effort *= 2
            self._set(self._limit)
        yield
        while self._widening < _WIDEST:
            self._widening *= 2
            yield

    def shortlists(self, space: Space, count: int) -> Iterator[Shortlist]:
        """Candidates for the centres of a space with the same base.

        Args:
            space: the rows.
            count: how many candidates to list.
        """
        class_of = space.rows.ties.class_of_node[: space.num_base_nodes] if self._holds_nodes else space.base
        place = np.full(len(space), -1)
        place[space.base] = np.arange(len(space.base))
        place_of = np.where(class_of >= 0, place[class_of], -1)
        count = min(self._widening * count, self._index.ntotal)
        if self.exact:
            p, q = space.slack(space.norms, self._unit_roundoff())
            p, q = p[space.centres], q[space.base]
        for block in slices(0, len(space.centres), _QUERIES):
            ids = space.centres[block]
            distance, found = self._searched(
                native_vectors(space, ids) if self._holds_nodes else vectors(space, ids), count
            )
            named = found[found != -1]  # -1: it found no more
            if len(named) and (named.min() < 0 or named.max() >= len(place_of)):
                raise ValueError(
                    f"'index' must answer with ids of rows, 0 to {len(place_of) - 1} (got {named.min()} to "
                    f"{named.max()}). Fill it by the order of the rows, or with their ids."
                )
            candidate = np.where(found >= 0, place_of[found], -1)
            if self.exact:
                score = np.asarray(-distance if space.metric is METRICS["l2"] else distance, dtype=np.float64)
                ceiling = score[:, -1] + p[block] * q.max() if count < len(space.base) else np.full(len(ids), -np.inf)
                yield Shortlist(block, candidate, score, p[block, None] * q[candidate], ceiling)
            else:
                if self._holds_nodes and self._full:
                    self._check_vectors(space, ids[:_CHECKED], candidate[:_CHECKED], distance[:_CHECKED])
                # An approximate index promises nothing: every candidate is scored anew, what it left out is left out.
                # The centre itself is one, found or not, so that with `loop` it stands where it ranks.
                candidate = _once(np.column_stack([candidate, place[ids]]))
                score = np.where(candidate >= 0, 0.0, -np.inf)
                yield Shortlist(block, candidate, score, np.zeros_like(score), np.full(len(score), -np.inf))

    def _check_vectors(
        self, space: Space, ids: NDArray[np.int64], candidate: NDArray[np.int64], distance: NDArray[np.float32]
    ) -> None:
        """Refuse a given index that holds other vectors, by what it says of a few pairs."""
        row, column = np.nonzero(candidate >= 0)
        left, right = ids[row], space.base[candidate[row, column]]
        given, norms = distance[row, column].astype(np.float64), np.sqrt(space.rows.squares)
        reach = norms[left] * norms[right]
        if space.metric is METRICS["cosine"]:
            reach[:] = 1
        else:
            given = np.ldexp(given, -2 * space.rows.exponent)
        if space.metric is METRICS["l2"]:
            given, reach = -given, (norms[left] + norms[right]) ** 2
        off = np.abs(space.score(left, right) - given) > _OFF * reach
        if 2 * off.sum() > len(off):
            raise ValueError(
                "'index' must hold the vector of every node, in the order of the nodes and, for the cosine, of length "
                f"1 (scores of {off.sum()} of {len(off)} pairs are others). Fill it with the rows that are searched."
            )

    def _unit_roundoff(self) -> float:
        """That of the index' products: a GPU may be set to round the factors to TF32, which a search tells."""
        if self.device.type == "cpu":
            return 2.0**-24
        probe = np.full((1, 256), 1 + 2.0**-12, np.float32)
        index = on_gpu(self._faiss, self._faiss.IndexFlatIP(256), self.device)
        index.add(np.eye(256, dtype=np.float32))
        return 2.0**-24 if index.search(probe, 1)[0] == probe[0, 0] else 2.0**-8

    def _searched(self, queries: Tensor, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        distance, found = self._index.search(as_taken(self._index, queries), count)
        if isinstance(distance, torch.Tensor):  # as the queries
            distance, found = distance.cpu().numpy(), found.cpu().numpy()
        return distance, found

    def _furthest(self) -> int:
        """The effort beyond which an index looks no further, or would take long to."""
        lists = [int(holder.nlist) for holder, name in self._knobs if name == "nprobe"]
        if not lists:
            return min(4096, int(self._index.ntotal))
        return max(lists) if self.device.type == "cpu" else min(max(lists), _PROBES_ON_GPU)

    def _set(self, effort: int) -> None:
        for holder, name in self._knobs:
            setattr(holder, name, min(effort, int(holder.nlist)) if name == "nprobe" else effort)


def _knobs(inside: Iterable[Any]) -> Iterator[tuple[Any, str]]:
    """What decides how far indexes look, by object and attribute: their lists to probe, or the breadth of their walk.

    Shards and replicas have one each.
    """
    for index in inside:
        if hasattr(index, "nprobe"):
            yield index, "nprobe"
        elif hasattr(index, "hnsw"):
            yield index.hnsw, "efSearch"
        elif hasattr(index, "nsg"):
            yield index.nsg, "search_L"


def _once(candidate: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each candidate of a row at its first place only, -1 elsewhere (duplicates are one class)."""
    order = np.argsort(candidate, axis=1, kind="stable")
    ordered = np.take_along_axis(candidate, order, axis=1)
    repeated = np.zeros_like(candidate, dtype=bool)
    repeated[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    out = np.empty_like(candidate)
    np.put_along_axis(out, order, np.where(repeated, -1, ordered), axis=1)
    return out
