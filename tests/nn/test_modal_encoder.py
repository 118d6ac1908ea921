"""The modal line against a dense reference written node by node from Eq. 4-7."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.data import HeteroData

from drepm_pyg.nn import FilterGate, KNNGraphConv, ModalEncoder, graph_structure, resolve_weights
from drepm_pyg.typing import OptTensor
from tests import toy

D = 4


def inputs(data: HeteroData, dtype: torch.dtype = torch.float64) -> dict[str, Any]:
    """The arguments of forward for the toy data."""
    generator = torch.Generator().manual_seed(3)
    sizes = data["user"].num_nodes, data["item"].num_nodes
    id_user, id_item = (torch.randn(n, D, generator=generator, dtype=torch.float64).to(dtype) for n in sizes)
    masks = {name: data["item"][f"{name}_mask"] for name in toy.WIDTHS if f"{name}_mask" in data["item"]}
    graphs = {
        node: {name: data[node, f"similar_{name}", node].edge_index for name in toy.WIDTHS} for node in ("item", "user")
    }
    return {
        "id_user": id_user,
        "id_item": id_item,
        "features": {name: data["item"][name].to(dtype) for name in toy.WIDTHS},
        "edge_index": data["user", "interacts", "item"].edge_index,
        "item_graphs": graphs["item"],
        "user_graphs": graphs["user"],
        "masks": masks or None,
    }


def build(dtype: torch.dtype = torch.float64, **kwargs: Any) -> ModalEncoder:
    torch.manual_seed(0)
    encoder = ModalEncoder(toy.WIDTHS, D, **kwargs).to(dtype)
    for gate in encoder.gates.values():
        torch.nn.init.normal_(gate.bias)
    return encoder


def close(ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], **tolerance: float) -> None:
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, **tolerance)


def reference(encoder: ModalEncoder, given: dict[str, Any]) -> tuple[np.ndarray, ...]:
    """Eq. 4-7 with the users' raw features formed, node by node."""
    ids = {"user": given["id_user"].numpy(), "item": given["id_item"].numpy()}
    pairs, masks = given["edge_index"].T.tolist(), given["masks"] or {}
    total = {node: np.zeros_like(x) for node, x in ids.items()}
    shares = {node: np.zeros(len(x)) for node, x in ids.items()}
    for name, alpha in encoder.weights.items():
        w, b = (p.detach().numpy() for p in (encoder.gates[name].weight, encoder.gates[name].bias))
        raw = {"item": given["features"][name].numpy()}
        has = {"item": masks[name].numpy() if name in masks else np.ones(len(raw["item"]), bool)}
        histories = [[i for u, i in pairs if u == user and has["item"][i]] for user in range(len(ids["user"]))]
        raw["user"] = np.stack([raw["item"][h].mean(0) if h else np.zeros(raw["item"].shape[1]) for h in histories])
        has["user"] = np.array([bool(h) or name not in masks for h in histories])
        for node in ("user", "item"):
            x = ids[node] / (1 + np.exp(-(raw[node] @ w + b))) * has[node][:, None]  # Eq. 4
            source, target = given[f"{node}_graphs"][name].tolist()
            degree = np.bincount(target, minlength=len(x))
            for _ in range(encoder.num_layers):  # Eq. 5-6
                out = np.zeros_like(x)
                for j, i in zip(source, target, strict=True):
                    if degree[i] and degree[j]:
                        out[i] += x[j] / np.sqrt(degree[i] * degree[j])
                x = out
            total[node] += alpha * has[node][:, None] * x  # Eq. 7
            shares[node] += alpha * has[node]
    return tuple(total[n] / np.where(shares[n] > 0, shares[n], 1)[:, None] for n in ("user", "item"))


@pytest.mark.parametrize("masked", [(), ("text",), ("image", "text")])
@pytest.mark.parametrize("weights", [None, {"image": 0.9, "text": 0.1}, {"image": 1.0, "text": 0.0}])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_is_eq_4_to_7(masked: tuple[str, ...], weights: dict[str, float] | None, num_layers: int) -> None:
    data = toy.toy_data(masked=True)
    for name in toy.WIDTHS.keys() - set(masked):
        del data["item"][f"{name}_mask"]
    encoder, given = build(weights=weights, num_layers=num_layers), inputs(data)
    for ours, theirs in zip(encoder(**given), reference(encoder, given), strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs, atol=1e-12)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("learned", [False, True], ids=["frozen graphs", "learned graphs"])
def test_rows_are_those_of_the_tables(masked: bool, num_layers: int, learned: bool) -> None:
    encoder, given = build(num_layers=num_layers), inputs(toy.toy_data(masked=masked))
    if learned:
        for graphs in (given["item_graphs"], given["user_graphs"]):
            graphs |= {
                name: (graph, torch.ones(graph.size(1)).double().requires_grad_()) for name, graph in graphs.items()
            }
    user, item = torch.tensor([12, 3, 3]), torch.tensor([0, 10, 4, 0])
    tables = encoder(**given)
    close(encoder(**given, rows=(user, item)), (tables[0][user], tables[1][item]))


def test_a_node_without_any_modality_gets_nothing() -> None:
    data = toy.toy_data()
    given = inputs(data)
    alone = int(given["edge_index"][1, 0])
    mask = torch.ones(toy.ITEMS, dtype=torch.bool)
    mask[alone] = False
    user, item = build()(**{**given, "masks": dict.fromkeys(toy.WIDTHS, mask)})
    assert item[alone].tolist() == [0.0] * D
    assert user[-1].tolist() == [0.0] * D  # the last user has no training item
    assert user.isfinite().all()


@pytest.mark.parametrize("stand_in", [torch.nan, torch.inf, 1e30])
def test_what_stands_in_an_absent_row_does_not_matter(stand_in: float) -> None:
    data = toy.toy_data(masked=True)
    encoder, given = build(), inputs(data)
    results = []
    for value in (0.0, stand_in):
        filled = {
            name: x.masked_fill(~given["masks"][name].unsqueeze(1), value) for name, x in given["features"].items()
        }
        out = encoder(**{**given, "features": filled})
        encoder.zero_grad()
        torch.cat(out).square().sum().backward()
        results.append([*out, *(p.grad for p in encoder.parameters())])
    for clean, other in zip(*results, strict=True):
        torch.testing.assert_close(other, clean)


def test_an_absent_row_gives_its_embedding_no_gradient() -> None:
    data = toy.toy_data(masked=True)
    given = inputs(data)
    given["id_item"].requires_grad_()
    given["masks"] = {name: torch.arange(toy.ITEMS) != 2 for name in toy.WIDTHS}
    build()(**given)[1].sum().backward()
    gradient = given["id_item"].grad
    assert gradient[2].tolist() == [0.0] * D
    assert gradient[:2].any(dim=1).all()


@pytest.mark.parametrize("form", ["weighted", "EdgeIndex", "csr", "csc", "coo"])
def test_every_form_of_the_graphs_agrees(form: str) -> None:
    encoder, given = build(), inputs(toy.toy_data())

    def as_form(edge_index: Tensor, num_nodes: int) -> Any:
        ones = torch.ones(edge_index.size(1), dtype=torch.float64)
        if form == "weighted":
            return edge_index, ones
        if form == "EdgeIndex":
            return EdgeIndex(edge_index, sparse_size=(num_nodes, num_nodes))
        coo = torch.sparse_coo_tensor(edge_index.flip(0), ones, (num_nodes, num_nodes)).coalesce()
        return {"coo": lambda: coo, "csr": coo.to_sparse_csr, "csc": coo.to_sparse_csc}[form]()

    graphs = {
        f"{node}_graphs": {name: as_form(x, size) for name, x in given[f"{node}_graphs"].items()}
        for node, size in (("user", toy.USERS), ("item", toy.ITEMS))
    }
    close(encoder(**{**given, **graphs}), encoder(**given))


def test_the_pairs_may_be_an_edge_index_or_sparse() -> None:
    encoder, given = build(), inputs(toy.toy_data(masked=True))
    edge_index = given["edge_index"]
    values = torch.rand(edge_index.size(1))  # a mean asks who has what, not how often
    coo = torch.sparse_coo_tensor(edge_index.flip(0), values, (toy.ITEMS, toy.USERS)).coalesce()
    for form in (EdgeIndex(edge_index, sparse_size=(toy.USERS, toy.ITEMS)), coo, coo.to_sparse_csr()):
        close(encoder(**{**given, "edge_index": form}), encoder(**given))


def test_weights_of_a_graph_count_and_are_learned_where_they_want_a_gradient() -> None:
    encoder, given = build(), inputs(toy.toy_data())
    edge_index = given["item_graphs"]["text"]
    weight = torch.rand(edge_index.size(1), dtype=torch.float64) + 0.5

    def items(weight: Tensor) -> Tensor:
        graphs = {**given["item_graphs"], "text": (edge_index, weight)}
        return encoder(**{**given, "item_graphs": graphs})[1]

    assert not torch.allclose(items(weight), items(torch.ones_like(weight)))
    torch.testing.assert_close(items(weight), items(3 * weight))  # normalised: the scale drops out
    assert torch.autograd.gradcheck(items, (weight.clone().requires_grad_(),))


def test_gradients_are_those_of_the_equations() -> None:
    given = inputs(toy.toy_data(masked=True))
    encoder = build()
    tables = [given.pop(name).requires_grad_() for name in ("id_user", "id_item")]
    assert torch.autograd.gradcheck(lambda user, item: encoder(user, item, **given), tables)
    gate, name = encoder.gates["text"], "weight"

    def of_weight(weight: Tensor) -> tuple[Tensor, Tensor]:
        return torch.func.functional_call(
            encoder, {f"gates.modality_text.{name}": weight}, tuple(t.detach() for t in tables), given
        )

    assert torch.autograd.gradcheck(of_weight, (gate.weight.detach().clone().requires_grad_(),))


def test_new_ids_permute_the_output() -> None:
    data = toy.toy_data(masked=True)
    user, item = toy.new_ids()
    encoder, given = build(), inputs(data)
    renamed = inputs(toy.permuted(data, user, item))
    renamed["id_user"], renamed["id_item"] = given["id_user"][user.argsort()], given["id_item"][item.argsort()]
    out_user, out_item = encoder(**renamed)
    close((out_user[user], out_item[item]), encoder(**given))


def test_features_are_cast_to_the_type_of_the_weights() -> None:
    given = inputs(toy.toy_data(), torch.float32)
    encoder = build(torch.float32)
    half = {name: x.half() for name, x in given["features"].items()}
    close(encoder(**{**given, "features": half}), encoder(**given), atol=1e-2, rtol=1e-2)


def test_one_modality_is_enough_and_further_ones_may_lie_beside_it() -> None:
    given = inputs(toy.toy_data())
    encoder = ModalEncoder({"text": toy.WIDTHS["text"]}, D).double()
    assert encoder.weights == {"text": 1.0}
    for ours, theirs in zip(encoder(**given), reference(encoder, given), strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs, atol=1e-12)


def test_modality_names_are_free() -> None:
    names = {"keys": 3, "weight": 4, "training": 2, "a.b": 1, "a%2Eb": 2, "": 3}
    encoder = ModalEncoder(names, 2)
    assert tuple(encoder.gates) == tuple(names)
    assert {name: gate.in_channels for name, gate in encoder.gates.items()} == names
    assert len(encoder.state_dict()) == 2 * len(names)
    encoder.load_state_dict(pickle.loads(pickle.dumps(encoder.state_dict())))


def test_copies_compute_the_same_and_reset_does_not() -> None:
    encoder, given = build(), inputs(toy.toy_data())
    before = encoder(**given)
    for twin in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        assert all(torch.equal(*pair) for pair in zip(twin(**given), before, strict=True))
    encoder.reset_parameters()
    assert not torch.equal(encoder(**given)[0], before[0])


def test_default_weights() -> None:
    assert resolve_weights(["text", "image"]) == {"text": 0.7, "image": 0.3}
    assert resolve_weights(["text"]) == {"text": 1.0}
    assert resolve_weights(["text", "audio", "image"]) == pytest.approx({"text": 1 / 3, "audio": 1 / 3, "image": 1 / 3})


@pytest.mark.errors
@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ({"image": 1.0}, r"'weights' must name exactly the modalities \['image', 'text'\] \(got \['image'\]\)"),
        ({"image": 0.5, "text": 0.6}, r"'weights' must sum to 1 \(got \{'image': 0.5, 'text': 0.6\}\)"),
        ({"image": -0.5, "text": 1.5}, r"'weights\['image'\]' must be a finite number of at least 0 \(got -0.5\)"),
        ({"image": float("nan"), "text": 0.5}, r"'weights\['image'\]' must be a finite number .* \(got nan\)"),
        ({"image": 1.0, "text": None}, r"'weights\['text'\]' must be a number \(got None"),
        ({"image": 1.0, "text": "x"}, r"'weights\['text'\]' must be a number \(got 'x'"),
        ({"image": 1.0, 7: 0.0}, r"'weights' must map names to numbers \(got \{'image': 1.0, 7: 0.0\}\)"),
        ("image", r"'weights' must map names to numbers \(got 'image'\)"),
        ([0.3, 0.7], r"'weights' must map names to numbers \(got \[0.3, 0.7\]\)"),
    ],
)
def test_bad_weights_are_named(weights: Any, text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        ModalEncoder(toy.WIDTHS, D, weights=weights)


@pytest.mark.errors
@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"in_channels": {}}, "'in_channels' must name at least one modality"),
        ({"in_channels": [("text", 3)]}, r"'in_channels' must map names to numbers \(got \[\('text', 3\)\]\)"),
        ({"in_channels": {1: 3}}, r"'in_channels' must map names to numbers \(got \{1: 3\}\)"),
        ({"in_channels": {"text": 0}}, r"'in_channels\['text'\]' must be at least 1 \(got 0\)"),
        ({"in_channels": {"text": "3"}}, r"'in_channels\['text'\]' must be an integer \(got '3'"),
        ({"embedding_dim": 0}, r"'embedding_dim' must be at least 1 \(got 0\)"),
        ({"num_layers": 0}, r"'num_layers' must be at least 1 \(got 0\)"),
    ],
)
def test_bad_sizes_are_named(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        ModalEncoder(**{"in_channels": toy.WIDTHS, **wrong})


@pytest.mark.errors
def test_bad_input_is_named() -> None:
    encoder, given = build(), inputs(toy.toy_data())
    with pytest.raises(ValueError, match=r"'item_graphs' lacks the modalities \['image', 'text'\]"):
        encoder(**{**given, "item_graphs": {}})
    short = {name: x[1:] for name, x in given["features"].items()}
    with pytest.raises(ValueError, match=r"'features\['image'\]' must have one row per item \(got 10 rows for 11"):
        encoder(**{**given, "features": short})
    wide = {**given["features"], "text": torch.ones(toy.ITEMS, toy.WIDTHS["text"] + 1)}
    with pytest.raises(ValueError, match=r"'features\['text'\]' must have the shape \[N, 5\] \(got \[11, 6\]\)"):
        encoder(**{**given, "features": wide})
    for table in ("id_user", "id_item"):
        with pytest.raises(ValueError, match=rf"'{table}' must have the shape \[N, 4\] \(got \[\d+, 3\]\)"):
            encoder(**{**given, table: given[table][:, :3]})
    with pytest.raises(ValueError, match=r"'masks\['text'\]' must be bool of the shape \[11\], .*got torch.float32"):
        encoder(**{**given, "masks": {"text": torch.ones(toy.ITEMS)}})
    with pytest.raises(ValueError, match=r"'a modality of masks' must be one of 'image', 'text' \(got 'txt'\)"):
        encoder(**{**given, "masks": {"txt": torch.ones(toy.ITEMS, dtype=torch.bool)}})


def test_every_further_layer_is_another_product_with_the_graph() -> None:
    given = inputs(toy.toy_data())
    one, three = build(num_layers=1), build(num_layers=3)
    only = {"image": 1.0, "text": 0.0}
    one.weights = three.weights = only  # the line of one modality: one graph
    for node, place, size in (("user", 0, toy.USERS), ("item", 1, toy.ITEMS)):
        p = graph_structure(given[f"{node}_graphs"]["image"], None, size)
        torch.testing.assert_close(three(**given)[place], p.matmul(p.matmul(one(**given)[place])))


class DoubledGate(FilterGate):
    def forward(self, raw: Tensor, id_embedding: Tensor) -> Tensor:
        return 2 * super().forward(raw, id_embedding)


class DoubledMessages(KNNGraphConv):
    def message(self, x_j: Tensor, edge_weight: OptTensor) -> Tensor:
        return 2 * super().message(x_j, edge_weight)


class AnotherConv(torch.nn.Module):
    """Knows an edge_index, as PyG's convolutions do, and no frozen structure."""

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: OptTensor = None) -> Tensor:
        assert edge_index.dtype == torch.long
        return 2 * KNNGraphConv()(x, edge_index, edge_weight)


class DoubledConv(KNNGraphConv):
    """Calls what it is derived from, and knows no frozen structure, either."""

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: OptTensor = None) -> Tensor:
        assert edge_index.dtype == torch.long
        return 2 * super().forward(x, edge_index, edge_weight)


def double(*arguments: Any) -> Tensor:
    return 2 * arguments[-1]


def with_changed_gates(encoder: ModalEncoder) -> None:
    for gate in encoder.gates.values():
        gate.__class__ = DoubledGate


CHANGES: dict[str, Callable[[ModalEncoder], Any]] = {
    "overridden gates": with_changed_gates,
    "hooks on the gates": lambda encoder: [gate.register_forward_hook(double) for gate in encoder.gates.values()],
    "overridden messages": lambda encoder: setattr(encoder, "conv", DoubledMessages()),
    "overridden convolution": lambda encoder: setattr(encoder, "conv", DoubledConv()),
    "another convolution": lambda encoder: setattr(encoder, "conv", AnotherConv()),
    "hook on the messages": lambda encoder: encoder.conv.register_message_forward_hook(double),
    "hook on the convolution": lambda encoder: encoder.conv.register_forward_hook(double),
}


@pytest.mark.parametrize("rows", [None, (torch.tensor([12, 3]), torch.tensor([0, 10, 4]))], ids=["tables", "rows"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changes_a_gate_or_the_convolution_is_followed(
    change: Callable[[ModalEncoder], Any], rows: tuple[Tensor, Tensor] | None
) -> None:
    encoder, given = build(), inputs(toy.toy_data(masked=True))
    user, item = encoder(**given, rows=rows)
    change(encoder)
    close(encoder(**given, rows=rows), (2 * user, 2 * item))


@pytest.mark.parametrize("rows", [None, (torch.tensor([12, 3]), torch.tensor([0, 10, 4]))], ids=["tables", "rows"])
def test_a_convolution_that_does_not_normalise_sums(rows: tuple[Tensor, Tensor] | None) -> None:
    """Every node of the toy graphs has three neighbours, so an edge weighs 1 instead of 1/3."""
    encoder, given = build(), inputs(toy.toy_data(masked=True))
    user, item = encoder(**given, rows=rows)
    encoder.conv = KNNGraphConv(normalize=False)
    close(encoder(**given, rows=rows), (3 * user, 3 * item))


def test_a_graph_with_weights_may_be_a_list() -> None:
    encoder, given = build(), inputs(toy.toy_data())
    weight = torch.rand(given["item_graphs"]["text"].size(1), generator=torch.Generator().manual_seed(1)).double()
    outs = []
    for pair in (tuple, list):
        graphs = {**given["item_graphs"], "text": pair((given["item_graphs"]["text"], weight))}
        outs.append(encoder(**{**given, "item_graphs": graphs}))
    close(*outs)


@pytest.mark.errors
@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        ({"features": torch.ones(toy.ITEMS, 6)}, TypeError, r"'features' must map modalities to .* \(got a Tensor\)"),
        ({"item_graphs": torch.ones(2, 3).long()}, TypeError, r"'item_graphs' must map modalities .* \(got a Tensor\)"),
        ({"masks": [torch.ones(toy.ITEMS) > 0]}, TypeError, r"'masks' must map modalities to .* \(got a list\)"),
        ({"masks": {"text": [True] * 11}}, TypeError, r"'masks\['text'\]' must be a torch tensor \(got a list\)"),
        ({"id_user": [[1.0]]}, TypeError, r"'id_user' must be a torch tensor \(got a list\)"),
    ],
)
def test_what_is_no_mapping_of_tensors_is_named(wrong: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        build()(**{**inputs(toy.toy_data()), **wrong})


@pytest.mark.errors
def test_features_and_graphs_of_another_kind_are_named() -> None:
    encoder, given = build(), inputs(toy.toy_data())
    arrays = {name: x.numpy() for name, x in given["features"].items()}
    with pytest.raises(TypeError, match=r"'features\['image'\]' must be a torch tensor \(got a ndarray\)"):
        encoder(**{**given, "features": arrays})
    graph = given["item_graphs"]["text"]
    for wrong, error, text in (
        ((graph, None, None), ValueError, r"or \(edge_index, edge_weight\) \(got a tuple of 3\)"),
        (graph.numpy(), TypeError, r"'edge_index' must be a long tensor \(got ndarray\)"),
        ([graph, [1.0]], TypeError, r"'edge_weight' must be a torch tensor \(got a list\)"),
    ):
        with pytest.raises(error, match=text):
            encoder(**{**given, "item_graphs": {**given["item_graphs"], "text": wrong}})
