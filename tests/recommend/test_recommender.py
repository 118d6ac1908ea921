"""Recommender: answers against dense NumPy, fold-in and cold start by hand, what a model without tables can do."""

import numpy as np
import pytest
import torch

from drepm_pyg.evaluation import topk
from drepm_pyg.models import ItemKNN, LightGCN, MostPopular, RecommenderModel, Representations
from drepm_pyg.recommend import Recommender
from tests import toy


@pytest.fixture
def data():
    data = toy.toy_data(masked=True)
    data["item"].title = [f"Item {number}" for number in range(toy.ITEMS)]
    return data


@pytest.fixture
def tables():
    generator = torch.Generator().manual_seed(3)
    return Representations(
        torch.randn(toy.USERS, 4, generator=generator), torch.randn(toy.ITEMS, 4, generator=generator)
    )


@pytest.fixture
def recommender(data, tables):
    return Recommender(tables, data)


def seen_by(data, user):
    edge_index = data["user", "interacts", "item"].edge_index
    return set(edge_index[1, edge_index[0] == user].tolist())


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_recommend_ranks_as_a_dense_sort_does(recommender, data, tables, exclude_seen):
    scores = tables.user.double().numpy() @ tables.item.double().numpy().T
    for user in range(toy.USERS):
        if exclude_seen:
            scores[user, list(seen_by(data, user))] = -np.inf
    best = recommender.recommend(range(toy.USERS), k=3, exclude_seen=exclude_seen)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :3]
    assert best.ids.tolist() == expected.tolist()
    np.testing.assert_allclose(best.scores, np.take_along_axis(scores, expected, axis=1), rtol=1e-5)


def test_half_tables_are_ranked_in_single_precision(data, tables):
    half = Representations(tables.user.half(), tables.item.half())
    best = Recommender(half, data).recommend(range(toy.USERS), k=3, exclude_seen=False)
    expected = topk(half.user.float(), half.item.float(), 3)
    assert torch.equal(best.scores, expected.scores)
    assert torch.equal(best.ids, expected.ids)


@pytest.mark.errors
def test_tables_that_are_not_finite_are_refused(data, tables):
    tables.item[2, 1] = float("nan")
    with pytest.raises(ValueError, match=r"'item'.*finite"):
        Recommender(tables, data)


def test_the_same_user_twice_gets_the_same_items_twice(recommender):
    best = recommender.recommend(torch.tensor([3, 1, 3]), k=4)
    assert best.ids[0].tolist() == best.ids[2].tolist() == recommender.recommend(3, k=4).ids.tolist()


def test_a_user_with_too_few_unseen_items_ends_in_minus_one(recommender, data):
    best = recommender.recommend([0], k=toy.ITEMS)
    unseen = toy.ITEMS - len(seen_by(data, 0))
    assert (best.ids[0, unseen:] == -1).all()
    assert sorted(best.ids[0, :unseen].tolist()) == sorted(set(range(toy.ITEMS)) - seen_by(data, 0))


def test_no_user_gives_no_rows(recommender):
    assert recommender.recommend([], k=2).ids.shape == (0, 2)


def test_a_model_is_evaluated_as_it_would_be_ranked_and_left_in_its_mode(data):
    model = LightGCN.from_data(data, embedding_dim=4).train()
    recommender = Recommender(model, data)
    with torch.no_grad():
        tables = model(data)
    assert model.training
    expected = topk(tables.user, tables.item, 2, exclude=data["user", "interacts", "item"].edge_index)
    torch.testing.assert_close(recommender.recommend(range(toy.USERS), 2).ids, expected.ids)


def test_later_training_does_not_reach_the_recommender(data):
    model = LightGCN.from_data(data, embedding_dim=4)
    recommender = Recommender(model, data)
    before = recommender.recommend([0], 3)
    model.reset_parameters()
    torch.testing.assert_close(recommender.recommend([0], 3), before)


def test_later_changes_of_the_data_do_not_reach_the_recommender(data, tables):
    recommender = Recommender(tables, data)
    before = recommender.history(0)
    data["user", "interacts", "item"].edge_index[1] = 0
    assert recommender.history(0).equal(before)


@pytest.mark.errors
def test_features_that_are_no_tensors_are_named(recommender):
    with pytest.raises(TypeError, match=r"'features\['text'\]' must be a torch tensor \(got a list\)"):
        recommender.add_items({"text": [[1.0]]})
    with pytest.raises(TypeError, match=r"'features' must map modalities to matrices \(got a list\)"):
        recommender.add_items([[1.0]])


def test_a_model_with_scores_alone_recommends_and_says_what_it_cannot_do(data):
    model = ItemKNN.from_data(data, k=3)
    recommender = Recommender(model, data)
    scores = model.score(data, torch.tensor([2]))[0]
    scores[list(seen_by(data, 2))] = -torch.inf
    assert recommender.recommend(2, 1).ids.tolist() == [int(scores.argmax())]
    for call in (
        lambda: recommender.recommend_for_history([0], 1),
        lambda: recommender.similar_items([0], 1),
        lambda: recommender.add_items({"text": torch.ones(1, 5)}),
        lambda: recommender.save("nowhere"),
    ):
        with pytest.raises(TypeError, match="needs a model with user and item tables \\(ItemKNN has score"):
            call()


def test_fold_in_by_hand(data):
    item = torch.zeros(toy.ITEMS, 2)
    item[0], item[1], item[2], item[3] = torch.tensor([[2.0, 0], [0, 2], [3, 3], [4, -4]])
    recommender = Recommender(Representations(torch.zeros(toy.USERS, 2), item), data)
    best = recommender.recommend_for_history([0, 1, 1], k=2)  # mean row (1, 1): an item counts once
    assert best.ids.tolist() == [2, 3]
    assert best.scores.tolist() == [6.0, 0.0]


def test_fold_in_of_most_popular_is_most_popular(data):
    best = Recommender(MostPopular.from_data(data), data).recommend_for_history([0], k=3)
    counts = torch.bincount(data["user", "interacts", "item"].edge_index[1], minlength=toy.ITEMS).double()
    counts[0] = -1
    assert best.ids.tolist() == counts.sort(descending=True, stable=True).indices[:3].tolist()


def test_order_of_a_history_does_not_matter(recommender):
    torch.testing.assert_close(
        recommender.recommend_for_history([4, 0, 2], 3), recommender.recommend_for_history(torch.tensor([0, 2, 4]), 3)
    )


def test_similar_items_are_ranked_by_cosine_without_the_item_itself(recommender, tables):
    x = tables.item.double().numpy()
    cosine = x @ x.T / np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(x, axis=1))
    np.fill_diagonal(cosine, -np.inf)
    best = recommender.similar_items([5, 0], k=3)
    assert best.ids.tolist() == np.argsort(-cosine[[5, 0]], axis=1)[:, :3].tolist()
    np.testing.assert_allclose(best.scores, -np.sort(-cosine[[5, 0]], axis=1)[:, :3], rtol=1e-5)
    assert recommender.similar_items(5, k=3).ids.tolist() == best.ids[0].tolist()


def dense_cold_start(data, item, features, masks, weights, k):
    """The equation with loops in float64."""
    rows = []
    for j in range(len(next(iter(features.values())))):
        total, share = np.zeros(item.size(1)), 0.0
        for name, x in features.items():
            if name in masks and not masks[name][j]:
                continue
            known, new = data["item"][name].double().numpy(), x[j].double().numpy()
            cosine = known @ new / np.linalg.norm(known, axis=1) / np.linalg.norm(new)
            cosine[~data["item"][f"{name}_mask"].numpy()] = -np.inf
            neighbors = np.argsort(-cosine, kind="stable")[:k]
            total += weights[name] * item.double().numpy()[neighbors].mean(axis=0)
            share += weights[name]
        rows.append(total / share)
    return np.array(rows)


def test_added_items_stand_where_their_modal_neighbours_stand(recommender, data, tables):
    generator = torch.Generator().manual_seed(5)
    features = {name: torch.randn(3, width, generator=generator) for name, width in toy.WIDTHS.items()}
    name = next(iter(features))
    masks = {name: torch.tensor([True, False, True])}
    features[name][1] = torch.nan  # absent: what it holds does not matter
    weights = {modality: float(place + 1) for place, modality in enumerate(features)}
    ids = recommender.add_items(features, k=2, weights=weights, masks=masks, titles=["a", "b", "c"])
    assert ids.tolist() == [toy.ITEMS, toy.ITEMS + 1, toy.ITEMS + 2]
    assert recommender.titles[-3:] == ["a", "b", "c"]
    rows = dense_cold_start(data, tables.item, features, masks, weights, k=2)
    best = recommender.recommend(range(toy.USERS), k=recommender.num_items, exclude_seen=False)
    scores = torch.empty_like(best.scores).scatter(1, best.ids, best.scores)
    np.testing.assert_allclose(scores[:, toy.ITEMS :], tables.user.double().numpy() @ rows.T, rtol=1e-4, atol=1e-5)


def test_original_ids_have_numbers(data, tables):
    data["item"].item_id = [f"B{number:02d}" for number in range(toy.ITEMS)]
    recommender = Recommender(tables, data)
    assert recommender.item_numbers(["B03", "B00"]).tolist() == [3, 0]
    features = {"text": data["item"].text[:2]}
    new = recommender.add_items(features, k=1, item_ids=["new", "newer"])
    assert recommender.item_numbers(["newer", "B03"]).tolist() == [int(new[1]), 3]
    recommender.add_items(features, k=1)  # without ids: the empty name is none
    with pytest.raises(ValueError, match=r"'item_ids' must be original ids of the data, such as 'B00', 'B01', 'B02'"):
        recommender.item_numbers(["B03", ""])
    with pytest.raises(ValueError, match=r"'user_ids' must be numbers from 0, as the data have no original ids"):
        recommender.user_numbers(["ann"])


def test_a_copy_of_an_item_with_one_neighbour_is_that_item(recommender, data, tables):
    new = recommender.add_items({"text": data["item"].text[7:8]}, k=1)
    best = recommender.similar_items(new, k=1)
    assert best.ids.tolist() == [[7]]
    assert recommender.recommend_for_history([int(new)], 1).ids.tolist() != [int(new)]


def test_adding_at_once_or_one_by_one_is_the_same(data, tables):
    x = torch.randn(4, data["item"].text.size(1), generator=torch.Generator().manual_seed(1))
    at_once, one_by_one = Recommender(tables, data), Recommender(tables, data)
    at_once.add_items({"text": x}, k=3)
    for row in x:
        one_by_one.add_items({"text": row[None]}, k=3)
    torch.testing.assert_close(at_once.recommend(range(3), 9), one_by_one.recommend(range(3), 9))
    assert one_by_one.titles == [*data["item"].title, "", "", "", ""]


def test_features_of_half_precision_serve_as_well(data, tables):
    x = data["item"].text[2:5]
    data["item"].text = data["item"].text.half()
    half = Recommender(tables, data)
    half.add_items({"text": x.half()}, k=2)
    assert half.recommend([0], k=half.num_items, exclude_seen=False).scores.isfinite().all()


def test_the_history_of_a_user_is_its_training_items(recommender, data):
    assert set(recommender.history(1).tolist()) == seen_by(data, 1)


@pytest.mark.errors
class TestErrors:
    @pytest.mark.parametrize("ids", [[-1], [toy.USERS], torch.tensor([toy.USERS])])
    def test_unknown_users(self, recommender, ids):
        with pytest.raises(ValueError, match=rf"'user_ids' must hold ids in \[0, {toy.USERS}\)"):
            recommender.recommend(ids, 1)

    def test_ids_that_are_no_integers(self, recommender):
        with pytest.raises(TypeError, match="'user_ids' must hold integer ids"):
            recommender.recommend([0.5], 1)
        with pytest.raises(ValueError, match="'user_ids' must be one id or a list of ids"):
            recommender.recommend([[0], [1]], 1)

    def test_k_beyond_the_items(self, recommender):
        with pytest.raises(ValueError, match="'k' must be at most the number of items"):
            recommender.recommend([0], toy.ITEMS + 1)
        with pytest.raises(ValueError, match="'k' must be at least 1"):
            recommender.similar_items([0], 0)

    @pytest.mark.parametrize("history", [[], 3])
    def test_a_history_without_items(self, recommender, history):
        with pytest.raises(ValueError, match="'item_ids' must be a list of at least one item"):
            recommender.recommend_for_history(history, 1)

    @pytest.mark.parametrize(
        ("features", "options", "text"),
        [
            ({}, {}, "'features' must map a modality"),
            ({"smell": torch.ones(1, 5)}, {}, "'features' must be one of"),
            ({"text": torch.ones(1, 6)}, {}, "must be a float matrix"),
            ({"text": torch.full((1, 5), torch.nan)}, {}, "holds NaN"),
            ({"text": torch.ones(1, 5)}, {"k": 100}, "'k' must be at most the number of items with 'text'"),
            ({"text": torch.ones(1, 5)}, {"masks": {"text": torch.tensor([False])}}, "1 have none"),
            ({"text": torch.ones(1, 5)}, {"weights": {"image": 1.0}}, "'weights' and 'masks' must be one of"),
            ({"text": torch.ones(1, 5)}, {"titles": "ab"}, "'titles' must be a list with one entry per new item"),
        ],
    )
    def test_new_items_that_do_not_fit(self, recommender, features, options, text):
        features = {name: x[:, : toy.WIDTHS["text"]] if x.size(1) == 5 else x for name, x in features.items()}
        with pytest.raises(ValueError, match=text):
            recommender.add_items(features, **{"k": 1, **options})
        assert recommender.num_items == toy.ITEMS

    def test_no_features_to_compare(self, tables):
        recommender = Recommender(tables, toy.toy_data(widths={}))
        with pytest.raises(ValueError, match="has no features of its items"):
            recommender.add_items({"text": torch.ones(1, 5)})

    def test_something_that_is_no_model(self, data):
        with pytest.raises(TypeError, match="must have 'user' and 'item' tables or score"):
            Recommender(object(), data)

    def test_tables_of_other_data(self, data):
        with pytest.raises(ValueError, match="must have a row per node"):
            Recommender(Representations(torch.ones(2, 3), torch.ones(2, 3)), data)

    def test_a_base_model_without_tables_says_so(self, data):
        with pytest.raises(TypeError, match="has no tables"):
            Recommender(RecommenderModel.from_data(data), data)
