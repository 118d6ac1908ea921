"""The L2 penalty on embedding rows, in the forms that published weights were found with."""

from collections.abc import Callable, Sequence

import torch

from drepm_pyg._checks import check_choice, check_tensors
from drepm_pyg.nn.functional.numerics import widen
from drepm_pyg.typing import Float, Tensor

__all__ = ["L2_FORMS", "embedding_l2"]


def _norm(x: Tensor) -> Tensor:
    # Row by row first: a single float32 sum over a whole table is off in the fifth digit.
    return torch.linalg.vector_norm(torch.linalg.vector_norm(x, dim=-1))


_FORMS: dict[str, Callable[[Sequence[Tensor]], Tensor]] = {
    "half_squared": lambda rows: torch.stack([x.square().sum() for x in rows]).sum() / (2 * len(rows[-1])),
    "norm": lambda rows: torch.stack([_norm(x) for x in rows]).sum() / len(rows[-1]),
}

#: The forms of :func:`embedding_l2`.
L2_FORMS = tuple(_FORMS)


def embedding_l2(*rows: Float[Tensor, "_ _"], form: str = "half_squared") -> Float[Tensor, ""]:
    r"""The L2 penalty on embedding rows; a published weight only makes sense with the form it was found with.

    .. math::
        \texttt{half\_squared}: \frac{1}{2B} \sum_x \|X_x\|_F^2 \qquad
        \texttt{norm}: \frac{1}{B} \sum_x \|X_x\|_F

    ``half_squared`` is the form of LightGCN's authors, ``norm`` (not squared) that of the common multimodal toolbox.

    Args:
        rows: gathered rows or whole tables, float ``[B, D]``; B is the number of rows of the last one.
        form: ``"half_squared"`` or ``"norm"``.

    Raises:
        TypeError: where one of ``rows`` is no tensor.
        ValueError: where ``form`` is unknown or no row was given.

    Example:
        >>> x = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
        >>> embedding_l2(x, x), embedding_l2(x, x, form="norm")
        (tensor(12.5000), tensor(5.))
    """
    check_choice(L2_FORMS, form=form)
    for place, x in enumerate(rows):
        if isinstance(x, list | tuple):
            raise TypeError(
                f"'rows' must be tensors, each an argument of its own (got a {type(x).__name__}). Pass "
                "embedding_l2(*rows)."
            )
        check_tensors(**{f"rows[{place}]": x})
    if not rows or rows[-1].ndim == 0 or len(rows[-1]) == 0:
        raise ValueError(f"'rows' must hold at least one tensor with rows (got {[list(x.shape) for x in rows]}).")
    return _FORMS[form]([widen(x) for x in rows])
