"""The losses as mathematics: unreduced functions with nothing to remember (DRepMRec, Eq. 8-15)."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from drepm_pyg._checks import check_choice, check_positive, check_same_shape
from drepm_pyg.nn.similarity import FactoredSimilarity
from drepm_pyg.typing import Bool, Float, Int, Tensor

__all__ = [
    "L2_FORMS",
    "FactoredSimilarity",
    "bpr",
    "embedding_l2",
    "false_negative_mask",
    "first_occurrences",
    "info_nce",
    "inter_alignment",
    "intra_alignment",
    "normalize_rows",
    "similarity_supervised",
]

METRICS = ("cosine", "dot")


def bpr(pos_score: Float[Tensor, " B"], neg_score: Float[Tensor, "B *n"]) -> Float[Tensor, "B *n"]:
    r"""Bayesian personalised ranking, per pair of a positive and a negative (Eq. 14).

    .. math:: \ell = -\ln \sigma(\hat{y}_{ui} - \hat{y}_{ui'}) = \mathrm{softplus}(\hat{y}_{ui'} - \hat{y}_{ui})

    Args:
        pos_score: scores of the positives, float ``[B]``.
        neg_score: scores of one negative each, ``[B]``, or of n, ``[B, n]``.

    Returns:
        the loss in nats, in the shape of ``neg_score``.

    Raises:
        ValueError: where the shapes do not fit.

    Example:
        >>> bpr(torch.tensor([0.0]), torch.tensor([0.0]))
        tensor([0.6931])
    """
    if pos_score.ndim != 1 or neg_score.ndim not in (1, 2) or len(neg_score) != len(pos_score):
        raise ValueError(
            f"'pos_score' must be [B] and 'neg_score' [B] or [B, n] (got {list(pos_score.shape)} and "
            f"{list(neg_score.shape)})."
        )
    return F.softplus(neg_score - (pos_score if neg_score.ndim == 1 else pos_score.unsqueeze(1)))


def normalize_rows(x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """Rows of length 1, in float32 at least; a zero row stays zero and its gradient is zero, however large the others."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    # The direction does not depend on the scale: dividing by a constant first keeps the squares in range.
    scale = x.detach().abs().amax(dim=-1, keepdim=True)
    nonzero = scale > 0
    x = x / scale.where(nonzero, 1.0)
    square = x.square().sum(dim=-1, keepdim=True)
    return x * torch.where(nonzero, square.where(nonzero, 1.0).rsqrt(), 0.0)


def info_nce(
    anchor: Float[Tensor, "B D"],
    positive: Float[Tensor, "B D"],
    *,
    temperature: float = 0.2,
    normalize: bool = True,
    mask: Bool[Tensor, "B B"] | None = None,
) -> Float[Tensor, " B"]:
    r"""Per-row InfoNCE with in-batch negatives: row b of ``positive`` belongs to row b of ``anchor`` (Eq. 8-9).

    .. math:: \ell_b = -x_b^\top y_b / \tau + \ln \sum_c \exp(x_b^\top y_c / \tau)

    Args:
        anchor: :math:`x`, float ``[B, D]``.
        positive: :math:`y`, float ``[B, D]``.
        temperature: :math:`\tau`.
        normalize: L2-normalise the rows first, so that the products are cosines.
        mask: bool ``[B, B]``, True = column c is no negative of row b; the diagonal is never masked.

    Returns:
        the loss of each row in nats, float ``[B]`` (float32 for half inputs); 0 for a single row.

    Raises:
        ValueError: where the shapes differ, the batch is empty or ``temperature`` is not above 0.

    Example:
        >>> info_nce(torch.eye(2), torch.eye(2), temperature=1.0)
        tensor([0.3133, 0.3133])
    """
    _check_rows(anchor=anchor, positive=positive)
    check_positive(temperature=temperature)
    if normalize:
        anchor, positive = normalize_rows(anchor), normalize_rows(positive)
    dtype = torch.promote_types(anchor.dtype, torch.float32)
    if mask is not None:
        if mask.shape != (len(anchor), len(anchor)) or mask.dtype != torch.bool:
            raise ValueError(
                f"'mask' must be bool of the shape [{len(anchor)}, {len(anchor)}] (got {mask.dtype}, "
                f"{list(mask.shape)})."
            )
        mask = mask & ~torch.eye(len(anchor), dtype=torch.bool, device=mask.device)
    loss: Tensor = _InfoNCE.apply(anchor.to(dtype), positive.to(dtype), 1 / temperature, mask)
    return loss


class _InfoNCE(torch.autograd.Function):
    """One B x B matrix of exponentials, kept for the backward pass; the plain form writes four."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, scale: float, mask: Tensor | None) -> Tensor:
        logits = (x * scale) @ y.T
        match = logits.diagonal().clone()
        if mask is not None:
            logits = logits.masked_fill_(mask, -torch.inf)
        highest = logits.amax(dim=1, keepdim=True)
        share = logits.sub_(highest).exp_()
        total = share.sum(dim=1, keepdim=True)
        ctx.scale = scale
        ctx.save_for_backward(x, y, share, total)
        return (total.log() + highest).squeeze(1) - match

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, y, share, total = ctx.saved_tensors
        # softmax = share / total: the division is done on [B, D] instead of on [B, B]
        grad = grad.unsqueeze(1) * ctx.scale
        weight = grad / total
        return weight * (share @ y) - grad * y, share.T @ (weight * x) - grad * x, None, None


def intra_alignment(
    *,
    behavior_user: Float[Tensor, "B D"],
    behavior_item: Float[Tensor, "B D"],
    modal_user: Float[Tensor, "B D"],
    modal_item: Float[Tensor, "B D"],
    temperature: float = 0.2,
    normalize: bool = True,
    mask: Bool[Tensor, "B B"] | None = None,
) -> Float[Tensor, " B"]:
    r"""Users against items within each line (Eq. 10): :math:`\mathcal{L}_{BIA} + \mathcal{L}_{MIA}`, per pair.

    Args:
        behavior_user: behaviour line of the pairs' users, float ``[B, D]``.
        behavior_item: behaviour line of the pairs' items, float ``[B, D]``.
        modal_user: modal line of the pairs' users, float ``[B, D]``.
        modal_item: modal line of the pairs' items, float ``[B, D]``.
        temperature: see :func:`info_nce`.
        normalize: see :func:`info_nce`.
        mask: see :func:`info_nce`; the same for both lines.

    Returns:
        the loss of each pair in nats, float ``[B]``.
    """
    _check_rows(behavior_user=behavior_user, behavior_item=behavior_item)
    _check_rows(modal_user=modal_user, modal_item=modal_item)
    options: dict[str, Any] = {"temperature": temperature, "normalize": normalize, "mask": mask}
    return info_nce(behavior_user, behavior_item, **options) + info_nce(modal_user, modal_item, **options)


def inter_alignment(
    *,
    behavior_user: Float[Tensor, "Bu D"],
    modal_user: Float[Tensor, "Bu D"],
    behavior_item: Float[Tensor, "Bi D"],
    modal_item: Float[Tensor, "Bi D"],
    temperature: float = 0.2,
    normalize: bool = True,
) -> tuple[Float[Tensor, " Bu"], Float[Tensor, " Bi"]]:
    r"""The behaviour line against the modal line, for users and for items (Eq. 11).

    Args:
        behavior_user: behaviour line of the users, float ``[Bu, D]``.
        modal_user: modal line of the same users, float ``[Bu, D]``.
        behavior_item: behaviour line of the items, float ``[Bi, D]``.
        modal_item: modal line of the same items, float ``[Bi, D]``.
        temperature: see :func:`info_nce`.
        normalize: see :func:`info_nce`.

    Returns:
        the losses of the users ``[Bu]`` and of the items ``[Bi]``, in nats.
    """
    _check_rows(behavior_user=behavior_user, modal_user=modal_user)
    _check_rows(behavior_item=behavior_item, modal_item=modal_item)
    user = info_nce(behavior_user, modal_user, temperature=temperature, normalize=normalize)
    item = info_nce(behavior_item, modal_item, temperature=temperature, normalize=normalize)
    return user, item


def similarity_supervised(
    representation: Float[Tensor, "B D"], similarity: Float[Tensor, "B B"], *, metric: str = "cosine"
) -> Float[Tensor, "B B"]:
    r"""How far the rows' similarities are from the target's (Eq. 12), entry by entry; no gradient to the target.

    .. math:: \Delta_{bc} = \bar{e}_b \cdot \bar{e}_c - \mathrm{sg}(T_{bc})

    Args:
        representation: :math:`\bar{e}`, float ``[B, D]``.
        similarity: the target :math:`T`, float ``[B, B]``.
        metric: ``"cosine"`` normalises the rows of ``representation``, ``"dot"`` takes them as they are.

    Returns:
        the differences, float ``[B, B]``; :class:`drepm_pyg.nn.losses.SimilaritySupervisedLoss` takes their norm.
    """
    z = compared_rows(representation, similarity, metric)
    return z @ z.T - similarity.detach().to(z.dtype)


def compared_rows(
    representation: Float[Tensor, "B D"], similarity: "Tensor | FactoredSimilarity", metric: str
) -> Float[Tensor, "B D"]:
    """The rows whose products are compared with the target, after all checks."""
    check_choice(METRICS, metric=metric)
    if representation.ndim != 2 or len(representation) == 0:
        raise ValueError(
            f"'representation' must have the shape [B, D] with at least one row (got {list(representation.shape)})."
        )
    rows = len(representation)
    if tuple(similarity.shape) != (rows, rows):
        raise ValueError(
            f"'similarity' must have the shape [{rows}, {rows}], a row and a column per row of 'representation' "
            f"(got {list(similarity.shape)})."
        )
    if metric == "cosine":
        return normalize_rows(representation)
    return representation.to(torch.promote_types(representation.dtype, torch.float32))


_L2: dict[str, Callable[[Sequence[Tensor]], Tensor]] = {
    "half_squared": lambda rows: torch.stack([x.square().sum() for x in rows]).sum() / (2 * len(rows[-1])),
    "norm": lambda rows: torch.stack([torch.linalg.vector_norm(x) for x in rows]).sum() / len(rows[-1]),
}

#: The forms of :func:`embedding_l2`.
L2_FORMS = tuple(_L2)


def embedding_l2(*rows: Float[Tensor, "B D"], form: str = "half_squared") -> Float[Tensor, ""]:
    r"""The L2 penalty on embedding rows, in one of the two forms that published weights were found with.

    .. math::
        \texttt{half\_squared}: \frac{1}{2B} \sum_x \|X_x\|_F^2 \qquad
        \texttt{norm}: \frac{1}{B} \sum_x \|X_x\|_F

    ``half_squared`` is the form of LightGCN's authors, ``norm`` (not squared) that of the common multimodal toolbox.

    Args:
        rows: tables or gathered rows; B is the number of rows of the last.
        form: ``"half_squared"`` or ``"norm"``.

    Raises:
        ValueError: where ``form`` is unknown or nothing was given.
    """
    check_choice(L2_FORMS, form=form)
    if not rows:
        raise ValueError("'rows' must hold at least one tensor (got none).")
    return _L2[form](rows)


def first_occurrences(ids: Int[Tensor, " B"]) -> Int[Tensor, " n"]:
    """The row of the first occurrence of each distinct id, ascending: ``ids[first_occurrences(ids)]`` are distinct.

    Example:
        >>> first_occurrences(torch.tensor([5, 3, 5, 3, 9]))
        tensor([0, 1, 4])
    """
    ordered, order = ids.sort(stable=True)
    is_first = torch.ones_like(ordered, dtype=torch.bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    return order[is_first].sort().values


def false_negative_mask(
    user: Int[Tensor, " B"], item: Int[Tensor, " B"], edge_index: Int[Tensor, "2 E"], num_items: int
) -> Bool[Tensor, "B B"]:
    """True at (b, c) where item c is a training item of user b and c is not b: no negative, but a known positive.

    Args:
        user: long ``[B]``.
        item: long ``[B]``.
        edge_index: long ``[2, E]`` training pairs (user, item).
        num_items: number of items I.
    """
    distinct, slot = user.unique(return_inverse=True)
    place = torch.searchsorted(distinct, edge_index[0]).clamp(max=len(distinct) - 1)
    known = distinct[place] == edge_index[0]
    seen = torch.zeros(len(distinct), num_items, dtype=torch.bool, device=user.device)
    seen[place[known], edge_index[1][known]] = True
    mask = seen[:, item][slot]
    return mask.fill_diagonal_(False)


def _check_rows(**tensors: Tensor) -> None:
    """Matrices of one shape with at least one row."""
    name, first = next(iter(tensors.items()))
    if first.ndim != 2 or len(first) == 0:
        raise ValueError(f"'{name}' must have the shape [B, D] with at least one row (got {list(first.shape)}).")
    check_same_shape(**tensors)
