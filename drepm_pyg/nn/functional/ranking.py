"""Bayesian personalised ranking, per pair (DRepMRec, Eq. 14)."""

from torch.nn import functional as F

from drepm_pyg._checks import check_tensors
from drepm_pyg.nn.functional.numerics import widen
from drepm_pyg.typing import Float, Tensor

__all__ = ["bpr"]


def bpr(pos_score: Float[Tensor, " B"], neg_score: Float[Tensor, "B ..."]) -> Float[Tensor, "B ..."]:
    r"""Bayesian personalised ranking, per pair of a positive and a negative (Eq. 14).

    .. math:: \ell = -\ln \sigma(\hat{y}_{ui} - \hat{y}_{ui'})

    Args:
        pos_score: scores of the positives, float ``[B]``.
        neg_score: scores of one negative each, ``[B]``, or of n, ``[B, n]``.

    Returns:
        the loss in nats, in the shape of ``neg_score`` (float32 for half inputs).

    Raises:
        ValueError: where the shapes do not fit or the batch is empty.

    Example:
        >>> bpr(torch.tensor([0.0]), torch.tensor([0.0]))
        tensor([0.6931])
    """
    check_tensors(pos_score=pos_score, neg_score=neg_score)
    if pos_score.ndim != 1 or neg_score.ndim not in (1, 2) or len(neg_score) != len(pos_score):
        raise ValueError(
            f"'pos_score' must be [B] and 'neg_score' [B] or [B, n] (got {list(pos_score.shape)} and "
            f"{list(neg_score.shape)}). Pass one row of negatives per positive."
        )
    if neg_score.numel() == 0:
        raise ValueError(f"'neg_score' must hold at least one score (got {list(neg_score.shape)}). Skip empty batches.")
    positive = widen(pos_score if neg_score.ndim == 1 else pos_score.unsqueeze(1))
    return -F.logsigmoid(positive - widen(neg_score))
