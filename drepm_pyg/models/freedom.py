"""FREEDOM: frozen item-item graphs, denoised user-item graph."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_at_least, check_fraction, check_ids, check_non_negative
from drepm_pyg._memo import memoize
from drepm_pyg.data.schema import training_pairs
from drepm_pyg.graph import degree_sensitive_edge_drop, merge_graphs
from drepm_pyg.models.base import (
    LossOutput,
    RecommenderModel,
    Representations,
    Triples,
    names_ids,
    sizes_of,
    triple_scores,
)
from drepm_pyg.models.multimodal import NamedItems, item_features, item_masks, select_graphs, similarity_graphs
from drepm_pyg.nn import BehaviorEncoder, KNNGraphConv, resolve_weights
from drepm_pyg.nn.functional import bpr
from drepm_pyg.nn.losses import BPRLoss
from drepm_pyg.nn.overrides import is_as_written
from drepm_pyg.nn.projection import ModalityProjection
from drepm_pyg.nn.structure import SparseStructure, exact_weight, mean_structure, normalized_weight
from drepm_pyg.typing import Tensor

__all__ = ["FREEDOM"]


class FREEDOM(RecommenderModel):
    r"""LightGCN on a pruned user-item graph, plus one convolution of the item embeddings over frozen item graphs.

    "A Tale of Two Graphs: Freezing and Denoising Graph Structures for Multimodal Recommendation", ACM MM 2023,
    https://arxiv.org/abs/2211.06924

    .. math::
        S &= \sum_m \alpha_m \tilde{S}_m, \qquad h_i = (S^{L_{ii}} E_i)_i && \text{(Eq. 1-3)} \\
        p_{ui} &\propto (d_u d_i)^{-1/2} \text{: the edges kept for this epoch, renormalised} && \text{(Eq. 4-5)} \\
        \hat{e}_u &= \mathrm{LightGCN}(E)_u, \quad \hat{e}_i = \mathrm{LightGCN}(E)_i + h_i && \text{(Eq. 6-8)} \\
        \mathcal{L} &= \mathrm{BPR}(\hat{e}_u, \hat{e}_i)
            + \lambda \sum_m \mathrm{BPR}(\hat{e}_u, x_m W_m + b_m) && \text{(Eq. 9-10)}

    Evaluation uses the whole user-item graph. The item graphs are part of the data
    (:class:`drepm_pyg.graph.AddSimilarityGraphs` with ``k=10, loop=True, nodes=("item",)``); with ``reg=0`` features
    play no part and ready-made graphs are enough. An item without a modality has no edges in its graph and takes no
    part in its loss. The behaviour line is the LightGCN, the modal line :math:`h_i` and, for users, its mean over
    their training items.

    Deviations from the paper: none in the equations; the published numbers also train the raw features, here they are
    frozen inputs.

    Args:
        num_users: number of users U.
        num_items: number of items I.
        modalities: names of the item graphs.
        embedding_dim: width D.
        num_layers: propagations over the user-item graph.
        num_item_layers: propagations over the item graph.
        weights: weight :math:`\alpha_m` of each graph, sum 1; None: 0.1 / 0.9 for exactly image and text (the published
            setting), else equal.
        dropout: share of the user-item edges that is dropped in each epoch.
        reg: weight :math:`\lambda` of the modality losses.
        in_channels: width of the raw features of each modality; needed where ``reg`` is above 0.

    Reference:
        FREEDOM | 2023 | ACM MM | ids, features, user-item graph, item graph | Eq. 1-10
    """

    graph_nodes = ("item",)

    def __init__(
        self,
        num_users: int,
        num_items: int,
        modalities: Sequence[str],
        embedding_dim: int = 64,
        num_layers: int = 2,
        num_item_layers: int = 1,
        *,
        weights: Mapping[str, float] | None = None,
        dropout: float = 0.8,
        reg: float = 0.0,
        in_channels: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(num_users, num_items)
        check_at_least(1, num_item_layers=num_item_layers)
        check_fraction(dropout=dropout)
        check_non_negative(reg=reg)
        if reg > 0 and set(in_channels or {}) != set(modalities):
            raise ValueError(
                f"'in_channels' must name the width of each of {list(modalities)} where 'reg' is above 0 "
                f"(got {in_channels}). Build the model with from_data(data), or set reg=0."
            )
        if weights is None and set(modalities) == {"image", "text"}:
            weights = {"image": 0.1, "text": 0.9}
        self.weights = resolve_weights(modalities, weights)
        self.num_item_layers, self.dropout, self.reg = num_item_layers, dropout, reg
        self.encoder = BehaviorEncoder(num_users, num_items, embedding_dim, num_layers)
        self.item_conv = KNNGraphConv()
        self.projection = ModalityProjection(in_channels, embedding_dim) if reg > 0 and in_channels else None
        self.bpr = BPRLoss()
        self._kept: Tensor | None = None  # the epoch's edges, and the pairs that they were drawn from
        self._drawn_from: Tensor | None = None

    @classmethod
    def from_data(
        cls, data: HeteroData, *, modalities: Sequence[str] | None = None, reg: float = 0.0, **hyper_parameters: Any
    ) -> "FREEDOM":
        """Build the model for the item graphs of ``data`` (default: all of them)."""
        check_non_negative(reg=reg)
        sizes = sizes_of(data)
        names = select_graphs(data, "item", modalities)
        in_channels = {name: data["item"][name].size(1) for name in names} if reg > 0 else None
        return cls(*sizes, names, reg=reg, in_channels=in_channels, **hyper_parameters)

    def before_epoch(self, data: HeteroData, generator: torch.Generator) -> None:
        """Draw the epoch's user-item edges (Eq. 4-5)."""
        self._drawn_from = training_pairs(data)
        self._kept = degree_sensitive_edge_drop(self._drawn_from, self.dropout, generator=generator)

    def forward(self, data: HeteroData) -> Representations:
        user, item, latent = self._lines(data)
        mean = mean_structure(training_pairs(data), self.num_users, self.num_items)
        return Representations(user, item + latent, user, item, mean.matmul(latent), latent)  # Eq. 8

    def _lines(self, data: HeteroData) -> tuple[Tensor, Tensor, Tensor]:
        """The LightGCN of users and items, and the items over their graphs."""
        user, item = self.encoder(self._pruned(training_pairs(data)))  # Eq. 6-7
        latent = self.encoder.item_embedding.weight
        merged = self.item_graph(data)
        for _ in range(self.num_item_layers):
            latent = self.item_conv(latent, merged)  # Eq. 3
        return user, item, latent

    def _pruned(self, edge_index: Tensor) -> Tensor:
        """The epoch's edges; all of them in evaluation, and of other pairs than they were drawn from."""
        own = self._drawn_from
        if not self.training or self._kept is None or own is None:
            return edge_index
        same = own is edge_index or (own.device == edge_index.device and torch.equal(own, edge_index))
        return self._kept if same else edge_index

    def item_graph(self, data: HeteroData) -> SparseStructure:
        """The weighted sum of the normalised item graphs (Eq. 1-2), built once per data set."""
        graphs = similarity_graphs(data, "item", self.weights)
        tensors = [tensor for graph in graphs.values() for tensor in graph if tensor is not None]
        size = (self.num_items, self.num_items)

        def build() -> SparseStructure:
            normalized = {}
            for name, (edge_index, weight) in graphs.items():
                source, target = edge_index
                check_ids(self.num_items, what="items", **{f"graph of '{name}'": edge_index})
                weight = normalized_weight(target, source, exact_weight(source, weight), size, square=True)
                normalized[name] = (edge_index, weight)
            (source, target), weight = merge_graphs(normalized, self.weights)
            return SparseStructure.from_coo(target, source, weight, size)

        return memoize(("freedom", size, tuple(self.weights.items())), build, *tensors)

    @names_ids
    def loss(self, data: HeteroData, batch: Triples) -> LossOutput:
        """Eq. 9-10: the parts ``bpr`` and, where ``reg`` is above 0, ``modal`` with its weight."""
        if is_as_written(self, FREEDOM):
            users, items, latent = self._lines(data)  # the users' modal line ranks nothing
            tables = Representations(users, items + latent)  # Eq. 8
        else:
            tables = self(data)
        rows = batch.rows(tables.user, tables.item)
        parts = {"bpr": self.bpr(*triple_scores(*rows))}
        if self.projection is not None:
            parts["modal"] = self.reg * self._modal_bpr(rows[0], data, batch, self.projection)
        return LossOutput.from_parts(**parts)

    def _modal_bpr(self, user: Tensor, data: HeteroData, batch: Triples, projection: ModalityProjection) -> Tensor:
        features, masks = item_features(data, projection.in_channels, self.num_items), item_masks(data, self.weights)
        named = NamedItems(batch, self.num_items)
        total = user.new_zeros(())
        for name, x in projection(named.of_each(features), named.of_each(masks)).items():
            both = masks[name][batch.positive] & masks[name][batch.negative] if name in masks else slice(None)
            loss = bpr(*triple_scores(*batch.split(user, named.rows_of(x))))[both]
            total = total + loss.sum() / max(1, loss.numel())
        return total
