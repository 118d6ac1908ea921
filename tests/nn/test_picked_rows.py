"""Some rows of a product against all of them."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest
import torch

from drepm_pyg.nn import picked_rows
from drepm_pyg.nn.picked_rows import PickedRows
from drepm_pyg.nn.structure import SparseStructure, interaction_structure
from tests import toy


@pytest.fixture
def whole() -> SparseStructure:
    return interaction_structure(toy.toy_data()["user", "interacts", "item"].edge_index, toy.USERS, toy.ITEMS)


@pytest.fixture(params=[False, True], ids=["whole product", "picked before"])
def pays(request: pytest.FixtureRequest) -> Iterator[None]:
    with patch.object(picked_rows, "_pays", lambda picked, entries: request.param):
        yield


@pytest.mark.usefixtures("pays")
@pytest.mark.parametrize("ids", [[3], [5, 0, 5, 12], list(range(toy.USERS)), [12], []], ids=str)
def test_rows_and_transpose_are_those_of_the_dense_matrix(
    whole: SparseStructure, generator: torch.Generator, ids: list[int]
) -> None:
    dense, picked = whole.matmul(torch.eye(toy.ITEMS).double()), PickedRows(whole, torch.tensor(ids, dtype=torch.long))
    x = torch.randn(toy.ITEMS, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    y = torch.randn(len(ids), 3, generator=generator, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(picked.matmul(x), dense[ids] @ x)
    torch.testing.assert_close(picked.transposed_matmul(y), dense[ids].T @ y)
    assert torch.autograd.gradcheck(picked.matmul, x)
    assert torch.autograd.gradcheck(picked.transposed_matmul, y)


@pytest.mark.usefixtures("pays")
@pytest.mark.parametrize("ids", [[-1], [0, toy.USERS]])
def test_ids_out_of_range_are_refused(whole: SparseStructure, ids: list[int]) -> None:
    with pytest.raises(IndexError, match="out of range"):
        PickedRows(whole, torch.tensor(ids))


def test_rows_are_picked_where_they_hold_few_entries_of_many(
    whole: SparseStructure, generator: torch.Generator
) -> None:
    pairs = torch.randint(500, (2, 150_000), generator=generator)
    large = interaction_structure(pairs, 500, 500)
    for operator, ids, picked in ((large, 20, True), (large, 400, False), (whole, 1, False)):
        assert (PickedRows(operator, torch.arange(ids)).few is not None) == picked
