"""InfoNCE and the two alignments that are made of it (Eq. 8-11), as modules."""

import torch
from torch import nn

from drepm_pyg._checks import check_flag
from drepm_pyg.nn import functional
from drepm_pyg.nn.functional.info_nce import check_temperature
from drepm_pyg.nn.losses.reduction import check_reduction, reduce
from drepm_pyg.typing import Bool, Float, Int, Tensor

__all__ = ["InfoNCELoss", "InterAlignmentLoss", "IntraAlignmentLoss"]


class _ContrastiveLoss(nn.Module):
    """The hyper-parameters that all of them have."""

    def __init__(self, *, temperature: float = 0.2, normalize: bool = True, reduction: str = "mean") -> None:
        super().__init__()
        check_temperature(temperature)
        check_flag(normalize=normalize)
        check_reduction(reduction)
        self.temperature, self.normalize, self.reduction = temperature, normalize, reduction

    def extra_repr(self) -> str:
        return f"temperature={self.temperature}, normalize={self.normalize}, reduction={self.reduction!r}"


class InfoNCELoss(_ContrastiveLoss):
    """:func:`drepm_pyg.nn.functional.info_nce`, reduced over the batch (Eq. 8-9).

    Args:
        temperature: divides the similarities.
        normalize: L2-normalise the rows first.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """

    def forward(
        self,
        anchor: Float[Tensor, "B D"],
        positive: Float[Tensor, "B D"],
        *,
        mask: Bool[Tensor, "B B"] | None = None,
        anchor_id: Int[Tensor, " B"] | None = None,
        positive_id: Int[Tensor, " B"] | None = None,
    ) -> Tensor:
        loss = functional.info_nce(
            anchor,
            positive,
            temperature=self.temperature,
            normalize=self.normalize,
            mask=mask,
            anchor_id=anchor_id,
            positive_id=positive_id,
        )
        return reduce(loss, self.reduction)


class IntraAlignmentLoss(_ContrastiveLoss):
    """:func:`drepm_pyg.nn.functional.intra_alignment`, reduced over the pairs (Eq. 10).

    Args:
        temperature: divides the similarities.
        normalize: L2-normalise the rows first.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """

    def forward(
        self,
        *,
        behavior_user: Float[Tensor, "B D"],
        behavior_item: Float[Tensor, "B D"],
        modal_user: Float[Tensor, "B Dm"],
        modal_item: Float[Tensor, "B Dm"],
        mask: Bool[Tensor, "B B"] | None = None,
        user: Int[Tensor, " B"] | None = None,
        item: Int[Tensor, " B"] | None = None,
    ) -> Tensor:
        loss = functional.intra_alignment(
            behavior_user=behavior_user,
            behavior_item=behavior_item,
            modal_user=modal_user,
            modal_item=modal_item,
            temperature=self.temperature,
            normalize=self.normalize,
            mask=mask,
            user=user,
            item=item,
        )
        return reduce(loss, self.reduction)


class InterAlignmentLoss(_ContrastiveLoss):
    """:func:`drepm_pyg.nn.functional.inter_alignment`: users and items reduced apart, then summed (Eq. 11).

    Args:
        temperature: divides the similarities.
        normalize: L2-normalise the rows first.
        reduction: ``"mean"``, ``"sum"`` or ``"none"`` (then the users' losses followed by the items').
    """

    def forward(
        self,
        *,
        behavior_user: Float[Tensor, "Bu D"],
        modal_user: Float[Tensor, "Bu D"],
        behavior_item: Float[Tensor, "Bi D"],
        modal_item: Float[Tensor, "Bi D"],
    ) -> Tensor:
        user, item = functional.inter_alignment(
            behavior_user=behavior_user,
            modal_user=modal_user,
            behavior_item=behavior_item,
            modal_item=modal_item,
            temperature=self.temperature,
            normalize=self.normalize,
        )
        if self.reduction == "none":
            return torch.cat([user, item])
        return reduce(user, self.reduction) + reduce(item, self.reduction)
