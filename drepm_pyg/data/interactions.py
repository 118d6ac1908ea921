"""All interactions of a data set as one list, and the way back: a label for each says where it belongs."""

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch_geometric.data import HeteroData

from drepm_pyg.data.schema import ITEM_USER, SPLIT_INDEX, USER_ITEM
from drepm_pyg.typing import Bool, Int, Tensor

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Interactions", "assign_split", "known_users", "latest_rows"]

_VALUES = ("rating", "time")


@dataclass(frozen=True)
class Interactions:
    """Pairs of every split, one after the other: training, validation, test.

    Shapes:
        edge_index: long ``[2, E]``; label: ``[E]``, 0 training, 1 validation, 2 test; rating, time: ``[E]`` or None
    """

    edge_index: Int[Tensor, "2 E"]
    label: Int[Tensor, " E"]
    rating: Tensor | None = None
    time: Tensor | None = None

    @classmethod
    def of(cls, data: HeteroData) -> "Interactions":
        """Gather what ``data`` holds; a rating or time that some split lacks is None."""
        store = data[USER_ITEM]
        splits = [name for name in SPLIT_INDEX if store.get(SPLIT_INDEX[name]) is not None]
        parts = [store[SPLIT_INDEX[name]] for name in splits]
        lengths = torch.tensor([part.size(1) for part in parts])
        values: dict[str, Tensor | None] = {}
        for value in _VALUES:
            # A split without pairs needs no values.
            found = [
                store.get(_attribute(value, name)) for name, part in zip(splits, parts, strict=True) if part.size(1)
            ]
            present = [tensor for tensor in found if tensor is not None]
            values[value] = torch.cat(present) if present and len(present) == len(found) else None
        label = torch.tensor([list(SPLIT_INDEX).index(name) for name in splits])
        if not parts:
            raise ValueError(
                f"'data' must have interactions in {list(USER_ITEM)}.edge_index (got the edge types "
                f"{[list(kind) for kind in data.edge_types]})."
            )
        return cls(torch.cat(parts, dim=1), label.repeat_interleave(lengths), **values)


def _attribute(value: str, split: str) -> str:
    return value if split == "train" else f"{split}_{value}"


def assign_split(data: HeteroData, label: Int[Tensor, " E"], *, drop_unknown: bool = False) -> HeteroData:
    """A copy of ``data`` with its interactions dealt anew.

    Features are shared with ``data``, not copied. Ratings and time stamps go with their pairs: ``rating`` belongs to
    the training pairs, ``val_rating`` and ``test_rating`` to the held-out ones (``time`` likewise).

    Args:
        data: HeteroData in the schema.
        label: for every interaction in the order of :class:`Interactions`: 0 training, 1 validation, 2 test, -1 drop.
        drop_unknown: leave held-out pairs of users out who have no training pair.

    Raises:
        ValueError: ``label`` has another length or other values, nothing is left for training, or ``data`` carries a
            user graph: it was built from the earlier training pairs and would show held-out ones.
    """
    stale = [kind for kind in data.edge_types if "user" in kind and kind not in (USER_ITEM, ITEM_USER)]
    if stale:
        raise ValueError(
            f"'data' carries graphs over users built from its earlier split ({stale}), which would leak held-out "
            "pairs. Split first, build the graphs afterwards."
        )
    pooled = Interactions.of(data)
    if label.shape != pooled.label.shape or not bool(((label >= -1) & (label <= 2)).all()):
        raise ValueError(
            f"'label' must hold -1, 0, 1 or 2 for each of the {pooled.label.numel():,} interactions "
            f"(got {list(label.shape)}, values {label.unique().tolist()[:5]})."
        )
    if not bool((label == 0).any()):
        raise ValueError("This split leaves no interaction for training. Choose smaller held-out parts.")
    if drop_unknown:
        known = known_users(pooled.edge_index[:, label == 0], pooled.edge_index[0])
        label = torch.where(known, label, -1)

    out = copy.copy(data)
    del out[USER_ITEM]
    for number, (split, index) in enumerate(SPLIT_INDEX.items()):
        chosen = label == number
        out[USER_ITEM][index] = pooled.edge_index[:, chosen]
        for value in _VALUES:
            tensor = getattr(pooled, value)
            if tensor is not None:
                out[USER_ITEM][_attribute(value, split)] = tensor[chosen]
    out[ITEM_USER].edge_index = out[USER_ITEM].edge_index.flip(0)
    return out


def latest_rows(frame: "pd.DataFrame", user: str, item: str, time: str) -> "pd.DataFrame":
    """The latest row of every pair in the columns ``user`` and ``item``, the last where there are no times."""
    ordered = frame.sort_values(time, kind="stable") if time in frame else frame
    return ordered.drop_duplicates([user, item], keep="last").sort_index()


def known_users(train: Int[Tensor, "2 E"], user: Int[Tensor, " B"]) -> Bool[Tensor, " B"]:
    """Which of ``user`` have at least one training pair."""
    size = 1 + int(max(train[0].max() if train.numel() else -1, user.max() if user.numel() else -1))
    known = torch.zeros(size, dtype=torch.bool, device=user.device)
    known[train[0]] = True
    return known[user]
