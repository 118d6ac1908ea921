"""What can be wrong with the items' features and masks."""

from collections.abc import Iterator
from typing import Any

import torch
from torch_geometric.data import HeteroData

from drepm_pyg.data.duplicates import duplicate_groups
from drepm_pyg.data.schema import check_modality_name, modalities, modality_mask
from drepm_pyg.typing import Bool, Float, Tensor

__all__ = ["feature_faults", "feature_warnings"]

_NODE_SPLIT_MASKS = ("train_mask", "val_mask", "test_mask")  # what PyG's RandomNodeSplit leaves: no modality is meant
BLOCK = 2**22  # entries that are looked at once; larger matrices stay on disk


def feature_faults(data: HeteroData) -> Iterator[str]:
    """Wrong shapes and types, NaN and infinite values, masks that do not fit."""
    item = data["item"]
    for name, value in item.items():
        if name.endswith("_mask"):
            yield from _mask_faults(name, value, item)
        elif _looks_like_features(value):
            yield from _matrix_faults(name, value, item)


def _looks_like_features(value: object) -> bool:
    # Integer and sparse tables may be anyone's; a NumPy array or a third axis is a mistake that would go unnoticed.
    if isinstance(value, Tensor):
        return value.layout == torch.strided and value.ndim >= 2 and value.is_floating_point()
    return getattr(value, "ndim", 0) >= 2


def _matrix_faults(name: str, x: object, item: Any) -> Iterator[str]:
    num_items, mask = item.num_nodes, item.get(f"{name}_mask")
    try:
        check_modality_name(name)
    except ValueError as error:
        yield str(error)
    if not isinstance(x, Tensor):
        yield f"'{name}' must be a torch tensor (got a {type(x).__name__}); wrap it: torch.from_numpy(...)."
    elif x.ndim != 2 or x.size(1) == 0:
        yield f"'{name}' must have the shape [{num_items}, F] with F > 0 (got {list(x.shape)})."
    elif x.size(0) != num_items:
        yield f"'{name}' has {x.size(0):,} rows for {num_items:,} items."
    else:
        wrong = _rows_where(x, finite=True).logical_not()
        if isinstance(mask, Tensor) and mask.shape == wrong.shape and mask.dtype == torch.bool:
            wrong &= mask  # what stands in an absent row does not matter
        bad = wrong.nonzero().flatten()
        if len(bad):
            yield (
                f"'{name}' holds NaN or infinite values in {len(bad):,} of {num_items:,} rows (first: "
                f"{bad[:5].tolist()}). "
                f"Where the modality is missing, set '{name}_mask' to False."
            )


def _mask_faults(name: str, mask: object, item: Any) -> Iterator[str]:
    modality = name.removesuffix("_mask")
    if item.get(modality) is None:
        if name in _NODE_SPLIT_MASKS:
            return
        yield f"'{name}' belongs to no features: '{modality}' is missing."
    size = item.num_nodes
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or list(mask.shape) != [size]:
        got = f"{mask.dtype}, {list(mask.shape)}" if isinstance(mask, Tensor) else f"a {type(mask).__name__}"
        yield f"'{name}' must be a bool tensor [{size}], True where the item has the modality (got {got})."


def feature_warnings(data: HeteroData) -> Iterator[str]:
    """Zero rows, identical rows and number types, for data without faults."""
    for name, value in data["item"].items():
        if not isinstance(value, Tensor) or value.ndim != 2:
            continue
        if value.layout != torch.strided:
            yield f"'{name}' is no modality because it is stored as {value.layout}. If it should be one, densify it."
        elif not value.is_floating_point():
            yield f"'{name}' is no modality because it holds {value.dtype}. If it should be one, convert it."
    for name in modalities(data):
        x, mask = data["item"][name], modality_mask(data, name)
        if x.dtype == torch.float64:
            yield f"'{name}' is float64: float32 halves memory and time, and nothing is lost in a recommender."
        nonzero = _rows_where(x, finite=False)
        present = torch.ones(len(x), dtype=torch.bool) if mask is None else mask
        zero = (present & ~nonzero).nonzero().flatten()
        if len(zero):
            yield (
                f"'{name}' has {len(zero):,} all-zero rows that no mask marks as missing (first: {zero[:5].tolist()}). "
                f"If these items lack the modality, set '{name}_mask' to False there."
            )
        yield from _duplicate_warnings(name, x, (present & nonzero).nonzero().flatten())


def _duplicate_warnings(name: str, x: Float[Tensor, "I F"], rows: Tensor) -> Iterator[str]:
    groups = duplicate_groups(x if len(rows) == len(x) else x[rows])
    if groups:
        largest = rows[groups[0]]
        yield (
            f"'{name}' has {sum(map(len, groups)):,} rows that are not unique, in {len(groups):,} groups; the largest "
            f"counts {len(largest):,} (first items: {largest[:5].tolist()}). Rows like these often stand for a missing "
            f"{name} and are each other's nearest neighbours; mask_duplicate_rows(data, '{name}') marks the largest "
            "group as missing."
        )


def _rows_where(x: Float[Tensor, "I F"], *, finite: bool) -> Bool[Tensor, " I"]:
    """Per row: are all entries finite (or, with ``finite=False``, is any entry not 0)? In blocks."""
    blocks = x.split(max(1, BLOCK // x.size(1)))
    return torch.cat([block.isfinite().all(dim=1) if finite else (block != 0).any(dim=1) for block in blocks])
