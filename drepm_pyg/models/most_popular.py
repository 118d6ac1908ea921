"""MostPopular: the same ranking for everyone, the baseline that needs no training."""

import torch
from torch_geometric.data import HeteroData

from drepm_pyg.data.schema import training_pairs
from drepm_pyg.models.base import RecommenderModel, Representations

__all__ = ["MostPopular"]


class MostPopular(RecommenderModel):
    r"""Rank the items by the number of users who interacted with them in training.

    .. math:: \hat{y}_{ui} = |\{v : (v, i) \in \mathcal{E}\}|

    Args:
        num_users: number of users U.
        num_items: number of items I.

    Reference:
        MostPopular | - | - | ids | interaction counts
    """

    trainable = False

    def forward(self, data: HeteroData) -> Representations:
        """Tables of width 1: ones for the users, counts for the items."""
        user, item = training_pairs(data)
        item = (user * self.num_items + item).unique() % self.num_items  # a pair that stands twice counts once
        counts = torch.bincount(item, minlength=self.num_items).to(torch.get_default_dtype())
        return Representations(counts.new_ones(self.num_users, 1), counts.unsqueeze(1))
