"""MMGCN against a dense reference written from its equations."""

import numpy as np
import pytest
import torch

from drepm_pyg.models import MMGCN
from tests import toy
from tests.models.test_mgcn import affine


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.01 * x)


@pytest.mark.parametrize("combination", ["element", "concat"])
def test_tables_match_the_equations(combination: str) -> None:
    torch.manual_seed(0)
    data = toy.toy_data(masked=True)
    model = MMGCN.from_data(data, embedding_dim=4, num_layers=2, combination=combination)
    a = np.zeros((toy.USERS + toy.ITEMS,) * 2)
    for u, i in data["user", "interacts", "item"].edge_index.T.tolist():
        a[u, toy.USERS + i] = a[toy.USERS + i, u] = 1
    mean = a / np.maximum(a.sum(1, keepdims=True), 1)
    tables = model.user_embedding, model.item_embedding
    identity = np.concatenate([t.weight.detach().double().numpy() for t in tables])
    total = np.zeros_like(identity)
    for name in model.in_channels:
        raw = affine(model.projection.linears[name], data["item"][name].double().numpy())
        item = raw * data["item"][f"{name}_mask"].numpy()[:, None]
        x = np.concatenate([model.preferences[name].weight.detach().double().numpy(), item])
        for layer in model.networks[name].layers:
            h = leaky(affine(layer.aggregate, mean @ x))  # Eq. 1-2
            x_hat = leaky(affine(layer.self_loop, x)) + identity  # Eq. 4
            both = affine(layer.combine, np.concatenate([h, x_hat], 1)) if combination == "concat" else None
            x = leaky(affine(layer.combine, h) + x_hat) if both is None else leaky(both)  # Eq. 5 or 3
        total += x  # Eq. 8
    ours = model(data)
    np.testing.assert_allclose(ours.user.detach().numpy(), total[: toy.USERS], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(ours.item.detach().numpy(), total[toy.USERS :], rtol=1e-4, atol=1e-6)


@pytest.mark.errors
def test_an_unknown_combination_is_refused() -> None:
    with pytest.raises(ValueError, match="'combination' must be one of 'element', 'concat' \\(got 'sum'\\)"):
        MMGCN(3, 4, {"text": 5}, combination="sum")


def test_every_bias_starts_at_zero() -> None:
    model = MMGCN.from_data(toy.toy_data())
    biases = [p for name, p in model.named_parameters() if name.endswith("bias")]
    assert len(biases) == 2 + 2 * 2 * 2  # a projection per modality, two maps in each of two layers
    assert not any(bias.any() for bias in biases)
