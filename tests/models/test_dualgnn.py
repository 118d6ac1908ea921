"""DualGNN against a dense reference written from its equations."""

import numpy as np
import torch

from drepm_pyg.models import DualGNN
from tests import toy
from tests.models.test_freedom import propagation
from tests.models.test_mgcn import affine
from tests.models.test_mmgcn import leaky


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def test_tables_match_the_equations() -> None:
    torch.manual_seed(0)
    data = toy.toy_data(masked=True)
    model = DualGNN.from_data(data, embedding_dim=4, k=3).double()
    edge_index = data["user", "interacts", "item"].edge_index
    a = propagation(edge_index, toy.USERS, toy.ITEMS)
    logits = model.modality_logits.detach().double().numpy()
    share = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    user, item = np.zeros((toy.USERS, 4)), np.zeros((toy.ITEMS, 4))
    for place, name in enumerate(model.in_channels):
        hidden = leaky(affine(model.mlp.hidden.linears[name], data["item"][name].double().numpy()))
        feature = affine(model.mlp.out.linears[name], hidden) * data["item"][f"{name}_mask"].numpy()[:, None]
        x = np.concatenate([unit(model.preferences[name].weight.detach().double().numpy()), unit(feature)])
        x = x + a @ x + a @ a @ x
        user += share[:, place : place + 1] * x[: toy.USERS]
        item += x[toy.USERS :]
    incidence = np.zeros((toy.USERS, toy.ITEMS))
    incidence[edge_index[0].numpy(), edge_index[1].numpy()] = 1
    shared = incidence @ incidence.T
    smooth = np.zeros_like(shared)
    for u in range(toy.USERS):
        best = sorted((-shared[u, v], v) for v in range(toy.USERS) if v != u and shared[u, v] > 0)[:3]
        for count, v in best:
            smooth[u, v] = np.exp(-count) / sum(np.exp(-c) for c, _ in best)
    tables = model(data)
    np.testing.assert_allclose(tables.user.detach().numpy(), user + smooth @ user, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(tables.item.detach().numpy(), item, rtol=1e-10, atol=1e-12)


def test_lines_add_up_to_what_ranks() -> None:
    data = toy.toy_data()
    tables = DualGNN.from_data(data, embedding_dim=4)(data)
    torch.testing.assert_close(tables.behavior_user + tables.modal_user, tables.user)
    torch.testing.assert_close(tables.behavior_item + tables.modal_item, tables.item)


def test_preference_tables_make_the_behaviour_line_and_features_the_modal_line() -> None:
    data = toy.toy_data()
    model = DualGNN.from_data(data, embedding_dim=4)
    before = model(data)
    with torch.no_grad():
        for table in model.preferences.values():
            table.weight.add_(torch.randn_like(table.weight))
    after = model(data)
    assert torch.equal(before.modal_user, after.modal_user)
    assert torch.equal(before.modal_item, after.modal_item)
    assert not torch.equal(before.behavior_user, after.behavior_user)


def test_items_without_content_send_no_gradient() -> None:
    data = toy.toy_data()
    for name in toy.WIDTHS:
        data["item"][name] = torch.zeros_like(data["item"][name])  # the new MLPs, whose biases are 0, give zero rows
    model = DualGNN.from_data(data, embedding_dim=4)
    model.loss(data, toy.toy_batch(data)).total.backward()
    assert not any(weight.grad.any() for weight in model.mlp.parameters())


def test_the_user_graph_has_k_neighbours_whatever_was_built_before() -> None:
    data = toy.toy_data(num_edges=100)
    for k in (1, 5):
        counts = DualGNN.from_data(data, embedding_dim=4, k=k).user_graph(data).row_counts()
        assert counts[:-1].tolist() == [k] * (toy.USERS - 1)
        assert counts[-1] == 0  # no training item


def test_penalty_is_the_mean_square_of_the_batchs_preferences_and_of_the_weights() -> None:
    torch.manual_seed(0)
    data = toy.toy_data()
    model, batch = DualGNN.from_data(data, embedding_dim=4, reg=0.3).double(), toy.toy_batch(data)
    tables = [table.weight.detach().numpy()[batch.user.numpy()] for table in model.preferences.values()]
    logits = model.modality_logits.detach().numpy()
    expected = 0.3 * (sum((rows**2).mean() for rows in tables) + (logits**2).mean())
    np.testing.assert_allclose(model.loss(data, batch).parts["reg"].item(), expected, rtol=1e-12)
