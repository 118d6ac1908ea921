"""A model whose validation recall is what its setting says: the course of a search can be worked out by hand."""

import torch
from torch_geometric.data import HeteroData

from drepm_pyg.models import LossOutput, RecommenderModel, Representations, Triples


class Graded(RecommenderModel):
    """Ranks the validation items of the first ``quality`` users on top, and everybody else's at the bottom."""

    def __init__(self, num_users: int, num_items: int, *, quality: float = 0.0, broken: bool = False) -> None:
        super().__init__(num_users, num_items)
        self.quality, self.broken = quality, broken
        self.unused = torch.nn.Parameter(torch.ones(()))

    def forward(self, data: HeteroData) -> Representations:
        user, item = data["user", "interacts", "item"].val_edge_label_index
        score = torch.zeros(self.num_users, self.num_items)
        score[user, item] = torch.where(user < self.quality, 1.0, -1.0)
        return Representations(score, torch.eye(self.num_items))

    def loss(self, data: HeteroData, batch: Triples) -> LossOutput:
        return LossOutput.from_parts(nothing=self.unused * (float("nan") if self.broken else 0.0))
