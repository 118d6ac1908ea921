"""Behaviour-modal alignment (Eq. 15 without BPR): the three terms, weighted."""

from dataclasses import dataclass

import torch
from torch import nn

from drepm_pyg._checks import check_non_negative, check_same_shape
from drepm_pyg.nn.functional import FactoredSimilarity, first_occurrences
from drepm_pyg.nn.losses.alignment import InterAlignmentLoss, IntraAlignmentLoss
from drepm_pyg.nn.losses.similarity_supervised import SimilaritySupervisedLoss
from drepm_pyg.typing import Bool, Float, Int, Tensor

__all__ = ["BMALoss", "BMALossOutput"]

Similarity = Tensor | FactoredSimilarity


@dataclass(frozen=True)
class BMALossOutput:
    """The weighted total and its terms, each before its weight; a term with weight 0 is 0."""

    total: Float[Tensor, ""]
    intra: Float[Tensor, ""]
    inter: Float[Tensor, ""]
    sss: Float[Tensor, ""]


class BMALoss(nn.Module):
    r"""Align a behaviour line and a modal line on a batch of user-item pairs (Eq. 10-12, 15).

    .. math:: \alpha \mathcal{L}_{Intra} + \beta \mathcal{L}_{Inter} + \gamma \mathcal{L}_{SSS}

    Intra-alignment runs on the pairs as given; inter-alignment and SSS on the first row of each distinct id, so that a
    user that stands twice in the batch is not its own negative.

    Args:
        alpha: weight of the intra-alignment.
        beta: weight of the inter-alignment.
        gamma: weight of the similarity-supervised signal.
        temperature: of every InfoNCE.
        normalize: L2-normalise the rows before InfoNCE.
        distinct: False lets inter-alignment and SSS run on all rows.
        mask_duplicates: leave further rows with the same item out of the negatives of the intra-alignment.
        sss_metric: see :class:`SimilaritySupervisedLoss`.
        sss_reduction: see :class:`SimilaritySupervisedLoss`.

    Shapes:
        behavior_user, behavior_item, modal_user, modal_item: float ``[B, D]``, the rows of the batch's pairs; user,
        item: long ``[B]`` ids; user_similarity, item_similarity: the targets of SSS, ``[B, B]`` over the rows or
        ``[n, n]`` over the distinct ids in the order of their first rows, dense or factored; mask: bool ``[B, B]``,
        True = not a negative of the intra-alignment

    Raises:
        ValueError: where ``gamma`` is above 0 and a similarity is missing, or shapes do not fit.
    """

    def __init__(
        self,
        alpha: float,
        beta: float,
        gamma: float,
        *,
        temperature: float = 0.2,
        normalize: bool = True,
        distinct: bool = True,
        mask_duplicates: bool = False,
        sss_metric: str = "cosine",
        sss_reduction: str = "mean",
    ) -> None:
        super().__init__()
        check_non_negative(alpha=alpha, beta=beta, gamma=gamma)
        self.alpha, self.beta, self.gamma = alpha, beta, gamma
        self.distinct, self.mask_duplicates = distinct, mask_duplicates
        self.intra = IntraAlignmentLoss(temperature=temperature, normalize=normalize)
        self.inter = InterAlignmentLoss(temperature=temperature, normalize=normalize)
        self.sss = SimilaritySupervisedLoss(metric=sss_metric, reduction=sss_reduction)

    def forward(
        self,
        *,
        behavior_user: Float[Tensor, "B D"],
        behavior_item: Float[Tensor, "B D"],
        modal_user: Float[Tensor, "B D"],
        modal_item: Float[Tensor, "B D"],
        user: Int[Tensor, " B"],
        item: Int[Tensor, " B"],
        user_similarity: Similarity | None = None,
        item_similarity: Similarity | None = None,
        mask: Bool[Tensor, "B B"] | None = None,
    ) -> BMALossOutput:
        check_same_shape(behavior_user=behavior_user, behavior_item=behavior_item)
        check_same_shape(behavior_user=behavior_user[:, 0], modal_user=modal_user[:, 0], modal_item=modal_item[:, 0])
        check_same_shape(behavior_user=behavior_user[:, 0], user=user, item=item)
        zero = behavior_user.new_zeros((), dtype=torch.promote_types(behavior_user.dtype, torch.float32))
        intra = inter = sss = zero
        if self.alpha > 0:
            intra = self.intra(
                behavior_user=behavior_user,
                behavior_item=behavior_item,
                modal_user=modal_user,
                modal_item=modal_item,
                mask=self._with_duplicates(mask, item),
            )
        if self.beta > 0 or self.gamma > 0:
            users = first_occurrences(user) if self.distinct else torch.arange(len(user), device=user.device)
            items = first_occurrences(item) if self.distinct else torch.arange(len(item), device=item.device)
        if self.beta > 0:
            inter = self.inter(
                behavior_user=behavior_user[users],
                modal_user=modal_user[users],
                behavior_item=behavior_item[items],
                modal_item=modal_item[items],
            )
        if self.gamma > 0:
            user_target = _of_rows(user_similarity, users, len(user), "user_similarity", self.gamma)
            item_target = _of_rows(item_similarity, items, len(item), "item_similarity", self.gamma)
            sss = self.sss(modal_item[items], item_target) + self.sss(modal_user[users], user_target)
        return BMALossOutput(self.alpha * intra + self.beta * inter + self.gamma * sss, intra, inter, sss)

    def _with_duplicates(self, mask: Tensor | None, item: Tensor) -> Tensor | None:
        if not self.mask_duplicates:
            return mask
        same = item.unsqueeze(1) == item
        return same if mask is None else same | mask

    def extra_repr(self) -> str:
        return (
            f"{self.alpha}, {self.beta}, {self.gamma}, distinct={self.distinct}, mask_duplicates={self.mask_duplicates}"
        )


def _of_rows(similarity: Similarity | None, rows: Tensor, batch: int, name: str, gamma: float) -> Similarity:
    """The target among the chosen rows: it may come for the whole batch or for these rows alone."""
    if similarity is None:
        raise ValueError(
            f"'{name}' is needed where 'gamma' is above 0 (got gamma={gamma} and no similarity). "
            "Pass the target of the similarity-supervised signal, or set gamma=0."
        )
    size = tuple(similarity.shape)
    if size == (len(rows), len(rows)):
        return similarity
    if size != (batch, batch):
        raise ValueError(
            f"'{name}' must have the shape [{batch}, {batch}] (rows of the batch) or [{len(rows)}, {len(rows)}] "
            f"(distinct ids) (got {list(size)})."
        )
    return similarity[rows] if isinstance(similarity, FactoredSimilarity) else similarity[rows][:, rows]
