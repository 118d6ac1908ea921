"""VBPR: matrix factorisation with a second half that comes from the features."""

from collections.abc import Mapping

import torch
from torch import nn
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_at_least
from drepm_pyg.models.base import LossOutput, Representations, Triples, names_ids
from drepm_pyg.models.multimodal import MultimodalModel, NamedItems
from drepm_pyg.models.objective import PairwiseObjective
from drepm_pyg.nn.overrides import is_as_written
from drepm_pyg.nn.projection import ConcatProjection

__all__ = ["VBPR"]


class VBPR(MultimodalModel):
    r"""Matrix factorisation whose items are half ID embedding, half projected features.

    "VBPR: Visual Bayesian Personalized Ranking from Implicit Feedback", AAAI 2016, https://arxiv.org/abs/1510.01784

    .. math::
        \hat{y}_{ui} = \gamma_u \cdot \gamma_i + \theta_u \cdot (E f_i), \qquad
        \mathcal{L} = \frac{1}{B} \sum -\ln \sigma(\hat{y}_{ui} - \hat{y}_{ui'}) + \lambda \, \Omega(\Theta)

    (Eq. 4 and 9). :math:`f_i` is the concatenation of the item's modalities; an absent one counts as zeros. The ID
    halves :math:`\gamma` are the behaviour line, :math:`\theta_u` and :math:`E f_i` the modal line.

    Deviations from the paper, as in the published multimodal comparisons: no biases (:math:`\alpha, \beta_u, \beta_i`,
    and the visual bias :math:`\beta'^\top f_i`), a bias in the projection, several modalities, Xavier-uniform tables,
    and the ``"norm"`` form of the penalty on the concatenated rows of the batch.

    Args:
        num_users: number of users U.
        num_items: number of items I.
        in_channels: width F of the raw features of each modality; they are frozen.
        embedding_dim: width D of each half; the tables are 2 D wide.
        reg: weight :math:`\lambda` of the L2 penalty on the batch's rows of both tables.
        l2_form: form :math:`\Omega` of the penalty, see :func:`drepm_pyg.nn.functional.embedding_l2`.

    Reference:
        VBPR | 2016 | AAAI | ids, features | Eq. 4, 9
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        in_channels: Mapping[str, int],
        embedding_dim: int = 64,
        *,
        reg: float = 1.0,
        l2_form: str = "norm",
    ) -> None:
        super().__init__(num_users, num_items, in_channels)
        check_at_least(1, embedding_dim=embedding_dim)
        self.embedding_dim = embedding_dim
        self.user_embedding = nn.Embedding(num_users, 2 * embedding_dim)
        self.item_embedding = nn.Embedding(num_items, embedding_dim)
        self.projection = ConcatProjection(self.in_channels, embedding_dim)
        self.objective = PairwiseObjective(reg, l2_form=l2_form)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw both tables (Xavier uniform) and the projection."""
        nn.init.xavier_uniform_(self.user_embedding.weight)
        nn.init.xavier_uniform_(self.item_embedding.weight)
        self.projection.reset_parameters()

    def forward(self, data: HeteroData) -> Representations:
        user, item_id = self.user_embedding.weight, self.item_embedding.weight
        item_visual = self.projection(self.features(data), self.masks(data))
        user_id, user_visual = user.split(self.embedding_dim, dim=1)
        item = torch.cat([item_id, item_visual], dim=1)
        # Eq. 4: both halves in one product
        return Representations(user, item, user_id, item_id, user_visual, item_visual)

    @names_ids
    def loss(self, data: HeteroData, batch: Triples) -> LossOutput:
        """Eq. 9: the parts ``bpr`` and ``reg``."""
        parts = ((self, VBPR), (self.projection, ConcatProjection), (self.objective, PairwiseObjective))
        if not all(is_as_written(part, owner) for part, owner in parts):
            tables = self(data)
            return LossOutput.from_parts(**self.objective(tables, batch, regularized=tables))
        named = NamedItems(batch, self.num_items)
        visual = named.rows_of(self.projection(named.of_each(self.features(data)), named.of_each(self.masks(data))))
        user = self.user_embedding.weight.index_select(0, batch.user)
        item = torch.cat([self.item_embedding.weight.index_select(0, batch.items), visual], dim=1)
        rows = batch.split(user, item)
        return LossOutput.from_parts(**self.objective.of_rows(rows, rows))
