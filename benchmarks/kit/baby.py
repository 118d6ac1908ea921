"""Synthetic data of Amazon Baby's shape, at any multiple of its size."""

import torch
from torch_geometric.data import HeteroData

from drepm_pyg.data import SyntheticMultimodal, similar
from drepm_pyg.graph import AddSimilarityGraphs

#: Amazon Baby as the field publishes it: users, items, interactions, and widths of the features.
USERS, ITEMS, PAIRS = 19_445, 7_050, 160_792
WIDTHS = {"image": 4096, "text": 384}
QUICK_WIDTHS = {"image": 64, "text": 32}
_QUICK = 1 / 40


def baby(scale: float = 1.0, *, quick: bool = False, widths: dict[str, int] | None = None, seed: int = 0) -> HeteroData:
    """Users, items, interactions (split 8:1:1) and features; without similarity graphs."""
    factor = scale * (_QUICK if quick else 1)
    widths = widths if widths is not None else QUICK_WIDTHS if quick else WIDTHS
    data: HeteroData = SyntheticMultimodal(
        round(USERS * factor),
        round(ITEMS * factor),
        num_interactions=round(PAIRS * factor),
        modalities={name: (width, 0.5 if name == "image" else 1.0) for name, width in widths.items()},
        seed=seed,
    )[0]
    return data


def with_graphs(data: HeteroData) -> HeteroData:
    """With the exact graphs of items and users, as the paper's recipe builds them (Eq. 5)."""
    built: HeteroData = AddSimilarityGraphs(k=10, loop=True)(data)
    return built


def with_random_graphs(data: HeteroData, widths: dict[str, int], *, k: int = 10, seed: int = 0) -> HeteroData:
    """With ``k`` random neighbours for everyone: what a step costs does not depend on who they are.

    Random neighbours lie farther apart in memory than true ones: the times are no better than those of true graphs.
    """
    generator = torch.Generator().manual_seed(seed)
    for node in ("item", "user"):
        count = data[node].num_nodes
        for name in widths:
            centre = torch.arange(count).repeat_interleave(k)
            neighbour = torch.randint(count, (count * k,), generator=generator)
            data[similar(node, name)].edge_index = torch.stack([neighbour, centre])
    return data
