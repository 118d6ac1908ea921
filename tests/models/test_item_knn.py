"""ItemKNN against the definition, in Python loops."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from drepm_pyg.models import ItemKNN
from tests import toy


def by_interactions(data: HeteroData, k: int, shrink: float) -> np.ndarray:
    """S[j, i]: the cosine of the user sets where j is among the k best of i, the smaller id first among equals."""
    edge_index = data["user", "interacts", "item"].edge_index
    users = [set(edge_index[0][edge_index[1] == i].tolist()) for i in range(toy.ITEMS)]
    s = np.zeros((toy.ITEMS, toy.ITEMS))
    for i in range(toy.ITEMS):
        cosine = {
            j: len(users[i] & users[j]) / (math.sqrt(len(users[i]) * len(users[j])) + shrink)
            for j in range(toy.ITEMS)
            if j != i and users[i] & users[j]
        }
        for j in sorted(cosine, key=lambda j: (-round(cosine[j], 9), j))[:k]:
            s[j, i] = cosine[j]
    return s


def by_content(data: HeteroData, k: int) -> np.ndarray:
    """The mean over the modalities of the cosine graphs; an item without a modality is in none of its pairs."""
    s = np.zeros((toy.ITEMS, toy.ITEMS))
    for name in toy.WIDTHS:
        x = data["item"][name].double().numpy()
        present = [i for i in range(toy.ITEMS) if data["item"].get(f"{name}_mask", torch.ones(toy.ITEMS))[i]]
        for i in present:
            cosine = {j: x[i] @ x[j] / np.linalg.norm(x[i]) / np.linalg.norm(x[j]) for j in present if j != i}
            for j in sorted(cosine, key=lambda j: -cosine[j])[:k]:
                s[j, i] += cosine[j] / len(toy.WIDTHS)
    return s


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("source", ["interactions", "content", "both"])
@pytest.mark.parametrize("shrink", [0.0, 3.0])
def test_scores_are_the_sums_of_similarities(source: str, masked: bool, shrink: float) -> None:
    data = toy.toy_data(masked=masked)
    model = ItemKNN.from_data(data, source=source, k=4, shrink=shrink, content_weight=0.3)
    s = {
        "interactions": by_interactions(data, 4, shrink),
        "content": by_content(data, 4),
        "both": 0.7 * by_interactions(data, 4, shrink) + 0.3 * by_content(data, 4),
    }[source]
    history = np.zeros((toy.USERS, toy.ITEMS))
    history[tuple(data["user", "interacts", "item"].edge_index)] = 1
    scores = model.score(data, torch.arange(toy.USERS))
    np.testing.assert_allclose(scores.numpy(), history @ s, rtol=1e-5, atol=1e-6)


def test_a_pair_that_occurs_twice_counts_once() -> None:
    data, user = toy.toy_data(), torch.arange(toy.USERS)
    model = ItemKNN.from_data(data, source="both", k=4)
    expected, pairs = model.score(data, user), data["user", "interacts", "item"]
    pairs.edge_index = torch.cat([pairs.edge_index, pairs.edge_index[:, :20]], dim=1)
    torch.testing.assert_close(model.score(data, user), expected)


def test_tables_are_the_histories_and_what_they_add_to_each_item() -> None:
    data = toy.toy_data()
    tables = ItemKNN.from_data(data, k=4, shrink=3.0)(data)
    history = torch.zeros(toy.USERS, toy.ITEMS)
    history[tuple(data["user", "interacts", "item"].edge_index)] = 1
    assert torch.equal(tables.user, history)
    np.testing.assert_allclose(tables.item.numpy(), by_interactions(data, 4, 3.0).T, rtol=1e-6)


def test_modality_weights_choose_the_modalities() -> None:
    data, user = toy.toy_data(), torch.arange(toy.USERS)
    text = ItemKNN.from_data(data, source="content", k=4, weights={"text": 1.0}).score(data, user)
    del data["item"].image
    torch.testing.assert_close(ItemKNN.from_data(data, source="content", k=4).score(data, user), text)


def test_changed_features_change_the_scores() -> None:
    data, user = toy.toy_data(), torch.arange(toy.USERS)
    model = ItemKNN.from_data(data, source="content", k=4)
    before = model.score(data, user)
    data["item"].text.neg_()
    data["item"].text[0] = 1.0
    assert not torch.equal(model.score(data, user), before)


@pytest.mark.errors
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"source": "users"}, "'source' must be one of 'interactions', 'content', 'both'"),
        ({"k": 0}, "'k' must be at least 1"),
        ({"shrink": -1.0}, "'shrink' must be a finite number of at least 0"),
        ({"content_weight": 1.0}, r"'content_weight' must lie in \[0, 1\)"),
        ({"weights": {"image": 2.0}}, "'weights' must sum to 1"),
        ({"weights": {"image": 0.5, "text": -0.5}}, r"'weights\['text'\]' must be a finite number of at least 0"),
    ],
)
def test_wrong_arguments_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ItemKNN(2, 3, **wrong)


@pytest.mark.parametrize("source", ["interactions", "content"])
def test_another_k_on_the_same_data_is_another_model(source: str) -> None:
    data, user = toy.toy_data(), torch.arange(toy.USERS)
    for k in (1, 5):
        fresh = toy.toy_data()
        expected = ItemKNN.from_data(fresh, source=source, k=k).score(fresh, user)
        assert torch.equal(ItemKNN.from_data(data, source=source, k=k).score(data, user), expected)


class Squared(ItemKNN):
    """A hyper-parameter that no ``extra_repr`` tells."""

    def __init__(self, num_users: int, num_items: int, *, power: int = 1, **kwargs: Any) -> None:
        super().__init__(num_users, num_items, **kwargs)
        self._power = power

    def similarity(self, data: HeteroData) -> Any:
        return super().similarity(data).power(self._power)


def test_what_is_kept_is_kept_by_size_and_for_a_subclass_by_its_arguments() -> None:
    data, users = toy.toy_data(), torch.arange(toy.USERS)
    scores = ItemKNN.from_data(data).score(data, users)
    more = copy.copy(data)
    more["item"].num_nodes = toy.ITEMS + 4
    assert torch.equal(ItemKNN.from_data(more).score(more, users)[:, : toy.ITEMS], scores)
    assert torch.equal(Squared.from_data(data).score(data, users), scores)
    assert not torch.equal(Squared.from_data(data, power=2).score(data, users), scores)
