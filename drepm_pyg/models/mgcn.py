"""MGCN: behaviour-guided purifier, multi-view encoder, behaviour-aware fuser."""

from collections.abc import Mapping

import torch
from torch import nn
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_at_least, check_non_negative
from drepm_pyg.data.schema import training_pairs
from drepm_pyg.models.base import LossOutput, Representations, Triples, names_ids
from drepm_pyg.models.multimodal import MultimodalModel, similarity_graphs
from drepm_pyg.models.objective import PairwiseObjective
from drepm_pyg.nn import BehaviorEncoder, KNNGraphConv
from drepm_pyg.nn.losses import InfoNCELoss
from drepm_pyg.nn.projection import ModalityProjection
from drepm_pyg.nn.structure import bipartite_structure
from drepm_pyg.typing import Float, Tensor

__all__ = ["MGCN", "BehaviorAwareFuser"]


class BehaviorAwareFuser(nn.Module):
    r"""Split the modalities' views into what they share and what is special to each, and weigh the latter by behaviour.

    .. math::
        \alpha_m &= \mathrm{softmax}_m (q^\top \tanh(W \bar{e}_m + b)), \quad e_* = \sum_m \alpha_m \bar{e}_m
            && \text{(Eq. 8-10)} \\
        \tilde{e}_m &= \sigma(W'_m \bar{e}_{id} + b'_m) \odot (\bar{e}_m - e_*) && \text{(Eq. 11-13)} \\
        e_{mul} &= \frac{1}{|M| + 1} \Big(e_* + \sum_m \tilde{e}_m\Big) && \text{(Eq. 14)}

    With a single modality :math:`e_* = \bar{e}_m` and the fuser is half of it, without parameters.

    Args:
        num_modalities: number of views.
        channels: width D.

    Shapes:
        views: list of float ``[N, D]``; behavior: float ``[N, D]``; returns float ``[N, D]``
    """

    def __init__(self, num_modalities: int, channels: int) -> None:
        super().__init__()
        self.num_modalities = num_modalities
        if num_modalities == 1:  # nothing is shared, nothing is special: no parameter would ever get a gradient
            return
        self.attention = nn.Sequential(nn.Linear(channels, channels), nn.Tanh(), nn.Linear(channels, 1, bias=False))
        self.preferences = nn.ModuleList(nn.Linear(channels, channels) for _ in range(num_modalities))

    def forward(self, views: list[Float[Tensor, "N D"]], behavior: Float[Tensor, "N D"]) -> Float[Tensor, "N D"]:
        if self.num_modalities == 1:
            return views[0] / 2
        stacked = torch.stack(views)
        share = self.attention(stacked).softmax(dim=0)  # Eq. 8-9
        common = (share * stacked).sum(dim=0)  # Eq. 10
        gates = torch.stack([preference(behavior).sigmoid() for preference in self.preferences])
        specific = gates * (stacked - common)  # Eq. 11-13
        return (common + specific.sum(dim=0)) / (len(views) + 1)  # Eq. 14

    def reset_parameters(self) -> None:
        """Draw every linear map anew."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                module.reset_parameters()


class MGCN(MultimodalModel):
    r"""Features purified by behaviour, a user-item view and item-item views, fused by what behaviour prefers.

    "Multi-View Graph Convolutional Network for Multimedia Recommendation", ACM MM 2023,
    https://arxiv.org/abs/2308.03588

    .. math::
        \dot{e}_m &= x_m W_m + b_m, \quad \ddot{e}_m = e_{id} \odot \sigma(\dot{e}_m W'_m + b'_m) && \text{(Eq. 1-2)} \\
        \bar{e}_{id} &= \mathrm{LightGCN}(e_{id}) && \text{(Eq. 3-4)} \\
        \bar{e}_{i,m} &= (\tilde{S}_m \ddot{e}_m)_i, \quad
        \bar{e}_{u,m} = \sum_{i \in \mathcal{I}_u} \frac{\bar{e}_{i,m}}{\sqrt{d_u d_i}} && \text{(Eq. 5-7)} \\
        e &= \bar{e}_{id} + e_{mul} \quad (\text{see } \texttt{BehaviorAwareFuser}) && \text{(Eq. 8-15)} \\
        \mathcal{L} &= \mathrm{BPR}(e) + \lambda_C \, [\mathrm{InfoNCE}(e_{mul}, \bar{e}_{id})]_{\text{users + items}}
            + \lambda \, \Omega(e) && \text{(Eq. 16-18)}

    The item graphs are part of the data and keep their cosine weights
    (:class:`drepm_pyg.graph.AddSimilarityGraphs` with ``k=10, loop=True, return_weight=True, nodes=("item",)``).
    An absent modality gives a zero view. The behaviour line is :math:`\bar{e}_{id}`, the modal line :math:`e_{mul}`.

    Deviations from the paper: the sum of the fuser is divided by :math:`|M| + 1`, as in the authors' code; the
    published numbers also train the raw features, here they are frozen inputs.

    Args:
        num_users: number of users U.
        num_items: number of items I.
        in_channels: width F of the raw features of each modality.
        embedding_dim: width D.
        num_layers: propagations over the user-item graph.
        num_item_layers: propagations over each item graph.
        cl_weight: weight :math:`\lambda_C` of the contrastive loss.
        temperature: :math:`\tau` of the contrastive loss.
        reg: weight :math:`\lambda` of the L2 penalty on the batch's final rows.
        l2_form: form :math:`\Omega` of the penalty, see :func:`drepm_pyg.nn.functional.embedding_l2`.

    Reference:
        MGCN | 2023 | ACM MM | ids, features, user-item graph, item graph, contrastive | Eq. 1-18
    """

    graph_nodes = ("item",)

    def __init__(
        self,
        num_users: int,
        num_items: int,
        in_channels: Mapping[str, int],
        embedding_dim: int = 64,
        num_layers: int = 2,
        num_item_layers: int = 1,
        *,
        cl_weight: float = 0.01,
        temperature: float = 0.2,
        reg: float = 1e-4,
        l2_form: str = "half_squared",
    ) -> None:
        super().__init__(num_users, num_items, in_channels)
        check_at_least(1, num_item_layers=num_item_layers)
        check_non_negative(cl_weight=cl_weight)
        self.num_item_layers, self.cl_weight = num_item_layers, cl_weight
        self.encoder = BehaviorEncoder(num_users, num_items, embedding_dim, num_layers)
        self.projection = ModalityProjection(self.in_channels, embedding_dim)
        self.gates = ModalityProjection(dict.fromkeys(self.in_channels, embedding_dim), embedding_dim)
        self.item_conv = KNNGraphConv()
        self.fuser = BehaviorAwareFuser(len(self.in_channels), embedding_dim)
        self.contrast = InfoNCELoss(temperature=temperature)
        self.objective = PairwiseObjective(reg, l2_form=l2_form)

    def purified(self, data: HeteroData) -> dict[str, Float[Tensor, "I D"]]:
        """Features that behaviour has filtered (Eq. 1-2), zero where the item lacks the modality."""
        masks, item_id = self.masks(data), self.encoder.item_embedding.weight
        gates = self.gates(self.projection(self.features(data), masks))
        rows = {name: item_id * gate.sigmoid() for name, gate in gates.items()}
        return {name: x * masks[name].unsqueeze(1) if name in masks else x for name, x in rows.items()}

    def forward(self, data: HeteroData) -> Representations:
        edge_index = training_pairs(data)
        behavior_user, behavior_item = self.encoder(edge_index)  # Eq. 3-4
        graphs = similarity_graphs(data, "item", self.in_channels)
        users_of_items = bipartite_structure(edge_index, self.num_users, self.num_items)
        views = []
        for name, item in self.purified(data).items():
            for _ in range(self.num_item_layers):
                item = self.item_conv(item, *graphs[name])  # Eq. 5-6
            user = users_of_items.matmul(torch.cat([item.new_zeros(self.num_users, item.size(1)), item]))
            views.append(torch.cat([user[: self.num_users], item]))  # Eq. 7
        modal = self.fuser(views, torch.cat([behavior_user, behavior_item]))  # Eq. 8-14
        modal_user, modal_item = modal.split([self.num_users, self.num_items])
        user, item = behavior_user + modal_user, behavior_item + modal_item  # Eq. 15
        return Representations(user, item, behavior_user, behavior_item, modal_user, modal_item)

    @names_ids
    def loss(self, data: HeteroData, batch: Triples) -> LossOutput:
        """Eq. 18: the parts ``bpr``, ``reg`` and ``contrast``, each with its weight."""
        tables = self(data)
        parts = self.objective(tables, batch, regularized=tables)  # Eq. 16
        if self.cl_weight > 0 and tables.behavior is not None and tables.modal is not None:
            user, item = (
                self.contrast(modal[ids], behavior[ids], anchor_id=ids, positive_id=ids)
                for modal, behavior, ids in (
                    (tables.modal.user, tables.behavior.user, batch.user),
                    (tables.modal.item, tables.behavior.item, batch.positive),
                )
            )
            parts["contrast"] = self.cl_weight * (user + item)  # Eq. 17
        return LossOutput.from_parts(**parts)
