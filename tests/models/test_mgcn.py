"""MGCN against a dense reference written from its equations."""

import numpy as np
import pytest
import torch
from torch_geometric.data import HeteroData

from drepm_pyg.models import MGCN
from tests import toy
from tests.models.test_freedom import propagation


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def affine(linear: torch.nn.Linear, x: np.ndarray) -> np.ndarray:
    bias = 0 if linear.bias is None else linear.bias.detach().double().numpy()
    return x @ linear.weight.detach().double().numpy().T + bias


def dense_lines(model: MGCN, data: HeteroData) -> tuple[np.ndarray, np.ndarray]:
    """Behaviour and modal line of users and items (Eq. 1-14)."""
    edge_index = data["user", "interacts", "item"].edge_index
    a = propagation(edge_index, toy.USERS, toy.ITEMS)
    tables = model.encoder.user_embedding, model.encoder.item_embedding
    e = np.concatenate([t.weight.detach().double().numpy() for t in tables])
    behavior = (e + a @ e + a @ a @ e) / 3  # Eq. 3-4
    views = []
    for name in model.in_channels:
        raw = data["item"][name].double().numpy()
        mask = data["item"][f"{name}_mask"].numpy() if f"{name}_mask" in data["item"] else np.ones(len(raw), bool)
        projected = affine(model.projection.linears[name], raw) * mask[:, None]
        gate = sigmoid(affine(model.gates.linears[name], projected))
        purified = e[toy.USERS :] * gate * mask[:, None]  # Eq. 1-2
        graph = data["item", f"similar_{name}", "item"]
        s = np.zeros((toy.ITEMS, toy.ITEMS))
        s[graph.edge_index[1].numpy(), graph.edge_index[0].numpy()] = graph.edge_weight.double().numpy()
        degree = s.sum(1)
        item = (s / np.sqrt(degree[:, None] * degree[None, :])) @ purified  # Eq. 5-6
        views.append(np.concatenate([a[: toy.USERS, toy.USERS :] @ item, item]))  # Eq. 7
    logits = np.stack([affine(model.fuser.attention[2], np.tanh(affine(model.fuser.attention[0], v))) for v in views])
    share = np.exp(logits) / np.exp(logits).sum(0)
    common = (share * np.stack(views)).sum(0)  # Eq. 8-10
    specific = [
        sigmoid(affine(preference, behavior)) * (view - common)
        for preference, view in zip(model.fuser.preferences, views, strict=True)
    ]
    return behavior, (common + sum(specific)) / (len(views) + 1)  # Eq. 11-14


@pytest.mark.parametrize("masked", [False, True])
def test_tables_match_the_equations(masked: bool) -> None:
    torch.manual_seed(0)
    data = toy.toy_data(masked=masked)
    for name in toy.WIDTHS:  # a weighted graph, as the model keeps the cosines
        graph = data["item", f"similar_{name}", "item"]
        graph.edge_weight = torch.rand(graph.edge_weight.shape, generator=torch.Generator().manual_seed(1)) + 0.1
    model = MGCN.from_data(data, embedding_dim=4).double()
    tables = model(data)
    behavior, modal = (torch.from_numpy(line) for line in dense_lines(model, data))
    for ours, expected in (
        (tables.behavior_user, behavior[: toy.USERS]),
        (tables.modal_item, modal[toy.USERS :]),
        (tables.modal_user, modal[: toy.USERS]),
        (tables.item, (behavior + modal)[toy.USERS :]),
    ):
        torch.testing.assert_close(ours, expected)


def test_contrast_is_info_nce_of_both_sides_over_the_batch() -> None:
    torch.manual_seed(0)
    data = toy.toy_data()
    model, batch = MGCN.from_data(data, embedding_dim=4, cl_weight=0.7).double(), toy.toy_batch(data)
    tables, total = model(data), 0.0
    for ids, modal, behavior in (
        (batch.user, tables.modal_user, tables.behavior_user),
        (batch.positive, tables.modal_item, tables.behavior_item),
    ):
        x, y = (t.detach().double().numpy()[ids.numpy()] for t in (modal, behavior))
        x, y = (t / np.linalg.norm(t, axis=1, keepdims=True) for t in (x, y))
        logits = x @ y.T / 0.2
        total += np.mean(np.log(np.exp(logits).sum(1)) - np.diag(logits))
    assert model.loss(data, batch).parts["contrast"].item() == pytest.approx(0.7 * total, rel=1e-10)


def test_penalty_is_half_the_squares_of_the_rows_that_rank() -> None:
    torch.manual_seed(0)
    data = toy.toy_data()
    model, batch = MGCN.from_data(data, embedding_dim=4, reg=0.3).double(), toy.toy_batch(data)
    tables = model(data)
    rows = [
        table.detach()[ids] for table, ids in zip((tables.user, tables.item, tables.item), batch.tensors(), strict=True)
    ]
    expected = 0.3 * sum(float((x**2).sum()) for x in rows) / 2 / len(batch)
    assert model.loss(data, batch).parts["reg"].item() == pytest.approx(expected, rel=1e-12)
