"""FREEDOM's pruned training graph as edges of the data."""

import torch
from torch_geometric.data import HeteroData
from torch_geometric.transforms import BaseTransform

from drepm_pyg._checks import check_fraction, check_seed, check_text
from drepm_pyg.data import ITEM_USER, USER_ITEM
from drepm_pyg.data.schema import knows_pairs, training_pairs
from drepm_pyg.graph.edge_drop import degree_sensitive_edge_drop
from drepm_pyg.graph.transforms.arguments import shown

__all__ = ["DegreeSensitiveEdgeDrop"]

_TAKEN = USER_ITEM[1], ITEM_USER[1]


class DegreeSensitiveEdgeDrop(BaseTransform):
    r"""Add a graph of the training pairs that survive FREEDOM's pruning (Eq. 4): :func:`degree_sensitive_edge_drop`.

    The kept pairs become edge types of their own, ``('user', 'pruned', 'item')`` and
    ``('item', 'rev_pruned', 'user')``, for message passing. ``('user', 'interacts', 'item')`` stays whole, since its
    pairs are also the positives of the loss and what evaluation leaves out of the ranking: with fewer of them, dropped
    training pairs would be recommended and counted as wrong. Validation and test pairs play no part.

    As a dataset's ``pre_transform`` it draws once; as its ``transform`` anew at every access, which is FREEDOM's draw
    per epoch.

    Args:
        ratio: share of the pairs to drop, in [0, 1).
        seed: the same draw at every call; None: torch's global generator.
        name: the relation's name.

    Example:
        >>> from drepm_pyg.data import SyntheticMultimodal
        >>> data = DegreeSensitiveEdgeDrop(0.8, seed=0)(SyntheticMultimodal(num_users=50, num_items=40, seed=0)[0])
        >>> whole, pruned = (data["user", name, "item"].edge_index.size(1) for name in ("interacts", "pruned"))
        >>> pruned == int(whole * (1 - 0.8))
        True
    """

    def __init__(self, ratio: float, seed: int | None = None, *, name: str = "pruned") -> None:
        check_fraction(ratio=ratio)
        if seed is not None:
            check_seed(seed=seed)
        check_text(name=name)
        if not name.isidentifier() or name in _TAKEN or knows_pairs(("user", name, "user")):
            raise ValueError(
                "'name' must be an identifier, and not 'interacts', as the training pairs stay whole, nor what the "
                f"library calls other graphs (got {name!r}). Take another name, such as 'pruned'."
            )
        self.ratio, self.seed, self.name = ratio, seed, name

    def forward(self, data: HeteroData) -> HeteroData:
        """Add the pruned graph to (a shallow copy of) ``data``."""
        pairs = training_pairs(data, type(self).__name__)
        generator = None if self.seed is None else torch.Generator(pairs.device).manual_seed(int(self.seed))
        kept = degree_sensitive_edge_drop(pairs, self.ratio, generator=generator)
        data["user", self.name, "item"].edge_index = kept
        data["item", f"rev_{self.name}", "user"].edge_index = kept.flip(0)
        return data

    def __repr__(self) -> str:
        return shown(self, {"ratio": self.ratio, "seed": self.seed, "name": self.name}, {"name": "pruned"})
