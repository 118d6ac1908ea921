"""The names of the library's HeteroData, and the one function that builds it."""

import keyword
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch_geometric.data import HeteroData
from torch_geometric.data.storage import NodeStorage

from drepm_pyg._checks import check_at_least, check_pairs
from drepm_pyg.typing import Bool, Float, Int, OptTensor, Tensor

__all__ = [
    "ITEM_USER",
    "PAIR_VALUES",
    "SPLIT_INDEX",
    "USER_ITEM",
    "build_data",
    "check_data",
    "check_hetero_data",
    "check_modality_name",
    "graph_modalities",
    "knows_pairs",
    "modalities",
    "modality_mask",
    "node_count",
    "pair_attribute",
    "pair_counts",
    "similar",
    "split_pairs",
    "stored_graph",
    "training_pairs",
]

USER_ITEM = ("user", "interacts", "item")
ITEM_USER = ("item", "rev_interacts", "user")

#: Under which attribute of ``data[USER_ITEM]`` the pairs of a split stand.
SPLIT_INDEX = {"train": "edge_index", "val": "val_edge_label_index", "test": "test_edge_label_index"}

#: What the schema knows of a pair besides its ids.
PAIR_VALUES = ("rating", "time")

_SIMILAR, _COOCCURS = "similar_", "cooccurs"
_OTHER_ITEM_ATTRIBUTES = ("item_id", "title")


def pair_attribute(value: str, split: str) -> str:
    """Where ``data[USER_ITEM]`` holds the values of a split's pairs: ``rating``, ``val_rating``, ``test_rating``."""
    return value if split == "train" else f"{split}_{value}"


def split_pairs(data: HeteroData, split: str) -> Int[Tensor, "2 E"] | None:
    """The pairs of a split; None where ``data`` has none under its name."""
    # Asking for an edge type that is not there makes one.
    return data[USER_ITEM].get(SPLIT_INDEX[split]) if USER_ITEM in data.edge_types else None


def pair_counts(data: HeteroData) -> dict[str, int]:
    """The number of pairs of every split that ``data`` holds, in the order train, val, test."""
    found = {split: split_pairs(data, split) for split in SPLIT_INDEX}
    return {split: pairs.size(1) for split, pairs in found.items() if pairs is not None}


_WAY_OUT = "Read one, as by drepm_pyg.data.read_mmrec(path)."


def check_hetero_data(data: HeteroData) -> None:
    """The argument ``data``; what it holds is not looked at."""
    if not isinstance(data, HeteroData):
        raise TypeError(
            f"'data' must be a HeteroData in the library's schema (got a {type(data).__name__}). {_WAY_OUT}"
        )


def check_data(data: HeteroData, need: str, *, way: str = _WAY_OUT) -> None:
    """The same of data that goes by no name; ``need`` says who asks for it, ``way`` what to do about anything else."""
    if not isinstance(data, HeteroData):
        raise TypeError(f"{need} needs a HeteroData in the library's schema (got {type(data).__name__}). {way}")


def training_pairs(data: HeteroData, need: str = "The model") -> Int[Tensor, "2 E"]:
    """The training pairs, ``data['user', 'interacts', 'item'].edge_index``; ``need`` says who asks for them.

    Raises:
        TypeError: if ``data`` is no HeteroData.
        ValueError: if it has no such pairs.
    """
    check_data(data, need)
    pairs = split_pairs(data, "train")
    if pairs is None:
        raise ValueError(
            f"{need} needs the training pairs, data{list(USER_ITEM)}.edge_index, which are not there (there are edges "
            f"{list(data.edge_types)}). Put them under this name, or build the data with build_data."
        )
    return pairs


def node_count(data: HeteroData, node: str) -> int:
    """The number of nodes, which must be told: where only edges are known, isolated nodes at the end are not.

    Raises:
        ValueError: if nothing tells it.
    """
    store = data[node] if node in data.node_types else {}  # asking for a store that is not there makes one
    count = store.get("num_nodes")
    if count is None:
        sizes = {value.size(0) for value in store.values() if isinstance(value, Tensor) and value.ndim > 0}
        if len(sizes) != 1:
            raise ValueError(f"data['{node}'].num_nodes is not set. Set it to the number of {node}s.")
        count = sizes.pop()
    return int(count)


def similar(node: str, modality: str) -> tuple[str, str, str]:
    """The edge type of the similarity graph of ``modality`` over the nodes of type ``node``."""
    return (node, f"{_SIMILAR}{modality}", node)


def graph_modalities(data: HeteroData, node: str) -> list[str]:
    """The modalities, sorted, of which ``data`` has a similarity graph over the nodes of type ``node``."""
    return sorted(
        relation.removeprefix(_SIMILAR)
        for source, relation, target in data.edge_types
        if source == target == node and relation.startswith(_SIMILAR)
    )


def stored_graph(data: HeteroData, node: str, modality: str) -> tuple[Int[Tensor, "2 E"], OptTensor]:
    """A similarity graph that is there: ``edge_index``, and ``edge_weight`` or None where every edge weighs 1."""
    store = data[similar(node, modality)]
    return store.edge_index, store.get("edge_weight")


def knows_pairs(kind: tuple[str, str, str]) -> bool:
    """Whether edges of this type may tell which pairs were for training: graphs over users made of them, or pairs.

    Item graphs come from features alone; of relations that the library does not build, only those between users and
    items are suspected.
    """
    source, relation, target = kind
    if source == target == "user":
        return relation.startswith(_SIMILAR) or relation == _COOCCURS
    return {source, target} == {"user", "item"} and kind not in (USER_ITEM, ITEM_USER)


def modalities(data: HeteroData) -> list[str]:
    """The names of the item features, sorted: dense two-dimensional floating point attributes, one row per item."""
    item = data["item"] if "item" in data.node_types else {}  # asking for a store that is not there makes one
    num_items = item.get("num_nodes")  # PyG warns where it is asked for a number that was never set
    return sorted(
        name
        for name, value in item.items()
        if not name.endswith("_mask")
        and isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.ndim == 2
        and value.is_floating_point()
        and num_items in (None, value.size(0))
    )


def modality_mask(data: HeteroData, name: str) -> Bool[Tensor, " I"] | None:
    """Which items have the modality ``name`` (True = present); None where all of them do."""
    return data["item"].get(f"{name}_mask") if "item" in data.node_types else None


def check_modality_name(name: str) -> None:
    """A modality is an attribute of ``data['item']`` and part of an edge type: a plain identifier that is not taken."""
    taken = hasattr(NodeStorage, name) or name in _OTHER_ITEM_ATTRIBUTES or name.endswith("_mask")
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_") or taken:
        raise ValueError(
            f"A modality cannot be named {name!r}: letters, digits and underscores, no leading digit or underscore, "
            "not ending in '_mask', and no name that PyG's storages or the schema use themselves. Rename it, for "
            "instance to 'image'."
        )


def build_data(
    num_users: int,
    num_items: int,
    train: Int[Tensor, "2 E"],
    val: Int[Tensor, "2 V"] | None = None,
    test: Int[Tensor, "2 T"] | None = None,
    features: Mapping[str, Float[Tensor, "I F"]] | None = None,
    masks: Mapping[str, Bool[Tensor, " I"]] | None = None,
    *,
    rating: Iterable[Any] | None = None,
    time: Iterable[Any] | None = None,
    user_id: Iterable[Any] | None = None,
    item_id: Iterable[Any] | None = None,
    title: Iterable[Any] | None = None,
) -> HeteroData:
    """Put pairs and features into the schema; every reader of the library ends here.

    Training pairs and held-out pairs become different attributes, so that message passing cannot see the latter by
    accident; the reverse edges hold training pairs alone.

    Args:
        num_users: number of users; ids run from 0 to ``num_users - 1``.
        num_items: number of items.
        train: training pairs (row 0 users, row 1 items).
        val: validation pairs; None for none.
        test: test pairs; None for none.
        features: raw features by modality, one row per item; kept as they are (memory-mapped ones stay on disk).
        masks: by modality, which items have it (True = present); a modality without a mask is complete.
        rating: a value for every training pair: a tensor, kept as it is, or numbers in an array or a list.
        time: a time stamp for every training pair, likewise.
        user_id: the users' original ids, in the order of the new ones; whole numbers (in a tensor or an array, too)
            become strings.
        item_id: the items' original ids, likewise.
        title: the items' names, for printing.

    Raises:
        TypeError: values of pairs that are no numbers, or original ids and titles that are neither strings nor whole
            numbers.
        ValueError: an id out of range, a modality name that cannot be one, or a mask without its features. (Everything
            else that can be wrong with data is found by :func:`~drepm_pyg.data.validate`.)
    """
    check_at_least(1, num_users=num_users, num_items=num_items)
    data = HeteroData()
    data["user"].num_nodes, data["item"].num_nodes = int(num_users), int(num_items)
    for split, pairs in (("train", train), ("val", val), ("test", test)):
        pairs = train.new_empty(2, 0) if pairs is None else pairs
        check_pairs(pairs, num_users, num_items, name=split)
        data[USER_ITEM][SPLIT_INDEX[split]] = pairs
    data[ITEM_USER].edge_index = train.flip(0)

    features, masks = features or {}, masks or {}
    for name, x in features.items():
        check_modality_name(name)
        data["item"][name] = x
    for name, mask in masks.items():
        if name not in features:
            raise ValueError(f"'masks' names '{name}', which 'features' does not hold (it holds {sorted(features)}).")
        data["item"][f"{name}_mask"] = mask

    for attribute, values in (("rating", rating), ("time", time)):
        if values is not None:
            data[USER_ITEM][attribute] = _numbers(attribute, values)
    for node, attribute, names in (
        ("user", "user_id", user_id),
        ("item", "item_id", item_id),
        ("item", "title", title),
    ):
        if names is not None:
            data[node][attribute] = _strings(attribute, names)
    return data


def _numbers(argument: str, values: Iterable[Any]) -> Tensor:
    if isinstance(values, Tensor):
        return values
    try:
        # By way of NumPy: torch makes float32 of Python's floats, which cannot tell one second from the next.
        return torch.tensor(np.asarray(values if hasattr(values, "__len__") else list(values)))
    except (TypeError, ValueError) as error:
        raise TypeError(f"'{argument}' must hold a number for every training pair ({error}).") from error


def _strings(argument: str, names: Iterable[Any]) -> list[str]:
    """Original ids and titles as files hold them."""
    expected = f"'{argument}' must be a list of strings or of whole numbers"
    if isinstance(names, str) or getattr(names, "ndim", 1) != 1:
        raise TypeError(f"{expected} (got {names!r}).")
    listed = names.tolist() if hasattr(names, "tolist") else list(names)  # the entries of a tensor are tensors
    if argument == "title":  # an item without an id could not be found by it
        listed = ["" if _is_gap(name) else name for name in listed]
    wrong = [name for name in listed if isinstance(name, bool) or not isinstance(name, str | Integral)]
    if wrong:
        raise TypeError(f"{expected} (got {len(wrong):,} entries that are neither, first: {wrong[0]!r}).")
    return list(map(str, listed))


def _is_gap(name: Any) -> bool:
    """Whether it is a gap of a table: NaN or NA in pandas, of which the latter is not even unequal to itself."""
    return name is None or type(name).__name__ == "NAType" or bool(name != name)
