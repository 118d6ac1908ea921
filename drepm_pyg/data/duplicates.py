"""Identical feature rows: how many data sets hide that an item has no image or text."""

import copy

import torch
from torch_geometric.data import HeteroData

from drepm_pyg._checks import check_choice
from drepm_pyg._device import on_the_cpu
from drepm_pyg.data.schema import modalities, modality_mask, similar
from drepm_pyg.typing import Float, Int, Tensor

__all__ = ["duplicate_groups", "mask_duplicate_rows"]

BLOCK = 2**22  # entries that are hashed at once; larger matrices stay on disk


@on_the_cpu
def duplicate_groups(x: Float[Tensor, "I F"]) -> list[Int[Tensor, " R"]]:
    """The groups of two or more rows of ``x`` that are equal bit by bit, the largest first (ties: smaller row)."""
    if x.size(0) < 2 or x.size(1) == 0:
        return []
    row_hash = _hash_rows(x)
    order = row_hash.argsort(stable=True)
    _, sizes = torch.unique_consecutive(row_hash[order], return_counts=True)
    first = order[sizes.cumsum(0) - sizes].repeat_interleave(sizes)  # for each row, the first of its hash
    several = sizes.repeat_interleave(sizes) > 1
    rows, first = order[several], first[several]
    # Equal hashes do not prove equal rows.
    blocks = zip(*(ids.split(max(1, BLOCK // x.size(1))) for ids in (rows, first)), strict=True)
    same = torch.cat([(x[block] == x[leaders]).all(dim=1) for block, leaders in blocks])
    _, sizes = torch.unique_consecutive(first[same], return_counts=True)
    groups = [group for group in rows[same].split(sizes.tolist()) if len(group) > 1]
    return sorted(groups, key=lambda group: (-len(group), int(group[0])))


def _hash_rows(x: Float[Tensor, "I F"]) -> Int[Tensor, " I"]:
    """A random linear form of the rows' bits, modulo 2**64."""
    # float64 in halves: modulo 2**64 little is left of round numbers, whose lower bits are all 0.
    bits = torch.int16 if x.element_size() == 2 else torch.int32
    width = x.size(1) * x.element_size() // bits.itemsize
    weights = torch.empty(width, dtype=torch.long).random_(generator=torch.Generator().manual_seed(0)) * 2 + 1
    blocks = x.split(max(1, BLOCK // x.size(1)))
    return torch.cat([(block.contiguous().view(bits) * weights).sum(dim=1) for block in blocks])


@on_the_cpu
def mask_duplicate_rows(data: HeteroData, modality: str) -> HeteroData:
    """Declare the items of the largest group of identical rows to be without ``modality``.

    Published feature files often give an item without an image the mean of the others. Such rows are each other's
    nearest neighbours and form an arbitrary clique in the similarity graph; a masked row takes part in no graph.

    Args:
        data: HeteroData in the schema; build the similarity graphs afterwards.
        modality: the features to look at. Rows that are masked already do not count.

    Returns:
        A copy of ``data`` (features are shared) with ``<modality>_mask`` set.

    Raises:
        ValueError: no such modality, no identical rows, or a graph of this modality stands already.
    """
    check_choice(modalities(data), modality=modality)
    graphs = [kind for kind in (similar("item", modality), similar("user", modality)) if kind in data.edge_types]
    if graphs:
        raise ValueError(
            f"'data' holds graphs of '{modality}' ({graphs}), in which the masked rows still stand. Mask first."
        )
    mask = modality_mask(data, modality)
    mask = torch.ones(data["item"].num_nodes, dtype=torch.bool) if mask is None else mask.clone()
    present = mask.nonzero().flatten()
    x = data["item"][modality]
    groups = duplicate_groups(x if len(present) == len(x) else x[present])
    if not groups:
        raise ValueError(f"'{modality}' has no identical rows to mask.")
    mask[present[groups[0]]] = False
    out = copy.copy(data)
    out["item"][f"{modality}_mask"] = mask
    return out
