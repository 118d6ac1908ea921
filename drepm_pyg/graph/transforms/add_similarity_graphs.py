"""Similarity graphs as a transform on the heterogeneous data of DESIGN's schema."""

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import Any, cast

import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from drepm_pyg._checks import check_path, said_of
from drepm_pyg.data import USER_ITEM, modalities, modality_mask, similar
from drepm_pyg.data.schema import check_data, node_count, split_pairs
from drepm_pyg.graph.cache import cached, fingerprint
from drepm_pyg.graph.features import output_dtype, present
from drepm_pyg.graph.find import auto_is_exact
from drepm_pyg.graph.knn import knn_graph_of
from drepm_pyg.graph.options import MEMORY_BUDGET, Options
from drepm_pyg.graph.rows import FeatureRows
from drepm_pyg.graph.transforms.arguments import NODES, check_modalities, check_nodes, shown
from drepm_pyg.graph.user_knn import user_knn_graph_of
from drepm_pyg.typing import PathLike, Tensor

__all__ = ["AddSimilarityGraphs"]

#: The options that a graph depends on.
_DECISIVE = (
    "k",
    "metric",
    "loop",
    "index",
    "return_weight",
    "min_similarity",
    "radius",
    "mutual",
    "symmetric",
    "target_recall",
)

#: Those that stand in the repr whatever they are.
_ALWAYS_SHOWN = ("k", "metric", "loop")


class AddSimilarityGraphs(BaseTransform):
    r"""Add an item graph and a user graph per modality (DRepMRec, Eq. 5).

    Stores ``data['item', 'similar_<modality>', 'item']`` by :func:`knn_graph` and
    ``data['user', 'similar_<modality>', 'user']`` by :func:`user_knn_graph`, each with ``edge_index`` and an
    un-normalised ``edge_weight`` (the conv normalises). Items that lack the modality take no part; users' graphs come
    from the training pairs, ``data['user', 'interacts', 'item'].edge_index``, alone.

    Args:
        k: neighbours per node.
        modalities: which ones; default: all that ``data['item']`` has.
        nodes: 'item', 'user' or both.
        metric: see :func:`knn_graph`, as all that follow.
        loop: whether a node is one of its own neighbours (the paper's recipes: True).
        index: 'auto', 'exact', 'flat', 'ivf', 'hnsw', a FAISS factory string or a ``faiss.Index``.
        device: where products are computed.
        return_weight: store the similarities; default: 1 for every edge. Not for 'l2': far neighbours would weigh most.
        min_similarity: drop edges of a smaller similarity.
        radius: drop edges of a larger distance ('l2').
        mutual: keep an edge only if both ends choose each other.
        symmetric: 'none', 'union' or 'intersection'.
        measure_recall: compare so many nodes with the exact answer; the log says what share was found.
        target_recall: what an approximate index is tuned to find.
        distributed: every process of ``torch.distributed`` seeks the neighbours of a share of the nodes; not with
            ``cache_dir``.
        memory_budget: bytes of working memory.
        cache_dir: keep graphs there under a key of the features' content, the training pairs and the parameters.

    Raises:
        ValueError: if a modality or the training pairs are not in the data, for options that exclude each other;
            and see :func:`knn_graph`.

    Example:
        >>> data = HeteroData()
        >>> data["item"].text = torch.eye(4)
        >>> AddSimilarityGraphs(k=1, nodes=("item",))(data)["item", "similar_text", "item"].edge_index
        tensor([[1, 0, 0, 0],
                [0, 1, 2, 3]])
    """

    def __init__(
        self,
        k: int = 10,
        *,
        modalities: tuple[str, ...] | list[str] | None = None,
        nodes: tuple[str, ...] | list[str] = NODES,
        metric: str = "cosine",
        loop: bool = False,
        index: Any = "auto",
        device: torch.device | str | None = None,
        return_weight: bool = False,
        min_similarity: float | None = None,
        radius: float | None = None,
        mutual: bool = False,
        symmetric: str = "none",
        measure_recall: int = 0,
        target_recall: float | None = None,
        distributed: bool = False,
        memory_budget: int = MEMORY_BUDGET,
        cache_dir: PathLike | None = None,
    ) -> None:
        check_nodes(nodes)
        check_modalities(modalities)
        self.options = Options(
            k,
            metric=metric,
            loop=loop,
            index=index,
            device=device,
            return_weight=return_weight,
            min_similarity=min_similarity,
            radius=radius,
            mutual=mutual,
            symmetric=symmetric,
            measure_recall=measure_recall,
            target_recall=target_recall,
            distributed=distributed,
            memory_budget=memory_budget,
        )
        if metric == "l2" and return_weight:
            raise ValueError(
                "'return_weight' must be False for metric='l2' (got True): its weights are distances, which "
                "would favour the farthest neighbours."
            )
        if cache_dir is not None:
            check_path(cache_dir=cache_dir)
            if not isinstance(index, str):
                raise ValueError(
                    "'cache_dir' needs an index by name (got a FAISS index, whose content no key covers). Leave one "
                    "out."
                )
            if distributed:
                raise ValueError(
                    "'distributed' needs every process to search, which 'cache_dir' may spare some. Leave one out."
                )
        self.modalities, self.nodes, self.cache_dir = modalities, nodes, cache_dir

    def forward(self, data: HeteroData) -> HeteroData:
        """Add the graphs to (a shallow copy of) ``data``."""
        check_data(data, type(self).__name__, way="For one matrix call knn_graph.")
        known = modalities(data)
        wanted = known if self.modalities is None else list(self.modalities)
        if not known:
            raise ValueError(
                "data['item'] has no features to compare (float [I, F]). Add some, e.g. data['item'].text."
            )
        missing = [modality for modality in wanted if modality not in known]
        if missing:
            raise ValueError(f"'modalities' must be among those of data['item'], {known} (got {missing}).")
        if "user" in self.nodes and split_pairs(data, "train") is None:
            raise ValueError(
                f"user graphs need data{list(USER_ITEM)}.edge_index. Add it, or leave 'user' out of 'nodes'."
            )
        for modality in wanted:
            read = functools.cache(functools.partial(self._read, data, modality))
            for node in self.nodes:
                with said_of(f"the {node}s' graph of {modality!r}"):
                    edge_index, edge_weight = self._graph(data, node, modality, read)
                store = data[similar(node, modality)]
                store.edge_index, store.edge_weight = edge_index, edge_weight
        return data

    def __repr__(self) -> str:
        arguments = {name: getattr(self.options, name) for name in _DECISIVE}
        arguments |= {"modalities": self.modalities, "nodes": tuple(self.nodes)}
        defaults = {field.name: field.default for field in fields(Options) if field.name not in _ALWAYS_SHOWN}
        return shown(self, arguments, {**defaults, "modalities": None, "nodes": NODES})

    def _read(self, data: HeteroData, modality: str) -> FeatureRows:
        """The items' rows; what is multiplied for one graph is there for the other."""
        x = data["item"][modality]
        rows = self.options.rows(present(len(x), modality_mask(data, modality)), x=x)
        rows.kept = {} if len(self.nodes) > 1 else None
        return rows

    def _graph(
        self, data: HeteroData, node: str, modality: str, read: Callable[[], FeatureRows]
    ) -> tuple[Tensor, Tensor]:
        if self.cache_dir is None:
            return self._build(data, node, modality, read)
        arrays = {"x": data["item"][modality], "mask": modality_mask(data, modality)}
        if node == "user":
            arrays["edge_index"] = data[USER_ITEM].edge_index
        num_nodes = len(arrays["x"]) if node == "item" else node_count(data, "user")
        parameters = {"node": node, "num_nodes": num_nodes, **self._decisive(arrays["x"], num_nodes)}
        dtype = output_dtype(arrays["x"]) if self.options.return_weight else torch.float32
        key, make = fingerprint(arrays, parameters), functools.partial(self._build, data, node, modality, read)
        edge_index, edge_weight = cached(self.cache_dir, key, num_nodes, dtype, make)
        device = data["item"][modality].device
        return edge_index.to(device), edge_weight.to(device)

    def _decisive(self, x: Tensor, num_nodes: int) -> dict[str, object]:
        """The options that the graph depends on, and what 'auto' and an index that is tuned depend on besides."""
        decisive = {name: getattr(self.options, name) for name in _DECISIVE}
        most = num_nodes**2 * x.size(1)  # nodes with equal rows take part once
        if self.options.index == "auto" and not auto_is_exact(most, self.options.device_for(x)):
            decisive["index"] = "auto, here approximate"
        if self.options.target_recall is not None:
            decisive["measure_recall"] = self.options.measure_recall  # the sample it is tuned on
        return decisive

    def _build(
        self, data: HeteroData, node: str, modality: str, read: Callable[[], FeatureRows]
    ) -> tuple[Tensor, Tensor]:
        x = data["item"][modality]
        if node == "item":
            nodes = present(len(x), modality_mask(data, modality))
            built = knn_graph_of(x, nodes, read, self.options)
        else:
            pairs, num_users = data[USER_ITEM].edge_index, node_count(data, "user")
            built = user_knn_graph_of(x, read, pairs, num_users, self.options)
        if isinstance(built, torch.Tensor):
            return built, torch.ones(built.size(1), device=built.device)
        return cast("tuple[Tensor, Tensor]", built)
