"""The behaviour line against powers of the dense normalised adjacency (Eq. 1-3)."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch_geometric import EdgeIndex

from drepm_pyg.nn import BehaviorEncoder
from drepm_pyg.nn.conv import LightGCNConv
from drepm_pyg.typing import Adj, OptTensor
from tests import toy


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


@pytest.mark.parametrize(
    "readout", ["mean", "last", lambda layers: torch.cat(layers, dim=1)], ids=["mean", "last", "callable"]
)
@pytest.mark.parametrize("num_layers", [0, 2])
def test_rows_are_those_of_the_tables(readout: object, num_layers: int) -> None:
    edge_index = toy.toy_data()["user", "interacts", "item"].edge_index
    encoder = BehaviorEncoder(toy.USERS, toy.ITEMS, 4, num_layers, readout=readout).double()
    user, item = torch.tensor([7, 7, 0]), torch.tensor([10, 2])
    rows, tables = encoder.at(edge_index, user, item), encoder(edge_index)
    ego = encoder.user_embedding.weight, encoder.item_embedding.weight
    torch.testing.assert_close(tuple(rows), (tables[0][user], tables[1][item], ego[0][user], ego[1][item]))


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


def test_weights_of_a_sparse_adjacency_count() -> None:
    edge_index, weight = torch.tensor([[0, 0, 1], [0, 1, 1]]), torch.tensor([4.0, 5.0, 11.0])
    adj_t = torch.sparse_coo_tensor(edge_index.flip(0), weight, (2, 2)).coalesce()
    encoder = BehaviorEncoder(2, 2, 2, 1, readout="last")
    user, item = encoder.user_embedding.weight, encoder.item_embedding.weight
    # Degrees: user 0 has 9, user 1 has 11, item 0 has 4, item 1 has 16.
    torch.testing.assert_close(encoder(adj_t)[0][0], 4 / 36**0.5 * item[0] + 5 / 144**0.5 * item[1])
    torch.testing.assert_close(encoder(adj_t)[1][1], 5 / 144**0.5 * user[0] + 11 / 176**0.5 * user[1])


@pytest.mark.sparse
def test_a_sparse_tensor_is_taken_too() -> None:
    sparse = pytest.importorskip("torch_sparse")
    edge_index = toy.toy_data()["user", "interacts", "item"].edge_index
    adj_t = sparse.SparseTensor(row=edge_index[1], col=edge_index[0], sparse_sizes=(toy.ITEMS, toy.USERS))
    encoder = BehaviorEncoder(toy.USERS, toy.ITEMS, 4)
    torch.testing.assert_close(encoder(adj_t), encoder(edge_index))


def test_any_embeddings_are_propagated() -> None:
    edge_index = toy.toy_data()["user", "interacts", "item"].edge_index
    encoder = BehaviorEncoder(toy.USERS, toy.ITEMS, 4, 3)
    tables = encoder.user_embedding.weight, encoder.item_embedding.weight
    torch.testing.assert_close(encoder.propagate(*tables, edge_index), encoder(edge_index))
    wide = [torch.cat([table, 2 * table], dim=1) for table in tables]
    for out, expected in zip(encoder.propagate(*wide, edge_index), encoder(edge_index), strict=True):
        torch.testing.assert_close(out, torch.cat([expected, 2 * expected], dim=1))


def test_a_callable_sees_every_layer_of_users_and_items_once() -> None:
    seen = []

    def concatenate(layers: list[Tensor]) -> Tensor:
        seen.append([tuple(layer.shape) for layer in layers])
        return torch.cat(layers, dim=1)

    encoder = BehaviorEncoder(toy.USERS, toy.ITEMS, 4, 2, readout=concatenate)
    user, item = encoder(toy.toy_data()["user", "interacts", "item"].edge_index)
    assert seen == [[(toy.USERS + toy.ITEMS, 4)] * 3]
    assert user.shape == (toy.USERS, 12)
    assert item.shape == (toy.ITEMS, 12)
    assert torch.equal(item[:, :4], encoder.item_embedding.weight)


def test_gradients_are_those_of_the_equation() -> None:
    edge_index = toy.toy_data()["user", "interacts", "item"].edge_index
    encoder = BehaviorEncoder(toy.USERS, toy.ITEMS, 2, 2)
    tables = [torch.randn(n, 2, dtype=torch.float64, requires_grad=True) for n in (toy.USERS, toy.ITEMS)]
    assert torch.autograd.gradcheck(lambda user, item: encoder.propagate(user, item, edge_index), tables)


def test_without_pairs_only_the_first_layer_is_left() -> None:
    encoder = BehaviorEncoder(3, 2, 4, 2, readout="sum")
    user, item = encoder(torch.empty(2, 0, dtype=torch.long))
    assert torch.equal(user, encoder.user_embedding.weight)
    assert torch.equal(item, encoder.item_embedding.weight)


def test_a_model_cast_to_float64_is_exact_after_use_in_float32() -> None:
    edge_index = toy.toy_data()["user", "interacts", "item"].edge_index
    encoder = BehaviorEncoder(toy.USERS, toy.ITEMS, 4)
    encoder(edge_index)
    exact = encoder.double()
    torch.testing.assert_close(exact(edge_index), exact(edge_index.clone()), rtol=0, atol=0)
    e = torch.cat([exact.user_embedding.weight, exact.item_embedding.weight]).detach().numpy()
    a = adjacency(edge_index)
    expected = (e + a @ e + a @ a @ e) / 3
    np.testing.assert_allclose(torch.cat(exact(edge_index)).detach().numpy(), expected, atol=1e-15)


def test_copies_compute_the_same() -> None:
    edge_index = toy.toy_data()["user", "interacts", "item"].edge_index
    encoder = BehaviorEncoder(toy.USERS, toy.ITEMS, 4)
    for twin in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        assert all(torch.equal(*pair) for pair in zip(twin(edge_index), encoder(edge_index), strict=True))
    assert set(encoder.state_dict()) == {"user_embedding.weight", "item_embedding.weight"}


@pytest.mark.errors
def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="'readout' must be one of 'mean', 'sum', 'last' \\(got 'max'\\)"):
        BehaviorEncoder(2, 3, readout="max")
    for readout in (None, 3):
        with pytest.raises(ValueError, match=f"'readout' must be one of 'mean', 'sum', 'last' \\(got {readout}\\)"):
            BehaviorEncoder(2, 3, readout=readout)
    with pytest.raises(ValueError, match=r"'num_layers' must be at least 0 \(got -1\)"):
        BehaviorEncoder(2, 3, num_layers=-1)
    with pytest.raises(ValueError, match=r"'edge_index' must be adj_t of the shape \[3, 2\]"):
        BehaviorEncoder(2, 3)(torch.eye(2).to_sparse())
    with pytest.raises(ValueError, match=r"'edge_index\[1\]' must hold ids in \[0, 3\) for 3 items \(got 3 to 3\)"):
        BehaviorEncoder(2, 3)(torch.tensor([[0], [3]]))


def test_torch_func_differentiates_it(generator: torch.Generator) -> None:
    encoder = BehaviorEncoder(5, 4, 3, 2)
    pairs = torch.stack([torch.randint(5, (9,), generator=generator), torch.randint(4, (9,), generator=generator)])

    def loss(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
        user, item = torch.func.functional_call(encoder, parameters, (pairs,))
        return user.square().sum() + item.square().sum()

    found = torch.func.grad(loss)({name: p.detach() for name, p in encoder.named_parameters()})
    loss(dict(encoder.named_parameters())).backward()
    for name, parameter in encoder.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad)


@pytest.mark.parametrize("readout", ["mean", "last"])
def test_torch_func_differentiates_and_batches_rows(readout: str, generator: torch.Generator) -> None:
    class At(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = BehaviorEncoder(30, 20, 3, 2, readout=readout).double()

        def forward(self, *where: Tensor) -> Tensor:
            return sum((rows.square().sum() for rows in self.encoder.at(*where)), start=torch.zeros(()))

    model = At()
    pairs = torch.stack([torch.randint(n, (60,), generator=generator) for n in (30, 20)])
    where = pairs, torch.tensor([1, 1, 4]), torch.tensor([0, 7])

    def loss(parameters: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(model, parameters, where)

    detached = {name: p.detach() for name, p in model.named_parameters()}
    found = torch.func.grad(loss)(detached)
    expected = torch.autograd.grad(model(*where), list(model.parameters()))
    torch.testing.assert_close(list(found.values()), list(expected))
    stacked = {name: torch.stack([p, 3 * p]) for name, p in detached.items()}
    torch.testing.assert_close(torch.func.vmap(loss)(stacked), torch.stack([model(*where), 9 * model(*where)]))
    _, slope = torch.func.jvp(loss, (detached,), (detached,))
    torch.testing.assert_close(slope, 2 * model(*where))


class Doubled(BehaviorEncoder):
    def forward(self, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        user, item = super().forward(edge_index)
        return 2 * user, 2 * item


class DoubledPropagation(BehaviorEncoder):
    def propagate(self, user: Tensor, item: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        user, item = super().propagate(user, item, edge_index)
        return 2 * user, 2 * item


@pytest.mark.parametrize("change", [Doubled, DoubledPropagation, "hook"])
def test_rows_follow_what_a_subclass_or_a_hook_makes_of_the_tables(change: type[BehaviorEncoder] | str) -> None:
    edge_index = toy.toy_data()["user", "interacts", "item"].edge_index
    torch.manual_seed(0)
    encoder = BehaviorEncoder(toy.USERS, toy.ITEMS, 4) if isinstance(change, str) else change(toy.USERS, toy.ITEMS, 4)
    if change == "hook":
        encoder.register_forward_hook(lambda _module, _args, tables: (2 * tables[0], 2 * tables[1]))
    user, item = torch.tensor([7, 7, 0]), torch.tensor([10, 2])
    rows, tables = encoder.at(edge_index, user, item), encoder(edge_index)
    torch.testing.assert_close((rows.user, rows.item), (tables[0][user], tables[1][item]))
    plain = BehaviorEncoder(toy.USERS, toy.ITEMS, 4)
    plain.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(rows.user, 2 * plain.at(edge_index, user, item).user)


class DoubledMessages(LightGCNConv):
    def message(self, x_j: Tensor, edge_weight: OptTensor) -> Tensor:
        return 2 * super().message(x_j, edge_weight)


class FirstTargets(nn.Module):
    """A layer that knows plain edges alone: every node gets its source of the smallest id."""

    def forward(self, x: tuple[Tensor, Tensor], edge_index: Tensor) -> Tensor:
        first = x[1].new_full((len(x[1]),), len(x[0]) - 1, dtype=torch.long)
        return x[0][first.scatter_reduce(0, edge_index[1], edge_index[0], "amin")]


@pytest.mark.parametrize("form", ["pairs", "EdgeIndex", "adj_t"])
def test_a_convolution_of_ones_own_is_given_the_pairs(form: str) -> None:
    edge_index = toy.toy_data()["user", "interacts", "item"].edge_index
    adj: Adj = edge_index
    if form == "EdgeIndex":
        adj = EdgeIndex(edge_index, sparse_size=(toy.USERS, toy.ITEMS))
    elif form == "adj_t":
        adj = torch.sparse_coo_tensor(edge_index.flip(0), torch.ones(edge_index.size(1)), (toy.ITEMS, toy.USERS))
    encoder = BehaviorEncoder(toy.USERS, toy.ITEMS, 4, 1, readout="last")
    plain = encoder(edge_index)
    user, item = torch.tensor([7, 7, 0]), torch.tensor([10, 2])
    for readout in ("last", "mean"):
        encoder.readout, encoder.conv = readout, DoubledMessages()
        tables, rows = encoder(adj), encoder.at(adj, user, item)
        egos = encoder.user_embedding.weight, encoder.item_embedding.weight
        for table, layer, ego in zip(tables, plain, egos, strict=True):
            torch.testing.assert_close(table, 2 * layer if readout == "last" else (ego + 2 * layer) / 2)
        torch.testing.assert_close((rows.user, rows.item), (tables[0][user], tables[1][item]))
    encoder.readout, encoder.conv = "last", LightGCNConv(normalize=False)
    torch.testing.assert_close(
        encoder(adj)[0], torch.zeros_like(egos[0]).index_add(0, edge_index[0], egos[1][edge_index[1]])
    )
    if form == "adj_t":
        return
    encoder.readout, encoder.conv = "last", FirstTargets()
    for side, (table, ego) in enumerate(zip(encoder(adj), reversed(egos), strict=True)):
        for node in edge_index[side].tolist():
            assert torch.equal(table[node], ego[edge_index[1 - side][edge_index[side] == node].min()])


@pytest.mark.errors
def test_a_readout_gives_a_row_for_every_node() -> None:
    edge_index = torch.tensor([[0], [1]])
    for readout, error, text in (
        (lambda layers: layers[0][1:], ValueError, r"'readout' must return a row .*, \[5, D\] \(got \[4, 64\]\)"),
        (lambda layers: layers[0].sum(), ValueError, r"'readout' must return a row .*, \[5, D\] \(got \[\]\)"),
        (lambda layers: layers, TypeError, r"'readout' must return a torch tensor \[5, D\] \(got a list\)"),
    ):
        with pytest.raises(error, match=text):
            BehaviorEncoder(2, 3, readout=readout)(edge_index)


@pytest.mark.errors
@pytest.mark.parametrize(
    ("user", "item", "error", "text"),
    [
        ([0], torch.tensor([0]), TypeError, r"'user' must be a torch tensor \(got a list\)"),
        (torch.tensor([0]), torch.tensor([0.0]), TypeError, r"'item' must hold integer ids \(got torch.float32\)"),
        (
            torch.tensor([[0]]),
            torch.tensor([0]),
            ValueError,
            r"'user' must be a vector of ids \(got the shape \[1, 1\]",
        ),
        (
            torch.tensor([2]),
            torch.tensor([0]),
            ValueError,
            r"'user' must hold ids in \[0, 2\) for 2 users \(got 2 to 2\)",
        ),
        (torch.tensor([0]), torch.tensor([-1]), ValueError, r"'item' must hold ids in \[0, 3\) .* \(got -1 to -1\)"),
    ],
)
@pytest.mark.parametrize("readout", ["mean", "sum"])
def test_ids_of_rows_are_named(user: object, item: object, error: type[Exception], text: str, readout: str) -> None:
    with pytest.raises(error, match=text):
        BehaviorEncoder(2, 3, readout=readout).at(torch.tensor([[0], [1]]), user, item)


class DoubledConv(LightGCNConv):
    def forward(self, x: tuple[Tensor, Tensor], edge_index: Tensor) -> Tensor:
        assert edge_index.dtype == torch.long
        return 2 * super().forward(x, edge_index)


def test_a_convolution_whose_forward_is_overridden_is_given_the_pairs() -> None:
    edge_index = toy.toy_data()["user", "interacts", "item"].edge_index
    encoder = BehaviorEncoder(toy.USERS, toy.ITEMS, 4, 1, readout="last")
    plain = encoder(edge_index)
    encoder.conv = DoubledConv()
    torch.testing.assert_close(encoder(edge_index), (2 * plain[0], 2 * plain[1]))
