"""What a recommender knows beside its model: who has seen what, the items' features, and names to print."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch
from torch.nn import functional as F
from torch_geometric.data import HeteroData

from drepm_pyg.data import USER_ITEM, modalities, modality_mask
from drepm_pyg.data.schema import check_hetero_data, node_count, split_pairs
from drepm_pyg.typing import Bool, Float, Int, Tensor

__all__ = ["Catalog", "Tables"]


@dataclass(frozen=True)
class Tables:
    """The rows that are multiplied.

    Attributes:
        user: the users' rows.
        item: the items' rows.
        room: the table of which ``item`` is the beginning, with space for items to come; None: there is none.

    Shapes:
        user: float ``[U, D]``, item: float ``[I, D]``
    """

    user: Float[Tensor, "U D"]
    item: Float[Tensor, "I D"]
    room: Float[Tensor, "R D"] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def unit_item(self) -> Float[Tensor, "I D"]:
        """The items' rows at unit length, made when they are first asked for."""
        return F.normalize(self.item, dim=1)

    def with_items(self, rows: Float[Tensor, "B D"]) -> "Tables":
        """Tables with ``rows`` behind the items: new ones, as what these keep (:attr:`unit_item`) lacks the rows.

        Both share their memory: rows that were added to these tables before may be overwritten.
        """
        before, size = len(self.item), len(self.item) + len(rows)
        room = self.room
        if room is None or len(room) < size:  # by a quarter: every row is copied a few times, however many are added
            room = self.item.new_empty(size + size // 4, self.item.size(1))
            room[:before] = self.item
        room[before:size] = rows
        return Tables(self.user, room[:size], room)


@dataclass
class Catalog:
    """Users, items and training pairs as the model saw them, and the items that were added since.

    Attributes:
        num_users: users.
        num_items: items, the added ones included.
        num_trained: items that the model was trained with; the added ones follow them.
        seen: long ``[2, E]``, the training pairs.
        features: raw features ``[num_trained, F]`` by modality.
        masks: bool ``[num_trained]`` by modality (True: present), where some item lacks it.
        titles: the items' names, if known.
        item_ids: the items' original ids, if known.
        user_ids: the users' original ids, if known.
    """

    num_users: int
    num_items: int
    num_trained: int
    seen: Int[Tensor, "2 E"]
    features: dict[str, Float[Tensor, "I F"]] = field(default_factory=dict)
    masks: dict[str, Bool[Tensor, " I"]] = field(default_factory=dict)
    titles: list[str] | None = None
    item_ids: list[str] | None = None
    user_ids: list[str] | None = None
    _numbers: dict[str, dict[str, int]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, data: HeteroData) -> "Catalog":
        """The catalog of the schema's HeteroData, all copied but the features: those may lie on disk, memory-mapped."""
        check_hetero_data(data)
        seen = split_pairs(data, "train")
        if seen is None:
            raise ValueError(f"'data' must have training pairs, data{list(USER_ITEM)}.edge_index (they are missing).")
        names = modalities(data)
        masks = {name: modality_mask(data, name) for name in names}
        num_items = node_count(data, "item")
        return cls(
            num_users=node_count(data, "user"),
            num_items=num_items,
            num_trained=num_items,
            seen=seen.clone(),
            features={name: data["item"][name] for name in names},
            masks={name: mask.clone() for name, mask in masks.items() if mask is not None},
            titles=_strings(data["item"].get("title")),
            item_ids=_strings(data["item"].get("item_id")),
            user_ids=_strings(data["user"].get("user_id")),
        )

    def add(self, count: int, titles: Sequence[str] | None, item_ids: Sequence[str] | None) -> Int[Tensor, " B"]:
        """Number ``count`` new items; where the others have names, a new one without has the empty name.

        Raises:
            ValueError: where names do not fit the items, or original ids are taken; the catalog is then as before.
        """
        extended = (
            self._extended("titles", self.titles, titles, count),
            self._extended("item_ids", self.item_ids, item_ids, count),
        )
        if item_ids is not None:
            self._check_new_ids(item_ids)
        self.titles, self.item_ids = extended
        self._numbers.clear()
        first, self.num_items = self.num_items, self.num_items + count
        return torch.arange(first, self.num_items)

    def numbers(self, what: Literal["user_ids", "item_ids"], ids: Sequence[str]) -> Int[Tensor, " B"]:
        """The numbers of original ids.

        Raises:
            TypeError: where ``ids`` is one text, which would be taken for a list of letters.
            ValueError: where the data have none, or not these.
        """
        if isinstance(ids, str):  # a sequence, of its letters
            raise TypeError(f"'original_ids' must be a list (got {ids!r}). Pass [{ids!r}].")
        known = getattr(self, what)
        if known is None:
            nodes = what.removesuffix("_ids") + "s"
            raise ValueError(
                f"'{what}' must be numbers from 0, as the data have no original ids of {nodes} (got {ids[:5]})."
            )
        number = self._numbered(what)
        missing = [name for name in ids if name not in number]
        if missing:
            raise ValueError(
                f"'{what}' must be original ids of the data, such as {', '.join(map(repr, known[:3]))} (got "
                f"{len(missing)} that are none: {missing[:5]})."
            )
        return torch.tensor([number[name] for name in ids], dtype=torch.long)

    def _numbered(self, what: Literal["user_ids", "item_ids"]) -> dict[str, int]:
        if what not in self._numbers:
            self._numbers[what] = {name: number for number, name in enumerate(getattr(self, what) or ()) if name}
        return self._numbers[what]

    def _check_new_ids(self, ids: Sequence[str]) -> None:
        """An id that is taken would point to another item from now on; the empty one is none."""
        taken, count = self._numbered("item_ids"), Counter(map(str, ids))
        faults = [name for name in count if name and (name in taken or count[name] > 1)]
        if faults:
            raise ValueError(
                f"'item_ids' must be new, each once (got {len(faults)} that are not: {faults[:5]}). Leave these items "
                "out, or give them other ids."
            )

    def _extended(self, name: str, old: list[str] | None, new: Sequence[str] | None, count: int) -> list[str] | None:
        if new is None:
            return None if old is None else old + [""] * count
        if isinstance(new, str) or len(new) != count:
            raise ValueError(f"'{name}' must be a list with one entry per new item (got {new!r} for {count} items).")
        return (old or [""] * self.num_items) + [str(entry) for entry in new]


def _strings(values: Any) -> list[str] | None:
    return None if values is None else [str(value) for value in values]
