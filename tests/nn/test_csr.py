"""Sparse matrices by rows against dense ones."""

import pytest
import torch

from drepm_pyg.nn.csr import CsrMatrix
from drepm_pyg.typing import Tensor

ROW = torch.tensor([0, 3, 0, 2, 3, 3])
COL = torch.tensor([1, 0, 2, 2, 2, 1])
WEIGHT = torch.tensor([0.5, 1.0, 2.0, -1.0, 3.0, 0.25], dtype=torch.float64)


@pytest.fixture
def matrix() -> CsrMatrix:
    return CsrMatrix.from_coo(ROW, COL, WEIGHT, num_rows=5, num_cols=3)  # rows 1 and 4 are empty


def dense(matrix: CsrMatrix) -> Tensor:
    return matrix.matmul(torch.eye(3, dtype=torch.float64))


def test_the_entries_stand_where_they_were_given(matrix: CsrMatrix) -> None:
    expected = torch.zeros(5, 3, dtype=torch.float64)
    expected[ROW, COL] = WEIGHT
    assert dense(matrix).equal(expected)


@pytest.mark.parametrize(("start", "stop"), [(0, 5), (1, 4), (3, 5), (2, 2)])
def test_rows_in_a_range(matrix: CsrMatrix, start: int, stop: int) -> None:
    assert dense(matrix.rows(start, stop)).equal(dense(matrix)[start:stop])


@pytest.mark.parametrize("ids", [[0, 1, 2, 3, 4], [4, 0], [3, 3, 1, 3], []])
def test_selected_rows_keep_the_order_asked_for(matrix: CsrMatrix, ids: list[int]) -> None:
    chosen = torch.tensor(ids, dtype=torch.long)
    assert dense(matrix.select(chosen)).equal(dense(matrix)[chosen])


def test_the_transpose_is_that_of_the_dense_matrix(matrix: CsrMatrix) -> None:
    turned = matrix.transposed()
    assert (turned.num_rows, turned.num_cols) == (3, 5)
    assert turned.matmul(torch.eye(5, dtype=torch.float64)).equal(dense(matrix).T)
    assert turned.index.tolist() == [3, 0, 3, 0, 2, 3]  # by column, whatever the order was before


def test_without_its_empty_columns(matrix: CsrMatrix) -> None:
    first = matrix.rows(0, 1)  # columns 1 and 2
    narrow, columns = first.narrowed()
    assert columns.tolist() == [1, 2]
    assert narrow.num_cols == 2
    assert narrow.matmul(torch.eye(2, dtype=torch.float64)).equal(dense(matrix)[:1, 1:])
    assert matrix.rows(1, 2).narrowed()[1].tolist() == []


def test_rows_and_columns_are_scaled(matrix: CsrMatrix) -> None:
    row, col = torch.tensor([2.0, 1.0, 3.0, 0.5, 1.0]), torch.tensor([1.0, 4.0, 0.25])
    expected = row.double()[:, None] * dense(matrix) * col.double()
    assert dense(matrix.scaled(row, col)).equal(expected)
