"""Recommender: answers against dense NumPy, fold-in and cold start by hand, what a model without tables can do."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from drepm_pyg.evaluation import topk
from drepm_pyg.evaluation.ranking import Exclusion
from drepm_pyg.graph import bipartite_knn_graph
from drepm_pyg.models import BPR, ItemKNN, LightGCN, MostPopular, RecommenderModel, Representations
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


def test_ids_may_come_from_numpy(recommender):
    for given in (np.array([0, 4]), np.array([0, 4], dtype=np.int32)):
        for answers in (recommender.recommend, recommender.similar_items, recommender.recommend_for_history):
            torch.testing.assert_close(answers(given, 3), answers([0, 4], 3), rtol=0, atol=0)


@pytest.mark.parametrize(
    "given",
    [
        np.array([4, 0])[::-1],
        np.array([0, 4], dtype=np.uint32),
        np.array([0, 4], dtype=">i8"),
        torch.tensor([0, 4]).to(torch.uint16),
    ],
)
def test_ids_that_torch_would_not_take_as_they_are(recommender, given):
    for answers in (recommender.recommend, recommender.similar_items, recommender.recommend_for_history):
        torch.testing.assert_close(answers(given, 3), answers([0, 4], 3), rtol=0, atol=0)
    torch.testing.assert_close(recommender.recommend(np.uint32(4), 3), recommender.recommend(4, 3), rtol=0, atol=0)


def test_training_on_does_not_reach_the_recommender(data):
    model = BPR.from_data(data)
    recommender = Recommender(model, data)
    before = recommender.recommend([0], 3).scores
    with torch.no_grad():
        model.user_embedding.weight.zero_()
        model.item_embedding.weight.zero_()
    assert torch.equal(recommender.recommend([0], 3).scores, before)


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


def test_no_user_and_no_item_give_no_rows(recommender):
    assert recommender.recommend([], k=2).ids.shape == (0, 2)
    assert recommender.similar_items([], k=2).ids.shape == (0, 2)
    assert recommender.add_items({"text": torch.empty(0, toy.WIDTHS["text"])}, k=2).tolist() == []


def test_a_model_is_evaluated_as_it_would_be_ranked_and_left_in_its_mode(data):
    model = LightGCN.from_data(data, embedding_dim=4).train()
    model.frozen = torch.nn.BatchNorm1d(3).eval()
    recommender = Recommender(model, data)
    with torch.no_grad():
        tables = model(data)
    assert model.training
    assert not model.frozen.training
    expected = topk(tables.user, tables.item, 2, exclude=data["user", "interacts", "item"].edge_index)
    torch.testing.assert_close(recommender.recommend(range(toy.USERS), 2).ids, expected.ids)


class Biased(torch.nn.Module):
    """Ranks by ``scores``, whatever its attributes ``user`` and ``item`` look like."""

    def __init__(self, scores, user, item, **attributes):
        super().__init__()
        self.scores, self.user, self.item = scores, user, item
        self.frozen = torch.nn.BatchNorm1d(3).eval()
        for name, value in attributes.items():
            setattr(self, name, value)

    def score(self, data, user):
        assert not self.training
        return self.scores[user]


@pytest.mark.parametrize("embedding", [True, False])
def test_what_evaluate_ranks_by_is_recommended_by(data, tables, embedding):
    """Tables of a model that is not factorized are not its ranking, and an nn.Embedding is no table."""
    scores = torch.randn(toy.USERS, toy.ITEMS, generator=torch.Generator().manual_seed(6))
    if embedding:
        model = Biased(scores, torch.nn.Embedding(toy.USERS, 4), torch.nn.Embedding(toy.ITEMS, 4))
    else:
        model = Biased(scores, tables.user, tables.item, factorized=False)
    best = Recommender(model, data).recommend(range(toy.USERS), k=3, exclude_seen=False)
    assert best.ids.tolist() == scores.sort(descending=True).indices[:, :3].tolist()
    assert (model.training, model.frozen.training) == (True, False)


class Slow(torch.nn.Module):
    """Notes its mode when an answer is ready; user 0's comes first."""

    def __init__(self):
        super().__init__()
        self.asked, self.modes = threading.Event(), []

    def score(self, data, user):
        self.asked.set()
        time.sleep(0.05 + 0.1 * int(user[0]))
        self.modes.append(self.training)
        return torch.zeros(len(user), toy.ITEMS)


def test_a_model_that_several_threads_ask_stays_in_evaluation_mode(data):
    """What ends first would put it into training mode under the other one."""
    model = Slow()
    recommender = Recommender(model, data)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(recommender.recommend, [0], 1)
        assert model.asked.wait(10)
        second = pool.submit(recommender.recommend, [1], 1)
        first.result(), second.result()
    assert model.modes == [False, False]
    assert model.training


@pytest.mark.errors
def test_scores_that_rank_nothing_are_refused(data):
    scores = torch.zeros(toy.USERS, toy.ITEMS)
    scores[2, 5] = torch.nan
    recommender = Recommender(Biased(scores, None, None), data)
    assert recommender.recommend([1], k=1).scores.tolist() == [[0.0]]
    with pytest.raises(ValueError, match=r"score\(data, user\) must not give NaN"):
        recommender.recommend([1, 2], k=1)
    with pytest.raises(ValueError, match=r"must give a score for every item, \[1, 11\] \(got \[1, 10\]\)"):
        Recommender(Biased(scores[:, 1:], None, None), data).recommend([1], k=1)


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


def test_masks_are_copied_and_features_are_not(data, tables):
    recommender = Recommender(tables, data)
    data["item"].text_mask[:] = False
    first = recommender.add_items({"text": data["item"].text[4:5]}, k=1)
    assert recommender.similar_items(first, k=1).ids.tolist() == [[4]]
    data["item"].text[4] *= -1  # as the class says: features may be too large to copy
    second = recommender.add_items({"text": data["item"].text[4:5]}, k=1)
    assert sorted(recommender.similar_items(second, k=2).ids[0].tolist()) == [4, int(first)]


def test_what_no_question_changes_is_made_once(recommender, monkeypatch):
    """The training pairs are sorted, and the items' rows brought to unit length, by the first who asks."""
    made = []
    sort, normalize = Exclusion.__init__, torch.nn.functional.normalize
    monkeypatch.setattr(Exclusion, "__init__", lambda self, *pairs: made.append("seen") or sort(self, *pairs))
    monkeypatch.setattr(torch.nn.functional, "normalize", lambda x, dim: made.append("unit") or normalize(x, dim=dim))
    for user in range(3):
        recommender.recommend(user, k=2)
    assert made == ["seen"]
    made.clear()
    for item in range(3):
        recommender.similar_items(item, k=2)
    assert made.count("unit") == 1


def test_added_items_are_among_all_later_answers(recommender, data, tables):
    text = data["item"].text
    before = recommender.recommend(0, k=toy.ITEMS), recommender.similar_items(4, k=3)
    new = recommender.add_items({"text": text[4:5]}, k=1)
    torch.testing.assert_close(recommender.similar_items(new, k=2).ids[0, 0], torch.tensor(4))
    assert recommender.similar_items(4, k=1).ids.tolist() == new.tolist()
    assert recommender.similar_items(4, k=4).ids[1:].tolist() == before[1].ids.tolist()
    after = recommender.recommend(0, k=toy.ITEMS + 1)
    assert set(after.ids.tolist()) == {*before[0].ids.tolist(), int(new)}  # -1 in both: the user has seen some


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


@pytest.mark.errors
@pytest.mark.parametrize("of", ["user", "item"])
def test_one_original_id_is_no_list_of_its_letters(of, data, tables):
    data[of][f"{of}_id"] = [str(number) for number in range(data[of].num_nodes)]
    recommender = Recommender(tables, data)
    with pytest.raises(TypeError, match=r"'original_ids' must be a list \(got '12'\)\. Pass \['12'\]"):
        getattr(recommender, f"{of}_numbers")("12")


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
    with pytest.raises(ValueError, match=r"'user_ids' must be numbers from 0, as .* no original ids of users"):
        recommender.user_numbers(["ann"])


@pytest.mark.errors
@pytest.mark.parametrize(
    ("names", "text"),
    [
        ({"titles": ["a", "b"], "item_ids": ["x"]}, "'item_ids' must be a list with one entry per new item"),
        ({"titles": ["a"], "item_ids": ["x", "y"]}, "'titles' must be a list with one entry per new item"),
        ({"titles": ["a", "b"], "item_ids": ["x", "B03"]}, r"must be new, each once \(got 1 that are not: \['B03'\]\)"),
        ({"titles": ["a", "b"], "item_ids": ["x", "x"]}, r"must be new, each once \(got 1 that are not: \['x'\]\)"),
    ],
)
def test_names_that_do_not_fit_change_nothing(data, tables, names, text):
    data["item"].item_id = [f"B{number:02d}" for number in range(toy.ITEMS)]
    recommender = Recommender(tables, data)
    features = {"text": data["item"].text[:2]}
    with pytest.raises(ValueError, match=text):
        recommender.add_items(features, k=1, **names)
    assert (recommender.num_items, len(recommender.titles), len(recommender.item_ids)) == (toy.ITEMS,) * 3
    recommender.add_items(features, k=1, titles=["c", "d"], item_ids=["x", ""])
    recommender.add_items(features, k=1, titles=["c", "d"], item_ids=["", ""])  # the empty name is none
    assert recommender.titles[toy.ITEMS :] == ["c", "d", "c", "d"]
    assert recommender.item_numbers(["x", "B03"]).tolist() == [toy.ITEMS, 3]


def test_a_copy_of_an_item_with_one_neighbour_is_that_item(recommender, data, tables):
    new = recommender.add_items({"text": data["item"].text[7:8]}, k=1)
    best = recommender.similar_items(new, k=1)
    assert best.ids.tolist() == [[7]]
    assert recommender.recommend_for_history([int(new)], 1).ids.tolist() != [int(new)]


def test_ten_neighbours_unless_another_number_is_asked_for(tables):
    data = toy.toy_data()
    found, expected, other = (Recommender(tables, data) for _ in range(3))
    x = torch.randn(2, toy.WIDTHS["image"], generator=torch.Generator().manual_seed(2))
    found.add_items({"image": x})
    expected.add_items({"image": x}, k=10)
    other.add_items({"image": x}, k=9)
    assert torch.equal(found._tables.item, expected._tables.item)
    assert not torch.equal(found._tables.item, other._tables.item)


def test_where_fewer_items_have_the_modality_all_of_them_are_neighbours(data, tables):
    few = torch.arange(toy.ITEMS) < 3
    data["item"].text_mask = few
    found, expected = (Recommender(tables, data) for _ in range(2))
    x = torch.ones(1, toy.WIDTHS["text"])
    found.add_items({"text": x})
    expected.add_items({"text": x}, k=3)
    assert torch.equal(found.recommend(0, toy.ITEMS).scores, expected.recommend(0, toy.ITEMS).scores)


def test_adding_at_once_or_one_by_one_is_the_same(data, tables):
    x = torch.randn(4, data["item"].text.size(1), generator=torch.Generator().manual_seed(1))
    at_once, one_by_one = Recommender(tables, data), Recommender(tables, data)
    at_once.add_items({"text": x}, k=3)
    for row in x:
        one_by_one.add_items({"text": row[None]}, k=3)
    torch.testing.assert_close(at_once.recommend(range(3), 9), one_by_one.recommend(range(3), 9))
    assert one_by_one.titles == [*data["item"].title, "", "", "", ""]


def test_items_that_are_added_later_move_none_of_those_before(data, tables):
    x = torch.randn(30, toy.WIDTHS["text"], generator=torch.Generator().manual_seed(4))
    recommender = Recommender(tables, data)
    rows = tables.item
    for size in (1, 0, 2, 5, 1, 21):
        before = rows
        new = recommender.add_items({"text": x[:size]}, k=3)
        rows = recommender._tables.item
        assert torch.equal(rows[: len(before)], before)
        assert len(rows) == len(before) + size == recommender.num_items
        with pytest.raises(ValueError, match="'titles' must be a list"):
            recommender.add_items({"text": x[:2]}, k=1, titles=["one"])
        assert torch.equal(recommender._tables.item[new], rows[new])
    assert torch.equal(rows[toy.ITEMS], rows[-21])  # the same features, whenever they came


def test_what_is_written_into_the_features_is_compared_with(data, tables):
    recommender = Recommender(tables, data)
    x = torch.ones(1, toy.WIDTHS["text"])
    recommender.add_items({"text": x}, k=2)
    data["item"].text[data["item"].text_mask.nonzero()[0]] = 1e3
    recommender.add_items({"text": x}, k=2)
    anew = Recommender(tables, data)
    anew.add_items({"text": x}, k=2)
    assert torch.equal(recommender._tables.item[-1], anew._tables.item[-1])
    assert not torch.equal(recommender._tables.item[-2], anew._tables.item[-1])


@pytest.mark.parametrize("scale", [1, 1e25, 1e-25])
@pytest.mark.parametrize("width", [5, 64, 384, 1024])
def test_neighbours_are_those_of_the_similarity_graphs(width, scale):
    """Equal items tie, and the smaller number is chosen, however single precision rounds their products."""
    generator = torch.Generator().manual_seed(0)
    num_items, k = 203, 10
    known, new = torch.randn(num_items, width, generator=generator), torch.randn(5, width, generator=generator)
    known[torch.randperm(num_items, generator=generator)[: num_items // 2]] = new[0] + new[1]
    known[7], new[4] = 0, 0
    known[::3] *= scale
    new[::2] *= scale
    data = toy.with_edges(2, num_items, torch.tensor([[0, 1], [0, 1]]), {"text": known})
    mask = data["item"].text_mask = torch.arange(num_items) % 5 > 0
    recommender = Recommender(Representations(torch.eye(2, num_items), torch.eye(num_items)), data)
    at_once = recommender.add_items({"text": new}, k=k)
    one_by_one = torch.cat([recommender.add_items({"text": row[None]}, k=k) for row in new])
    neighbors, _ = bipartite_knn_graph(known, new, k, mask=mask)
    expected = torch.zeros(len(new), num_items).scatter(1, neighbors.view(-1, k), 1 / k)
    for ids in (at_once, one_by_one):
        assert torch.equal(recommender._tables.item[ids], expected)


@pytest.mark.errors
def test_features_of_the_data_that_are_not_finite_are_named(data, tables):
    data["item"].text[5, 1] = torch.nan
    recommender = Recommender(tables, data)
    with pytest.raises(ValueError, match=r"data\['item'\]\.text: .*(finite|NaN)"):
        recommender.add_items({"text": torch.ones(1, toy.WIDTHS["text"])}, k=1)
    assert recommender.num_items == toy.ITEMS


def test_features_out_of_an_encoder_serve_as_well(recommender, data):
    encoded = data["item"].text[4:5].clone().requires_grad_()
    new = recommender.add_items({"text": encoded}, k=1)
    best = recommender.similar_items(new, k=1)
    assert (best.ids.tolist(), best.scores.requires_grad) == ([[4]], False)


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

    def test_data_and_tables_that_are_none(self, tables, data):
        with pytest.raises(TypeError, match=r"'data' must be a HeteroData in the library's schema \(got a int\)"):
            Recommender(tables, 3)
        with pytest.raises(ValueError, match=r"'user' and 'item' must be .* of one width"):
            Recommender(Representations(tables.user[:, 1:], tables.item), data)

    def test_ids_that_are_no_integers(self, recommender):
        with pytest.raises(TypeError, match="'user_ids' must hold integer ids"):
            recommender.recommend([0.5], 1)
        with pytest.raises(ValueError, match="'user_ids' must be one id or a list of ids"):
            recommender.recommend([[0], [1]], 1)
        for ids in ("a", None, ["a", "b"]):
            with pytest.raises(TypeError, match=r"'user_ids' must hold integer ids \(got "):
                recommender.recommend(ids, 1)
        with pytest.raises(ValueError, match=r"'user_ids' must hold ids in \[0, .* \(got larger ones\)"):
            recommender.recommend([2**70], 1)

    def test_a_history_is_of_one_user(self, recommender):
        with pytest.raises(ValueError, match=r"'user_id' must be one id \(got \[0, 1\]\)"):
            recommender.history([0, 1])
        with pytest.raises(TypeError, match=r"'user_id' must hold integer ids \(got 'a'\)"):
            recommender.history("a")

    def test_masks_are_tensors(self, recommender):
        with pytest.raises(TypeError, match=r"'masks\['text'\]' must be a torch tensor \(got a ndarray\)"):
            recommender.add_items({"text": torch.ones(1, toy.WIDTHS["text"])}, masks={"text": np.array([True])})

    def test_a_text_is_no_flag(self, recommender):
        with pytest.raises(TypeError, match=r"'exclude_seen' must be True or False \(got 'no'\)"):
            recommender.recommend([0], 1, exclude_seen="no")

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
            ({"text": torch.ones(1, 5)}, {"weights": {"image": 1.0}}, "'weights' must be one of 'text' "),
            ({"text": torch.ones(1, 5)}, {"masks": {"image": torch.tensor([True])}}, "'masks' must be one of 'text' "),
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
        with pytest.raises(TypeError, match="'model' must have 'user' and 'item' tables or score"):
            Recommender(object(), data)

    def test_data_without_training_pairs(self, tables):
        data = HeteroData()
        data["user"].num_nodes, data["item"].num_nodes = toy.USERS, toy.ITEMS
        with pytest.raises(ValueError, match=r"'data' must have training pairs, data\['user', .*\]\.edge_index"):
            Recommender(tables, data)
        assert data.edge_types == []

    def test_data_without_a_number_of_nodes(self, data, tables):
        del data["user"].num_nodes
        with pytest.raises(ValueError, match=r"data\['user'\].num_nodes is not set"):
            Recommender(tables, data)

    def test_tables_of_other_data(self, data):
        with pytest.raises(ValueError, match="must have a row per node"):
            Recommender(Representations(torch.ones(2, 3), torch.ones(2, 3)), data)

    def test_a_base_model_without_tables_says_so(self, data):
        with pytest.raises(TypeError, match="has no tables"):
            Recommender(RecommenderModel.from_data(data), data)
