"""Gate, behaviour line and modal line against dense references written from Eq. 1-7."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from drepm_pyg.nn import (
    BehaviorEncoder,
    ConcatProjection,
    FeatureMLP,
    FilterGate,
    ModalEncoder,
    ModalityProjection,
    resolve_weights,
)
from tests import toy


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_gate_matches_its_equation(generator: torch.Generator) -> None:
    gate = FilterGate(6, 4)
    with torch.no_grad():
        gate.bias.normal_(generator=generator)
    raw, e = torch.randn(9, 6, generator=generator), torch.randn(9, 4, generator=generator)
    w, b = (p.detach().double().numpy() for p in (gate.weight, gate.bias))
    expected = sigmoid(raw.double().numpy() @ w + b) * e.double().numpy()
    np.testing.assert_allclose(gate(raw, e).detach().numpy(), expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(gate.gate(gate.project(raw), e), gate(raw, e))
    assert gate(raw.view(3, 3, 6), e.view(3, 3, 4)).shape == (3, 3, 4)
    assert repr(gate) == "FilterGate(6, 4)"


def test_gate_starts_without_bias_and_learns_in_float64() -> None:
    gate = FilterGate(3, 2).double()
    assert gate.bias.tolist() == [0.0, 0.0]
    raw, e = (torch.randn(4, width, dtype=torch.float64, requires_grad=True) for width in (3, 2))
    assert torch.autograd.gradcheck(gate, (raw, e))


def adjacency(edge_index: Tensor) -> np.ndarray:
    a = np.zeros((toy.USERS + toy.ITEMS,) * 2)
    for user, item in edge_index.T.tolist():
        a[user, toy.USERS + item] = a[toy.USERS + item, user] = 1
    scale = np.array([d**-0.5 if d else 0.0 for d in a.sum(1)])
    return scale[:, None] * a * scale[None, :]


@pytest.mark.parametrize(
    ("readout", "reference"),
    [
        ("mean", lambda layers: sum(layers) / len(layers)),
        ("sum", sum),
        ("last", lambda layers: layers[-1]),
        (lambda layers: 2 * layers[0], lambda layers: 2 * layers[0]),
    ],
    ids=["mean", "sum", "last", "callable"],
)
@pytest.mark.parametrize("num_layers", [0, 1, 3])
def test_behavior_encoder_matches_the_powers_of_the_graph(readout: object, reference: object, num_layers: int) -> None:
    edge_index = toy.toy_data()["user", "interacts", "item"].edge_index
    encoder = BehaviorEncoder(toy.USERS, toy.ITEMS, 4, num_layers, readout=readout).double()
    e = torch.cat([encoder.user_embedding.weight, encoder.item_embedding.weight]).detach().numpy()
    layers = [np.linalg.matrix_power(adjacency(edge_index), power) @ e for power in range(num_layers + 1)]
    user, item = encoder(edge_index)
    np.testing.assert_allclose(torch.cat([user, item]).detach().numpy(), reference(layers), atol=1e-12)


def test_behavior_encoder_takes_every_form_of_the_pairs() -> None:
    edge_index = toy.toy_data()["user", "interacts", "item"].edge_index
    encoder = BehaviorEncoder(toy.USERS, toy.ITEMS, 4)
    expected = encoder(edge_index)
    values = torch.ones(edge_index.size(1))
    coo = torch.sparse_coo_tensor(edge_index.flip(0), values, (toy.ITEMS, toy.USERS)).coalesce()
    forms = [EdgeIndex(edge_index, sparse_size=(toy.USERS, toy.ITEMS)), coo, coo.to_sparse_csr(), coo.to_sparse_csc()]
    for form in forms:
        torch.testing.assert_close(encoder(form), expected)


def test_tables_are_xavier_uniform() -> None:
    torch.manual_seed(0)
    table = BehaviorEncoder(500, 300, 64).user_embedding.weight
    bound = (6 / (500 + 64)) ** 0.5
    assert table.abs().max() <= bound
    assert table.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


def modal_reference(encoder: ModalEncoder, data: object, id_user: np.ndarray, id_item: np.ndarray) -> tuple[np.ndarray, ...]:
    """Eq. 4-7 with the users' raw features formed, node by node."""
    store, edge_index = data["item"], data["user", "interacts", "item"].edge_index  # type: ignore[index]
    total = {"user": np.zeros_like(id_user), "item": np.zeros_like(id_item)}
    shares = {"user": np.zeros(len(id_user)), "item": np.zeros(len(id_item))}
    for name, weight in encoder.weights.items():
        gate = encoder.gates[name]
        w, b = gate.weight.detach().numpy(), gate.bias.detach().numpy()
        raw = store[name].double().numpy()
        mask = store[f"{name}_mask"].numpy() if f"{name}_mask" in store else np.ones(len(raw), bool)
        histories = [[i for u, i in edge_index.T.tolist() if u == user and mask[i]] for user in range(len(id_user))]
        means = np.stack([raw[h].mean(0) if h else np.zeros(raw.shape[1]) for h in histories])
        masked = f"{name}_mask" in store
        present = {"item": mask, "user": np.array([bool(h) or not masked for h in histories])}
        for node, features, ids in (("item", raw, id_item), ("user", means, id_user)):
            gated = sigmoid(features @ w + b) * ids * present[node][:, None]  # Eq. 4
            source, target = data[node, f"similar_{name}", node].edge_index.tolist()  # type: ignore[index]
            degree = np.bincount(target, minlength=len(ids))
            line = np.zeros_like(ids)
            for j, i in zip(source, target, strict=True):
                if degree[i] and degree[j]:
                    line[i] += gated[j] / np.sqrt(degree[i] * degree[j])  # Eq. 5-6
            total[node] += weight * present[node][:, None] * line  # Eq. 7
            shares[node] += weight * present[node]
    return tuple(total[n] / np.where(shares[n] > 0, shares[n], 1)[:, None] for n in ("user", "item"))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("weights", [None, {"image": 0.9, "text": 0.1}])
def test_modal_encoder_matches_the_equations(masked: bool, weights: dict[str, float] | None) -> None:
    data = toy.toy_data(masked=masked)
    torch.manual_seed(0)
    encoder = ModalEncoder(toy.WIDTHS, 4, weights=weights).double()
    id_user, id_item = torch.randn(toy.USERS, 4).double(), torch.randn(toy.ITEMS, 4).double()
    graphs = [
        {m: (data[n, f"similar_{m}", n].edge_index, data[n, f"similar_{m}", n].edge_weight.double()) for m in toy.WIDTHS}
        for n in ("item", "user")
    ]
    features = {name: data["item"][name].double() for name in toy.WIDTHS}
    masks = {name: data["item"][f"{name}_mask"] for name in toy.WIDTHS} if masked else None
    out = encoder(id_user, id_item, features, data["user", "interacts", "item"].edge_index, *graphs, masks)
    expected = modal_reference(encoder, data, id_user.numpy(), id_item.numpy())
    for ours, theirs in zip(out, expected, strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs, atol=1e-10)


def test_modality_names_are_free() -> None:
    names = {"keys": 3, "weight": 4, "training": 2}
    encoder = ModalEncoder(names, 2)
    assert set(encoder.gates.names) == set(names)
    assert len(list(encoder.parameters())) == 6
    assert len(encoder.state_dict()) == 6


def test_default_weights() -> None:
    assert resolve_weights(["text", "image"]) == {"text": 0.7, "image": 0.3}
    assert resolve_weights(["text"]) == {"text": 1.0}
    assert resolve_weights(["text", "audio", "image"]) == pytest.approx({"text": 1 / 3, "audio": 1 / 3, "image": 1 / 3})


def test_half_precision_features_are_taken() -> None:
    gate = FilterGate(6, 4)
    raw = torch.randn(3, 6)
    torch.testing.assert_close(gate.project(raw.half()), gate.project(raw), atol=1e-2, rtol=1e-2)


def test_concat_projection_is_a_linear_map_of_the_concatenation(generator: torch.Generator) -> None:
    layer = ConcatProjection(toy.WIDTHS, 4)
    features = {name: torch.randn(7, width, generator=generator) for name, width in toy.WIDTHS.items()}
    mask = torch.tensor([True] * 6 + [False])
    features["text"][6] = 1e3  # what stands in an absent row does not matter
    joined = torch.cat([features["image"], torch.where(mask.unsqueeze(1), features["text"], 0)], dim=1)
    torch.testing.assert_close(layer(features, {"text": mask}), layer.linear(joined))


@pytest.mark.parametrize("cls", [ModalityProjection, FeatureMLP])
def test_each_modality_has_its_own_map_and_absent_rows_are_zero(cls: type) -> None:
    layer = cls(toy.WIDTHS, 4)
    features = {name: torch.randn(5, width) for name, width in toy.WIDTHS.items()}
    out = layer(features, {"image": torch.tensor([True, False, True, True, True])})
    assert {name: tuple(x.shape) for name, x in out.items()} == {"image": (5, 4), "text": (5, 4)}
    assert out["image"][1].tolist() == [0.0] * 4
    assert out["text"].all(dim=1).all()


@pytest.mark.errors
@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ({"image": 1.0}, r"'weights' must name exactly the modalities \['image', 'text'\] \(got \['image'\]\)"),
        ({"image": 0.5, "text": 0.6}, "'weights' must be at least 0 and sum to 1"),
        ({"image": -0.5, "text": 1.5}, "'weights' must be at least 0 and sum to 1"),
    ],
)
def test_bad_weights_are_named(weights: dict[str, float], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ModalEncoder(toy.WIDTHS, 4, weights=weights)


@pytest.mark.errors
def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"'raw' must have 6 columns \(got \[3, 5\]\)"):
        FilterGate(6, 4)(torch.ones(3, 5), torch.ones(3, 4))
    with pytest.raises(ValueError, match="'readout' must be one of 'mean', 'sum', 'last' \\(got 'max'\\)"):
        BehaviorEncoder(2, 3, readout="max")
    encoder = ModalEncoder({"text": 5}, 4)
    pairs = torch.zeros(2, 1, dtype=torch.long)
    with pytest.raises(ValueError, match=r"'item_graphs' lacks the modalities \['text'\]"):
        encoder(torch.ones(1, 4), torch.ones(1, 4), {"text": torch.ones(1, 5)}, pairs, {}, {})
    sparse = torch.eye(2).to_sparse()
    with pytest.raises(ValueError, match=r"'edge_index' must be adj_t of the shape \[3, 2\]"):
        BehaviorEncoder(2, 3)(sparse)
