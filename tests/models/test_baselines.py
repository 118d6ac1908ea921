"""BPR, LightGCN and MostPopular against their papers' equations, in dense NumPy float64."""

import numpy as np
import pytest
import torch

from drepm_pyg.models import BPR, LightGCN, MostPopular, Triples, available_models, get_model
from tests import toy


def bpr_loss(user: np.ndarray, item: np.ndarray, batch: Triples) -> float:
    """-ln sigmoid of the margin, mean over the triples."""
    triples = torch.stack(list(batch.tensors()), dim=1).tolist()
    return float(np.mean([np.log(1 + np.exp(-(user[u] @ item[i] - user[u] @ item[j]))) for u, i, j in triples]))


def rows_of(user: np.ndarray, item: np.ndarray, batch: Triples) -> list[np.ndarray]:
    u, i, j = (ids.numpy() for ids in batch.tensors())
    return [user[u], item[i], item[j]]


@pytest.mark.parametrize("l2_form", ["norm", "half_squared"])
def test_bpr_loss_is_the_papers(l2_form: str) -> None:
    data = toy.toy_data()
    model, batch = BPR.from_data(data, embedding_dim=4, reg=0.5, l2_form=l2_form).double(), toy.toy_batch(data)
    user, item = (table.weight.detach().numpy() for table in (model.user_embedding, model.item_embedding))
    rows = rows_of(user, item, batch)
    penalty = {
        "norm": sum(np.sqrt((x**2).sum()) for x in rows) / len(batch),
        "half_squared": sum((x**2).sum() for x in rows) / 2 / len(batch),
    }[l2_form]
    output = model.loss(data, batch)
    assert output.parts["bpr"].item() == pytest.approx(bpr_loss(user, item, batch), rel=1e-12)
    assert output.parts["reg"].item() == pytest.approx(0.5 * penalty, rel=1e-12)


def test_bpr_scores_are_inner_products_of_xavier_normal_tables() -> None:
    model = BPR(3000, 2000)
    assert model.user_embedding.weight.std().item() == pytest.approx((2 / 3064) ** 0.5, rel=0.02)
    assert model.item_embedding.weight.std().item() == pytest.approx((2 / 2064) ** 0.5, rel=0.02)


@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_lightgcn_is_the_papers(num_layers: int) -> None:
    data = toy.toy_data()
    model = LightGCN.from_data(data, embedding_dim=4, num_layers=num_layers, reg=0.01).double()
    e_user = model.encoder.user_embedding.weight.detach().numpy()
    e_item = model.encoder.item_embedding.weight.detach().numpy()
    r = np.zeros((toy.USERS, toy.ITEMS))
    r[tuple(data["user", "interacts", "item"].edge_index)] = 1
    d_user, d_item = np.maximum(r.sum(1), 1), np.maximum(r.sum(0), 1)
    user, item, sum_user, sum_item = e_user, e_item, e_user.copy(), e_item.copy()
    for _ in range(num_layers):  # Eq. 3: the neighbours, divided by the square roots of both degrees
        weight = [[r[u, i] / np.sqrt(d_user[u] * d_item[i]) for i in range(toy.ITEMS)] for u in range(toy.USERS)]
        next_user = [sum(weight[u][i] * item[i] for i in range(toy.ITEMS)) for u in range(toy.USERS)]
        next_item = [sum(weight[u][i] * user[u] for u in range(toy.USERS)) for i in range(toy.ITEMS)]
        user, item = np.array(next_user), np.array(next_item)
        sum_user, sum_item = sum_user + user, sum_item + item
    mean_user, mean_item = sum_user / (num_layers + 1), sum_item / (num_layers + 1)  # Eq. 4
    tables, batch = model(data), toy.toy_batch(data)
    np.testing.assert_allclose(tables.user.detach().numpy(), mean_user, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(tables.item.detach().numpy(), mean_item, rtol=1e-10, atol=1e-14)
    output = model.loss(data, batch)
    penalty = sum((x**2).sum() for x in rows_of(e_user, e_item, batch)) / 2 / len(batch)  # on E^(0), not on the mean
    expected = bpr_loss(mean_user, mean_item, batch) + 0.01 * penalty  # Eq. 15
    assert output.total.item() == pytest.approx(expected, rel=1e-10)


def test_most_popular_scores_are_training_counts() -> None:
    data = toy.with_edges(2, 3, torch.tensor([[0, 0, 1, 0, 0], [0, 2, 2, 0, 0]]), {})  # one pair stands three times
    data["user", "interacts", "item"].test_edge_label_index = torch.tensor([[1], [1]])
    assert MostPopular.from_data(data).score(data, torch.tensor([1, 0])).tolist() == [[1, 0, 2], [1, 0, 2]]


def test_a_model_without_training_has_no_loss() -> None:
    data = toy.toy_data()
    with pytest.raises(TypeError, match="MostPopular is not trained"):
        MostPopular.from_data(data).loss(data, toy.toy_batch(data))


def test_names_lead_to_classes_whatever_their_case() -> None:
    assert get_model("lightgcn") is get_model("LightGCN") is LightGCN
    assert available_models() == sorted(available_models())


@pytest.mark.errors
def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    for name in ("svd", None, 3):
        with pytest.raises(ValueError, match=rf"'name' must be one of .*'drepmrec'.* \(got {name!r}\)"):
            get_model(name)


@pytest.mark.errors
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"reg": -1.0}, "'reg' must be"),
        ({"reg": None}, r"'reg' must be a number \(got None"),
        ({"readout": None}, "'readout' must be one of"),
        ({"l2_form": "l1"}, "'l2_form' must be one of"),
        ({"embedding_dim": 0}, "'embedding_dim'"),
    ],
)
def test_wrong_arguments_are_named(wrong: dict[str, object], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        LightGCN(2, 3, **wrong)
