"""Which rows are one: equal rows and no others, in classes that follow their smallest node."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from drepm_pyg.graph import knn_graph, neighbors
from drepm_pyg.graph.inner import inner_products, row_marks, squared_norms
from drepm_pyg.graph.rows import FeatureRows
from drepm_pyg.graph.ties import Ties


def classes(x: torch.Tensor, block_bytes: int = 1 << 20) -> list[list[int]]:
    """The nodes of each class."""
    ties = FeatureRows({"x": x}, np.arange(len(x)), block_bytes=block_bytes).ties
    return [ties.members[a:b].tolist() for a, b in zip(ties.start[:-1], ties.start[1:], strict=True)]


def by_definition(x: torch.Tensor) -> list[list[int]]:
    found: dict[tuple[float, ...], list[int]] = {}
    for node, row in enumerate(x.tolist()):
        found.setdefault(tuple(value + 0.0 for value in row), []).append(node)
    return list(found.values())


@given(st.lists(st.tuples(*[st.sampled_from([-1.0, -0.0, 0.0, 1.0, 2.0])] * 3), min_size=1, max_size=30))
def test_equal_rows_are_one_class(rows: list[tuple[float, ...]]) -> None:
    x = torch.tensor(rows)
    assert classes(x) == classes(x, block_bytes=1) == by_definition(x)


def test_rows_whose_marks_collide_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drepm_pyg.graph.rows.row_marks", lambda rows: torch.zeros(len(rows), dtype=torch.long))
    x = torch.eye(5)[torch.tensor([3, 0, 3, 1, 4, 0, 1, 1, 2])]  # of one norm, too
    assert classes(x) == by_definition(x) == [[0, 2], [1, 5], [3, 6, 7], [4], [8]]


def test_many_rows_of_one_mark_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drepm_pyg.graph.rows.row_marks", lambda rows: torch.zeros(len(rows), dtype=torch.long))
    x = torch.eye(100).repeat(2, 1)
    assert classes(x) == [[node, node + 100] for node in range(100)]


@pytest.mark.parametrize("values", [(1.0, -1.0), (0.0, 1.0), (2.0, 3.0), (1.0, 2.0, 4.0)])
def test_rows_of_few_values_have_marks_of_their_own(values: tuple[float, ...], generator: torch.Generator) -> None:
    x = torch.tensor(values)[torch.randint(0, len(values), (6000, 20), generator=generator)]
    x = torch.cat([x, x.flip(1)])  # of many columns' sums there are but few
    distinct = x.unique(dim=0)
    assert len(row_marks(distinct.double()).unique()) == len(distinct)
    assert classes(x) == by_definition(x)


@pytest.mark.parametrize("columns", [1, 7, 4097, 40_000])
def test_an_inner_product_is_that_of_its_rows_alone(columns: int, generator: torch.Generator) -> None:
    x = torch.randn(40, columns, dtype=torch.float64, generator=generator).numpy()
    alone = [inner_products(x[row : row + 1], x[row : row + 1])[0] for row in range(40)]
    assert squared_norms(x).tolist() == alone


def test_equal_rows_of_many_columns_are_one_class(generator: torch.Generator) -> None:
    x = torch.randn(10, 40_000, generator=generator)[torch.arange(70) % 10]
    assert classes(x, block_bytes=1 << 25) == [list(range(row, 70, 10)) for row in range(10)]


def test_how_rows_lie_in_memory_changes_no_bit(generator: torch.Generator) -> None:
    x = torch.randn(40, 9, dtype=torch.float64, generator=generator)
    nodes = np.arange(40)
    as_columns = FeatureRows({"x": x.T.contiguous().T}, nodes, block_bytes=1 << 20)
    assert as_columns.squares.tolist() == FeatureRows({"x": x}, nodes, block_bytes=1 << 20).squares.tolist()


def test_labels_are_classes_in_the_order_of_the_nodes() -> None:
    ties = Ties.group(9, np.array([1, 3, 4, 8]), np.array([70, -2, 70, 5]))
    assert ties.class_of.tolist() == [0, 1, 0, 2]
    assert ties.members.tolist() == [1, 4, 3, 8]
    assert ties.start.tolist() == [0, 2, 3, 4]
    assert ties.first.tolist() == [1, 3, 8]


@pytest.mark.parametrize("loop", [False, True])
def test_neighbours_are_chosen_the_same_however_many_nodes_at_a_time(
    monkeypatch: pytest.MonkeyPatch, loop: bool
) -> None:
    x = torch.randn(90, 4, generator=torch.Generator().manual_seed(0)).repeat(2, 1)[:130]
    whole = knn_graph(x, 9, loop=loop)
    monkeypatch.setattr(neighbors, "_NODES", 7)
    assert knn_graph(x, 9, loop=loop).equal(whole)
