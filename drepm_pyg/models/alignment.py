"""Behaviour-modal alignment (BMA) of a model's two lines on a batch: what DRepMRec and WithBMA share (Eq. 8-12)."""

from collections.abc import Mapping

from torch import nn
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_flag
from drepm_pyg.data.schema import training_pairs
from drepm_pyg.models.base import Representations, Triples
from drepm_pyg.models.targets import SimilarityTargets
from drepm_pyg.nn.functional import false_negative_mask
from drepm_pyg.nn.losses import BMALoss
from drepm_pyg.typing import Float, Tensor

__all__ = ["BehaviorModalAlignment"]


class BehaviorModalAlignment(nn.Module):
    """Gather the batch's rows of both lines, build the target of SSS from the data's features, apply a ``BMALoss``.

    Args:
        bma: the loss, with its weights.
        weights: weight of each modality in the target of SSS, naming those that are used; None: all modalities of the
            data, weighted as by :class:`drepm_pyg.nn.ModalEncoder`.
        mask_false_negatives: leave training pairs of a user out of its negatives in the intra-alignment.

    Raises:
        TypeError: where ``bma`` is no :class:`~drepm_pyg.nn.losses.BMALoss`.
    """

    def __init__(
        self, bma: BMALoss, *, weights: Mapping[str, float] | None = None, mask_false_negatives: bool = False
    ) -> None:
        super().__init__()
        if not isinstance(bma, BMALoss):
            raise TypeError(f"'bma' must be a BMALoss (got a {type(bma).__name__}). Pass BMALoss(alpha, beta, gamma).")
        check_flag(mask_false_negatives=mask_false_negatives)
        self.bma = bma
        self.targets = SimilarityTargets(weights)
        self.mask_false_negatives = mask_false_negatives

    @property
    def is_off(self) -> bool:
        """Whether all weights are 0, so that nothing is computed."""
        return self.bma.alpha == self.bma.beta == self.bma.gamma == 0

    def forward(self, tables: Representations, data: HeteroData, batch: Triples) -> dict[str, Tensor]:
        """The weighted parts ``intra``, ``inter`` and ``sss``; a part with weight 0 is 0 and is not computed.

        Raises:
            ValueError: where a weight is above 0 and ``tables`` lack the behaviour or the modal line.
        """
        behavior, modal = tables.behavior, tables.modal
        if self.is_off and (behavior is None or modal is None):
            return dict.fromkeys(("intra", "inter", "sss"), tables.user.new_zeros(()))
        if behavior is None or modal is None:
            line = "behavior" if behavior is None else "modal"
            raise ValueError(
                f"BMA aligns a behaviour line with a modal line, and the model's Representations have no "
                f"'{line}_user' and '{line}_item'. Return them from forward, or train the model without BMA."
            )
        user, item = batch.user, batch.positive
        return self.of_rows(
            behavior.user.index_select(0, user),
            behavior.item.index_select(0, item),
            modal.user.index_select(0, user),
            modal.item.index_select(0, item),
            data,
            batch,
        )

    def of_rows(
        self,
        behavior_user: Float[Tensor, "B Db"],
        behavior_item: Float[Tensor, "B Db"],
        modal_user: Float[Tensor, "B Dm"],
        modal_item: Float[Tensor, "B Dm"],
        data: HeteroData,
        batch: Triples,
    ) -> dict[str, Tensor]:
        """The same parts from the rows of the batch's users and positive items, float ``[B, D]`` each."""
        user, item = batch.user, batch.positive
        known = self.mask_false_negatives and self.bma.alpha > 0
        terms = self.bma(
            behavior_user=behavior_user,
            behavior_item=behavior_item,
            modal_user=modal_user,
            modal_item=modal_item,
            user=user,
            item=item,
            user_similarity=lambda ids: self.targets(data, "user", ids, modal_user),
            item_similarity=lambda ids: self.targets(data, "item", ids, modal_item),
            mask=false_negative_mask(user, item, training_pairs(data)) if known else None,
        )
        return {
            "intra": self.bma.alpha * terms.intra,
            "inter": self.bma.beta * terms.inter,
            "sss": self.bma.gamma * terms.sss,
        }

    def extra_repr(self) -> str:
        return f"weights={self.targets.weights}, mask_false_negatives={self.mask_false_negatives}"
