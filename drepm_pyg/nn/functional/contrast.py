"""InfoNCE and the two alignments that are made of it, per row (DRepMRec, Eq. 8-11)."""

from collections.abc import Callable
from typing import Any

import torch

from drepm_pyg._arrays import large_empty
from drepm_pyg._checks import check_positive
from drepm_pyg.nn.functional.gram import strip_rows
from drepm_pyg.nn.functional.numerics import full_precision, refuse_second_derivative, widen
from drepm_pyg.nn.functional.rows import check_mask, check_rows, normalize_rows
from drepm_pyg.typing import Bool, Float, Tensor

__all__ = ["info_nce", "inter_alignment", "intra_alignment"]


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

    Differentiable once: one B x B matrix serves the value and the gradient.

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
    check_rows(anchor=anchor, positive=positive)
    check_positive(temperature=temperature)
    if mask is not None:
        check_mask(mask, len(anchor))
    with full_precision(anchor):
        x, y = (normalize_rows(rows) if normalize else widen(rows) for rows in (anchor, positive))
        # torch.compile fuses the plain form by itself, and warns about every autograd.Function that it traces.
        row_losses = _plain_info_nce if torch.compiler.is_compiling() else _kept_info_nce
        return row_losses(x, y, 1 / temperature, mask)


def _plain_info_nce(x: Tensor, y: Tensor, scale: float, mask: Tensor | None) -> Tensor:
    own = torch.eye(len(x), dtype=torch.bool, device=x.device)
    logits = ((x * scale) @ y.T).masked_fill(own if mask is None else own | mask, -torch.inf)
    match = (x * scale * y).sum(dim=1)
    # The negatives are summed apart from the match: 1 + tiny would round to 1, and the loss of a good row to 0.
    return torch.logaddexp(logits.logsumexp(dim=1) - match, torch.zeros_like(match))


class _InfoNCE(torch.autograd.Function):
    """One B x B matrix, overwritten on the way from logits to the gradient's weights; the plain form writes four.

    Strips of rows: what follows the product, the anchors' gradient included, finds a strip in cache.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, scale: float, mask: Tensor | None) -> Tensor:
        to_x, to_y = ctx.needs_input_grad[:2]
        step = strip_rows(x)
        # The gradient of y needs all rows at once; without it one strip is enough.
        kept = large_empty(len(x) if to_y else min(step, len(x)), len(y), dtype=x.dtype, device=x.device)
        match, highest, negatives = x.new_empty(3, len(x))
        slope = torch.empty_like(x) if to_x else None
        for start in range(0, len(x), step):
            rows = slice(start, min(start + step, len(x)))
            matrix = torch.mm(x[rows] * scale, y.T, out=kept[rows] if to_y else kept[: rows.stop - start])
            own = matrix.diagonal(start)
            match[rows] = own
            if mask is not None:
                matrix.masked_fill_(mask[rows], -torch.inf)
            own.fill_(-torch.inf)
            torch.maximum(matrix.amax(dim=1), match[rows], out=highest[rows])
            torch.sum(matrix.sub_(highest[rows].unsqueeze(1)).exp_(), dim=1, out=negatives[rows])
            own.copy_(-negatives[rows])  # from here on matrix / total is softmax - identity, the gradient
            if slope is not None:
                torch.mm(matrix, y, out=slope[rows])
        total = negatives + (match - highest).exp()
        weight = (scale / total).unsqueeze(1)  # divides [B, D] instead of [B, B]
        ctx.save_for_backward(x, kept if to_y else None, slope, weight)
        return torch.logaddexp(negatives.log() + (highest - match), torch.zeros_like(match))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        refuse_second_derivative("info_nce")
        x, matrix, slope, weight = ctx.saved_tensors
        with full_precision(x):
            weight = grad.unsqueeze(1) * weight
            return (
                None if slope is None else weight * slope,
                None if matrix is None else matrix.T @ (weight * x),
                None,
                None,
            )


_kept_info_nce: Callable[[Tensor, Tensor, float, Tensor | None], Tensor] = _InfoNCE.apply


def intra_alignment(
    *,
    behavior_user: Float[Tensor, "B Db"],
    behavior_item: Float[Tensor, "B Db"],
    modal_user: Float[Tensor, "B Dm"],
    modal_item: Float[Tensor, "B Dm"],
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

    Raises:
        ValueError: as :func:`info_nce`.
    """
    check_rows(behavior_user=behavior_user, behavior_item=behavior_item)
    check_rows(modal_user=modal_user, modal_item=modal_item)
    behavior = info_nce(behavior_user, behavior_item, temperature=temperature, normalize=normalize, mask=mask)
    return behavior + info_nce(modal_user, modal_item, temperature=temperature, normalize=normalize, mask=mask)


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

    Raises:
        ValueError: as :func:`info_nce`.
    """
    check_rows(behavior_user=behavior_user, modal_user=modal_user)
    check_rows(behavior_item=behavior_item, modal_item=modal_item)
    user = info_nce(behavior_user, modal_user, temperature=temperature, normalize=normalize)
    return user, info_nce(behavior_item, modal_item, temperature=temperature, normalize=normalize)
