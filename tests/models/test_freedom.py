"""FREEDOM against a dense reference written from its equations; pruning; graphs without features."""

import numpy as np
import pytest
import torch

from drepm_pyg.models import FREEDOM
from tests import toy


def propagation(edge_index: torch.Tensor, num_users: int, num_items: int) -> np.ndarray:
    a = np.zeros((num_users + num_items,) * 2)
    for u, i in edge_index.T.tolist():
        a[u, num_users + i] = a[num_users + i, u] = 1
    degree = a.sum(1)
    scale = np.where(degree > 0, 1 / np.sqrt(np.maximum(degree, 1)), 0)
    return scale[:, None] * a * scale[None, :]


def dense_tables(model: FREEDOM, data: object, edge_index: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    e = np.concatenate(
        [t.weight.detach().double().numpy() for t in (model.encoder.user_embedding, model.encoder.item_embedding)]
    )
    a = propagation(edge_index, toy.USERS, toy.ITEMS)
    mean = (e + a @ e + a @ a @ e) / 3
    latent = np.zeros((toy.ITEMS, e.shape[1]))
    for name, weight in model.weights.items():
        source, target = data["item", f"similar_{name}", "item"].edge_index.tolist()  # type: ignore[index]
        for j, i in zip(source, target, strict=True):
            latent[i] += weight / 3 * e[toy.USERS + j]  # a binarised 3-neighbour graph weighs 1/3
    return mean[: toy.USERS], mean[toy.USERS :] + latent


@pytest.fixture
def model() -> FREEDOM:
    torch.manual_seed(0)
    return FREEDOM.from_data(toy.toy_data(), embedding_dim=4, dropout=0.5)


def test_evaluation_matches_the_equations_on_the_whole_graph(model: FREEDOM) -> None:
    data = toy.toy_data()
    model.before_epoch(data, torch.Generator().manual_seed(0))
    tables = model.eval()(data)
    user, item = dense_tables(model, data, data["user", "interacts", "item"].edge_index)
    np.testing.assert_allclose(tables.user.detach().numpy(), user, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(tables.item.detach().numpy(), item, rtol=1e-4, atol=1e-6)


def test_training_propagates_over_the_renormalised_kept_edges(model: FREEDOM) -> None:
    data = toy.toy_data()
    model.train().before_epoch(data, torch.Generator().manual_seed(0))
    kept = model._kept
    assert kept is not None
    assert kept.size(1) == 22  # half of 45
    user, item = dense_tables(model, data, kept)
    np.testing.assert_allclose(model(data).user.detach().numpy(), user, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(model(data).item.detach().numpy(), item, rtol=1e-4, atol=1e-6)


def test_image_and_text_weigh_as_published(model: FREEDOM) -> None:
    assert model.weights == {"image": 0.1, "text": 0.9}


def test_graphs_without_features_are_enough() -> None:
    data = toy.toy_data()
    whole = FREEDOM.from_data(data, embedding_dim=4).state_dict()
    del data["item"].image, data["item"].text
    data["item"].num_nodes = toy.ITEMS
    bare = FREEDOM.from_data(data, embedding_dim=4)
    bare.load_state_dict(whole)
    assert bare.loss(data, toy.toy_batch(data)).total.isfinite()


def test_modal_loss_is_bpr_of_users_against_projected_features() -> None:
    data = toy.toy_data(masked=True)
    torch.manual_seed(0)
    model = FREEDOM.from_data(data, embedding_dim=4, reg=0.5, dropout=0.0)
    batch = toy.toy_batch(data)
    user = model(data).user.detach().double().numpy()
    total = 0.0
    for name, linear in zip(model.weights, model.projection.linears.values(), strict=True):
        weight, bias = (p.detach().double().numpy() for p in linear.parameters())
        x, mask = data["item"][name].double().numpy() @ weight.T + bias, data["item"][f"{name}_mask"]
        losses = [
            np.log1p(np.exp(-user[u] @ (x[i] - x[j])))
            for u, i, j in zip(*(t.tolist() for t in batch.tensors()), strict=True)
            if mask[i] and mask[j]
        ]
        total += np.mean(losses)
    np.testing.assert_allclose(model.loss(data, batch).parts["modal"].item(), 0.5 * total, rtol=1e-5)


def test_what_stands_in_an_absent_row_gives_the_modal_loss_no_gradient() -> None:
    data = toy.toy_data(masked=True)
    torch.manual_seed(0)
    model, batch = FREEDOM.from_data(data, embedding_dim=4, reg=0.5, dropout=0.0), toy.toy_batch(data)
    gradients = []
    for value in (0.0, torch.nan):
        for name in toy.WIDTHS:
            data["item"][name] = data["item"][name].masked_fill(~data["item"][f"{name}_mask"].unsqueeze(1), value)
        gradients.append(torch.autograd.grad(model.loss(data, batch).total, list(model.parameters())))
    torch.testing.assert_close(gradients[1], gradients[0])


@pytest.mark.errors
def test_a_modal_loss_without_widths_is_refused() -> None:
    with pytest.raises(ValueError, match="'in_channels' must name the width of each of"):
        FREEDOM(3, 4, ["text"], reg=0.1)


@pytest.mark.errors
def test_a_weight_that_is_no_number_is_named() -> None:
    for reg in (None, "x"):
        with pytest.raises(TypeError, match=rf"'reg' must be a number \(got {reg!r}"):
            FREEDOM.from_data(toy.toy_data(), reg=reg)


def test_another_weighting_of_the_same_graphs_is_another_graph(model: FREEDOM) -> None:
    data = toy.toy_data()
    even = FREEDOM.from_data(data, embedding_dim=4, weights={"image": 0.5, "text": 0.5})
    x = torch.eye(toy.ITEMS)
    assert not torch.allclose(model.item_graph(data).matmul(x), even.item_graph(data).matmul(x))
    image, text = (FREEDOM.from_data(data, modalities=[name]).item_graph(data).matmul(x) for name in toy.WIDTHS)
    torch.testing.assert_close(even.item_graph(data).matmul(x), (image + text) / 2)


def test_users_modal_line_is_the_mean_over_all_training_items(model: FREEDOM) -> None:
    data = toy.toy_data()
    whole = model.eval()(data)
    model.train().before_epoch(data, torch.Generator().manual_seed(0))
    pruned = model(data)
    assert torch.equal(pruned.modal_user, whole.modal_user)
    assert not torch.equal(pruned.user, whole.user)


def test_edges_drawn_from_other_pairs_are_not_used() -> None:
    data, other = toy.toy_data(), toy.toy_data(seed=3)
    model = FREEDOM.from_data(data).train()
    expected = model(other).user
    model.before_epoch(data, torch.Generator().manual_seed(0))
    assert torch.equal(model(other).user, expected)
    assert torch.equal(model(data.clone()).user, model(data).user)  # the same pairs elsewhere
    assert not torch.equal(model(data).user, model.eval()(data).user)
