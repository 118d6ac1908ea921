"""All interactions of a data set as one list, and the way back: a label for each says where it belongs."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch_geometric.data import HeteroData

from drepm_pyg.data.schema import (
    ITEM_USER,
    PAIR_VALUES,
    SPLIT_INDEX,
    USER_ITEM,
    check_hetero_data,
    knows_pairs,
    pair_attribute,
    split_pairs,
)
from drepm_pyg.typing import Bool, Int, Tensor

Column = np.ndarray[tuple[int], np.dtype[Any]]

__all__ = ["Column", "Interactions", "assign_split", "known_users", "latest_rows"]


@dataclass(frozen=True)
class Interactions:
    """Pairs of every split, one after the other: training, validation, test.

    Shapes:
        edge_index: long ``[2, E]``; label: ``[E]``, 0 training, 1 validation, 2 test; values, by name: ``[E, ...]``
    """

    edge_index: Int[Tensor, "2 E"]
    label: Int[Tensor, " E"]
    values: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def rating(self) -> Tensor | None:
        """The ratings; None where not every pair has one."""
        return self.values.get("rating")

    @property
    def time(self) -> Tensor | None:
        """The time stamps; None where not every pair has one."""
        return self.values.get("time")

    @classmethod
    def of(cls, data: HeteroData) -> "Interactions":
        """Gather what ``data`` holds: the pairs, and every value that no split lacks."""
        check_hetero_data(data)
        pairs = {split: part for split in SPLIT_INDEX if (part := split_pairs(data, split)) is not None}
        if not pairs:
            raise ValueError(
                f"'data' must have interactions in {list(USER_ITEM)}.edge_index (got the edge types "
                f"{[list(kind) for kind in data.edge_types]})."
            )
        store = data[USER_ITEM]
        filled = [split for split, part in pairs.items() if part.size(1)]  # a split without pairs needs no values
        values = {}
        for name in _value_names(store):
            found = {key: store[key] for split in filled if (key := pair_attribute(name, split)) in store}
            if filled and len(found) == len(filled):
                expected = [pairs[split].size(1) for split in filled]
                if (got := list(map(len, found.values()))) != expected:
                    raise ValueError(f"{list(found)} must hold a value for each pair (got {got} for {expected} pairs).")
                values[name] = torch.cat(list(found.values()))
        label = torch.tensor([list(SPLIT_INDEX).index(split) for split in pairs])
        lengths = torch.tensor([part.size(1) for part in pairs.values()])
        return cls(torch.cat(list(pairs.values()), dim=1), label.repeat_interleave(lengths), values)


def _value_names(store: Any) -> list[str]:
    """The schema's values, and every other tensor with an entry for each training pair."""
    size = store["edge_index"].shape[1:] if "edge_index" in store else None
    others = [
        name
        for name, value in store.items()
        if isinstance(value, Tensor) and value.shape[:1] == size
        if name not in PAIR_VALUES and not name.endswith("index") and not name.startswith(("val_", "test_"))
    ]
    return [*PAIR_VALUES, *others]


def assign_split(data: HeteroData, label: Int[Tensor, " E"], *, drop_unknown: bool = False) -> HeteroData:
    """A copy of ``data`` with its interactions dealt anew.

    Features are shared with ``data``, not copied. Ratings and time stamps go with their pairs: ``rating`` belongs to
    the training pairs, ``val_rating`` and ``test_rating`` to the held-out ones. So does ``time``, and any other tensor
    with an entry for each training pair (``edge_attr``, ``val_edge_attr``, ``test_edge_attr``). A value that some pair
    lacks is left out, and so is whatever else is stored with the interactions or their reverse: it may know the earlier
    split. Item graphs and edge types of your own (who follows whom, what belongs to which brand) stay as they are.

    Args:
        data: HeteroData in the schema.
        label: for every interaction in the order of :class:`Interactions`: 0 training, 1 validation, 2 test, -1 drop.
        drop_unknown: leave held-out pairs of users out who have no training pair.

    Raises:
        ValueError: ``label`` has another length or other values, nothing is left for training, or ``data`` carries a
            graph that was built from the earlier training pairs and would show held-out ones: similar users, users who
            buy alike, or pairs of users and items under another name.
    """
    stale = [kind for kind in data.edge_types if knows_pairs(kind)]
    if stale:
        raise ValueError(
            f"'data' carries graphs that hold pairs of its earlier split, or were built from them ({stale}), which "
            "would leak held-out pairs. Split first, build the graphs afterwards."
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
    for kind in {USER_ITEM, ITEM_USER} & set(out.edge_types):
        del out[kind]
    for number, (split, index) in enumerate(SPLIT_INDEX.items()):
        chosen = label == number
        out[USER_ITEM][index] = pooled.edge_index[:, chosen]
        for name, value in pooled.values.items():
            out[USER_ITEM][pair_attribute(name, split)] = value[chosen]
    out[ITEM_USER].edge_index = out[USER_ITEM].edge_index.flip(0)
    return out


def latest_rows(user: Column, item: Column, time: Column | None = None) -> Column:
    """The places, ascending, of the latest row of every pair: the last of equal times, or where there are none.

    Args:
        user: whole numbers.
        item: whole numbers.
        time: numbers, of which NaN is the latest; None: there are no times.
    """
    import pandas as pd

    kept = ~pd.DataFrame({"user": user, "item": item}).duplicated(keep=False).to_numpy()
    rows = np.flatnonzero(~kept)  # in most data sets few: only these are sorted
    keys = [column[rows] for column in (time, item, user) if column is not None]
    rows = rows[np.lexsort(keys)]
    ends = np.ones(len(rows), dtype=bool)
    ends[:-1] = (user[rows[1:]] != user[rows[:-1]]) | (item[rows[1:]] != item[rows[:-1]])
    kept[rows[ends]] = True
    return np.flatnonzero(kept)


def known_users(train: Int[Tensor, "2 E"], user: Int[Tensor, " B"]) -> Bool[Tensor, " B"]:
    """Which of ``user`` have at least one training pair."""
    size = 1 + int(max(train[0].max() if train.numel() else -1, user.max() if user.numel() else -1))
    known = torch.zeros(size, dtype=torch.bool, device=user.device)
    known[train[0]] = True
    return known[user]
