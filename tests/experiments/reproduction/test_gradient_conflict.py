"""Gradients of the two lines: by hand where the answer is known, and what the paper's models really share."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from drepm_pyg.data import SyntheticMultimodal
from drepm_pyg.experiments.reproduction.embedding import mixing
from drepm_pyg.experiments.reproduction.gradient_conflict import gradient_conflict
from drepm_pyg.graph import AddSimilarityGraphs
from drepm_pyg.models import BM3, MGCN, VBPR, DRepMRec, LightGCN, RecommenderModel, Representations, Triples
from tests import toy


class Lines(RecommenderModel):
    """Both lines are the embeddings, the modal one times a factor."""

    def __init__(self, factor: float, num_items: int = 3) -> None:
        super().__init__(2, num_items)
        self.factor = factor
        self.u = nn.Parameter(torch.tensor([[1.0, 2.0], [0.5, -1.0]]))
        self.i = nn.Parameter(torch.tensor([[0.3, 0.1], [-0.2, 0.4], [0.9, 0.9]])[:num_items])

    def forward(self, data: HeteroData) -> Representations:
        item: Tensor = self.factor * self.i
        return Representations(self.u, self.i, self.u, self.i, self.u, item)


TRIPLES = Triples(torch.tensor([0]), torch.tensor([0]), torch.tensor([1]))


@pytest.mark.parametrize(("factor", "cosine"), [(1.0, 1.0), (0.5, 1.0), (-1.0, -1.0)])
def test_the_direction_is_known_where_one_line_is_a_multiple_of_the_other(factor: float, cosine: float) -> None:
    found = gradient_conflict(Lines(factor), HeteroData(), TRIPLES)
    assert found["user"].overall == pytest.approx(cosine)
    assert found["user"].rows.tolist() == pytest.approx([cosine])  # the other user has no gradient
    assert found["item"].rows.tolist() == pytest.approx([cosine, cosine])
    assert found["item"].shared == 1


def test_tables_are_told_apart_where_users_items_and_features_are_as_many() -> None:
    made = SyntheticMultimodal(40, 40, num_interactions=400, modalities={"text": (40, 1.0)}, seed=0)[0]
    data = AddSimilarityGraphs(k=3, loop=True)(made)
    model = DRepMRec.from_data(data, embedding_dim=8)
    found = gradient_conflict(model, data, toy.toy_batch(data))
    tables = {"user": model.behavior_line.user_embedding, "item": model.behavior_line.item_embedding}
    for node, table in tables.items():
        other = next(each for each in tables.values() if each is not table)
        other.weight.requires_grad_(False)
        alone = gradient_conflict(model, data, toy.toy_batch(data))
        other.weight.requires_grad_(True)
        assert list(alone) == [node]
        torch.testing.assert_close(alone[node].rows, found[node].rows)


def test_tables_that_may_be_of_both_must_say_of_which_they_are() -> None:
    with pytest.raises(ValueError, match="'u' has a row per user or per item, of which there are 2 each"):
        gradient_conflict(Lines(1.0, num_items=2), HeteroData(), TRIPLES)


def test_dropout_gradients_and_random_numbers_are_left_alone() -> None:
    data = toy.toy_data()
    model = BM3.from_data(data).train()
    state = torch.random.get_rng_state()
    gradient_conflict(model, data, toy.toy_batch(data))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("model", [DRepMRec, MGCN])
def test_the_gates_share_the_id_embeddings(model: type[RecommenderModel]) -> None:
    data = toy.toy_data()
    found = gradient_conflict(model.from_data(data), data, toy.toy_batch(data))
    for node in ("user", "item"):
        assert found[node].shared > 0
        assert -1 <= found[node].overall <= 1
        assert (found[node].rows.abs() <= 1).all()


def test_halves_of_one_table_share_nothing() -> None:
    data = toy.toy_data()
    found = gradient_conflict(VBPR.from_data(data), data, toy.toy_batch(data))
    assert found["user"].shared == 0
    assert math.isnan(found["user"].overall)
    assert len(found["user"].rows) == 0


@pytest.mark.errors
def test_a_model_without_two_lines_is_refused() -> None:
    data = toy.toy_data()
    with pytest.raises(ValueError, match=r"LightGCN lacks one of them"):
        gradient_conflict(LightGCN.from_data(data), data, toy.toy_batch(data))


def test_mixing_tells_two_kinds_apart_from_one() -> None:
    import numpy as np

    rng = np.random.default_rng(0)
    one, far = rng.normal(size=(200, 4)), rng.normal(size=(200, 4)) + 100
    assert mixing(np.concatenate([one, far])) == 0
    assert mixing(np.concatenate([one, rng.normal(size=(200, 4))])) == pytest.approx(0.5, abs=0.05)
