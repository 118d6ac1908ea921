"""BM3 against a dense reference written from its equations."""

import numpy as np
import pytest
import torch

from drepm_pyg.models import BM3
from drepm_pyg.models.bm3 import cosine_distance
from tests import toy
from tests.models.test_freedom import propagation


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_loss_matches_the_equations() -> None:
    torch.manual_seed(0)
    data = toy.toy_data(masked=True)
    model = BM3.from_data(data, embedding_dim=4, dropout=0.0, cl_weight=1.5, reg=0.3)
    batch = toy.toy_batch(data)
    table_u, table_i = (
        t.weight.detach().double().numpy() for t in (model.encoder.user_embedding, model.encoder.item_embedding)
    )
    a, e = (
        propagation(data["user", "interacts", "item"].edge_index, toy.USERS, toy.ITEMS),
        np.concatenate([table_u, table_i]),
    )
    mean = (e + a @ e) / 2
    h_u, h_i = mean[: toy.USERS], mean[toy.USERS :] + table_i  # Eq. 1-2
    w, b = (p.detach().double().numpy() for p in model.predictor.parameters())

    def predict(h: np.ndarray) -> np.ndarray:
        return h @ w.T + b  # Eq. 5

    pairs = list(zip(batch.user.tolist(), batch.positive.tolist(), strict=True))
    rec = np.mean([2 - cosine(predict(h_u[u]), h_i[i]) - cosine(predict(h_i[i]), h_u[u]) for u, i in pairs])
    align = mask_loss = 0.0
    for name, linear in zip(model.in_channels, model.projection.linears.values(), strict=True):
        weight, bias = (p.detach().double().numpy() for p in linear.parameters())
        h_m = data["item"][name].double().numpy() @ weight.T + bias  # Eq. 3
        present = data["item"][f"{name}_mask"].tolist()
        align += np.mean([(1 - cosine(predict(h_m[i]), h_i[i])) * present[i] for _, i in pairs])
        mask_loss += np.mean([(1 - cosine(predict(h_m[i]), h_m[i])) * present[i] for _, i in pairs])
    reg = 0.3 * (np.linalg.norm(h_u) + np.linalg.norm(h_i)) / toy.ITEMS
    parts = model.loss(data, batch).parts
    ours = [parts[name].item() for name in ("rec", "align", "mask", "reg")]
    np.testing.assert_allclose(ours, [rec, 1.5 * align, 1.5 * mask_loss, reg], rtol=1e-4)


def test_zero_rows_are_at_distance_one_and_send_no_gradient() -> None:
    online = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 4.0]], requires_grad=True)
    distance = cosine_distance(online, torch.tensor([[1.0, 0.0], [0.0, 0.0], [2.0, 0.0]]))
    torch.testing.assert_close(distance, torch.tensor([1.0, 1.0, 0.4]))
    (gradient,) = torch.autograd.grad(distance.sum(), online)
    torch.testing.assert_close(gradient, torch.tensor([[0.0, 0.0], [0.0, 0.0], [-0.128, 0.096]]))


def test_negatives_play_no_part() -> None:
    data = toy.toy_data()
    model, batch = BM3.from_data(data, embedding_dim=4, dropout=0.0), toy.toy_batch(data)
    other = type(batch)(batch.user, batch.positive, batch.negative.flip(0))
    assert model.loss(data, batch).total == model.loss(data, other).total


def test_no_gradient_reaches_a_target() -> None:
    data = toy.toy_data()
    model = BM3.from_data(data, embedding_dim=4, dropout=0.0)
    view = torch.ones(3, 4, requires_grad=True)
    assert not model.target(view).requires_grad


def test_targets_are_dropped_in_training_only() -> None:
    model = BM3.from_data(toy.toy_data(), embedding_dim=4, dropout=0.5)
    view = torch.ones(100, 4)
    assert torch.equal(model.eval().target(view), view)
    assert sorted(model.train().target(view).unique().tolist()) == [0.0, 2.0]


@pytest.mark.errors
@pytest.mark.parametrize("name", ["dropout", "cl_weight", "reg"])
def test_numbers_may_not_be_missing(name: str) -> None:
    with pytest.raises(TypeError, match=rf"'{name}' must be a number \(got None, a NoneType\)"):
        BM3.from_data(toy.toy_data(), **{name: None})
