"""DualGNN: modal graphs over user-item pairs, then a graph of users who buy alike."""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F
from torch_geometric.data import HeteroData
from torch_geometric.utils import softmax

from drepm_pyg._checks import check_at_least, check_non_negative
from drepm_pyg._memo import memoize
from drepm_pyg.data.schema import training_pairs
from drepm_pyg.graph import user_cooccurrence_graph
from drepm_pyg.models.base import LossOutput, Representations, Triples, names_ids, triple_scores
from drepm_pyg.models.multimodal import MultimodalModel
from drepm_pyg.nn.functional import normalize_rows
from drepm_pyg.nn.losses import BPRLoss
from drepm_pyg.nn.modality_dict import ModalityDict
from drepm_pyg.nn.overrides import is_as_written
from drepm_pyg.nn.projection import FeatureMLP
from drepm_pyg.nn.structure import SparseStructure, bipartite_structure, exact_weight, graph_structure
from drepm_pyg.typing import Tensor

__all__ = ["DualGNN"]


class DualGNN(MultimodalModel):
    r"""Per-modality propagation with preference tables, weighted per user, smoothed over the user co-occurrence graph.

    "DualGNN: Dual Graph Neural Network for Multimedia Recommendation", IEEE TMM 2021,
    https://doi.org/10.1109/TMM.2021.3138298

    .. math::
        x^{(0)}_{u,m} &= p_{u,m}, \qquad x^{(0)}_{i,m} = \mathrm{MLP}_m(f_{i,m}), \quad \text{rows L2-normalised} \\
        x_m &= x^{(0)}_m + \hat{A} x^{(0)}_m + \hat{A}^2 x^{(0)}_m && \text{(single-modal representations)} \\
        e_u &= \sum_m \alpha_{u,m} \, x_{u,m}, \quad \alpha_u = \mathrm{softmax}(w_u), \qquad e_i = \sum_m x_{i,m}
            && \text{(fusion)} \\
        \hat{e}_u &= e_u + \sum_{v \in N_u} \mathrm{softmax}_v(|\mathcal{I}_u \cap \mathcal{I}_v|) \, e_v
            && \text{(user co-occurrence graph)} \\
        \mathcal{L} &= \mathrm{BPR}(\hat{e}_u \cdot e_i) + \lambda \Big(\sum_m \|p_{u,m}\|^2 + \|w\|^2\Big)

    After the row normalisation everything is linear, so the representations split exactly: the behaviour line is what
    the preference tables contribute, the modal line what the features contribute; their sum ranks. An item without a
    modality enters it as zeros.

    Deviations from the paper: the penalty is the mean square of the batch's preference rows and of the users' weights,
    as in the published port. That port adds the text representation into the visual one in place before the users'
    weights are applied; here each modality keeps its own.

    Args:
        num_users: number of users U.
        num_items: number of items I.
        in_channels: width F of the raw features of each modality; they are frozen.
        embedding_dim: width D.
        k: neighbours of a user in the co-occurrence graph.
        reg: weight :math:`\lambda` of the penalty.

    Reference:
        DualGNN | 2021 | IEEE TMM | ids, features, user-item graph, user graph | single-modal, fusion, user graph
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        in_channels: Mapping[str, int],
        embedding_dim: int = 64,
        *,
        k: int = 40,
        reg: float = 1e-4,
    ) -> None:
        super().__init__(num_users, num_items, in_channels)
        check_at_least(1, embedding_dim=embedding_dim, k=k)
        check_non_negative(reg=reg)
        self.k, self.reg = k, reg
        self.preferences = ModalityDict({name: nn.Embedding(num_users, embedding_dim) for name in self.in_channels})
        self.modality_logits = nn.Parameter(torch.empty(num_users, len(self.in_channels)))
        self.mlp = FeatureMLP(self.in_channels, embedding_dim)
        self.bpr = BPRLoss()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw tables and weights (Xavier normal) and the MLPs."""
        for table in self.preferences.values():
            nn.init.xavier_normal_(table.weight)
        nn.init.xavier_normal_(self.modality_logits)
        self.mlp.reset_parameters()

    def user_graph(self, data: HeteroData) -> SparseStructure:
        """The co-occurrence graph of the training pairs with softmax weights, built once per data set."""
        edge_index = training_pairs(data)

        def build() -> SparseStructure:
            graph, shared = user_cooccurrence_graph(edge_index, self.num_users, self.num_items, self.k)
            share = softmax(exact_weight(graph[1], shared), graph[1], num_nodes=self.num_users)
            return graph_structure(graph, share, self.num_users, normalize=False)

        return memoize(("cooccurrence", self.num_users, self.num_items, self.k), build, edge_index)

    def forward(self, data: HeteroData) -> Representations:
        user, item = self._fused(data, apart=True)
        (behavior_user, modal_user), (behavior_item, modal_item) = user.chunk(2, dim=1), item.chunk(2, dim=1)
        return Representations(
            behavior_user + modal_user,
            behavior_item + modal_item,
            behavior_user,
            behavior_item,
            modal_user,
            modal_item,
        )

    def _fused(self, data: HeteroData, *, apart: bool) -> tuple[Tensor, Tensor]:
        """Users and items, fused over the modalities; the parts of the preference tables and of the features ``apart``,
        side by side, or their sum: half as wide.
        """
        adjacency = bipartite_structure(training_pairs(data), self.num_users, self.num_items)
        share = self.modality_logits.softmax(dim=1)
        features = self.mlp(self.features(data), self.masks(data))
        totals: list[Tensor] = []
        for column, (item, preference) in enumerate(zip(features.values(), self.preferences.values(), strict=True)):
            user, item = normalize_rows(preference.weight), normalize_rows(item)
            weight = torch.cat([share[:, column], share.new_ones(self.num_items)]).unsqueeze(1)
            if apart:
                user, item = F.pad(user, (0, user.size(1))), F.pad(item, (item.size(1), 0))
            x = torch.cat([user, item]).to(share.dtype)  # half rows were normalised in float32
            first = adjacency.matmul(x)
            totals.append(weight * (x + first + adjacency.matmul(first)))
        user, item = torch.stack(totals).sum(dim=0).split([self.num_users, self.num_items])
        return user + self.user_graph(data).matmul(user), item

    @names_ids
    def loss(self, data: HeteroData, batch: Triples) -> LossOutput:
        """The parts ``bpr`` and ``reg``."""
        whole = is_as_written(self, DualGNN)  # then the sum of the two lines is enough
        tables = Representations(*self._fused(data, apart=False)) if whole else self(data)
        bpr = self.bpr(*triple_scores(*batch.rows(tables.user, tables.item)))
        squares = [table(batch.user).square().mean() for table in self.preferences.values()]
        squares.append(self.modality_logits.square().mean())
        return LossOutput.from_parts(bpr=bpr, reg=self.reg * torch.stack(squares).sum())
