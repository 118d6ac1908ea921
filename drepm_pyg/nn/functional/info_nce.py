"""InfoNCE with in-batch negatives, per row (DRepMRec, Eq. 8-9)."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from drepm_pyg._arrays import large_empty
from drepm_pyg._checks import check_flag, check_positive
from drepm_pyg.nn.functional.batch import distinct_rows
from drepm_pyg.nn.functional.gram import strip_rows
from drepm_pyg.nn.functional.numerics import full_precision, is_traced, refuse_second_derivative, widen
from drepm_pyg.nn.functional.rows import check_mask, check_row_ids, check_rows, normalize_rows
from drepm_pyg.typing import Bool, Float, Int, Tensor

__all__ = ["check_temperature", "info_nce"]

#: Share of the B x B products up to which leaving out the rest pays for the grouping.
_WORTH = 0.8

#: Least sum of a row's negatives against a match of 1 for which float32 keeps a loss to five digits.
_LEAST_NEGATIVES = 0.01


def info_nce(
    anchor: Float[Tensor, "B D"],
    positive: Float[Tensor, "B D"],
    *,
    temperature: float = 0.2,
    normalize: bool = True,
    mask: Bool[Tensor, "B B"] | None = None,
    anchor_id: Int[Tensor, " B"] | None = None,
    positive_id: Int[Tensor, " B"] | None = None,
) -> Float[Tensor, " B"]:
    r"""Per-row InfoNCE with in-batch negatives: row b of ``positive`` belongs to row b of ``anchor`` (Eq. 8-9).

    .. math:: \ell_b = -x_b^\top y_b / \tau + \ln \sum_c \exp(x_b^\top y_c / \tau)

    Differentiable once: one B x B matrix serves the value and the gradient. A batch of pairs repeats its nodes: given
    the ids, that matrix has a row per distinct anchor and a column, counted, per distinct positive. Same loss, same
    gradient of every row; ids only save work.

    Args:
        anchor: :math:`x`, float ``[B, D]``.
        positive: :math:`y`, float ``[B, D]``.
        temperature: :math:`\tau`, a number. A learned one divides the rows: ``info_nce(normalize_rows(x) / temperature,
            normalize_rows(y), temperature=1.0, normalize=False)``.
        normalize: L2-normalise the rows first, so that the products are cosines; if not, the products must stay within
            the range of the type.
        mask: bool ``[B, B]``, True = column c is no negative of row b; the diagonal is never masked.
        anchor_id: which node each row of ``anchor`` is, long ``[B]``; None: all rows are taken for different ones.
        positive_id: which node each row of ``positive`` is, long ``[B]``.

    Returns:
        the loss of each row in nats, float ``[B]`` (float32 for half inputs); 0 for a single row.

    Raises:
        TypeError: where ``temperature`` is no number, or the inputs are no tensors of the kinds above.
        ValueError: where the shapes differ, the batch is empty or ``temperature`` is not above 0.

    Example:
        >>> info_nce(torch.eye(2), torch.eye(2), temperature=1.0)
        tensor([0.3133, 0.3133])
    """
    check_rows(anchor=anchor, positive=positive)
    check_temperature(temperature)
    check_flag(normalize=normalize)
    if mask is not None:
        check_mask(mask, len(anchor))
    check_row_ids(len(anchor), anchor_id=anchor_id, positive_id=positive_id)
    with full_precision(anchor):
        x, y = (normalize_rows(rows) if normalize else widen(rows) for rows in (anchor, positive))
        if is_traced():
            return _plain_info_nce(x, y, 1 / temperature, mask)
        if normalize and mask is None and anchor_id is not None and positive_id is not None:
            repeats = _repeats(x, y, anchor_id, positive_id, temperature)
            if repeats is not None:
                return _counted_info_nce(x, y, 1 / temperature, repeats)
        return _kept_info_nce(x, y, 1 / temperature, mask)


def check_temperature(temperature: float) -> None:
    """A finite number above 0; a tensor, which might be learned, is sent to the rows."""
    if isinstance(temperature, Tensor):
        raise TypeError(
            "'temperature' must be a number (got a Tensor). Pass temperature.item(), or, where it is learned, divide "
            "normalize_rows(anchor) by it, and set temperature=1.0, normalize=False."
        )
    check_positive(temperature=temperature)


def _plain_info_nce(x: Tensor, y: Tensor, scale: float, mask: Tensor | None) -> Tensor:
    own = torch.eye(len(x), dtype=torch.bool, device=x.device)
    # Not -inf: of a row without negatives the forward derivative of logsumexp would be NaN.
    logits = ((x * scale) @ y.T).masked_fill(own if mask is None else own | mask, torch.finfo(x.dtype).min)
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


class _Repeats(NamedTuple):
    """The first row of each distinct anchor and positive, and the place among these of every row."""

    anchor: Tensor
    anchor_place: Tensor
    positive: Tensor
    positive_place: Tensor


def _repeats(x: Tensor, y: Tensor, anchor_id: Tensor, positive_id: Tensor, temperature: float) -> _Repeats | None:
    """What the batch repeats; None where the B x B form is the better one.

    It is better on a GPU, which would have to wait until the distinct ids are counted; where little is repeated; where
    a row's loss may come near to 0, which the sum over all columns less the match would lose (as cosines are 1 at most,
    the loss is at least ln(1 + (B - 1) exp(-2 / temperature))); and where rows with one id differ (by dropout, say).
    """
    if x.device.type != "cpu" or (len(x) - 1) * math.exp(-2 / temperature) < _LEAST_NEGATIVES:
        return None
    found = _Repeats(*distinct_rows(anchor_id), *distinct_rows(positive_id))
    if len(found.anchor) * len(found.positive) > _WORTH * len(x) ** 2:
        return None
    same = torch.equal(x, x[found.anchor][found.anchor_place]) and torch.equal(
        y, y[found.positive][found.positive_place]
    )
    return found if same else None


class _CountedInfoNCE(torch.autograd.Function):
    """A row per distinct anchor and a column per distinct positive, for unit rows.

    The largest logit is known, 1 / temperature, so that no pass looks for it; the counted sum over the columns and the
    anchors' gradient are one product.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, scale: float, repeats: _Repeats) -> Tensor:
        anchor, positive = x[repeats.anchor] * scale, y[repeats.positive]
        count = torch.bincount(repeats.positive_place, minlength=len(positive)).to(x.dtype).unsqueeze(1)
        counted = torch.cat([count * positive, count], dim=1)
        step = strip_rows(x)
        kept = large_empty(len(anchor), len(positive), dtype=x.dtype, device=x.device)
        sums = torch.empty(len(anchor), counted.size(1), dtype=x.dtype, device=x.device)
        for start in range(0, len(anchor), step):
            rows = slice(start, start + step)
            matrix = torch.mm(anchor[rows], positive.T, out=kept[rows]).sub_(scale).exp_()
            torch.mm(matrix, counted, out=sums[rows])
        total = sums[:, -1:]
        slope = sums[:, :-1] / total  # the mean of the positives under the softmax
        ctx.save_for_backward(x, y, kept, slope, total, *repeats)
        ctx.scale = scale
        match = (x * y).sum(dim=1) * scale
        return (total.log().squeeze(1) + scale)[repeats.anchor_place] - match

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        refuse_second_derivative("info_nce")
        x, y, kept, slope, total, *rows = ctx.saved_tensors
        repeats = _Repeats(*rows)
        of_x = of_y = None
        with full_precision(x):
            weight = (grad * ctx.scale).unsqueeze(1)
            if ctx.needs_input_grad[0]:
                of_x = (slope[repeats.anchor_place] - y).mul_(weight)
            if ctx.needs_input_grad[1]:
                by_anchor = torch.zeros_like(total).index_add_(0, repeats.anchor_place, weight)
                of_positive = kept.T @ (by_anchor / total * x[repeats.anchor])
                of_y = of_positive[repeats.positive_place].sub_(weight * x)
        return of_x, of_y, None, None


_counted_info_nce: Callable[[Tensor, Tensor, float, _Repeats], Tensor] = _CountedInfoNCE.apply
