"""The two alignments that are made of InfoNCE, per row (DRepMRec, Eq. 10-11)."""

from drepm_pyg.nn.functional.info_nce import info_nce
from drepm_pyg.nn.functional.rows import check_row_ids, check_rows
from drepm_pyg.typing import Bool, Float, Int, Tensor

__all__ = ["inter_alignment", "intra_alignment"]


def intra_alignment(
    *,
    behavior_user: Float[Tensor, "B Db"],
    behavior_item: Float[Tensor, "B Db"],
    modal_user: Float[Tensor, "B Dm"],
    modal_item: Float[Tensor, "B Dm"],
    temperature: float = 0.2,
    normalize: bool = True,
    mask: Bool[Tensor, "B B"] | None = None,
    user: Int[Tensor, " B"] | None = None,
    item: Int[Tensor, " B"] | None = None,
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
        user: ids of the pairs' users, long ``[B]``: they save work where the batch repeats some, see :func:`info_nce`.
        item: ids of the pairs' items, long ``[B]``.

    Returns:
        the loss of each pair in nats, float ``[B]``.

    Raises:
        ValueError: as :func:`info_nce`.
    """
    check_rows(behavior_user=behavior_user, behavior_item=behavior_item)
    check_rows(modal_user=modal_user, modal_item=modal_item)
    if len(modal_user) != len(behavior_user):
        raise ValueError(
            f"'modal_user' must have a row per pair, as 'behavior_user' (got {len(modal_user)} rows for "
            f"{len(behavior_user)})."
        )
    check_row_ids(len(modal_user), user=user, item=item)
    behavior, modal = (
        info_nce(
            users, items, temperature=temperature, normalize=normalize, mask=mask, anchor_id=user, positive_id=item
        )
        for users, items in ((behavior_user, behavior_item), (modal_user, modal_item))
    )
    return behavior + modal


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
