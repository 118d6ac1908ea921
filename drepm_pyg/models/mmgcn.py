"""MMGCN: one graph network per modality over the user-item graph, tied by shared ID embeddings."""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_at_least, check_choice
from drepm_pyg.data.schema import training_pairs
from drepm_pyg.models.base import LossOutput, Representations, Triples, names_ids
from drepm_pyg.models.multimodal import MultimodalModel
from drepm_pyg.models.objective import PairwiseObjective
from drepm_pyg.nn.modality_dict import ModalityDict
from drepm_pyg.nn.projection import ModalityProjection
from drepm_pyg.nn.structure import SparseStructure, mean_structure
from drepm_pyg.typing import Float, Tensor

__all__ = ["MMGCN"]

_COMBINATIONS = ("element", "concat")


class _ModalityLayer(nn.Module):
    """Aggregation and combination of one modality (Eq. 1-5)."""

    def __init__(self, channels: int, combination: str) -> None:
        super().__init__()
        self.combination = combination
        self.aggregate = nn.Linear(channels, channels, bias=False)
        self.self_loop = nn.Linear(channels, channels)
        self.combine = nn.Linear(channels * (2 if combination == "concat" else 1), channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every W (Xavier normal), set every b to zero."""
        for linear in (self.aggregate, self.self_loop, self.combine):
            nn.init.xavier_normal_(linear.weight)
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)

    def forward(
        self, x: Float[Tensor, "N D"], neighbors: Float[Tensor, "N D"], identity: Float[Tensor, "N D"]
    ) -> Float[Tensor, "N D"]:
        """``neighbors`` is the mean over each node's neighbours, ``identity`` the ID embeddings."""
        h = F.leaky_relu(self.aggregate(neighbors))  # Eq. 1-2: the mean is linear, so W_1 comes after it
        x_hat = F.leaky_relu(self.self_loop(x)) + identity  # Eq. 4
        if self.combination == "concat":
            return F.leaky_relu(self.combine(torch.cat([h, x_hat], dim=1)))  # Eq. 3
        return F.leaky_relu(self.combine(h) + x_hat)  # Eq. 5


class _ModalityNetwork(nn.Module):
    """The layers of one modality over the user-item graph."""

    def __init__(self, channels: int, num_layers: int, combination: str) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(_ModalityLayer(channels, combination) for _ in range(num_layers)))

    def reset_parameters(self) -> None:
        """Draw every layer anew."""
        for module in self.modules():
            if isinstance(module, _ModalityLayer):
                module.reset_parameters()

    def forward(self, x: Tensor, identity: Tensor, to_user: SparseStructure, to_item: SparseStructure) -> Tensor:
        """Users come first in ``x`` and ``identity``; the structures average over each side's neighbours."""
        for layer in self.layers:
            user, item = x.split([to_user.size[0], to_item.size[0]])
            neighbors = torch.cat([to_user.matmul(item), to_item.matmul(user)])
            x = layer(x, neighbors, identity)
        return x


class MMGCN(MultimodalModel):
    r"""Multi-modal graph convolution network for personalised recommendation of micro-videos.

    "MMGCN: Multi-modal Graph Convolution Network for Personalized Recommendation of Micro-video", ACM MM 2019,
    https://doi.org/10.1145/3343031.3351034

    .. math::
        h_m &= \mathrm{LeakyReLU}\Big(\frac{1}{|N_u|} \sum_{j \in N_u} W_{1,m} \, j_m\Big) && \text{(Eq. 1-2)} \\
        \hat{u}_m &= \mathrm{LeakyReLU}(W_{2,m} u_m) + u_{id} && \text{(Eq. 4)} \\
        u_m' &= \mathrm{LeakyReLU}(W_{3,m} [h_m \| \hat{u}_m]) \;\text{(Eq. 3)} \quad\text{or}\quad
            \mathrm{LeakyReLU}(W_{3,m} h_m + \hat{u}_m) \;\text{(Eq. 5)} \\
        u^* &= \sum_m u_m^{(L)}, \qquad i^* = \sum_m i_m^{(L)} && \text{(Eq. 8)} \\
        \mathcal{L} &= -\textstyle\sum \ln \sigma(u^* \cdot i^* - u^* \cdot i'^*) + \lambda \, \Omega(\Theta)
            && \text{(Eq. 9)}

    Items enter as projected features, users as a trained table per modality. An item without a modality enters it as
    zeros and is reached by its neighbours. The behaviour line is the ID embeddings, which all modalities share; the
    modal line is :math:`u^*, i^*`.

    Deviations from the paper: features are projected to width D before the first layer; biases in the linear maps; the
    penalty runs over the batch's ID embeddings. The published port registers no ID table as a parameter, so that it
    stays as drawn: here it is trained.

    Args:
        num_users: number of users U.
        num_items: number of items I.
        in_channels: width F of the raw features of each modality; they are frozen.
        embedding_dim: width D.
        num_layers: layers L of every modality's network.
        combination: ``"element"`` (Eq. 5) or ``"concat"`` (Eq. 3).
        reg: weight :math:`\lambda` of the L2 penalty.
        l2_form: form :math:`\Omega` of the penalty, see :func:`drepm_pyg.nn.functional.embedding_l2`.

    Reference:
        MMGCN | 2019 | ACM MM | ids, features, user-item graph | Eq. 1-9
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        in_channels: Mapping[str, int],
        embedding_dim: int = 64,
        num_layers: int = 2,
        *,
        combination: str = "element",
        reg: float = 1e-3,
        l2_form: str = "half_squared",
    ) -> None:
        super().__init__(num_users, num_items, in_channels)
        check_at_least(1, embedding_dim=embedding_dim, num_layers=num_layers)
        check_choice(_COMBINATIONS, combination=combination)
        self.user_embedding = nn.Embedding(num_users, embedding_dim)
        self.item_embedding = nn.Embedding(num_items, embedding_dim)
        self.preferences = ModalityDict({name: nn.Embedding(num_users, embedding_dim) for name in self.in_channels})
        self.projection = ModalityProjection(self.in_channels, embedding_dim)
        self.networks = ModalityDict(
            {name: _ModalityNetwork(embedding_dim, num_layers, combination) for name in self.in_channels}
        )
        self.objective = PairwiseObjective(reg, l2_form=l2_form)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the tables and the linear maps (Xavier)."""
        for table in self.modules():
            if isinstance(table, nn.Embedding):
                nn.init.xavier_normal_(table.weight)
        self.projection.reset_parameters()
        for network in self.networks.values():
            network.reset_parameters()

    def forward(self, data: HeteroData) -> Representations:
        to_user = mean_structure(training_pairs(data), self.num_users, self.num_items)
        to_item = mean_structure(training_pairs(data), self.num_items, self.num_users, reverse=True)
        identity = torch.cat([self.user_embedding.weight, self.item_embedding.weight])
        total = torch.zeros_like(identity)
        for name, item in self.projection(self.features(data), self.masks(data)).items():
            x = torch.cat([self.preferences[name].weight, item])
            total = total + self.networks[name](x, identity, to_user, to_item)  # Eq. 8
        user, item = total.split([self.num_users, self.num_items])
        return Representations(user, item, self.user_embedding.weight, self.item_embedding.weight, user, item)

    @names_ids
    def loss(self, data: HeteroData, batch: Triples) -> LossOutput:
        """Eq. 9: the parts ``bpr`` and ``reg``."""
        tables = self(data)
        identity = Representations(self.user_embedding.weight, self.item_embedding.weight)
        return LossOutput.from_parts(**self.objective(tables, batch, regularized=identity))
