"""What a model ranks by: its tables, or itself."""

import torch
from torch import nn
from torch_geometric.data import HeteroData

from drepm_pyg.evaluation.scoring import ranked_by
from drepm_pyg.models import ItemKNN, RecommenderModel, Representations
from tests import toy


class Dropped(RecommenderModel):
    """Tables that dropout would thin out in training mode."""

    def __init__(self, num_users: int, num_items: int) -> None:
        super().__init__(num_users, num_items)
        self.dropout, self.weight = nn.Dropout(0.9), nn.Parameter(torch.ones(num_users, 8))

    def forward(self, data: HeteroData) -> Representations:
        return Representations(2 * self.dropout(self.weight), torch.ones(self.num_items, 8))


def test_a_model_with_tables_gives_them_in_evaluation_mode_and_without_gradients() -> None:
    data = toy.toy_data()
    model = Dropped.from_data(data).train()
    tables = ranked_by(model, data)
    assert torch.equal(tables.user, torch.full((toy.USERS, 8), 2.0))
    assert not tables.user.requires_grad
    assert model.training
    assert model.dropout.training


def test_a_model_without_tables_is_what_it_ranks_by() -> None:
    data = toy.toy_data()
    model = ItemKNN.from_data(data)
    assert ranked_by(model, data) is model


def test_tables_are_what_they_rank_by() -> None:
    tables = Representations(torch.ones(2, 3), torch.ones(4, 3))
    assert ranked_by(tables, toy.toy_data()) is tables
