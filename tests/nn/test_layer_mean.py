"""The mean of layers from the inside out, against the sum of the layers."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest
import torch

from drepm_pyg.nn import picked_rows
from drepm_pyg.nn.layer_mean import layer_mean, layer_mean_at
from drepm_pyg.nn.structure import SparseStructure, interaction_structure
from drepm_pyg.typing import Tensor
from tests import toy


@pytest.fixture
def to_users() -> SparseStructure:
    return interaction_structure(toy.toy_data()["user", "interacts", "item"].edge_index, toy.USERS, toy.ITEMS)


def tables(generator: torch.Generator, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    return [torch.randn(rows, 3, generator=generator, dtype=dtype).requires_grad_() for rows in (toy.USERS, toy.ITEMS)]


def plain(user: Tensor, item: Tensor, to_users: SparseStructure, num_layers: int) -> tuple[Tensor, Tensor]:
    users, items = [user], [item]
    for _ in range(num_layers):
        user, item = to_users.matmul(item), to_users.T.matmul(user)
        users.append(user)
        items.append(item)
    return sum(users) / len(users), sum(items) / len(items)


@pytest.mark.parametrize("num_layers", [0, 1, 2, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_those_of_the_sum(
    to_users: SparseStructure, generator: torch.Generator, num_layers: int, dtype: torch.dtype
) -> None:
    inputs = tables(generator, dtype)
    weight = [torch.randn(x.shape, generator=generator, dtype=dtype) for x in inputs]
    results = []
    for function in (plain, layer_mean):
        means = function(*inputs, to_users, num_layers)
        loss = sum((w * mean**2).sum() for w, mean in zip(weight, means, strict=True))
        results.append((*means, *torch.autograd.grad(loss, inputs)))
    torch.testing.assert_close(results[1], results[0], rtol=1e-5, atol=1e-6)


def test_gradients_of_first_and_second_order(to_users: SparseStructure, generator: torch.Generator) -> None:
    inputs = tables(generator)
    assert torch.autograd.gradcheck(lambda u, i: layer_mean(u, i, to_users, 2), inputs)
    assert torch.autograd.gradgradcheck(lambda u, i: layer_mean(u, i, to_users, 2), inputs)


def test_one_output_alone_has_its_gradient(to_users: SparseStructure, generator: torch.Generator) -> None:
    user, item = tables(generator)
    alone = [torch.autograd.grad(f(user, item, to_users, 1)[0].sum(), (user, item)) for f in (plain, layer_mean)]
    torch.testing.assert_close(alone[1], alone[0])


def test_what_was_given_is_not_written(to_users: SparseStructure, generator: torch.Generator) -> None:
    user, item = tables(generator)
    before = user.detach().clone(), item.detach().clone()
    layer_mean(user, item, to_users, 3)
    assert torch.equal(user, before[0])
    assert torch.equal(item, before[1])


USER_IDS, ITEM_IDS = torch.tensor([4, 0, 4, 12]), torch.tensor([3, 10, 0, 3, 1])


def plain_at(user: Tensor, item: Tensor, to_users: SparseStructure, num_layers: int) -> tuple[Tensor, ...]:
    users, items = plain(user, item, to_users, num_layers)
    return users[USER_IDS], items[ITEM_IDS], user[USER_IDS], item[ITEM_IDS]


def at(user: Tensor, item: Tensor, to_users: SparseStructure, num_layers: int) -> tuple[Tensor, ...]:
    return layer_mean_at(user, item, to_users, num_layers, USER_IDS, ITEM_IDS)


@pytest.fixture(params=[0.0, 0.5, 1e9], ids=["whole layers", "some of each", "rows of every layer"])
def share(request: pytest.FixtureRequest) -> Iterator[None]:
    with patch.object(picked_rows, "_pays", lambda picked, entries: picked <= request.param * entries):
        yield


@pytest.mark.usefixtures("share")
@pytest.mark.parametrize("num_layers", [1, 2, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_and_their_gradients_are_those_of_the_whole(
    to_users: SparseStructure, generator: torch.Generator, num_layers: int, dtype: torch.dtype
) -> None:
    inputs = tables(generator, dtype)
    results = []
    for function in (plain_at, at):
        rows = function(*inputs, to_users, num_layers)
        loss = sum(((place + 1) * x**3).sum() for place, x in enumerate(rows))
        results.append((*rows, *torch.autograd.grad(loss, inputs)))
    torch.testing.assert_close(results[1], results[0], rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("share")
def test_nodes_without_pairs_keep_their_share_of_themselves(
    to_users: SparseStructure, generator: torch.Generator
) -> None:
    user, item = tables(generator)
    last = torch.tensor([toy.USERS - 1]), torch.tensor([toy.ITEMS - 1])
    rows = layer_mean_at(user, item, to_users, 2, *last)
    torch.testing.assert_close(rows[:2], (user[last[0]] / 3, item[last[1]] / 3))


@pytest.mark.usefixtures("share")
def test_gradients_of_rows_of_first_and_second_order(to_users: SparseStructure, generator: torch.Generator) -> None:
    inputs = tables(generator)
    assert torch.autograd.gradcheck(lambda u, i: at(u, i, to_users, 2), inputs)
    assert torch.autograd.gradgradcheck(lambda u, i: at(u, i, to_users, 2), inputs)


@pytest.mark.usefixtures("share")
@pytest.mark.parametrize("used", range(4))
def test_one_output_of_the_rows_alone_has_its_gradient(
    to_users: SparseStructure, generator: torch.Generator, used: int
) -> None:
    inputs = tables(generator)
    alone = [
        torch.autograd.grad(f(*inputs, to_users, 2)[used].sum(), inputs, materialize_grads=True) for f in (plain_at, at)
    ]
    torch.testing.assert_close(alone[1], alone[0])
