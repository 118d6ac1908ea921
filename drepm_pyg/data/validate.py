"""Everything that can be wrong with a data set, in one error."""

from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import torch
from torch_geometric.data import HeteroData

from drepm_pyg._checks import list_faults
from drepm_pyg._device import on_the_cpu
from drepm_pyg.data.feature_checks import feature_faults, feature_warnings
from drepm_pyg.data.schema import (
    ITEM_USER,
    PAIR_VALUES,
    SPLIT_INDEX,
    USER_ITEM,
    check_hetero_data,
    pair_attribute,
    split_pairs,
)
from drepm_pyg.typing import Int, Tensor

__all__ = ["find_faults", "find_warnings", "validate"]


@on_the_cpu
def validate(data: HeteroData) -> list[str]:
    """Check ``data`` against the schema.

    Faults are ids that are out of range or no integers, duplicate pairs within a split, a pair in two splits, an empty
    training split, reverse edges that are not the training pairs reversed, features and masks of the wrong shape,
    features with NaN or infinite values, similarity graphs whose ids or weights do not fit, ratings and time stamps
    that are no tensor with a finite value for each pair, original ids and titles that are no list of strings, one for
    each node, and ids that occur twice. Any number of modalities will do, none included: the item side may come as
    ready-made graphs.

    Args:
        data: what a reader returned, or what you put together yourself.

    Returns:
        Warnings, each a sentence: users without a training pair, all-zero rows, identical rows that may stand for
        missing images or texts, float64 features. Empty where there is nothing to say.

    Raises:
        ValueError: there are faults; the message lists all of them.
    """
    list_faults("The data set", find_faults(data))
    return find_warnings(data)


def find_faults(data: HeteroData) -> list[str]:
    """What :func:`validate` refuses, each a sentence; empty for sound data."""
    check_hetero_data(data)
    if faults := list(_size_faults(data)):
        return faults  # nothing else can be judged without the two counts
    sizes = (data["user"].num_nodes, data["item"].num_nodes)
    sound: dict[str, Tensor] = {}
    for split, index in SPLIT_INDEX.items():
        pairs = split_pairs(data, split)
        if pairs is not None:
            found = [*_pair_faults(index, pairs, sizes, ("users", "items"))]
            faults += found or _duplicate_faults(index, pairs, sizes[1])
            if not found:
                sound[split] = pairs
    faults += _training_faults(data)
    faults += _overlap_faults(sound, sizes[1])
    faults += _reverse_faults(data, sound.get("train"))
    faults += _graph_faults(data)
    faults += _name_faults(data)
    faults += _value_faults(data)
    faults += feature_faults(data)
    return faults


def find_warnings(data: HeteroData) -> list[str]:
    """What :func:`validate` warns of in ``data`` without faults."""
    return [*_user_warnings(data), *feature_warnings(data)]


def _size_faults(data: HeteroData) -> Iterator[str]:
    for node in ("user", "item"):
        size = data[node].num_nodes if node in data.node_types else None
        if not isinstance(size, int) or size < 1:
            yield f"data['{node}'].num_nodes must be a positive integer (got {size!r})."


def _pair_faults(name: str, pairs: Any, sizes: tuple[int, int], what: tuple[str, str]) -> Iterator[str]:
    """Faults of one list of pairs: type, shape, range."""
    if not isinstance(pairs, Tensor):
        yield f"'{name}' must be a long tensor [2, E] (got {_described(pairs)}{_string_hint(pairs)})."
        return
    if pairs.ndim != 2 or pairs.size(0) != 2 or pairs.dtype != torch.long:
        yield f"'{name}' must be a long tensor [2, E] (got {_described(pairs)})."
        return
    for row, size, kind in zip(pairs, sizes, what, strict=True):
        wrong = row[(row < 0) | (row >= size)]
        if wrong.numel():
            yield (
                f"'{name}' names {wrong.numel():,} {kind} outside [0, {size}) (first: {wrong[:5].tolist()}). "
                f"Is the number of {kind} right, and do ids start at 0?"
            )


def _duplicate_faults(name: str, pairs: Int[Tensor, "2 E"], num_items: int) -> Iterator[str]:
    keys, count = (pairs[0] * num_items + pairs[1]).unique(return_counts=True)
    if len(keys) < pairs.size(1):
        yield (
            f"'{name}' holds {pairs.size(1) - len(keys):,} duplicate pairs (first: "
            f"{_pairs_of(keys[count > 1], num_items)}). Keep each pair once."
        )


def _string_hint(value: Any) -> str:
    while isinstance(value, list | tuple) and value:
        value = value[0]
    is_text = isinstance(value, str) or getattr(getattr(value, "dtype", None), "kind", None) in ("U", "S", "O")
    return (
        " of string ids; map them to integers from 0 and keep the originals in 'user_id' and 'item_id'"
        if is_text
        else ""
    )


def _described(value: Any) -> str:
    return f"{value.dtype}, {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"


def _pairs_of(keys: Int[Tensor, " E"], stride: int) -> list[tuple[int, int]]:
    return [divmod(key, stride) for key in keys[:5].tolist()]


def _training_faults(data: HeteroData) -> Iterator[str]:
    pairs = split_pairs(data, "train")
    if pairs is None:
        yield f"data[{USER_ITEM}].edge_index, the training pairs, is missing."
    elif isinstance(pairs, Tensor) and pairs.numel() == 0:
        yield "The training split is empty."


def _overlap_faults(splits: dict[str, Tensor], num_items: int) -> Iterator[str]:
    keys = {name: pairs[0] * num_items + pairs[1] for name, pairs in splits.items()}
    for one, other in combinations(keys, 2):
        shared = keys[other][torch.isin(keys[other], keys[one])].unique()
        if shared.numel():
            yield (
                f"{shared.numel():,} pairs stand in both '{SPLIT_INDEX[one]}' and '{SPLIT_INDEX[other]}' "
                f"(first: {_pairs_of(shared, num_items)})."
            )


def _reverse_faults(data: HeteroData, train: Tensor | None) -> Iterator[str]:
    if train is None or ITEM_USER not in data.edge_types:
        return
    reverse = data[ITEM_USER].get("edge_index")
    right_shape = isinstance(reverse, Tensor) and reverse.shape == train.shape and reverse.dtype == torch.long
    stride = data["item"].num_nodes
    if not right_shape or not torch.equal(
        (reverse[1] * stride + reverse[0]).sort().values, (train[0] * stride + train[1]).sort().values
    ):
        yield f"data[{ITEM_USER}].edge_index is not the training pairs reversed: held-out pairs may leak through it."


def _graph_faults(data: HeteroData) -> Iterator[str]:
    for kind in data.edge_types:
        if kind in (USER_ITEM, ITEM_USER):
            continue
        source, _, target = kind
        if not {source, target} <= {"user", "item"}:
            continue  # someone's own node types, of which the library knows nothing
        edge_index, weight = data[kind].get("edge_index"), data[kind].get("edge_weight")
        sizes = (data[source].num_nodes, data[target].num_nodes)
        if edge_index is None:
            yield f"data[{kind}] has no edge_index."
            continue
        yield from (
            f"data[{kind}]: {fault}"
            for fault in _pair_faults("edge_index", edge_index, sizes, (f"{source}s", f"{target}s"))
        )
        if weight is None or not isinstance(edge_index, Tensor):
            continue
        if not isinstance(weight, Tensor) or list(weight.shape) != [edge_index.size(-1)]:
            got = list(weight.shape) if isinstance(weight, Tensor) else f"a {type(weight).__name__}"
            yield (
                f"data[{kind}]: 'edge_weight' must hold one value for each of {edge_index.size(-1):,} edges "
                f"(got {got})."
            )
        elif not bool(torch.isfinite(weight).all()):
            yield f"data[{kind}]: 'edge_weight' holds NaN or infinite values."


def _name_faults(data: HeteroData) -> Iterator[str]:
    """Original ids and titles are lists of strings, one for each node; what an id names is found by it."""
    for node, name in (("user", "user_id"), ("item", "item_id"), ("item", "title")):
        listed, where = data[node].get(name), f"data['{node}'].{name}"
        if listed is None:
            continue
        other = [entry for entry in listed if not isinstance(entry, str)] if isinstance(listed, list | tuple) else None
        if other is None or other:
            got = _described(listed) + (f" that holds {other[0]!r}" if other else "")
            yield f"{where} must be a list of strings (got {got}). build_data makes one of numbers, too."
            continue
        if len(listed) != data[node].num_nodes:
            yield f"{where} has {len(listed):,} entries for {data[node].num_nodes:,} {node}s."
        twice = [entry for entry, count in Counter(listed).items() if count > 1 and entry]  # the empty id is none
        if twice and name != "title":
            yield f"{where} holds {len(twice):,} ids that occur more than once (first: {twice[:5]})."


def _value_faults(data: HeteroData) -> Iterator[str]:
    """Values beside the pairs: a tensor with a finite number for each of them."""
    store = data[USER_ITEM] if USER_ITEM in data.edge_types else {}
    for split, index in SPLIT_INDEX.items():
        for value_name in PAIR_VALUES:
            name = pair_attribute(value_name, split)
            value, pairs = store.get(name), split_pairs(data, split)
            if value is None or not isinstance(pairs, Tensor):
                continue
            if not isinstance(value, Tensor) or value.ndim != 1:
                expected = f"a tensor [{pairs.size(-1)}], a value for each pair of '{index}'"
                yield f"'{name}' must be {expected} (got {_described(value)})."
                continue
            if len(value) != pairs.size(-1):
                yield f"'{name}' has {len(value):,} values for the {pairs.size(-1):,} pairs of '{index}'."
            if not bool(torch.isfinite(value).all()):
                yield f"'{name}' holds NaN or infinite values in {int((~torch.isfinite(value)).sum()):,} pairs."


def _user_warnings(data: HeteroData) -> Iterator[str]:
    num_users = data["user"].num_nodes
    found = {split: split_pairs(data, split) for split in SPLIT_INDEX}
    users = {split: pairs[0] for split, pairs in found.items() if pairs is not None}
    active = torch.zeros(num_users, dtype=torch.bool)
    active[users["train"]] = True
    silent = (~active).nonzero().flatten()
    if len(silent) == 0:
        return
    held_out = torch.cat([row for split, row in users.items() if split != "train"] or [silent[:0]]).unique()
    evaluated = int((~active[held_out]).sum())
    yield f"{len(silent):,} of {num_users:,} users have no training pair (first: {silent[:5].tolist()})." + (
        f" {evaluated:,} of them have held-out pairs and would be evaluated as unknown users; readers and splits leave "
        "these pairs out with drop_unknown=True."
        if evaluated
        else ""
    )
