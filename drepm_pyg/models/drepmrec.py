"""DRepMRec: a behaviour line and a modal line, aligned and summed."""

from collections.abc import Mapping

from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_at_least
from drepm_pyg.data.schema import training_pairs
from drepm_pyg.models.alignment import BehaviorModalAlignment
from drepm_pyg.models.base import LossOutput, Representations, Triples, names_ids
from drepm_pyg.models.multimodal import MultimodalModel, similarity_graphs
from drepm_pyg.models.objective import PairwiseObjective
from drepm_pyg.nn import BehaviorEncoder, ModalEncoder
from drepm_pyg.nn.behavior_encoder import Readout
from drepm_pyg.nn.losses import BMALoss
from drepm_pyg.nn.overrides import has_rows, is_as_written
from drepm_pyg.typing import Tensor

__all__ = ["DRepMRec"]


class DRepMRec(MultimodalModel):
    r"""Dual representation learning: one line learns from interactions, one from the modalities.

    "DRepMRec: A Dual Representation Learning Framework for Multimodal Recommendation", 2024,
    https://arxiv.org/abs/2404.11119v1

    .. math::
        \bar{E}_B &= \mathrm{Readout}(E_B^0, \dots, E_B^L), \quad E_B^{l+1} = D^{-1/2} A D^{-1/2} E_B^l
            && \text{(Eq. 1-3)} \\
        \bar{E}_M &= \sum_m \alpha_m \tilde{S}_m \, (\sigma(E_m W_m + b_m) \odot E_B^0) && \text{(Eq. 4-7)} \\
        E_G &= \bar{E}_B + \bar{E}_M, \qquad \hat{y}_{ui} = e_G^u \cdot e_G^i && \text{(Eq. 13, 16)} \\
        \mathcal{L} &= \mathcal{L}_{BPR} + \alpha \mathcal{L}_{Intra} + \beta \mathcal{L}_{Inter}
            + \gamma \mathcal{L}_{SSS} + \lambda \, \Omega(E_B^0) && \text{(Eq. 8-15)}

    The similarity graphs :math:`\tilde{S}_m` of items and users are part of the data
    (:class:`drepm_pyg.graph.AddSimilarityGraphs` with ``k=10, loop=True``, as in the paper).

    What the paper leaves open: the batch means instead of sums (so that the weights do not depend on the batch size);
    rows normalised before InfoNCE; inter-alignment and SSS over the batch's distinct users and items; the target of SSS
    is :math:`\sum_m \alpha_m \cos_m`, as raw features of different widths cannot be summed (Eq. 12); mean of squares
    for its norm. The paper tunes :math:`\alpha, \beta, \gamma` by data set and prints no value.

    Args:
        num_users: number of users U.
        num_items: number of items I.
        in_channels: width F of the raw features of each modality.
        embedding_dim: width D of the representations.
        num_layers: propagations L of the behaviour line.
        num_modal_layers: propagations over each similarity graph.
        readout: ``"mean"``, ``"sum"``, ``"last"``, or any callable on the list of layers (Eq. 3).
        weights: modality weights :math:`\alpha_m`, sum 1; None: 0.3 / 0.7 for exactly image and text, else equal.
        alpha: weight of the intra-alignment; a part with weight 0 is not computed.
        beta: weight of the inter-alignment.
        gamma: weight of the similarity-supervised signal.
        temperature: :math:`\tau` of every InfoNCE.
        normalize: L2-normalise the rows before InfoNCE.
        distinct: inter-alignment and SSS run over the distinct users and items of the batch.
        mask_false_negatives: leave training pairs of a user out of its negatives in the intra-alignment.
        mask_duplicates: leave further rows with the same item out of the negatives in the intra-alignment.
        sss_metric: ``"cosine"`` or ``"dot"``: how the modal rows are compared with one another (Eq. 12).
        sss_reduction: ``"mean"`` of squares, ``"frobenius"`` norm, or ``"frobenius_per_row"``.
        reg: weight :math:`\lambda` of the L2 penalty on the batch's rows of :math:`E_B^0`.
        l2_form: form :math:`\Omega` of the penalty, see :func:`drepm_pyg.nn.functional.embedding_l2`.

    Reference:
        DRepMRec | 2024 | arXiv | ids, features, user-item graph, user graph, item graph, contrastive | Eq. 1-16
    """

    graph_nodes = ("item", "user")

    def __init__(
        self,
        num_users: int,
        num_items: int,
        in_channels: Mapping[str, int],
        embedding_dim: int = 64,
        *,
        num_layers: int = 2,
        num_modal_layers: int = 1,
        readout: str | Readout = "mean",
        weights: Mapping[str, float] | None = None,
        alpha: float = 0.01,
        beta: float = 0.01,
        gamma: float = 0.1,
        temperature: float = 0.2,
        normalize: bool = True,
        distinct: bool = True,
        mask_false_negatives: bool = False,
        mask_duplicates: bool = False,
        sss_metric: str = "cosine",
        sss_reduction: str = "mean",
        reg: float = 1e-4,
        l2_form: str = "half_squared",
    ) -> None:
        super().__init__(num_users, num_items, in_channels)
        check_at_least(1, num_modal_layers=num_modal_layers)
        self.behavior_line = BehaviorEncoder(num_users, num_items, embedding_dim, num_layers, readout=readout)
        self.modal_line = ModalEncoder(self.in_channels, embedding_dim, weights=weights, num_layers=num_modal_layers)
        bma = BMALoss(
            alpha,
            beta,
            gamma,
            temperature=temperature,
            normalize=normalize,
            distinct=distinct,
            mask_duplicates=mask_duplicates,
            sss_metric=sss_metric,
            sss_reduction=sss_reduction,
        )
        self.alignment = BehaviorModalAlignment(
            bma, weights=self.modal_line.weights, mask_false_negatives=mask_false_negatives
        )
        self.objective = PairwiseObjective(reg, l2_form=l2_form)

    def forward(self, data: HeteroData) -> Representations:
        behavior_user, behavior_item = self.behavior_line(training_pairs(data))  # Eq. 1-3
        modal_user, modal_item = self._modal(data)
        return Representations(
            behavior_user + modal_user,  # Eq. 13
            behavior_item + modal_item,
            behavior_user,
            behavior_item,
            modal_user,
            modal_item,
        )

    def _modal(self, data: HeteroData, rows: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Eq. 4-7, of the users and items ``rows`` alone if given."""
        return self.modal_line(
            self.behavior_line.user_embedding.weight,
            self.behavior_line.item_embedding.weight,
            self.features(data),
            training_pairs(data),
            similarity_graphs(data, "item", self.in_channels),
            similarity_graphs(data, "user", self.in_channels),
            self.masks(data),
            **({} if rows is None else {"rows": rows}),
        )

    @names_ids
    def loss(self, data: HeteroData, batch: Triples) -> LossOutput:
        """Eq. 15: the parts ``bpr``, ``reg``, ``intra``, ``inter`` and ``sss``, each with its weight, and their sum.

        From the batch's rows of both lines; those of other nodes are not computed, unless a subclass or a hook changes
        what the model or one of its lines gives.
        """
        if not self._has_rows():
            tables, line = self(data), self.behavior_line
            regularized = Representations(line.user_embedding.weight, line.item_embedding.weight)
            parts = self.objective(tables, batch, regularized=regularized)
            return LossOutput.from_parts(**parts, **self.alignment(tables, data, batch))
        behavior = self.behavior_line.at(training_pairs(data), batch.user, batch.items)
        modal_user, modal_item = self._modal(data, (batch.user, batch.items))
        positive = slice(len(batch))
        aligned = behavior.user, behavior.item[positive], modal_user, modal_item[positive]
        ranked = batch.split(behavior.user + modal_user, behavior.item + modal_item)  # Eq. 13
        ego = batch.split(behavior.ego_user, behavior.ego_item)
        return LossOutput.from_parts(
            **self.objective.of_rows(ranked, ego), **self.alignment.of_rows(*aligned, data, batch)
        )

    def _has_rows(self) -> bool:
        """Whether the batch's rows of both lines are those of :meth:`forward`, and the losses take rows as tables."""
        return (
            is_as_written(self, DRepMRec)
            and has_rows(self.behavior_line)
            and is_as_written(self.modal_line, ModalEncoder)
            and is_as_written(self.objective, PairwiseObjective)
            and is_as_written(self.alignment, BehaviorModalAlignment)
        )
