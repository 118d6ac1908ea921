"""Behaviour-modal alignment (Eq. 15 without BPR): the three terms, weighted."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from drepm_pyg._checks import check_choice, check_flag, check_id_types, check_non_negative, check_tensors
from drepm_pyg.nn.functional import SSS_METRICS, ImplicitSimilarity, first_occurrences
from drepm_pyg.nn.functional.rows import check_mask
from drepm_pyg.nn.losses.alignment import InterAlignmentLoss, IntraAlignmentLoss
from drepm_pyg.nn.losses.similarity_supervised import REDUCTIONS, SimilaritySupervisedLoss
from drepm_pyg.typing import Bool, Float, Int, Tensor

__all__ = ["BMALoss", "BMALossOutput"]

#: A target over the batch's rows or over its distinct ids, or what gives one for these ids.
Similarity = Tensor | ImplicitSimilarity | Callable[[Tensor], Tensor | ImplicitSimilarity]


class BMALossOutput(NamedTuple):
    """The weighted total, and its three terms before their weights; a term with weight 0 is 0."""

    total: Float[Tensor, ""]
    intra: Float[Tensor, ""]
    inter: Float[Tensor, ""]
    sss: Float[Tensor, ""]


class BMALoss(nn.Module):
    r"""Align a behaviour line and a modal line on a batch of user-item pairs (Eq. 10-12, 15).

    .. math:: \alpha \mathcal{L}_{Intra} + \beta \mathcal{L}_{Inter} + \gamma \mathcal{L}_{SSS}

    Intra-alignment runs on the pairs as given; inter-alignment and SSS on the first row of each distinct id, so that a
    user that stands twice in the batch is not its own negative. A term with weight 0 is not computed.

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
        item: long ``[B]`` ids; user_similarity, item_similarity: the targets of SSS, dense or implicit, ``[B, B]`` over
        the rows or ``[n, n]`` over the distinct ids in the order of their first rows, or a callable that is given these
        ids and returns the latter; mask: bool ``[B, B]``, True = not a negative of the intra-alignment

    Raises:
        ValueError: where ``gamma`` is above 0 and a similarity is missing, or shapes do not fit.

    Example:
        >>> rows = torch.eye(3)
        >>> lines = dict(behavior_user=rows, behavior_item=rows, modal_user=rows, modal_item=rows)
        >>> BMALoss(0.0, 1.0, 0.0, temperature=1.0)(**lines, user=torch.tensor([4, 4, 2]), item=torch.arange(3)).inter
        tensor(0.8647)
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
        check_flag(distinct=distinct, mask_duplicates=mask_duplicates)
        check_choice(SSS_METRICS, sss_metric=sss_metric)
        check_choice(REDUCTIONS, sss_reduction=sss_reduction)
        self.alpha, self.beta, self.gamma = alpha, beta, gamma
        self.distinct, self.mask_duplicates = distinct, mask_duplicates
        self.intra = IntraAlignmentLoss(temperature=temperature, normalize=normalize)
        self.inter = InterAlignmentLoss(temperature=temperature, normalize=normalize)
        self.sss = SimilaritySupervisedLoss(metric=sss_metric, reduction=sss_reduction)

    def forward(
        self,
        *,
        behavior_user: Float[Tensor, "B Db"],
        behavior_item: Float[Tensor, "B Db"],
        modal_user: Float[Tensor, "B Dm"],
        modal_item: Float[Tensor, "B Dm"],
        user: Int[Tensor, " B"],
        item: Int[Tensor, " B"],
        user_similarity: Similarity | None = None,
        item_similarity: Similarity | None = None,
        mask: Bool[Tensor, "B B"] | None = None,
    ) -> BMALossOutput:
        lines = {
            "behavior_user": behavior_user,
            "behavior_item": behavior_item,
            "modal_user": modal_user,
            "modal_item": modal_item,
        }
        check_id_types(user=user, item=item)
        check_tensors(**lines)
        _check_batch(user=user, item=item, **lines)
        if mask is not None:
            check_mask(mask, len(user))
        if self.gamma > 0:
            _check_given(user_similarity=user_similarity, item_similarity=item_similarity)
        zero = behavior_user.new_zeros((), dtype=torch.promote_types(behavior_user.dtype, torch.float32))
        if self.alpha == self.beta == self.gamma == 0:  # a total to differentiate, whatever stands in the rows
            zero = zero + sum(rows[:0].sum() for rows in lines.values())
        intra = inter = sss = zero
        if self.alpha > 0:
            intra = self.intra(**lines, mask=self._with_duplicates(mask, item), user=user, item=item)
        if self.beta > 0 or self.gamma > 0:
            users, items = self._rows(user), self._rows(item)
            modal_user, modal_item = modal_user.index_select(0, users), modal_item.index_select(0, items)
        if self.beta > 0:
            inter = self.inter(
                behavior_user=behavior_user.index_select(0, users),
                modal_user=modal_user,
                behavior_item=behavior_item.index_select(0, items),
                modal_item=modal_item,
            )
        if self.gamma > 0:
            user_target = _target("user_similarity", user_similarity, user, users)
            item_target = _target("item_similarity", item_similarity, item, items)
            sss = self.sss(modal_user, user_target) + self.sss(modal_item, item_target)
        return BMALossOutput(self.alpha * intra + self.beta * inter + self.gamma * sss, intra, inter, sss)

    def _rows(self, ids: Tensor) -> Tensor:
        return first_occurrences(ids) if self.distinct else torch.arange(len(ids), device=ids.device)

    def _with_duplicates(self, mask: Tensor | None, item: Tensor) -> Tensor | None:
        if not self.mask_duplicates:
            return mask
        same = item.unsqueeze(1) == item
        return same if mask is None else same | mask

    def extra_repr(self) -> str:
        return (
            f"{self.alpha}, {self.beta}, {self.gamma}, distinct={self.distinct}, mask_duplicates={self.mask_duplicates}"
        )


def _check_batch(**tensors: Tensor) -> None:
    """One row per pair in all of them."""
    shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    matrices = all(len(shape) == (1 if name in ("user", "item") else 2) for name, shape in shapes.items())
    if not matrices or len({shape[0] for shape in shapes.values()}) > 1:
        raise ValueError(
            f"'user' and 'item' must be ids [B], the four representations [B, D] with a row per pair (got {shapes}). "
            "Gather the rows of the batch first, for instance modal_user=table[user]."
        )


def _check_given(**similarities: Similarity | None) -> None:
    missing = [name for name, similarity in similarities.items() if similarity is None]
    if missing:
        raise ValueError(
            f"'{missing[0]}' is needed where 'gamma' is above 0 (got None). "
            "Pass the target of the similarity-supervised signal, or set gamma=0."
        )
    for name, similarity in similarities.items():
        if not (isinstance(similarity, Tensor | ImplicitSimilarity) or callable(similarity)):
            raise TypeError(
                f"'{name}' must be a torch tensor, an implicit similarity or a callable (got a "
                f"{type(similarity).__name__})."
            )


def _target(name: str, similarity: Similarity | None, ids: Tensor, rows: Tensor) -> Tensor | ImplicitSimilarity:
    """The target among the chosen rows: it may come for the whole batch or for these rows alone."""
    assert similarity is not None
    if not isinstance(similarity, Tensor | ImplicitSimilarity):
        return similarity(ids[rows])
    size, batch = tuple(similarity.shape), len(ids)
    # The batch's size comes first: it is a number under torch.compile, where len(rows) is a symbol.
    if size == (batch, batch):
        return similarity[rows] if isinstance(similarity, ImplicitSimilarity) else similarity[rows[:, None], rows]
    if size == (len(rows), len(rows)):
        return similarity
    raise ValueError(
        f"'{name}' must have the shape [{batch}, {batch}] over the batch's rows or [{len(rows)}, {len(rows)}] over its "
        f"distinct ids (got {list(size)})."
    )
