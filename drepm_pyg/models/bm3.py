"""BM3: bootstrapped representations, without negatives."""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional as F
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_choice, check_fraction, check_non_negative
from drepm_pyg.data.schema import training_pairs
from drepm_pyg.models.base import LossOutput, Representations, Triples, names_ids
from drepm_pyg.models.multimodal import MultimodalModel
from drepm_pyg.nn import BehaviorEncoder
from drepm_pyg.nn.functional import L2_FORMS, embedding_l2
from drepm_pyg.nn.functional.rows import row_cosines
from drepm_pyg.nn.overrides import is_as_written
from drepm_pyg.nn.projection import ModalityProjection
from drepm_pyg.nn.structure import mean_structure
from drepm_pyg.typing import Float, Tensor

__all__ = ["BM3"]


def cosine_distance(online: Float[Tensor, "B D"], target: Float[Tensor, "B D"]) -> Float[Tensor, " B"]:
    """One minus the cosine, 1 for a zero row; no gradient reaches the target."""
    return 1 - row_cosines(online, target.detach())


class BM3(MultimodalModel):
    r"""Self-supervised multimodal recommendation: each view predicts a dropped-out, gradient-free copy of another.

    "Bootstrap Latent Representations for Multi-modal Recommendation", WWW 2023, https://arxiv.org/abs/2207.05969

    .. math::
        h_u &= \mathrm{LightGCN}(E)_u, \quad h_i = \mathrm{LightGCN}(E)_i + e_i, \quad h_m = x_m W_m + b_m
            && \text{(Eq. 1-3)} \\
        \tilde{h} &= h W_p + b_p, \qquad \dot{h} = \mathrm{dropout}(\mathrm{sg}(h)) && \text{(Eq. 4-5)} \\
        \mathcal{L}_{rec} &= C(\tilde{h}_u, \dot{h}_i) + C(\tilde{h}_i, \dot{h}_u), \quad C = 1 - \cos
            && \text{(Eq. 6-7)} \\
        \mathcal{L}_{align} &= \sum_m C(\tilde{h}_m, \dot{h}_i), \quad
        \mathcal{L}_{mask} = \sum_m C(\tilde{h}_m, \dot{h}_m) && \text{(Eq. 8-9)} \\
        \mathcal{L} &= \mathcal{L}_{rec} + \eta (\mathcal{L}_{align} + \mathcal{L}_{mask}) + \lambda \, \Omega(h)
            && \text{(Eq. 10)} \\
        \hat{y}_{ui} &= \tilde{h}_u \cdot \tilde{h}_i && \text{(Eq. 11)}

    The behaviour line is :math:`h`; the modal line of an item is the mean of its :math:`h_m` (0 for a modality it
    lacks), that of a user the mean over its training items. An item without a modality takes no part in that modality's
    losses: it adds 0 to their means over the batch.

    Deviations from the paper: the published numbers also train the raw features; here they are frozen inputs. The
    penalty runs over all rows of :math:`h`, as in the authors' code (``"norm"`` form: unsquared norms).

    Args:
        num_users: number of users U.
        num_items: number of items I.
        in_channels: width F of the raw features of each modality.
        embedding_dim: width D of every view.
        num_layers: propagations of the LightGCN.
        dropout: probability that an entry of a target is dropped.
        cl_weight: weight :math:`\eta` of the modality losses.
        reg: weight :math:`\lambda` of the L2 penalty.
        l2_form: form :math:`\Omega` of the penalty, see :func:`drepm_pyg.nn.functional.embedding_l2`.

    Reference:
        BM3 | 2023 | WWW | ids, features, user-item graph, contrastive (no negatives) | Eq. 1-11
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        in_channels: Mapping[str, int],
        embedding_dim: int = 64,
        num_layers: int = 1,
        *,
        dropout: float = 0.5,
        cl_weight: float = 2.0,
        reg: float = 0.1,
        l2_form: str = "norm",
    ) -> None:
        super().__init__(num_users, num_items, in_channels)
        check_fraction(dropout=dropout)
        check_non_negative(cl_weight=cl_weight, reg=reg)
        check_choice(L2_FORMS, l2_form=l2_form)
        self.dropout, self.cl_weight, self.reg, self.l2_form = dropout, cl_weight, reg, l2_form
        self.encoder = BehaviorEncoder(num_users, num_items, embedding_dim, num_layers)
        self.projection = ModalityProjection(self.in_channels, embedding_dim)
        self.predictor = nn.Linear(embedding_dim, embedding_dim)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw tables, projections and predictor (Xavier)."""
        self.encoder.reset_parameters()
        self.projection.reset_parameters()
        nn.init.xavier_normal_(self.predictor.weight)
        nn.init.zeros_(self.predictor.bias)

    def behavior(self, data: HeteroData) -> tuple[Float[Tensor, "U D"], Float[Tensor, "I D"]]:
        """The views from interactions (Eq. 1-2): LightGCN, and for items their own embedding once more."""
        user, item = self.encoder(training_pairs(data))
        return user, item + self.encoder.item_embedding.weight

    def forward(self, data: HeteroData) -> Representations:
        user, item = self.behavior(data)
        modal_item = torch.stack(list(self.projection(self.features(data), self.masks(data)).values())).mean(dim=0)
        modal_user = mean_structure(training_pairs(data), self.num_users, self.num_items).matmul(modal_item)
        return Representations(self.predictor(user), self.predictor(item), user, item, modal_user, modal_item)  # Eq. 11

    def target(self, view: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """The contrastive view (Eq. 4): the same numbers without gradient, some of them dropped."""
        return F.dropout(view.detach(), self.dropout, self.training)

    @names_ids
    def loss(self, data: HeteroData, batch: Triples) -> LossOutput:
        """Eq. 10: the parts ``rec``, ``align``, ``mask`` and ``reg``, each with its weight; negatives are not used."""
        h, online = self._views(data, batch)
        user, item = h.user.index_select(0, batch.user), h.item.index_select(0, batch.positive)
        online_user, online_item = online or (self.predictor(user), self.predictor(item))
        target_user, target_item = self.target(user), self.target(item)
        rec = cosine_distance(online_user, target_item) + cosine_distance(online_item, target_user)  # Eq. 6-7

        masks = {name: mask.index_select(0, batch.positive) for name, mask in self.masks(data).items()}
        features = {name: x.index_select(0, batch.positive) for name, x in self.features(data).items()}
        align, mask_loss = rec.new_zeros(()), rec.new_zeros(())
        for name, view in self.projection(features, masks).items():
            present = masks[name].to(view.dtype) if name in masks else view.new_ones(len(view))
            online = self.predictor(view)
            align = align + (present * cosine_distance(online, target_item)).mean()  # Eq. 8
            mask_loss = mask_loss + (present * cosine_distance(online, self.target(view))).mean()  # Eq. 9

        return LossOutput.from_parts(
            rec=rec.mean(),
            align=self.cl_weight * align,
            mask=self.cl_weight * mask_loss,
            reg=self.reg * embedding_l2(h.user, h.item, form=self.l2_form),
        )

    def _views(self, data: HeteroData, batch: Triples) -> tuple[Representations, tuple[Tensor, Tensor] | None]:
        """:math:`h`, and the batch's rows of what ranks where a subclass or a hook may have changed it."""
        if is_as_written(self, BM3):
            return Representations(*self.behavior(data)), None
        tables = self(data)
        h = tables.behavior
        if h is None:
            raise ValueError(
                "BM3's loss compares with the behaviour line, and the Representations of forward have no "
                "'behavior_user' and 'behavior_item'. Return them, too."
            )
        return h, (tables.user.index_select(0, batch.user), tables.item.index_select(0, batch.positive))
